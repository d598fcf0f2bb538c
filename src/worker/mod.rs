//! The public handle of a running engine: inputs, queries, output streams, publish tickets, and how an engine starts
//! and stops. Every method works on the caller's thread; those that need an actor's state are async.

mod actor;
mod builder;
mod event_log;
mod event_stream;
#[cfg(feature = "http")]
mod http_support;
mod input;
mod lifecycle;
pub mod messages;
mod publish;
mod publish_options;
mod queries;
#[cfg(feature = "simulation")]
mod scheduling;
mod settings;
mod streams;
mod subscription;
mod ticket;

use std::sync::Arc;

use derive_where::derive_where;

use crate::{
    actors::{
        shared::Shared,
        supervisor::messages::{
            ProtocolViolation, ReportPeerFeedback, SetUnreachablePoint, SlowPeer, SupervisorItem,
        },
    },
    input_recorder::RecordedInput,
    limits::Limits,
    network::{AppInput, Network, P2pInput, PeerFeedback},
    protocol::{Lane, exchange::peer_view::PeerView},
};

use self::lifecycle::Lifetime;
#[cfg(feature = "simulation")]
pub use self::scheduling::{Mailbox, Mailboxes};
pub use self::{
    builder::{Started, WorkerBuilder},
    event_stream::EngineEvents,
    input::PeerInputs,
    publish_options::{NotPublished, PublishOptions},
    queries::page::{Events, HeartbeatStatus, Page, PageOf, PeerStatus, QueueStatus, Rank},
    settings::ChangeRefused,
    streams::{AppOutputs, DeliveredMessage, P2pOutputs, RecipientStopped},
    subscription::{SubscribeError, TopicMessages},
    ticket::PublishTicket,
};
pub use crate::{
    actors::{
        diagnostics::topic_status::TopicStatus,
        fault::{EngineError, EngineStopped, StartError},
    },
    admission::{
        budget::{BudgetCharge, MessageBudget},
        refused::Refused,
    },
    outputs::{
        event_queue::EngineEvent,
        publication::{DropReason, PublishReport, RouteResult},
        topic_queue::{SubscriptionConfig, WhenFull},
    },
};

/// The handle of a gossipsub engine. It is cheap to clone and works on any thread and in any async runtime.
///
/// Made by [`Worker::builder`]. The engine runs until [`shutdown`](Self::shutdown). It also ends when one of its arbiters
/// stops, as all do with their actix system, and when all handles, [`PeerInputs`] and streams are dropped. In these
/// cases peers are not notified: shut the engine down before.
#[derive_where(Clone)]
pub struct Worker<N: Network> {
    shared: Arc<Shared<N>>,
    lifetime: Arc<Lifetime<N>>,
}

impl<N: Network> Worker<N> {
    /// Prepares an engine for `network` under `limits`.
    pub fn builder(network: N, limits: Limits<N::Topic>) -> WorkerBuilder<N> {
        WorkerBuilder::new(network, limits)
    }
}

// === Inputs of the p2p layer ===

impl<N: Network> Worker<N> {
    /// Queues an input of the p2p layer. Never blocks.
    ///
    /// Inputs of one thread for one topic are handled in their order. Messages of peers that are not connected share
    /// one part of the input queue.
    ///
    /// # Errors
    /// A message is refused if the input queue is full, if it is half full and the peer has more than its fair share of
    /// it, if an output stream is full, or if the peer is graylisted (see [`Refused`]). [`send_p2p_input`](Self::send_p2p_input) waits until
    /// there is room. Connections and disconnections are refused only by an engine that has ended.
    pub fn p2p_input(&self, input: P2pInput<N>) -> Result<(), Refused> {
        input::p2p_input(&self.shared, input)
    }

    /// Like [`p2p_input`](Self::p2p_input), and gives back an input that is refused.
    #[cfg(feature = "libp2p")]
    pub(crate) fn try_p2p_input(&self, input: P2pInput<N>) -> Result<(), (Refused, P2pInput<N>)> {
        input::try_p2p_input(&self.shared, input)
    }

