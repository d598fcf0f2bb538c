//! The types and hooks that an application supplies for its network, and the values that enter and leave the engine.
//! All other modules are generic over [`Network`].

mod ended_validations;
pub(crate) mod hooks;
mod manual_validation;
mod message;
mod ports;
mod px;
mod refusal;
mod transport_stats;

use std::{fmt, hash::Hash, pin::Pin};

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

pub use manual_validation::{LateVerdict, ManualValidation, Unvalidated, UnvalidatedMessage};
pub(crate) use message::MessageSize;
pub use message::{Delivery, FullMessage, P2pMessage, PxPeer, SubscribeOptions};
pub use ports::{AppInput, AppOutput, ConnectionInfo, Direction, Origin, P2pInput, P2pOutput, PeerKind};
pub use px::{PeerRecordOutcome, PxDialOutcome};
pub use refusal::ConnectionRefusal;
pub use transport_stats::{ConnectionFailure, DialOutcome, ProtocolVersion, TransportKind, TransportStats};

use crate::timestamp::Timestamp;

/// The bounds of every identifier type of a [`Network`]. Implemented for all types that satisfy them.
///
/// The engine clones identifiers often: a clone must be cheap.
pub trait Key: Clone + Ord + Hash + fmt::Debug + Send + Sync + Unpin + 'static {}
impl<T: Clone + Ord + Hash + fmt::Debug + Send + Sync + Unpin + 'static> Key for T {}

/// A boxed future, as [`Network::validate_async`] returns it. The engine drops it unfinished if it takes longer than
/// [`validation_timeout`](crate::limits::Bounds::validation_timeout).
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How [`Network::validate_batch_async`] gives the verdicts on a batch. There is one for each entry, in the order of the
/// entries; if their number differs, the validity of the whole batch is unknown.
pub enum BatchVerdicts {
    /// All at the same time. A future that panics or takes too long loses the whole batch.
    Together(BoxFuture<Vec<Validity>>),
    /// Each by a future of its own, which is applied when it completes. One that panics or takes too long loses its message
    /// only. The next batch is validated when all have ended.
    Each(Vec<BoxFuture<Validity>>),
}

