//! This module has the parts of a swarm that both implementations share: TCP, noise, yamux, identify, and a counter of
//! the bytes that are written to the sockets.

use std::{
    io,
    net::Ipv4Addr,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::{
    Multiaddr, PeerId, Swarm, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, ListenerId},
        upgrade::Version,
    },
    identify,
    identity::Keypair,
    noise,
    swarm::{self, NetworkBehaviour, SwarmEvent},
    yamux,
};

use super::tcp::Tcp;

/// Bytes written by all nodes of this process.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

pub fn written() -> u64 {
    WRITTEN.load(Ordering::Relaxed)
}

/// A swarm over TCP that counts bytes. It runs on the thread that polls it.
pub fn new<B: NetworkBehaviour>(key: &Keypair, behaviour: B) -> Swarm<B> {
    from_address(key, None, behaviour)
}

/// The same, whose dials come from the given address.
pub fn from_address<B: NetworkBehaviour>(key: &Keypair, source: Option<Ipv4Addr>, behaviour: B) -> Swarm<B> {
    let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_secs(60));
    Swarm::new(transport(key, source), behaviour, key.public().to_peer_id(), config)
}

/// TCP, noise and yamux, with a counter of bytes.
pub fn transport(key: &Keypair, source: Option<Ipv4Addr>) -> Boxed<(PeerId, StreamMuxerBox)> {
    // The value of this crate's own swarm builder.
    let mut muxer = yamux::Config::default();
    muxer.set_max_num_streams(4_032);
    Tcp::new(source)
        .map(|stream, _| Counted(stream))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(key).expect("an ed25519 key"))
        .multiplex(muxer)
        .boxed()
}

pub fn identify(key: &Keypair) -> identify::Behaviour {
    identify::Behaviour::new(identify::Config::new("ipfs/0.1.0".to_owned(), key.public()))
}

/// Listens on a free port of the loopback interface.
pub fn listen<B: NetworkBehaviour>(swarm: &mut Swarm<B>) -> ListenerId {
    swarm.listen_on(any_port()).expect("loopback has a free port")
}

pub fn any_port() -> Multiaddr {
    "/ip4/127.0.0.1/tcp/0".parse().expect("an address")
}

/// The address of a `NewListenAddr` event.
pub fn listen_address<E>(event: &SwarmEvent<E>) -> Option<&Multiaddr> {
    match event {
        SwarmEvent::NewListenAddr { address, .. } => Some(address),
        _ => None,
    }
}

/// A stream that counts the bytes written to it.
struct Counted<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.0).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = &poll {
            WRITTEN.fetch_add(*count as u64, Ordering::Relaxed);
        }
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}
