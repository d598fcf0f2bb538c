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
    Stream,
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, DialUpgradeError},
    },
};

use super::{
    capabilities::{ProtocolId, ProtocolVersion, Protocols},
    graylist::GraylistCheck,
    inbound_stream::{InboundError, InboundRpc, InboundStream},
    inbound_streams::{InboundStreams, MAX_FLOODSUB_STREAMS, MAX_STREAMS},
    lanes::LaneCounts,
    outbound_stream::{OutboundStream, Reader},
    read_budget::ReadBudget,
    send_queue::SendQueue,
    stall_detector::StallDetector,
    stream_state::{Change, StreamState},
};
use crate::libp2p::{codec::turn::TurnBudget, network::Libp2pNetwork};

/// An event of a connection, for the behaviour.
pub enum HandlerEvent {
    /// The first stream of the connection is negotiated, by either side.
    Established(Established),
    /// An RPC was received, or a part of one.
    Received(InboundRpc),
    /// The peer's stream is no longer read.
    InboundFailed(InboundError),
    /// The peer opened another stream. Its last one has ended or broke, or is read no further than what it has.
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
    pub(in crate::libp2p) protocol: ProtocolId,
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
    inbound: InboundStreams,
    /// Whether the peer has opened a stream before.
    accepted: bool,
    graylist: GraylistCheck,
    read_budget: Arc<ReadBudget>,
    /// The time in which a frame must be complete.
    frame_timeout: Duration,
    turn: TurnBudget,
    streams: StreamState<OutboundStream>,
    reader: Reader,
    /// Frames that the last outbound stream may not have delivered. The next one begins with them.
    unsent: Vec<u8>,
    stall_detector: StallDetector,
    events: VecDeque<HandlerEvent>,
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
            inbound: InboundStreams::default(),
            accepted: false,
            graylist,
            turn: TurnBudget::default(),
            streams: StreamState::default(),
            reader: Reader::default(),
            unsent: Vec::new(),
            stall_detector,
            events: VecDeque::new(),
        }
    }

    fn on_inbound(&mut self, stream: Stream, protocol: ProtocolId) {
        let Some(change) = self.streams.on_inbound() else { return };
        // A peer that speaks floodsub may open one for each RPC, several at a time.
        let floodsub = protocol.version == ProtocolVersion::Floodsub;
        if std::mem::replace(&mut self.accepted, true) && !floodsub {
            self.events.push_back(HandlerEvent::InboundReopened);
        }
        let most = if floodsub { MAX_FLOODSUB_STREAMS } else { MAX_STREAMS };
        let stream = InboundStream::new(stream, &self.network, &self.read_budget, self.frame_timeout);
        self.inbound.push(stream, most, self.network.state().traffic());
        self.on_change(change, Some(protocol));
    }

    fn on_outbound(&mut self, stream: Stream, protocol: ProtocolId) {
        self.reader = self.reader.on_negotiated(protocol.version);
        let (unsent, reader) = (&mut self.unsent, self.reader);
        let open = || OutboundStream::new(stream, std::mem::take(unsent), reader);
        if let Some(change) = self.streams.on_outbound(open) {
            self.queue.set_version(protocol.version);
            self.on_change(change, Some(protocol));
        }
    }

    fn on_refused(&mut self, error: &StreamUpgradeError<Infallible>) {
        // No retry, unless the peer itself opens a stream.
        let unsupported = matches!(error, StreamUpgradeError::NegotiationFailed) && self.inbound.is_empty();
        let change = self.streams.on_refused(unsupported);
        self.on_change(change, None);
    }

    /// Reports a change of the streams to the behaviour. `protocol`: that of the stream that was opened.
    fn on_change(&mut self, change: Change, protocol: Option<ProtocolId>) {
        match change {
            Change::None => {}
            Change::Established => {
                let queue = self.queue.clone();
                let established = protocol.map(|protocol| Established { protocol, queue });
                self.events.extend(established.map(HandlerEvent::Established));
            }
            Change::GaveUp { unsupported } => {
                self.unsent = Vec::new();
                self.inbound.clear(self.network.state().traffic());
                self.events.push_back(HandlerEvent::GaveUp { unsupported });
            }
        }
    }

    /// Writes as much as the stream takes.
    fn poll_outbound(&mut self, cx: &mut Context<'_>) {
        let Some(stream) = self.streams.open_stream() else { return };
        let (limits, traffic) = (self.network.limits(), self.network.state().traffic());
        if let Poll::Ready(Err(_)) = stream.poll_write(cx, &self.queue, limits, traffic) {
            self.unsent = stream.take_unflushed();
            if self.reader != Reader::Lasting && stream.has_delivered() {
                self.reader = Reader::OneFrame;
                self.streams.on_frame_read();
                return;
            }
            let change = self.streams.on_broken();
            self.on_change(change, None);
        }
    }

    /// Drops pending items if the peer reads too slowly.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) {
        let (pending, progress) = match self.streams.open_stream() {
            Some(stream) => (stream.has_unflushed(), stream.take_progress()),
            None => (self.streams.is_opening() && self.queue.has_pending(cx), 0),
        };
        if self.stall_detector.poll_stalled(cx, pending, progress).is_ready() {
            self.events.push_back(HandlerEvent::Slow(self.queue.drop_pending()));
        }
    }

    /// Reads the messages of one RPC, or of a part of it. `Ready(None)`: a stream has ended.
    fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Poll<Option<HandlerEvent>> {
        let read =
            self.inbound.poll_rpc(cx, &mut self.turn, &self.read_budget, &self.network, &self.graylist);
        Poll::Ready(match ready!(read) {
            Ok(Some(mut rpc)) => {
                // At once, since the messages could be written before the behaviour sees the RPC.
                rpc.suppressed = self.queue.apply_idontwant(&rpc);
                Some(HandlerEvent::Received(rpc))
            }
            Ok(None) => None,
            Err(error) => {
                self.count_failure(&error);
                Some(HandlerEvent::InboundFailed(error))
            }
        })
    }

    /// Ends the turn of this connection. If work is left, the task is woken behind the others that are ready.
    fn end_turn(&mut self, cx: &Context<'_>) {
        if std::mem::take(&mut self.turn).is_exhausted() {
            cx.waker().wake_by_ref();
        }
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
            if self.streams.take_request(|| self.queue.has_pending(cx)) {
                if self.streams.is_reopened() {
                    self.network.state().traffic().add_reopened_stream();
                }
                let protocol = SubstreamProtocol::new(self.protocols.clone(), ());
                return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
            }
            match self.poll_inbound(cx) {
                Poll::Ready(Some(event)) => {
                    return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
                }
                Poll::Ready(None) => {}
                Poll::Pending => {
                    self.end_turn(cx);
                    return Poll::Pending;
                }
            }
        }
    }

    /// A connection with streams is kept by the swarm.
    fn connection_keep_alive(&self) -> bool {
        self.streams.is_on_demand()
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