/// The types of one network, and the hooks by which the engine asks the application about them.
///
/// The engine calls hooks on its own threads, several at the same time, and some on the threads that call
/// [`Worker::p2p_input`](crate::Worker::p2p_input) and [`Worker::app_input`](crate::Worker::app_input). A hook must not
/// block: a blocked hook stops all topics of its thread.
///
/// # Panics of hooks
///
/// Each call of a hook is contained: a panic loses only the item for which the hook was called, and the engine goes on
/// with the result below. The engine counts the panic (`gossipsub_hook_panics_total`) and logs the name of the hook;
/// the panic hook of the process reports the message.
///
/// | hook | result of a panic |
/// |---|---|
/// | [`validate`](Self::validate), [`validate_async`](Self::validate_async), and its future | the message is dropped without a verdict and may be received again; no score changes |
/// | [`validate_batch`](Self::validate_batch), [`validate_batch_async`](Self::validate_batch_async), and its futures | the same, for all messages of the batch; for one message, if it has a future of its own |
/// | [`validate_id`](Self::validate_id) | [`Validity::Outdated`] |
/// | [`topic_of`](Self::topic_of), [`source`](Self::source), [`reachable_point`](Self::reachable_point) | `None` |
/// | [`message_size`](Self::message_size), [`message_id_size`](Self::message_id_size), [`topic_size`](Self::topic_size) | the size of the value without the heap memory that it owns |
/// | [`encoded_size`](Self::encoded_size) | 0: the message is not too large |
/// | [`expires_at`](Self::expires_at) | `None`: the message does not expire |
/// | [`peer_filter`](Self::peer_filter), [`is_violation`](Self::is_violation) | `false` |
/// | [`refuses_source`](Self::refuses_source) | `true`: the message is dropped, and may be received again |
/// | [`persistent_points`](Self::persistent_points) | no points |
/// | [`transport_stats`](Self::transport_stats) | the metrics keep their values |
/// | [`topic_label`](Self::topic_label) | the label that topics without an own label share |
/// | [`topic_name`](Self::topic_name) | the empty name |
/// | [`refuse_topic`](Self::refuse_topic) | `None`: the topic is joined |
///
/// The code of the types below (`Ord`, `Hash`, `Clone`, `Drop`) is not contained where it is called. If it panics while a
/// topic handles an item, that item is lost and the topic is restarted: its mesh and caches are lost, its other items
/// are not. If it panics in the supervisor, the engine ends.
pub trait Network: Send + Sync + Sized + 'static {
    /// The identifier of a peer. Make it small, or an `Arc`.
    type Peer: Key;
    /// The name of a topic.
    type Topic: Key;
    /// The identifier of a message, unique within its topic.
    type MessageId: Key;
    /// The content of a message. The engine compares the contents of deliveries that have the same id.
    type Message: Clone + Ord + fmt::Debug + Send + Sync + Unpin + 'static;
    /// An address at which a peer can be dialled.
    type Point: Key;

    /// Returns the topic that `id` contains, if ids contain their topic. Return `None` if they do not, as in libp2p;
    /// the engine then stores the topic of each cached message.
    fn topic_of(&self, id: &Self::MessageId) -> Option<Self::Topic>;

    /// Validates an id before the content. The engine calls it for each new message, each parked message and each id
    /// in an IHAVE.
    fn validate_id(&self, id: &Self::MessageId) -> Validity {
        let _ = id;
        Validity::Valid
    }

    /// Validates a message that is new to its topic. `delivery` has the sender, the co-senders known so far, and the
    /// message with its topic.
    fn validate(&self, delivery: &Delivery<Self>) -> Validity {
        let _ = delivery;
        Validity::Valid
    }

    /// Validates a message asynchronously. `Some` replaces [`validate`](Self::validate); `None`, the default, does not.
    ///
    /// The engine handles other inputs while the future runs, and adds peers that deliver the same message to its
    /// co-senders. The future runs on the arbiter of the topic, so run long computations on other threads. The engine
    /// drops the future after [`validation_timeout`](crate::limits::Bounds::validation_timeout). For verdicts that the
    /// application gives later by message id, embed a [`ManualValidation`]. A
    /// [`Node`](crate::protocol::Node) does not poll futures and calls [`validate`](Self::validate) instead.
    fn validate_async(&self, delivery: &Delivery<Self>) -> Option<BoxFuture<Validity>> {
        let _ = delivery;
        None
    }

    /// Validates a batch: one result per entry, in the order of the entries. An entry has the first sender and no
    /// co-senders: the topic adds those that deliver the message before the verdict. If the result has another length, the
    /// validity of the whole batch is unknown. A batch whose validation panics is dropped; its messages may be received
    /// again. By default it calls [`validate`](Self::validate) for each entry.
    fn validate_batch(&self, batch: &[Delivery<Self>]) -> Vec<Validity> {
        batch.iter().map(|delivery| self.validate(delivery)).collect()
    }

    /// Validates a batch asynchronously. `Some` replaces [`validate_batch`](Self::validate_batch); `None`, the default,
    /// does not. The rules of [`validate_async`](Self::validate_async) apply to the futures.
    fn validate_batch_async(&self, batch: &[Delivery<Self>]) -> Option<BatchVerdicts> {
        let _ = batch;
        None
    }

    /// Returns the size of a message's content in memory, in bytes, with the heap memory that it owns. All limits in bytes
    /// are limits of sums of these sizes, so there is no default: that of a `Vec<u8>` is
    /// `size_of_val(message) + message.capacity()`.
    fn message_size(&self, message: &Self::Message) -> usize;

    /// Returns the size of a message as it is sent to peers, in bytes. It decides about
    /// [`max_message_size`](crate::limits::Extensions::max_message_size), so all nodes of a network must compute the same. By
    /// default [`message_size`](Self::message_size).
    fn encoded_size(&self, message: &FullMessage<Self>) -> usize {
        self.message_size(&message.message)
    }

    /// Returns the size of an id in memory, in bytes, with the heap memory that it owns: `size_of_val(id)` for an id
    /// without heap memory.
    fn message_id_size(&self, id: &Self::MessageId) -> usize;

    /// Returns the size of a topic's name in memory, in bytes, with the heap memory that it owns.
    fn topic_size(&self, topic: &Self::Topic) -> usize;

    /// Returns the peer that published a message, if the message says so and that is verified. The engine refuses new
    /// messages of which it is the source itself
    /// ([`refuse_own_messages`](crate::limits::Extensions::refuse_own_messages)), and forwards none to its source
    /// ([`skip_author`](crate::limits::Extensions::skip_author)). By default `None`.
    fn source(&self, message: &Self::Message) -> Option<Self::Peer> {
        let _ = message;
        None
    }

    /// Returns whether a message is refused because of the peer that published it. It is dropped before its validation, is
    /// not remembered, and costs its sender nothing: where ids follow from the content, another peer may publish the same
    /// content. By default `false`.
    fn refuses_source(&self, message: &Self::Message) -> bool {
        let _ = message;
        false
    }

    /// Returns the time from which on a message is [`Validity::Outdated`], as a time of the engine's clock. `now` is the time
    /// of that clock: a network whose messages name a time of another clock returns `now` and what is left until then, or
    /// `now` if nothing is. By default `None`: a message does not expire.
    ///
    /// The engine asks it once for each new message of a peer before its validation, once more when an asynchronous validation
    /// or that of a batch has found it valid, and once for each publication. It does not ask for the copies that arrive during
    /// such a validation, but for each copy and each new attempt of one that is parked
    /// ([`Validity::Unknown`]). An expired message is neither forwarded nor delivered, and costs its senders
    /// nothing; its publication is refused ([`RouteResult::Outdated`](crate::RouteResult::Outdated)). A message that has
    /// expired before its validation may be a forgery, so its id is not remembered: a later copy is checked again. A message
    /// that expires in the history is offered and sent to nobody from then on.
    fn expires_at(&self, message: &FullMessage<Self>, now: Timestamp) -> Option<Timestamp> {
        let _ = (message, now);
        None
    }

    /// Returns whether a message breaks the rules of the network, whatever its topic: its signature is wrong for instance.
    /// [`validate`](Self::validate) must find such a message invalid. The engine asks this for messages on topics that it
    /// has not joined, which are not validated: a violation counts as a misbehaviour of the sender (P7,
    /// [`protocol_violation_penalty`](crate::limits::Extensions::protocol_violation_penalty)). By default `false`.
    fn is_violation(&self, message: &Self::Message) -> bool {
        let _ = message;
        false
    }

    /// Returns whether `peer` may do `action`. On `false` the engine ignores or refuses the action.
    fn peer_filter(&self, peer: &Self::Peer, action: PeerAction<'_, Self>) -> bool {
        let _ = (peer, action);
        true
    }

    /// Returns the point at which `peer` can be dialled, if it is known. The engine applies the reconnection delays of
    /// [`Worker::set_unreachable_point`](crate::Worker::set_unreachable_point) to the peers of that point.
    fn reachable_point(&self, peer: &Self::Peer) -> Option<Self::Point> {
        let _ = peer;
        None
    }

    /// Returns the counters of the transport. The engine publishes them as metrics. All are 0 by default.
    fn transport_stats(&self) -> TransportStats {
        TransportStats::default()
    }

    /// Returns the value of the `topic` label in metrics. It must be short, and different for each topic. By default the
    /// [name](Self::topic_name).
    fn topic_label(&self, topic: &Self::Topic) -> String {
        self.topic_name(topic)
    }

    /// Returns the name of a topic as text, which [patterns](crate::limits::TopicPattern) match. The engine calls it when a
    /// topic becomes active and when the limits change, and only if the limits have patterns. By default the output of
    /// `Debug`, without quotation marks.
    fn topic_name(&self, topic: &Self::Topic) -> String {
        format!("{topic:?}").trim_matches('"').to_owned()
    }

    /// Returns why a topic can't be joined, as a sentence for operators: its name is longer than peers accept, for instance. The
    /// HTTP scope asks it before it joins a topic; the engine joins every topic that it is asked to. By default `None`.
    fn refuse_topic(&self, topic: &Self::Topic) -> Option<String> {
        let _ = topic;
        None
    }

    /// Returns the points to stay connected to. The engine calls it every
    /// [`reconnect_interval_ticks`](crate::limits::Bounds::reconnect_interval_ticks) heartbeats.
    fn persistent_points(&self) -> Vec<Self::Point> {
        Vec::new()
    }
}

