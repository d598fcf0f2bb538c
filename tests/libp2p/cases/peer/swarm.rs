//! The swarm of a peer. It negotiates the streams, and starts the tasks that read and write them.

use std::{
    convert::Infallible,
    io,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, future::BoxFuture};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder,
    core::{
        Endpoint,
        transport::PortUse,
        upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
    },
    identify,
    identity::Keypair,
    multiaddr::Protocol,
    noise,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, OneShotHandler,
        SubstreamProtocol, SwarmEvent, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        dial_opts::{DialOpts, PeerCondition},
    },
    tcp, yamux,
};
use tokio::sync::mpsc;

use super::state::Shared;
use crate::cases::wire::Rpc;

pub(super) enum Command {
    Dial(Multiaddr),
    Open(Opens),
    Disconnect,
}

/// Negotiates the streams of a peer, and starts the tasks that read and write them.
pub(super) struct Raw {
    protocols: Vec<StreamProtocol>,
    shared: Arc<Shared>,
    out: Vec<(PeerId, Opens)>,
}

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    raw: Raw,
    identify: identify::Behaviour,
}

#[derive(Clone)]
pub(super) struct Accepts {
    protocols: Vec<StreamProtocol>,
    shared: Arc<Shared>,
}

pub(super) struct Opens {
    pub(super) protocol: &'static str,
    pub(super) shared: Arc<Shared>,
}

impl std::fmt::Debug for Opens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.protocol)
    }
}

pub(super) fn swarm(
    key: &Keypair,
    protocols: &[&'static str],
    record: bool,
    shared: &Arc<Shared>,
) -> Swarm<Behaviour> {
    let protocols = protocols.iter().map(|id| StreamProtocol::new(id)).collect();
    let raw = Raw { protocols, shared: shared.clone(), out: Vec::new() };
    let version = "/ipfs/0.1.0".to_owned();
    let identify = match record {
        true => identify::Config::new_with_signed_peer_record(version, key),
        false => identify::Config::new(version, key.public()),
    };
    let identify = identify::Behaviour::new(identify);
    let behaviour = Behaviour { raw, identify };
    let Ok(builder) = SwarmBuilder::with_existing_identity(key.clone())
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| behaviour);
    builder.with_swarm_config(|swarm| swarm.with_idle_connection_timeout(crate::cases::IDLE)).build()
}

pub(super) async fn run(
    mut swarm: Swarm<Behaviour>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    shared: Arc<Shared>,
) {
    loop {
        let event = tokio::select! {
            command = commands.recv() => {
                match command {
                    Some(Command::Dial(address)) => {
                        let Some(Protocol::P2p(peer)) = address.iter().last() else { panic!("{address}") };
                        // Another connection to a connected peer is wanted too.
                        let dial = DialOpts::peer_id(peer).addresses(vec![address]);
                        swarm.dial(dial.condition(PeerCondition::Always).build()).expect("a dial");
                    }
                    Some(Command::Open(opens)) => {
                        let peer = swarm.connected_peers().next().copied();
                        peer.into_iter().for_each(|peer| swarm.behaviour_mut().raw.out.push((peer, Opens {
                            protocol: opens.protocol,
                            shared: opens.shared.clone(),
                        })));
                    }
                    Some(Command::Disconnect) => {
                        let peers: Vec<_> = swarm.connected_peers().copied().collect();
                        for peer in peers {
                            // It may be disconnected already.
                            let _ = swarm.disconnect_peer_id(peer);
                        }
                    }
                    None => return,
                }
                continue;
            }
            event = swarm.select_next_some() => event,
        };
        match event {
            SwarmEvent::ConnectionEstablished { connection_id, .. } => {
                shared.state.lock().unwrap().connections.insert(connection_id);
            }
            SwarmEvent::ConnectionClosed { connection_id, .. } => {
                shared.state.lock().unwrap().connections.remove(&connection_id);
            }
            _ => {}
        }
    }
}

impl UpgradeInfo for Accepts {
    type Info = StreamProtocol;
    type InfoIter = Vec<StreamProtocol>;
    fn protocol_info(&self) -> Self::InfoIter {
        self.protocols.clone()
    }
}

impl UpgradeInfo for Opens {
    type Info = StreamProtocol;
    type InfoIter = std::iter::Once<StreamProtocol>;
    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(StreamProtocol::new(self.protocol))
    }
}

impl InboundUpgrade<Stream> for Accepts {
    type Output = ();
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<(), Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        let shared = self.shared.clone();
        let mut state = self.shared.state.lock().unwrap();
        state.protocols.push(protocol.to_string());
        if !state.resets {
            state.readers.push(tokio::spawn(async move {
                if !shared.reads {
                    std::future::pending::<()>().await;
                }
                // The target may close the stream or the connection at any time.
                let _ = read(stream, &shared).await;
            }));
        }
        Box::pin(async { Ok(()) })
    }
}

impl OutboundUpgrade<Stream> for Opens {
    type Output = ();
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<(), Infallible>>;

    fn upgrade_outbound(self, stream: Stream, _: StreamProtocol) -> Self::Future {
        let (sender, receiver) = mpsc::unbounded_channel();
        let shared = self.shared;
        let mut state = shared.state.lock().unwrap();
        (state.out, state.opened) = (Some(sender), state.opened + 1);
        drop(state);
        tokio::spawn(async move {
            write(stream, receiver).await;
            shared.state.lock().unwrap().broken += 1;
        });
        Box::pin(async { Ok(()) })
    }
}

async fn read(mut stream: Stream, shared: &Shared) -> io::Result<()> {
    loop {
        let (mut length, mut shift) = (0, 0);
        loop {
            let mut byte = [0];
            stream.read_exact(&mut byte).await?;
            length |= usize::from(byte[0] & 0x7f) << shift;
            shift += 7;
            if byte[0] & 0x80 == 0 {
                break;
            }
        }
        let mut frame = vec![0; length];
        stream.read_exact(&mut frame).await?;
        shared.receive(Rpc::decode(&frame));
    }
}

/// Writes until the target resets the stream, or closes its half, which it never uses.
async fn write(stream: Stream, mut receiver: mpsc::UnboundedReceiver<Vec<u8>>) {
    let ((mut reader, mut writer), mut byte) = (stream.split(), [0]);
    let writes = async {
        while let Some(bytes) = receiver.recv().await {
            if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                return;
            }
        }
        // Another stream is the current one now. This stays open.
        std::future::pending().await
    };
    tokio::select! {
        () = writes => {}
        _ = reader.read(&mut byte) => {}
    }
}

type Handler = OneShotHandler<Accepts, Opens, ()>;

impl Raw {
    fn handler(&self) -> Handler {
        let accepts = Accepts { protocols: self.protocols.clone(), shared: self.shared.clone() };
        OneShotHandler::new(SubstreamProtocol::new(accepts, ()), Default::default())
    }
}

impl NetworkBehaviour for Raw {
    type ConnectionHandler = Handler;
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
        match self.out.pop() {
            Some((peer_id, event)) => {
                Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::Any, event })
            }
            None => Poll::Pending,
        }
    }
}