    /// The input for the messages of `peer`, for transports that have a task for each connection. Call it after
    /// [`p2p_input`](Self::p2p_input) has accepted the connection.
    pub fn peer_inputs(&self, peer: N::Peer) -> PeerInputs<N> {
        PeerInputs::new(Arc::clone(&self.shared), Arc::clone(&self.lifetime), peer)
    }

    /// Queues an input of the p2p layer, and waits while the engine has no room for it. A transport that does not read from
    /// the peer meanwhile slows down this peer only.
    ///
    /// Cancellation safe: if the future is dropped before it completes, the input is not queued.
    ///
    /// # Errors
    /// The engine has ended, the peer is graylisted, or nobody reads the [subscription](Self::subscribe) of the message's topic
    /// ([`Refused::SubscriberBehind`]): this does not wait, so that the peer's other topics go on.
    pub async fn send_p2p_input(&self, input: P2pInput<N>) -> Result<(), Refused> {
        let mut input = input;
        loop {
            match input::try_p2p_input(&self.shared, input) {
                Ok(()) => return Ok(()),
                Err((refused, returned)) if refused.is_temporary() => input = returned,
                Err((refused, _)) => return Err(refused),
            }
            self.p2p_input_ready(&input).await;
        }
    }

    /// Waits until the engine would accept this input, or has ended.
    ///
    /// The answer may be outdated at once if other threads send inputs. Cancellation safe: dropping the future changes
    /// nothing.
    pub fn p2p_input_ready(&self, input: &P2pInput<N>) -> impl Future<Output = ()> + Send + use<N> {
        input::ready(Arc::clone(&self.shared), input)
    }

    /// The budget of bytes that queued inputs and held messages share, for a transport that charges its own queues to it.
    pub fn message_budget(&self) -> MessageBudget {
        MessageBudget::new(&self.shared.admission)
    }

    /// Whether a [`PublishTicket`] waits for reports on this message. If so, the transport should call
    /// [`report_sent`](Self::report_sent) or [`report_not_sent`](Self::report_not_sent) for each recipient.
    pub fn has_publish_listener(&self, topic: &N::Topic, id: &N::MessageId) -> bool {
        self.shared.publish_reports.is_open(topic, id)
    }

    /// Reports that the transport sent a message to one peer.
    pub fn report_sent(&self, topic: &N::Topic, id: &N::MessageId) {
        self.shared.publish_reports.sent(topic, id);
    }

    /// Reports that the transport did not send a message to one peer.
    pub fn report_not_sent(&self, topic: &N::Topic, id: &N::MessageId, reason: DropReason) {
        self.shared.publish_reports.not_sent(topic, id, reason, 1);
    }

    /// Reports messages that the transport does not send to `peer` because the peer reads too slowly: full messages, or
    /// those that an IHAVE offered. Report them when they are dropped. The engine stores their ids, at most
    /// [`max_missed_ids_per_peer`](crate::limits::Extensions::max_missed_ids_per_peer), until
    /// [`report_room`](Self::report_room) or the end of the connection.
    pub fn report_missed(&self, peer: &N::Peer, topic: &N::Topic, ids: &[N::MessageId]) {
        self.shared.store_missed(peer, (topic, ids), DropReason::PeerQueueFull);
    }

    /// Reports that the transport has room again for this number of `messages` to `peer`, after
    /// [`report_missed`](Self::report_missed). The engine offers as many by IHAVE of those that the peer missed and that
    /// are still in the message cache, also to a mesh peer. Within one heartbeat it sends at most
    /// `max_recv_ihave_per_heartbeat` of these IHAVEs, one a topic. The rest follows at later heartbeats, `messages` at
    /// each.
    ///
    /// These two reports are not recorded ([`input_recorder`](crate::WorkerBuilder::input_recorder)): nothing but
    /// the IHAVEs follows from them.
    pub fn report_room(&self, peer: &N::Peer, messages: usize) {
        self.shared.offer_missed(peer, messages);
    }