/// The result of a validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// The engine forwards the message and delivers it to the application. The first sender gains score (P2).
    Valid,
    /// The application cannot decide yet. The engine parks the message and tries it again at each heartbeat.
    Unknown,
    /// The application ignores the message (v1.1 "ignore"): it is too old, or of no use now. The engine drops it; no score
    /// changes. It drops further copies without another validation, requests none, and lets only a publication of the
    /// application with that id pass
    /// ([`remember_ignored`](crate::limits::Extensions::remember_ignored)).
    #[doc(alias = "Ignore")]
    Outdated,
    /// The engine drops the message and penalises every peer that delivered it (P4).
    Invalid,
}

/// What the application found out about a peer outside of validation
/// ([`Worker::report_peer_feedback`](crate::Worker::report_peer_feedback)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PeerFeedback {
    /// The peer was the first to deliver something useful on the topic: it gains score (P2), and it counts as a mesh message
    /// delivery (P3).
    FirstDelivery,
    /// The peer delivered something invalid on the topic: it loses score (P4).
    InvalidMessage,
}

/// A request of a peer, as [`Network::peer_filter`] receives it.
#[derive_where(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum PeerAction<'a, N: Network> {
    /// The peer offers this message (IHAVE).
    IHave(&'a N::MessageId),
    /// The peer requests this message (IWANT).
    IWant(&'a N::MessageId),
    /// The peer adds us to its mesh of a topic (GRAFT).
    Graft,
    /// The peer subscribes to a topic, by a SUBSCRIBE or by the GRAFT that implies it. If it may not, nothing is stored of
    /// the topic for it.
    Subscribe(&'a N::Topic),
}
