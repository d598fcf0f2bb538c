//! The glue between a swarm and an engine: one task that carries the swarm's events to the engine and
//! the engine's outputs to the swarm. It decides nothing, and knows the engine only as an [`Engine`].

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use ::libp2p::{
    Multiaddr, PeerId, Swarm, identify, ping,
    swarm::{DialError, SwarmEvent, dial_opts::DialOpts},
};
use futures::{Stream, StreamExt};
use tokio::{
    sync::mpsc,
    time::{Sleep, sleep},
};

use super::{
    engine::Engine,
    handle::{Command, NodeHandle},
    outputs::Outputs,
    pending_inputs::Held,
};
use crate::{
    libp2p::{
        network::Libp2pNetwork,
        swarm::{
            builder::{TransportBehaviour, TransportBehaviourEvent},
            event::Event,
            inputs::Inputs,
        },
    },
    network::{P2pInput, P2pOutput},
};

/// What a node tells its owner.
#[derive(Debug)]
#[non_exhaustive]
pub enum NodeEvent<'a> {
    /// We listen at this address.
    Listening(&'a Multiaddr),
    /// We no longer listen at this address.
    ListenerExpired(&'a Multiaddr),
    /// An input goes to the engine: a connection, a subscription, a message, … It may have to wait.
    Input(&'a P2pInput<Libp2pNetwork>),
    /// The engine refused an input, which is lost: it has ended, or the peer is gone.
    Refused(&'a P2pInput<Libp2pNetwork>, &'a dyn fmt::Debug),
    /// The engine has no room for this peer's inputs, for this reason: the peer is not read meanwhile.
    Held(PeerId, &'a dyn fmt::Debug),
    /// All inputs of a peer that were held are with the engine.
    Resumed(PeerId),
    /// Something about gossipsub's streams.
    Gossipsub(&'a Event),
    /// An outgoing connection failed.
    DialFailed(Option<PeerId>, &'a DialError),
    /// A peer did not answer pings: its connection is closed.
    PingFailed(PeerId, &'a ping::Failure),
}

type Observer = Box<dyn FnMut(NodeEvent<'_>) + Send>;

/// Commands that wait at most.
const MAX_COMMANDS: usize = 64;
/// Events, or outputs, handled in a row before the other side has its turn.
const TURN: usize = 64;
/// Events of gossipsub that wait, beyond which no more outputs are read.
const MAX_BACKLOG: usize = 4_096;
/// Turns taken before the thread's other tasks have theirs.
const TURNS: usize = 16;
/// Time in which what the engine said last is written: a peer may not read what comes together with
/// the end of the connection.
const FLUSHING: Duration = Duration::from_millis(200);
/// Time that connections then have to close.
const CLOSING: Duration = Duration::from_secs(2);

/// A node: a future to be spawned, which completes at shutdown, when the last handle is dropped, or when
/// the engine's outputs end.
pub struct Libp2pNode<E, O> {
    swarm: Swarm<TransportBehaviour>,
    engine: E,
    outputs: Outputs<O>,
    held: Held,
    commands: mpsc::Receiver<Command>,
    observer: Observer,
    /// Set once the node ends.
    closing: Option<Closing>,
}

impl<E, O> Libp2pNode<E, O>
where
    E: Engine + Unpin,
    O: Stream<Item = P2pOutput<Libp2pNetwork>> + Unpin + 'static,
{
    /// Ties `swarm` to `engine` and to the stream of the engine's p2p outputs. If that is a worker's, it
    /// is read with its lanes, and each message is encoded once for all who get it. `observer` is called
    /// for all that happens, on the node's task: it must not block.
    pub fn new(
        mut swarm: Swarm<TransportBehaviour>,
        engine: E,
        outputs: O,
        observer: impl FnMut(NodeEvent<'_>) + Send + 'static,
    ) -> (Self, NodeHandle) {
        swarm.behaviour_mut().gossipsub.set_reports(engine.reports());
        let (sender, commands) = mpsc::channel(MAX_COMMANDS);
        let handle = NodeHandle { commands: sender, peer: *swarm.local_peer_id() };
        let (outputs, observer) = (Outputs::of(outputs), Box::new(observer));
        (Self { swarm, engine, outputs, held: Held::default(), commands, observer, closing: None }, handle)
    }

    /// What a peer said waits behind what is held of it; its going does not.
    fn inputs(&mut self, inputs: Inputs) {
        let peer = inputs.peer();
        if !self.held.holds(&peer) {
            self.hand_in(peer, [inputs].into(), false);
        } else if matches!(inputs.front(), Some(P2pInput::Disconnection { .. })) {
            self.let_go(peer);
            self.hand_in(peer, [inputs].into(), false);
        } else {
            self.held.append(inputs);
        }
    }

    /// Hands inputs of a peer to the engine, and holds those for which it has no room. `again`: they were
    /// held before.
    fn hand_in(&mut self, peer: PeerId, mut waiting: VecDeque<Inputs>, again: bool) {
        let before = count(&waiting);
        let Err(reason) = self.try_hand_in(&mut waiting) else {
            if again {
                (self.observer)(NodeEvent::Resumed(peer));
            }
            return;
        };
        if !again {
            (self.observer)(NodeEvent::Held(peer, &reason));
        }
        // It said that it had room, and took nothing.
        let pause = again && count(&waiting) == before;
        self.held.hold(peer, waiting, self.engine.p2p_input_ready(peer), pause);
    }

    /// Stops at the first input for which there is no room now; what remains begins with it.
    fn try_hand_in(&mut self, waiting: &mut VecDeque<Inputs>) -> Result<(), E::Refused> {
        while let Some(inputs) = waiting.front_mut() {
            while let Some(input) = inputs.front() {
                if !inputs.is_announced() {
                    (self.observer)(NodeEvent::Input(input));
                }
                match self.engine.p2p_input(input.clone()) {
                    Err(reason) if self.engine.is_for_now(&reason) => {
                        inputs.announced();
                        return Err(reason);
                    }
                    Err(reason) => (self.observer)(NodeEvent::Refused(input, &reason)),
                    Ok(()) => {}
                }
                inputs.next();
            }
            waiting.pop_front();
        }
        Ok(())
    }

    /// A peer goes: what is held of it is handed in if there is room, and lost if not.
    fn let_go(&mut self, peer: PeerId) {
        let mut waiting = self.held.remove(&peer);
        if let Err(reason) = self.try_hand_in(&mut waiting) {
            for input in waiting.into_iter().flatten() {
                (self.observer)(NodeEvent::Refused(&input, &reason));
            }
        }
    }

    fn gossipsub(&mut self, event: Event) {
        match event {
            Event::Inputs(inputs) => self.inputs(inputs),
            event => {
                (self.observer)(NodeEvent::Gossipsub(&event));
                self.report(event);
            }
        }
    }

    /// Tells the engine what it should know.
    fn report(&self, event: Event) {
        match event {
            Event::Unreachable { point, .. } => self.engine.set_unreachable_point(point),
            Event::SlowPeer { peer, .. } => self.engine.report_slow_peer(&peer),
            Event::Dropped { reason, lanes, .. } => {
                for (lane, count) in lanes.iter().filter(|(_, count)| *count > 0) {
                    let count = usize::try_from(count).unwrap_or(usize::MAX);
                    self.engine.report_dropped(lane, reason, count);
                }
            }
            _ => {}
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
            Command::Disconnect(peer, answer) => {
                // An error means that it is not connected: that is what was wanted.
                let _ = self.swarm.disconnect_peer_id(peer);
                let _ = answer.send(Ok(()));
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
            let Poll::Ready((peer, inputs)) = self.held.poll_ready(cx) else { break };
            idle = false;
            self.hand_in(peer, inputs, true);
        }
        for _ in 0..TURN {
            if self.swarm.behaviour().gossipsub.backlog() > MAX_BACKLOG {
                idle = false;
                break;
            }
            let Poll::Ready(emission) = self.outputs.poll_next(cx) else { break };
            let Some(emission) = emission else { return Poll::Ready(Turn::Last) };
            idle = false;
            self.swarm.behaviour_mut().gossipsub.emit(emission);
        }
        for _ in 0..TURN {
            let Poll::Ready(Some(event)) = self.swarm.poll_next_unpin(cx) else { break };
            idle = false;
            self.swarm_event(event);
        }
        if idle { Poll::Pending } else { Poll::Ready(Turn::More) }
    }
}

fn count(waiting: &VecDeque<Inputs>) -> usize {
    waiting.iter().map(ExactSizeIterator::len).sum()
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
    O: Stream<Item = P2pOutput<Libp2pNetwork>> + Unpin + 'static,
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
