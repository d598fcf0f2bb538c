//! Peers with addresses of their own in 127.0.0.0/8, from which they dial too.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
};

use futures::{StreamExt, future::BoxFuture};
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, Transport,
    core::{
        transport::{DialOpts, ListenerId, TransportError, TransportEvent},
        upgrade::Version,
    },
    identity::Keypair,
    noise,
    swarm::{NetworkBehaviour, SwarmEvent, dummy},
    tcp, yamux,
};
use tokio::net::TcpSocket;

use super::support::socket_address;

type Tcp = tcp::tokio::Transport;

/// TCP that dials from one address. The official transport lets the system choose the address.
struct DialsFrom {
    tcp: Tcp,
    ip: Ipv4Addr,
}

impl Transport for DialsFrom {
    type Output = tcp::tokio::TcpStream;
    type Error = io::Error;
    type ListenerUpgrade = <Tcp as Transport>::ListenerUpgrade;
    type Dial = BoxFuture<'static, io::Result<Self::Output>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.tcp.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.tcp.remove_listener(id)
    }

    fn dial(&mut self, to: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let (from, to) = (SocketAddr::from((self.ip, 0)), socket_address(&to));
        Ok(Box::pin(async move {
            let socket = TcpSocket::new_v4()?;
            socket.bind(from)?;
            Ok(tcp::tokio::TcpStream(socket.connect(to).await?))
        }))
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Pin::new(&mut self.tcp).poll(cx)
    }
}

/// A swarm that dials from `ip`.
pub fn swarm_from<B: NetworkBehaviour>(ip: Ipv4Addr, behaviour: B) -> Swarm<B> {
    let Ok(builder) = SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_other_transport(|key| {
            let noise = noise::Config::new(key).unwrap();
            let tcp = DialsFrom { tcp: Tcp::new(tcp::Config::default()), ip };
            tcp.upgrade(Version::V1Lazy).authenticate(noise).multiplex(yamux::Config::default())
        })
        .unwrap()
        .with_behaviour(|_| behaviour);
    let idle = std::time::Duration::from_secs(60);
    builder.with_swarm_config(|swarm| swarm.with_idle_connection_timeout(idle)).build()
}

/// A peer at `ip`, which listens there and does nothing.
pub async fn peer_at(ip: Ipv4Addr) -> (Swarm<dummy::Behaviour>, Multiaddr) {
    let mut swarm = swarm_from(ip, dummy::Behaviour);
    swarm.listen_on(format!("/ip4/{ip}/tcp/0").parse().unwrap()).unwrap();
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            return (swarm, address);
        }
    }
}

/// A peer at `ip` dials `times` times and keeps its connections open.
pub fn dial_from(ip: Ipv4Addr, to: &Multiaddr, times: usize) -> PeerId {
    let mut swarm = swarm_from(ip, dummy::Behaviour);
    for _ in 0..times {
        swarm.dial(to.clone()).unwrap();
    }
    let peer = *swarm.local_peer_id();
    tokio::spawn(swarm.for_each(|_| async {}));
    peer
}
