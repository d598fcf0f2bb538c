//! The handler of one connection: opens the outbound stream, accepts the inbound one, and drives both. Frames are
//! decoded and signatures verified here, in the connection's own task.

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use ::libp2p::{
    Stream, StreamProtocol,
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, DialUpgradeError},
    },
};

use super::{
    capabilities::{Protocols, supports_idontwant},
    graylist::GraylistCheck,
    inbound_stream::{InboundError, InboundRpc, InboundStream},
    lanes::LaneCounts,
    outbound_stream::OutboundStream,
    read_budget::ReadBudget,
    send_queue::SendQueue,
    stall_detector::StallDetector,
};
use crate::libp2p::network::Libp2pNetwork;

/// Most streams that we open on one connection. A fifth makes rust-libp2p give up the connection.
const MAX_OPENED: u32 = 4;

/// An event of a connection, for the behaviour.
pub enum HandlerEvent {
    /// The first stream of the connection is negotiated, by either side.
    Established(Established),
    /// An RPC was received.
    Received(InboundRpc),
    /// The peer's stream is no longer read.
    InboundFailed(InboundError),
    /// The peer opened another stream. Its last one has ended or broke, or is no longer read.
    InboundReopened,
    /// The peer reads too slowly. These numbers of queued items were dropped.
    Slow(LaneCounts),
    /// There is no outbound stream, and there will be none.
    GaveUp {
        /// True if the peer supports none of our protocols; false if it broke every stream that we opened.
        unsupported: bool,
    },
}

/// A connection that carries gossipsub.
pub struct Established {
    pub(in crate::libp2p) protocol: StreamProtocol,
    pub(in crate::libp2p) queue: Arc<SendQueue>,
}

impl fmt::Debug for HandlerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Established(established) => write!(f, "Established({})", established.protocol),
            Self::Received(rpc) => write!(f, "Received({} messages)", rpc.messages.len()),
            Self::InboundFailed(error) => write!(f, "InboundFailed({error})"),
            Self::InboundReopened => f.write_str("InboundReopened"),
            Self::Slow(dropped) => write!(f, "Slow({dropped:?})"),
            Self::GaveUp { unsupported } => write!(f, "GaveUp {{ unsupported: {unsupported} }}"),
        }
    }
}

/// The handler of one connection. Created by the [`Behaviour`](crate::libp2p::Behaviour).
pub struct Handler {
    network: Libp2pNetwork,
    protocols: Protocols,
    queue: Arc<SendQueue>,
    inbound: Option<InboundStream>,
    graylist: GraylistCheck,
    read_budget: Arc<ReadBudget>,
    /// The time in which a frame must be complete.
    frame_timeout: Duration,
    outbound: Outbound,
    /// Whether the peer has opened a stream before.
    accepted: bool,
    /// Outbound streams requested so far.
    opened: u32,
    established: bool,
    /// Frames that the last outbound stream may not have delivered. The next one begins with them.
    unsent: Vec<u8>,
    stall_detector: StallDetector,
    events: VecDeque<HandlerEvent>,
}

enum Outbound {
    /// A stream is to be requested from the swarm.
    Wanted,
    /// A stream was requested.
    Opening,
    Open(OutboundStream),
    /// The peer supports none of our protocols. A stream is requested again if the peer opens one itself.
    Unsupported,
    GaveUp,
}

impl Handler {
    pub(in crate::libp2p) fn new(
        network: Libp2pNetwork,
        protocols: Protocols,
        queue: SendQueue,
        stall_detector: StallDetector,
        graylist: GraylistCheck,
        frame_timeout: Duration,
    ) -> Self {
        Self {
            read_budget: Arc::new(ReadBudget::new(network.state().memory())),
            frame_timeout,
            network,
            protocols,
            queue: Arc::new(queue),
            inbound: None,
            graylist,
            outbound: Outbound::Wanted,
            accepted: false,
            opened: 0,
            established: false,
            unsent: Vec::new(),
            stall_detector,
            events: VecDeque::new(),
        }
    }

    fn negotiated(&mut self, protocol: StreamProtocol) {
        if !std::mem::replace(&mut self.established, true) {
            let established = Established { protocol, queue: self.queue.clone() };
            self.events.push_back(HandlerEvent::Established(established));
        }
    }

    fn on_inbound(&mut self, stream: Stream, protocol: StreamProtocol) {
        if matches!(self.outbound, Outbound::GaveUp) {
            return;
        }
        if std::mem::replace(&mut self.accepted, true) {
            self.events.push_back(HandlerEvent::InboundReopened);
        }
        // A peer that opens a new stream has finished its old one.
        self.inbound = Some(InboundStream::new(stream, &self.network, &self.read_budget, self.frame_timeout));
        if matches!(self.outbound, Outbound::Unsupported) {
            self.reopen();
        }
        self.negotiated(protocol);
    }

