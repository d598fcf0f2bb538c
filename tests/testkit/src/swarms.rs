//! Swarms of rust-libp2p: one with any behaviour, and a raw peer that writes any bytes.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, future::BoxFuture};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder,
    core::{
        Endpoint,
        transport::PortUse,
        upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
    },
    identity::Keypair,
    multiaddr, noise,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, OneShotHandler,
        SubstreamProtocol, SwarmEvent, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
    tcp, yamux,
};
use tokio::sync::watch;

/// A swarm with any behaviour over the same transports.
pub fn other<B: NetworkBehaviour>(behaviour: impl FnOnce(&Keypair) -> B) -> Swarm<B> {
    let Ok(builder) = SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(behaviour);
    builder.with_swarm_config(|swarm| swarm.with_idle_connection_timeout(Duration::from_secs(60))).build()
}

/// A loopback address as an address of the standard library.
pub fn socket_address(address: &Multiaddr) -> std::net::SocketAddr {
    let parts: Vec<_> = address.iter().collect();
    let [multiaddr::Protocol::Ip4(ip), multiaddr::Protocol::Tcp(port), ..] = parts[..] else {
        panic!("{address}")
    };
    (ip, port).into()
}

/// Listens on loopback and returns the address.
pub async fn listen<B: NetworkBehaviour>(swarm: &mut Swarm<B>) -> Multiaddr {
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            return address;
        }
    }
}

/// How a raw peer reads our stream.
#[derive(Clone)]
pub enum Reads {
    All,
    Nothing,
    /// Reads nothing until the signal is true, then records all bytes.
    AfterSignal(watch::Receiver<bool>, Arc<Mutex<Vec<u8>>>),
    /// Reads a number of bytes, then pauses.
    Slowly(usize, Duration),
    /// Drops the stream at once.
    Resets,
    /// Writes these bytes to it.
    Replies(Vec<u8>),
}

/// A peer that negotiates /meshsub/1.1.0 and then writes any bytes, each write on a new stream.
pub struct Raw {
    reads: Reads,
    out: VecDeque<(PeerId, Write)>,
}

impl Raw {
    pub fn new(reads: Reads) -> Self {
        Self { reads, out: VecDeque::new() }
    }

    /// Writes `bytes` in pieces of `piece` bytes on a new stream.
    pub fn write(&mut self, peer: PeerId, bytes: impl Into<Vec<u8>>, piece: usize) {
        self.out.push_back((peer, Write { bytes: bytes.into(), piece, reset: false }));
    }

    /// Writes `bytes` on a new stream, and resets it.
    pub fn reset(&mut self, peer: PeerId, bytes: impl Into<Vec<u8>>) {
        self.out.push_back((peer, Write { bytes: bytes.into(), piece: 100, reset: true }));
    }
}

#[derive(Clone, Debug)]
pub struct Write {
    bytes: Vec<u8>,
    piece: usize,
    /// The stream is dropped before it is closed.
    reset: bool,
}

pub struct Read(Reads);

const PROTOCOL: StreamProtocol = StreamProtocol::new("/meshsub/1.1.0");

impl UpgradeInfo for Write {
    type Info = StreamProtocol;
    type InfoIter = std::iter::Once<StreamProtocol>;
    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(PROTOCOL)
    }
}

impl UpgradeInfo for Read {
    type Info = StreamProtocol;
    type InfoIter = std::iter::Once<StreamProtocol>;
    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(PROTOCOL)
    }
}

impl OutboundUpgrade<Stream> for Write {
    type Output = ();
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<()>>;

    fn upgrade_outbound(self, mut stream: Stream, _: StreamProtocol) -> Self::Future {
        Box::pin(async move {
            for piece in self.bytes.chunks(self.piece) {
                stream.write_all(piece).await?;
                stream.flush().await?;
            }
            // The stream stays open until the other side closes it.
            if !self.reset {
                let _ = stream.read(&mut [0]).await;
            }
            Ok(())
        })
    }
}

impl InboundUpgrade<Stream> for Read {
    type Output = ();
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn upgrade_inbound(self, mut stream: Stream, _: StreamProtocol) -> Self::Future {
        Box::pin(async move {
            match self.0 {
                Reads::Resets => {}
                Reads::Nothing => std::future::pending().await,
                Reads::Replies(bytes) => {
                    stream.write_all(&bytes).await?;
                    stream.flush().await?;
                    std::future::pending().await
                }
                Reads::All => while stream.read(&mut [0; 1024]).await? > 0 {},
                Reads::AfterSignal(mut signal, into) => {
                    // Without a sender the signal never becomes true.
                    if signal.wait_for(|signal| *signal).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                    let mut chunk = [0; 8_192];
                    loop {
                        match stream.read(&mut chunk).await? {
                            0 => break,
                            count => into.lock().unwrap().extend_from_slice(&chunk[..count]),
                        }
                    }
                }
                Reads::Slowly(piece, pause) => {
                    let mut chunk = vec![0; piece];
                    loop {
                        tokio::time::sleep(pause).await;
                        stream.read_exact(&mut chunk).await?;
                    }
                }
            }
            Ok(())
        })
    }
}

impl Clone for Read {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

type RawHandler = OneShotHandler<Read, Write, ()>;

impl Raw {
    fn handler(&self) -> RawHandler {
        // The stream is read in its upgrade, which lasts as long as the stream.
        let listen = SubstreamProtocol::new(Read(self.reads.clone()), ());
        OneShotHandler::new(listen.with_timeout(Duration::from_secs(3_600)), Default::default())
    }
}

impl NetworkBehaviour for Raw {
    type ConnectionHandler = RawHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, _: THandlerOutEvent<Self>) {}

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        match self.out.pop_front() {
            Some((peer_id, event)) => {
                Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::Any, event })
            }
            None => Poll::Pending,
        }
    }
}

/// The message id of the specification, for an official node: the source and the sequence number.
pub fn specified_id(message: &libp2p::gossipsub::Message) -> libp2p::gossipsub::MessageId {
    let mut id = message.source.map(|source| source.to_bytes()).unwrap_or_default();
    id.extend(message.sequence_number.unwrap_or_default().to_be_bytes());
    id.into()
}
