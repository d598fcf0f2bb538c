//! This module builds the swarms of the tests: one of this crate, one of the official gossipsub, and a raw peer that
//! writes any bytes.

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

use actix_gossipsub::libp2p::{
    BehaviourConfig, Event, Libp2pNetwork, Libp2pNetworkBuilder, SignaturePolicy, TransportBehaviour,
    TransportBehaviourEvent, TransportConfig,
};
use actix_gossipsub::{P2pInput, P2pMessage, P2pOutput};
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

pub type Net = Libp2pNetwork;
pub type NetMessage = P2pMessage<Net>;
pub type Input = P2pInput<Net>;
pub type Ours = Swarm<TransportBehaviour>;

pub fn settings(key: &Keypair) -> Libp2pNetworkBuilder {
    Libp2pNetwork::builder(SignaturePolicy::StrictSign(Box::new(key.clone())))
}

/// A swarm of this crate and its network. Its connections run on the thread of the test, so that nothing is written or read
/// between two steps of the test.
pub fn ours(gossipsub: BehaviourConfig) -> (Ours, Net) {
    ours_with(&TransportConfig::default().with(|c| (c.gossipsub, c.connection_threads) = (gossipsub, 0)))
}

/// A swarm of this crate and its network.
pub fn ours_with(config: &TransportConfig) -> (Ours, Net) {
    let key = Keypair::generate_ed25519();
    let network = settings(&key).build();
    (actix_gossipsub::libp2p::swarm(key, network.clone(), config).unwrap(), network)
}

/// A swarm with any behaviour over the same transports.
pub fn other<B: NetworkBehaviour>(behaviour: impl FnOnce(&Keypair) -> B) -> Swarm<B> {
    let Ok(builder) = SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(behaviour);
    builder.with_swarm_config(|swarm| swarm.with_idle_connection_timeout(Duration::from_secs(60))).build()
}

/// Runs both swarms until `pick` returns `Some` for a gossipsub event of `left`.
pub async fn until<B: NetworkBehaviour, T>(
    left: &mut Ours,
    right: &mut Swarm<B>,
    mut pick: impl FnMut(Event) -> Option<T>,
) -> T {
    both(left, right, |event| pick(event?), |_| None).await
}

/// Runs both swarms until one of the two closures returns `Some`. The first is called with `None` for each event of
/// `left` that is not an event of gossipsub.
pub async fn both<B: NetworkBehaviour, T>(
    left: &mut Ours,
    right: &mut Swarm<B>,
    mut pick: impl FnMut(Option<Event>) -> Option<T>,
    mut pick_right: impl FnMut(SwarmEvent<B::ToSwarm>) -> Option<T>,
) -> T {
    let work = async {
        loop {
            let found = tokio::select! {
                event = left.select_next_some() => match event {
                    SwarmEvent::Behaviour(TransportBehaviourEvent::Gossipsub(event)) => pick(Some(event)),
                    _ => pick(None),
                },
                event = right.select_next_some() => pick_right(event),
            };
            if let Some(found) = found {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("the expected event occurs within 20 s")
}

/// Runs two swarms until each has reported the other as connected and has established `connections` gossipsub
/// connections. Returns the inputs of each engine.
pub async fn meet(left: &mut Ours, right: &mut Ours, connections: usize) -> (Vec<Input>, Vec<Input>) {
    let ((mut l, mut r), (mut l_established, mut r_established)) = ((Vec::new(), Vec::new()), (0, 0));
    while l_established < connections || r_established < connections || l.is_empty() || r.is_empty() {
        let gossipsub = |event| match event {
            SwarmEvent::Behaviour(TransportBehaviourEvent::Gossipsub(event)) => Some((false, event)),
            _ => None,
        };
        let (is_left, event) = both(left, right, |event| event.map(|event| (true, event)), gossipsub).await;
        let (inputs_so_far, established) =
            if is_left { (&mut l, &mut l_established) } else { (&mut r, &mut r_established) };
        *established += usize::from(matches!(event, Event::Established { .. }));
        inputs_so_far.extend(inputs(event));
    }
    (l, r)
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

/// The event, if it is an event of gossipsub.
pub fn gossipsub_event(event: SwarmEvent<TransportBehaviourEvent>) -> Option<Event> {
    match event {
        SwarmEvent::Behaviour(TransportBehaviourEvent::Gossipsub(event)) => Some(event),
        _ => None,
    }
}

/// The inputs in an event, which may be none.
pub fn inputs(event: Event) -> Vec<Input> {
    match event {
        Event::Inputs(inputs) => inputs.collect(),
        _ => Vec::new(),
    }
}

/// The connection among the inputs of an event, if there is one.
pub fn connected(event: Event) -> Option<Input> {
    inputs(event).into_iter().find(|input| matches!(input, P2pInput::NewConnection { .. }))
}

pub fn send_message(swarm: &mut Ours, to_peer: PeerId, message: NetMessage) {
    swarm.behaviour_mut().gossipsub.apply(P2pOutput::OutMessage { to_peer, message });
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