    /// Reports that `peer` reads its control messages (GRAFT, PRUNE, subscriptions) too slowly or not at all. Report a
    /// stall once. The engine counts it, notifies the observer and lowers the peer's score (P7,
    /// [`slow_peer_penalty`](crate::limits::Extensions::slow_peer_penalty)); it does not close the connection.
    pub fn report_slow_peer(&self, peer: &N::Peer) {
        self.shared.metrics.slow_peer();
        self.shared.record(RecordedInput::SlowPeer(peer));
        self.send(SupervisorItem::message(SlowPeer(peer.clone())));
    }

    /// Reports that `peer` sent bytes that are no RPC. Do not report a stream that breaks for another reason, such as a reset
    /// or a timeout: a bad link is no bad peer. The engine counts it, notifies the observer and lowers the peer's score (P7,
    /// [`protocol_violation_penalty`](crate::limits::Extensions::protocol_violation_penalty)).
    pub fn report_protocol_violation(&self, peer: &N::Peer) {
        self.shared.record(RecordedInput::ProtocolViolation(peer));
        self.send(SupervisorItem::message(ProtocolViolation(peer.clone())));
    }

    /// Whether the score of `peer` is below [`graylist_threshold`](crate::limits::Extensions::graylist_threshold), so that
    /// the engine refuses all its messages ([`Refused::Graylisted`]). A transport that asks this before it decodes an RPC
    /// saves the work. Cheap while no peer has such a score.
    pub fn is_graylisted(&self, peer: &N::Peer) -> bool {
        let Shared { limits, directory, .. } = &*self.shared;
        let threshold = limits.load().extensions.graylist_threshold;
        threshold.is_some_and(|threshold| !directory.min_score_at_least(threshold))
            && directory.is_graylisted(peer)
    }

    /// Reports that the transport dropped `count` outputs, one a recipient, that it had read from the p2p stream. Only
    /// metrics count them.
    pub fn report_dropped(&self, lane: Lane, reason: DropReason, count: usize) {
        self.shared.metrics.output_dropped(lane, reason, count);
    }

    /// Reports that dialling `point` failed. The engine requests no connection to it for `bounds.first_reconnect_ticks`
    /// heartbeats. Each further failure doubles the delay, up to `bounds.max_reconnect_ticks`. A peer that connects
    /// from `point` resets it.
    pub fn set_unreachable_point(&self, point: N::Point) {
        self.shared.record(RecordedInput::UnreachablePoint(&point));
        self.send(SupervisorItem::message(SetUnreachablePoint(point)));
    }
}

// === Inputs of the application ===

impl<N: Network> Worker<N> {
    /// Queues an input of the application. Never blocks. Inputs for the same topic that are sent after this method has
    /// returned are handled later: a message that arrives after a join finds the topic joined.
    ///
    /// # Errors
    /// A publication is refused if `bounds.max_input_items` publications or `bounds.max_input_bytes` of them are
    /// queued. An engine that has ended refuses all inputs.
    pub fn app_input(&self, input: AppInput<N>) -> Result<(), Refused> {
        input::app_input(&self.shared, input)
    }
}

impl<N: Network> Worker<N> {
    /// Reports what the application found out about a peer outside of validation, for instance about parts of a message that
    /// it handles itself: a first delivery (P2) or an invalid message (P4) on `topic`. The engine applies the topic's score
    /// parameters, counts the penalty and records it, as for a message. A peer without a score is ignored.
    pub fn report_peer_feedback(&self, peer: &N::Peer, topic: &N::Topic, feedback: PeerFeedback) {
        self.shared.record(RecordedInput::PeerFeedback { peer, topic, feedback });
        let (peer, topic) = (peer.clone(), topic.clone());
        self.send(SupervisorItem::message(ReportPeerFeedback { peer, topic, feedback }));
    }

    fn send(&self, item: SupervisorItem<N>) {
        input::send_to_supervisor(&self.shared, item);
    }
}
