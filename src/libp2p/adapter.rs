//! The glue between a swarm and an engine: one task that carries the swarm's events to the engine and
//! the engine's outputs to the swarm. It decides nothing, and knows the engine by two calls only.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use ::libp2p::{
    Multiaddr, PeerId, Swarm, TransportError as SwarmTransportError, identify, ping,
    swarm::{DialError, SwarmEvent, dial_opts::DialOpts},
};
use futures::{Stream, StreamExt};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Sleep, sleep},
};

use super::{Event, Libp2pNetwork, TransportBehaviour, transport::TransportBehaviourEvent};
use crate::{
    network::{P2pInput, P2pOutput},
    worker::{Refused, Worker},
};

/// The engine, as the transport needs it. Neither call may block.
pub trait Engine {
    /// Why an input is refused.
    type Refused: fmt::Debug;
    /// Takes what the network says.
    fn p2p_input(&self, input: P2pInput<Libp2pNetwork>) -> Result<(), Self::Refused>;
    /// Learns that a point it asked for can't be reached.
    fn set_unreachable_point(&self, point: Multiaddr);
}

impl Engine for Worker<Libp2pNetwork> {
    type Refused = Refused;

    fn p2p_input(&self, input: P2pInput<Libp2pNetwork>) -> Result<(), Refused> {
        Self::p2p_input(self, input)
    }

    fn set_unreachable_point(&self, point: Multiaddr) {
        Self::set_unreachable_point(self, point);
    }
}

