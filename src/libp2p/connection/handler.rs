//! One connection: the stream that we opened, on which we only write, and the stream that the peer
//! opened, from which we only read. Decodes and verifies, in the connection's own task, what is read;
//! it knows nothing of other connections and never closes its own.

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll, ready},
};

use ::libp2p::{
    Stream, StreamProtocol,
    core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, DialUpgradeError},
    },
};
use futures::future;

use super::{
    inbound_stream::{Heard, InboundError, Reader},
    outbound_stream::Writer,
    read_budget::Gate,
    send_queue::SendQueue,
    stall_detector::Patience,
};
use crate::libp2p::{network::Libp2pNetwork, swarm::event::LaneCounts};

/// Streams that we open on one connection, at most. The fifth makes rust-libp2p give up the connection.
const MAX_OPENED: u32 = 4;
/// What a handler tells the behaviour.
pub enum HandlerEvent {
    /// The first stream of the connection is negotiated, by either side.
    Up(Up),
    /// The peer said something.
    Received(Heard),
    /// The peer's stream is no longer read.
    InboundFailed(InboundError),
    /// What waits for the peer is not written: it does not read. So much of it was dropped.
    Slow(LaneCounts),
    /// The peer speaks none of our protocols, or won't keep a stream of ours.
    GaveUp {
        /// Whether it is for want of a common protocol.
        unsupported: bool,
    },
}

/// A connection that carries gossipsub.
pub struct Up {
    pub(in crate::libp2p) protocol: StreamProtocol,
    pub(in crate::libp2p) queue: Arc<SendQueue>,
}

impl fmt::Debug for HandlerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(up) => write!(f, "Up({})", up.protocol),
            Self::Received(heard) => write!(f, "Received({} messages)", heard.said.len()),
            Self::InboundFailed(error) => write!(f, "InboundFailed({error})"),
            Self::Slow(dropped) => write!(f, "Slow({dropped:?})"),
            Self::GaveUp { unsupported } => write!(f, "GaveUp {{ unsupported: {unsupported} }}"),
        }
    }
}

/// Offers all our protocols on one substream, the preferred one first.
#[derive(Clone, Debug)]
pub struct Protocols(pub(in crate::libp2p) Arc<[StreamProtocol]>);

impl UpgradeInfo for Protocols {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        let ids: Vec<_> = self.0.iter().cloned().collect();
        ids.into_iter()
    }
}

impl InboundUpgrade<Stream> for Protocols {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = future::Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        future::ok((stream, protocol))
    }
}

impl OutboundUpgrade<Stream> for Protocols {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = future::Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        future::ok((stream, protocol))
    }
}

/// Whether a protocol, named as gossipsub's are, is of version 1.2 or later.
fn has_idontwant(protocol: &StreamProtocol) -> bool {
    let version = protocol.as_ref().rsplit('/').next().unwrap_or_default();
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(1), Some(2))
}

/// The handler of one connection. Made by the [`Behaviour`](crate::libp2p::Behaviour).
pub struct Handler {
    network: Libp2pNetwork,
    protocols: Protocols,
    queue: Arc<SendQueue>,
    inbound: Option<Reader>,
    gate: Arc<Gate>,
    outbound: Outbound,
    /// Outbound streams asked for so far.
    opened: u32,
    up: bool,
    /// What the next outbound stream begins with: frames that the last one may not have delivered.
    unsent: Vec<u8>,
    patience: Patience,
    events: VecDeque<HandlerEvent>,
}

enum Outbound {
    /// A stream is to be asked for.
    Wanted,
    /// It was asked for.
    Opening,
    Open(Writer),
    /// The peer has none of our protocols: asked again if it shows otherwise by opening one itself.
    Unsupported,
    GaveUp,
}