    fn on_outbound(&mut self, stream: Stream, protocol: StreamProtocol) {
        self.queue.set_idontwant_supported(supports_idontwant(&protocol));
        self.outbound = Outbound::Open(OutboundStream::new(stream, std::mem::take(&mut self.unsent)));
        self.negotiated(protocol);
    }

    fn on_refused(&mut self, error: &StreamUpgradeError<Infallible>) {
        match error {
            // No retry, unless the peer itself opens a stream.
            StreamUpgradeError::NegotiationFailed if self.inbound.is_none() => {
                self.outbound = Outbound::Unsupported;
                self.give_up(true);
            }
            _ => self.reopen(),
        }
    }

    /// Requests an outbound stream again, or gives up.
    fn reopen(&mut self) {
        if self.opened < MAX_OPENED {
            self.outbound = Outbound::Wanted;
            return;
        }
        self.outbound = Outbound::GaveUp;
        self.inbound = None;
        self.give_up(false);
    }

    fn give_up(&mut self, unsupported: bool) {
        self.established = false;
        self.unsent = Vec::new();
        self.events.push_back(HandlerEvent::GaveUp { unsupported });
    }

    /// Writes as much as the stream takes.
    fn poll_outbound(&mut self, cx: &mut Context<'_>) {
        let Outbound::Open(stream) = &mut self.outbound else { return };
        let (limits, traffic) = (self.network.limits(), self.network.state().traffic());
        if let Poll::Ready(Err(_)) = stream.poll_write(cx, &self.queue, limits, traffic) {
            self.unsent = stream.take_unflushed();
            self.reopen();
        }
    }

    /// Drops pending items if the peer reads too slowly.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) {
        let (pending, progress) = match &mut self.outbound {
            Outbound::Open(stream) => (stream.has_unflushed(), stream.take_progress()),
            Outbound::Wanted | Outbound::Opening => (self.queue.has_pending(cx), 0),
            Outbound::Unsupported | Outbound::GaveUp => (false, 0),
        };
        if self.stall_detector.poll_stalled(cx, pending, progress).is_ready() {
            self.events.push_back(HandlerEvent::Slow(self.queue.drop_pending()));
        }
    }

    /// Reads one RPC. `Ready(None)`: the stream has ended.
    fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Poll<Option<HandlerEvent>> {
        let Some(inbound) = &mut self.inbound else { return Poll::Pending };
        match ready!(inbound.poll_rpc(cx, &self.read_budget, &self.network, &self.graylist)) {
            Ok(Some(mut rpc)) => {
                // At once, since the messages could be written before the behaviour sees the RPC.
                rpc.suppressed = self.queue.apply_idontwant(&rpc);
                return Poll::Ready(Some(HandlerEvent::Received(rpc)));
            }
            Ok(None) => self.inbound = None,
            Err(error) => {
                self.inbound = None;
                self.count_failure(&error);
                return Poll::Ready(Some(HandlerEvent::InboundFailed(error)));
            }
        }
        Poll::Ready(None)
    }

    fn count_failure(&self, error: &InboundError) {
        let traffic = self.network.state().traffic();
        match error {
            InboundError::Frame(_) => traffic.add_bad_frame(),
            InboundError::Rpc(_) => traffic.add_bad_rpc(),
            InboundError::SlowFrame => traffic.add_slow_frame(),
            // The connection failed, not the peer.
            InboundError::Io(_) => {}
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = HandlerEvent;
    type InboundProtocol = Protocols;
    type OutboundProtocol = Protocols;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Protocols> {
        SubstreamProtocol::new(self.protocols.clone(), ())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Protocols, (), HandlerEvent>> {
        loop {
            self.poll_outbound(cx);
            self.poll_stalled(cx);
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
            }
            if matches!(self.outbound, Outbound::Wanted) {
                self.outbound = Outbound::Opening;
                self.opened += 1;
                let protocol = SubstreamProtocol::new(self.protocols.clone(), ());
                return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
            }
            if let Some(event) = ready!(self.poll_inbound(cx)) {
                return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
            }
        }
    }

    /// Before the connection closes, writes what the socket takes without waiting, such as a PRUNE.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Option<HandlerEvent>> {
        self.poll_outbound(cx);
        Poll::Ready(None)
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Protocols, Protocols>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(stream) => {
                self.on_inbound(stream.protocol.0, stream.protocol.1);
            }
            ConnectionEvent::FullyNegotiatedOutbound(stream) => {
                self.on_outbound(stream.protocol.0, stream.protocol.1);
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => self.on_refused(&error),
            _ => {}
        }
    }
}