/// What a node tells its owner.
#[derive(Debug)]
#[non_exhaustive]
pub enum NodeEvent<'a> {
    /// We listen at this address.
    Listening(&'a Multiaddr),
    /// We no longer listen at this address.
    ListenerExpired(&'a Multiaddr),
    /// An input goes to the engine: a connection, a subscription, a message, …
    Input(&'a P2pInput<Libp2pNetwork>),
    /// The engine refused an input, which is lost.
    Refused(&'a P2pInput<Libp2pNetwork>, &'a dyn fmt::Debug),
    /// Something about gossipsub's streams.
    Gossipsub(&'a Event),
    /// An outgoing connection failed.
    DialFailed(Option<PeerId>, &'a DialError),
    /// A peer did not answer pings: its connection is closed.
    PingFailed(PeerId, &'a ping::Failure),
}

type Observer = Box<dyn FnMut(NodeEvent<'_>) + Send>;

/// A request to a node that runs.
enum Command {
    Listen(Multiaddr, oneshot::Sender<Result<(), CommandError>>),
    Dial(Multiaddr, oneshot::Sender<Result<(), CommandError>>),
    Shutdown,
}

/// Why a node did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The node is gone.
    #[error("the node has stopped")]
    Stopped,
    /// It can't listen there.
    #[error("can't listen: {0}")]
    Listen(#[from] SwarmTransportError<std::io::Error>),
    /// It can't dial that.
    #[error("can't dial: {0}")]
    Dial(#[from] DialError),
}

/// Commands that wait at most.
const MAX_COMMANDS: usize = 64;
/// Events, or outputs, handled in a row before the other side has its turn.
const TURN: usize = 64;
/// Turns taken before the thread's other tasks have theirs.
const TURNS: usize = 16;
/// Time in which what the engine said last is written: a peer may not read what comes together with
/// the end of the connection.
const FLUSHING: Duration = Duration::from_millis(200);
/// Time that connections then have to close.
const CLOSING: Duration = Duration::from_secs(2);

/// A running node as its owner holds it. Clones are the same node.
#[derive(Clone, Debug)]
pub struct NodeHandle {
    commands: mpsc::Sender<Command>,
    peer: PeerId,
}

impl NodeHandle {
    /// Our peer id.
    pub fn peer_id(&self) -> PeerId {
        self.peer
    }

    /// Begins to listen; the addresses follow as [`NodeEvent::Listening`].
    pub async fn listen(&self, address: Multiaddr) -> Result<(), CommandError> {
        self.request(|answer| Command::Listen(address, answer)).await
    }

    /// Begins to dial; a failure after that follows as [`NodeEvent::DialFailed`].
    pub async fn dial(&self, address: Multiaddr) -> Result<(), CommandError> {
        self.request(|answer| Command::Dial(address, answer)).await
    }

    /// Ends the node, closing its connections. Its future completes soon after.
    pub async fn shutdown(&self) {
        // An error means that it is gone already.
        let _ = self.commands.send(Command::Shutdown).await;
    }

    async fn request(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), CommandError>>) -> Command,
    ) -> Result<(), CommandError> {
        let (sender, answer) = oneshot::channel();
        self.commands.send(command(sender)).await.map_err(|_| CommandError::Stopped)?;
        answer.await.map_err(|_| CommandError::Stopped)?
    }
}

/// A node: a future to be spawned, which completes at shutdown, when the last handle is dropped, or when
/// the engine's outputs end.
pub struct Libp2pNode<E, O> {
    swarm: Swarm<TransportBehaviour>,
    engine: E,
    outputs: O,
    commands: mpsc::Receiver<Command>,
    observer: Observer,
    /// Set once the node ends.
    closing: Option<Closing>,
}

impl<E, O> Libp2pNode<E, O>
where
    E: Engine + Unpin,
    O: Stream<Item = P2pOutput<Libp2pNetwork>> + Unpin,
{
    /// Ties `swarm` to `engine` and to the stream of the engine's p2p outputs. `observer` is called for
    /// all that happens, on the node's task: it must not block.
    pub fn new(
        swarm: Swarm<TransportBehaviour>,
        engine: E,
        outputs: O,
        observer: impl FnMut(NodeEvent<'_>) + Send + 'static,
    ) -> (Self, NodeHandle) {
        let (sender, commands) = mpsc::channel(MAX_COMMANDS);
        let handle = NodeHandle { commands: sender, peer: *swarm.local_peer_id() };
        (Self { swarm, engine, outputs, commands, observer: Box::new(observer), closing: None }, handle)
    }

    /// An input that the engine refuses is lost. Here, and only here, one could read less from its peer.
    fn input(&mut self, input: P2pInput<Libp2pNetwork>) {
        (self.observer)(NodeEvent::Input(&input));
        if let Err(reason) = self.engine.p2p_input(input.clone()) {
            (self.observer)(NodeEvent::Refused(&input, &reason));
        }
    }

    fn gossipsub(&mut self, event: Event) {
        match event {
            Event::Inputs(inputs) => inputs.into_iter().for_each(|input| self.input(input)),
            event => {
                (self.observer)(NodeEvent::Gossipsub(&event));
                if let Event::Unreachable { point, .. } = event {
                    self.engine.set_unreachable_point(point);
                }
            }
        }
    }

    fn behaviour(&mut self, event: TransportBehaviourEvent) {
        match event {
            TransportBehaviourEvent::Gossipsub(event) => self.gossipsub(event),
            TransportBehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.swarm.behaviour().gossipsub.network().add_addresses(peer_id, info.listen_addrs);
            }
            TransportBehaviourEvent::Ping(event) => self.pinged(&event),
            TransportBehaviourEvent::Identify(_) => {}
        }
    }

    /// A peer that speaks ping but does not answer is gone, whatever its socket says.
    fn pinged(&mut self, event: &ping::Event) {
        if let Err(failure @ (ping::Failure::Timeout | ping::Failure::Other { .. })) = &event.result {
            (self.observer)(NodeEvent::PingFailed(event.peer, failure));
            self.swarm.close_connection(event.connection);
        }
    }

    fn swarm_event(&mut self, event: SwarmEvent<TransportBehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.behaviour(event),
            SwarmEvent::NewListenAddr { address, .. } => (self.observer)(NodeEvent::Listening(&address)),
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                (self.observer)(NodeEvent::ListenerExpired(&address));
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                (self.observer)(NodeEvent::DialFailed(peer_id, &error));
            }
            _ => {}
        }
    }

    /// Whether to go on. Owners that no longer wait for the answer don't get one.
    fn command(&mut self, command: Command) -> bool {
        match command {
            Command::Shutdown => return false,
            Command::Listen(address, answer) => {
                let _ = answer.send(self.swarm.listen_on(address).map(|_| ()).map_err(Into::into));
            }
            Command::Dial(address, answer) => {
                let _ = answer.send(self.swarm.dial(DialOpts::from(address)).map_err(Into::into));
            }
        }
        true
    }

    fn close_all(&mut self) {
        let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            // An error means that it has just gone by itself.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    /// Lets the connections write what they have, then closes them.
    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(Some(event)) = self.swarm.poll_next_unpin(cx) {
            self.swarm_event(event);
        }
        if self.swarm.connected_peers().next().is_none() {
            return Poll::Ready(());
        }
        let Some(closing) = &mut self.closing else { return Poll::Ready(()) };
        ready!(closing.deadline.as_mut().poll(cx));
        if closing.closed {
            return Poll::Ready(());
        }
        self.closing = Some(Closing { deadline: Box::pin(sleep(CLOSING)), closed: true });
        self.close_all();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One turn for each side. `Pending`: nothing was there to do.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let mut idle = true;
        while let Poll::Ready(command) = self.commands.poll_recv(cx) {
            idle = false;
            if !command.is_some_and(|command| self.command(command)) {
                return Poll::Ready(Turn::Last);
            }
        }
        for _ in 0..TURN {
            let Poll::Ready(output) = self.outputs.poll_next_unpin(cx) else { break };
            let Some(output) = output else { return Poll::Ready(Turn::Last) };
            idle = false;
            self.swarm.behaviour_mut().gossipsub.apply(output);
        }
        for _ in 0..TURN {
            let Poll::Ready(Some(event)) = self.swarm.poll_next_unpin(cx) else { break };
            idle = false;
            self.swarm_event(event);
        }
        if idle { Poll::Pending } else { Poll::Ready(Turn::More) }
    }
}

/// How far the end of a node has come.
struct Closing {
    deadline: Pin<Box<Sleep>>,
    /// Whether the connections were told to close.
    closed: bool,
}

enum Turn {
    More,
    Last,
}

impl<E, O> Future for Libp2pNode<E, O>
where
    E: Engine + Unpin,
    O: Stream<Item = P2pOutput<Libp2pNetwork>> + Unpin,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.closing.is_some() {
            return self.poll_closing(cx);
        }
        for _ in 0..TURNS {
            match self.poll_turn(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Turn::Last) => {
                    self.closing = Some(Closing { deadline: Box::pin(sleep(FLUSHING)), closed: false });
                    return self.poll_closing(cx);
                }
                Poll::Ready(Turn::More) => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
