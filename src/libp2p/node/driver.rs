//! The driver task of a node: swarm events become inputs of the engine, and outputs of the engine go to the swarm. It
//! takes turns between commands, pending inputs, outputs and swarm events, so that none of them starves.

use std::{
    collections::HashMap,
    future::Future,
    io,
    ops::ControlFlow,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use ::libp2p::{
    Multiaddr, PeerId, Swarm, TransportError as SwarmTransportError,
    core::transport::ListenerId,
    ping,
    swarm::{SwarmEvent, dial_opts::DialOpts},
};
use futures::StreamExt;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Sleep, sleep},
};

use super::{
    engine::{Engine, OutputSource},
    engine_inputs::{EngineInputs, InputEvent},
    handle::{Command, CommandError, NodeEvent, NodeHandle, PeerInfo},
    transfer::{MAX_ITEMS_PER_ROUND, poll_transfer},
};
use crate::{
    libp2p::swarm::{
        builder::{TransportBehaviour, TransportBehaviourEvent},
        event::Event,
    },
    network::hooks::catch_panic,
};

type Observer = Box<dyn FnMut(NodeEvent<'_>) + Send>;
type ListenAnswer = oneshot::Sender<Result<Multiaddr, CommandError>>;

/// Most queued commands.
const MAX_COMMANDS: usize = 64;
/// The number of rounds after which the driver yields to the other tasks of the thread.
const ROUNDS_BEFORE_YIELD: usize = 16;
/// How long the last messages of the engine may take to be written. They are written before connections are closed,
/// since a peer may not read what arrives together with the end of the connection.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(200);
/// How long connections may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The driver of a node: a future that ties a swarm to an engine. Spawn it.
///
/// It completes after [`NodeHandle::shutdown`], when the last [`NodeHandle`] is dropped, or when the outputs of the
/// engine end. It then writes what is queued, for 200 ms at most, and closes the connections, for 2 s at most.
pub struct NodeDriver<E, O> {
    swarm: Swarm<TransportBehaviour>,
    inputs: EngineInputs<E>,
    outputs: O,
    commands: mpsc::Receiver<Command>,
    /// The listen commands whose listener has no address yet.
    listening: HashMap<ListenerId, ListenAnswer>,
    observer: Observer,
    /// Set once the node ends.
    closing: Option<Closing>,
}

impl<E: Engine + Unpin, O: OutputSource + Unpin> NodeDriver<E, O> {
    /// Ties `swarm` to `engine` and to the outputs of that engine. `observer` is called on the driver's task for each
    /// event of the node; it must not block. A panic of it is logged, and the node goes on.
    pub fn new(
        mut swarm: Swarm<TransportBehaviour>,
        engine: E,
        outputs: O,
        observer: impl FnMut(NodeEvent<'_>) + Send + 'static,
    ) -> (Self, NodeHandle) {
        let behaviour = swarm.behaviour_mut();
        behaviour.gossipsub.set_delivery_listener(engine.delivery_listener());
        behaviour.gossipsub.set_graylist(engine.graylist());
        behaviour.limits.set_scores(engine.scores());
        if let Some(direct) = engine.direct() {
            behaviour.limits.set_direct(Some(direct));
        }
        behaviour.gossipsub.config.direct.iter().for_each(|peer| engine.add_direct(peer));
        let (sender, commands) = mpsc::channel(MAX_COMMANDS);
        let handle = NodeHandle { commands: sender, peer: *swarm.local_peer_id() };
        let driver = Self {
            swarm,
            inputs: EngineInputs::new(engine),
            outputs,
            commands,
            listening: HashMap::new(),
            observer: contained(observer),
            closing: None,
        };
        (driver, handle)
    }

    fn on_gossipsub_event(&mut self, event: Event) {
        match event {
            Event::Inputs(inputs) => {
                self.inputs.add(inputs, &mut |event| (self.observer)(event.into()));
            }
            event => {
                (self.observer)(NodeEvent::Gossipsub(&event));
                self.inputs.report(&event);
            }
        }
    }

    fn on_behaviour_event(&mut self, event: TransportBehaviourEvent) {
        match event {
            TransportBehaviourEvent::Limits(refused) => {
                (self.observer)(NodeEvent::ConnectionsRefused(&refused));
            }
            TransportBehaviourEvent::Gossipsub(event) => self.on_gossipsub_event(event),
            TransportBehaviourEvent::Ping(event) => self.on_ping(&event),
        }
    }

    /// Closes the connection of a peer that supports ping and does not answer, whatever the state of its socket.
    fn on_ping(&mut self, event: &ping::Event) {
        if let Err(failure @ (ping::Failure::Timeout | ping::Failure::Other { .. })) = &event.result {
            (self.observer)(NodeEvent::PingFailed(event.peer, failure));
            self.swarm.close_connection(event.connection);
        }
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<TransportBehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::NewListenAddr { listener_id, address } => {
                (self.observer)(NodeEvent::Listening(&address));
                self.answer_listen(listener_id, Ok(address));
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                (self.observer)(NodeEvent::ListenerExpired(&address));
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                let error = reason.err().unwrap_or_else(|| io::Error::other("the listener was closed"));
                self.answer_listen(listener_id, Err(SwarmTransportError::Other(error).into()));
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                (self.observer)(NodeEvent::DialFailed(peer_id, &error));
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                (self.observer)(NodeEvent::IncomingFailed(&send_back_addr, &error));
            }
            _ => {}
        }
    }

    /// Answers the command that began this listener, if it is not answered yet.
    fn answer_listen(&mut self, listener: ListenerId, result: Result<Multiaddr, CommandError>) {
        if let Some(answer) = self.listening.remove(&listener) {
            // The owner may have dropped the request.
            let _ = answer.send(result);
        }
    }

    /// Carries out a command. Returns false for the last one. An owner may have dropped the request that waits for the
    /// answer.
    fn on_command(&mut self, command: Command) -> bool {
        match command {
            Command::Shutdown => return false,
            Command::Listen(address, answer) => match self.swarm.listen_on(address) {
                Ok(listener) => drop(self.listening.insert(listener, answer)),
                Err(error) => drop(answer.send(Err(error.into()))),
            },
            Command::Dial(address, answer) => {
                let _ = answer.send(self.swarm.dial(DialOpts::from(address)).map_err(Into::into));
            }
            Command::DialPeer(peer, addresses, answer) => {
                let opts = DialOpts::peer_id(peer).addresses(addresses).extend_addresses_through_behaviour();
                let _ = answer.send(self.swarm.dial(opts.build()).map_err(Into::into));
            }
            Command::Disconnect(peer, answer) => {
                // An error means that the peer is not connected, as the owner wants it.
                let _ = self.swarm.disconnect_peer_id(peer);
                let _ = answer.send(Ok(()));
            }
            Command::Block(peer, duration, answer) => {
                self.swarm.behaviour_mut().gossipsub.block(peer, duration);
                let _ = answer.send(Ok(()));
            }
            Command::Describe(peer, answer) => {
                let _ = answer.send(Ok(self.describe(&peer)));
            }
            Command::Unblock(peer, answer) => {
                let _ = answer.send(Ok(self.swarm.behaviour_mut().gossipsub.unblock(&peer)));
            }
        }
        true
    }

    fn describe(&self, peer: &PeerId) -> PeerInfo {
        let TransportBehaviour { gossipsub, identify, .. } = self.swarm.behaviour();
        let (address, agent) = identify.describe(peer).unzip();
        PeerInfo {
            address,
            agent: agent.flatten(),
            protocol: gossipsub.protocol_of(peer).cloned(),
            blocked_for: gossipsub.blocked_for(peer),
        }
    }

    fn close_all(&mut self) {
        let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            // An error means that the peer has just disconnected.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    /// Lets the connections write what is queued, then closes them.
    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(Some(event)) = self.swarm.poll_next_unpin(cx) {
            self.on_swarm_event(event);
        }
        if self.swarm.connected_peers().next().is_none() {
            return Poll::Ready(());
        }
        let Some(closing) = &mut self.closing else { return Poll::Ready(()) };
        ready!(closing.deadline.as_mut().poll(cx));
        if closing.closed {
            return Poll::Ready(());
        }
        self.closing = Some(Closing { deadline: Box::pin(sleep(CLOSE_TIMEOUT)), closed: true });
        self.close_all();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Handles commands, pending inputs, outputs and swarm events once. `Pending`: there was nothing to do; `Break`:
    /// the node ends.
    fn poll_round(&mut self, cx: &mut Context<'_>) -> Poll<ControlFlow<()>> {
        let mut idle = true;
        while let Poll::Ready(command) = self.commands.poll_recv(cx) {
            idle = false;
            if !command.is_some_and(|command| self.on_command(command)) {
                return Poll::Ready(ControlFlow::Break(()));
            }
        }
        let transport = &mut self.swarm.behaviour_mut().gossipsub;
        let observe = &mut |event: InputEvent<'_>| (self.observer)(event.into());
        match poll_transfer(cx, &mut self.inputs, &mut self.outputs, transport, observe) {
            Poll::Ready(false) => return Poll::Ready(ControlFlow::Break(())),
            Poll::Ready(true) => idle = false,
            Poll::Pending => {}
        }
        for _ in 0..MAX_ITEMS_PER_ROUND {
            let Poll::Ready(Some(event)) = self.swarm.poll_next_unpin(cx) else { break };
            idle = false;
            self.on_swarm_event(event);
        }
        if idle { Poll::Pending } else { Poll::Ready(ControlFlow::Continue(())) }
    }
}

/// An observer that logs the panics of `observer` and goes on. They would end the driver's task.
fn contained(mut observer: impl FnMut(NodeEvent<'_>) + Send + 'static) -> Observer {
    Box::new(move |event| {
        // What a panic may leave half changed is the application's own.
        if catch_panic(|| observer(event)).is_none() {
            tracing::error!(hook = "observer of the node", "a hook of the application panicked");
        }
    })
}

/// The progress of a node's end.
struct Closing {
    deadline: Pin<Box<Sleep>>,
    /// Whether the connections are being closed; before that they write what is queued.
    closed: bool,
}

impl<E: Engine + Unpin, O: OutputSource + Unpin> Future for NodeDriver<E, O> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.closing.is_some() {
            return self.poll_closing(cx);
        }
        for _ in 0..ROUNDS_BEFORE_YIELD {
            match self.poll_round(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(ControlFlow::Break(())) => {
                    self.closing = Some(Closing { deadline: Box::pin(sleep(FLUSH_TIMEOUT)), closed: false });
                    return self.poll_closing(cx);
                }
                Poll::Ready(ControlFlow::Continue(())) => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