impl Handler {
    pub(in crate::libp2p) fn new(
        network: Libp2pNetwork,
        protocols: Protocols,
        queue: SendQueue,
        patience: Patience,
    ) -> Self {
        Self {
            network,
            protocols,
            queue: Arc::new(queue),
            inbound: None,
            gate: Arc::default(),
            outbound: Outbound::Wanted,
            opened: 0,
            up: false,
            unsent: Vec::new(),
            patience,
            events: VecDeque::new(),
        }
    }

    fn negotiated(&mut self, protocol: StreamProtocol) {
        if !std::mem::replace(&mut self.up, true) {
            self.events.push_back(HandlerEvent::Up(Up { protocol, queue: self.queue.clone() }));
        }
    }

    fn on_inbound(&mut self, stream: Stream, protocol: StreamProtocol) {
        if matches!(self.outbound, Outbound::GaveUp) {
            return;
        }
        // A peer that opens a new stream has done with its old one.
        self.inbound = Some(Reader::new(stream, &self.network));
        if matches!(self.outbound, Outbound::Unsupported) {
            self.reopen();
        }
        self.negotiated(protocol);
    }

    fn on_outbound(&mut self, stream: Stream, protocol: StreamProtocol) {
        self.queue.set_idontwant(has_idontwant(&protocol));
        self.outbound = Outbound::Open(Writer::new(stream, std::mem::take(&mut self.unsent)));
        self.negotiated(protocol);
    }

    fn on_refused(&mut self, error: &StreamUpgradeError<Infallible>) {
        match error {
            // Nothing to wait for, unless the peer itself opens a stream.
            StreamUpgradeError::NegotiationFailed if self.inbound.is_none() => {
                self.outbound = Outbound::Unsupported;
                self.give_up(true);
            }
            _ => self.reopen(),
        }
    }

    /// Asks for an outbound stream again, or gives up.
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
        self.up = false;
        self.unsent = Vec::new();
        self.events.push_back(HandlerEvent::GaveUp { unsupported });
    }

    /// Writes as much as the stream takes.
    fn poll_outbound(&mut self, cx: &mut Context<'_>) {
        let Outbound::Open(writer) = &mut self.outbound else { return };
        if let Poll::Ready(Err(_)) = writer.poll_write(cx, &self.queue, &self.network) {
            self.unsent = writer.take_unflushed();
            self.reopen();
        }
    }

    /// Watches whether what waits is written.
    fn poll_patience(&mut self, cx: &mut Context<'_>) {
        let (waits, progress) = match &mut self.outbound {
            Outbound::Open(writer) => (writer.is_behind(), writer.take_progress()),
            Outbound::Wanted | Outbound::Opening => (self.queue.has_some(cx), 0),
            Outbound::Unsupported | Outbound::GaveUp => (false, 0),
        };
        if self.patience.poll_over(cx, waits, progress).is_ready() {
            self.events.push_back(HandlerEvent::Slow(self.queue.shed()));
        }
    }

    /// Takes back what waits and is not wanted: at once, lest it be written meanwhile.
    fn withdraw(&self, heard: &Heard) -> LaneCounts {
        let mut spared = LaneCounts::NONE;
        heard.unwanted().for_each(|ids| spared += self.queue.withdraw(ids));
        spared
    }

    /// Reads one frame. `Ready(None)`: the stream has ended.
    fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Poll<Option<HandlerEvent>> {
        let Some(inbound) = &mut self.inbound else { return Poll::Pending };
        match ready!(inbound.poll_heard(cx, &self.gate, &self.network)) {
            Ok(Some(mut heard)) => {
                heard.spared = self.withdraw(&heard);
                return Poll::Ready(Some(HandlerEvent::Received(heard)));
            }
            Ok(None) => self.inbound = None,
            Err(error) => {
                self.inbound = None;
                self.network.wire().failed(&error);
                return Poll::Ready(Some(HandlerEvent::InboundFailed(error)));
            }
        }
        Poll::Ready(None)
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
            self.poll_patience(cx);
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

    /// Before the connection closes, writes what the socket takes without waiting: a prune, say.
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
