//! The messages that a [`Worker`](crate::Worker) takes as an actix actor, beside [`P2pInput`](crate::P2pInput) and
//! [`AppInput`](crate::AppInput).
//!
//! Start a clone of the handle as an actor: `worker.clone().start()`. It may be supervised
//! ([`actix::Supervisor`]): the state is the engine's, so a restart loses nothing, and what
//! the actor has begun (answers, subscriptions) goes on without it. Stopping the actor does not stop the engine.
//!
//! | message | answer |
//! |---|---|
//! | [`Publish`] | the report, when the message is routed |
//! | [`Join`], [`Leave`], [`Relay`], [`StopRelay`] | whether the engine has taken the command |
//! | [`Mesh`] | the mesh of a topic |
//! | [`Score`] | the score of a peer |
//! | [`Explain`] | the components of a peer's score and the last decisions about the peer |
//! | [`SubscribeTopic`] | whether the messages of a topic will be sent to an actor |
//! | [`SubscribeEvents`] | none; events will be sent to an actor |
//! | [`Shutdown`] | none, once the engine has ended |
//!
//! An answer does not come, which is a [`MailboxError`](actix::MailboxError), if the worker's actor stops, or its arbiter, before
//! it has taken the message; what this means for each message is written there.
//!
//! # Examples
//! ```
//! use actix::Actor;
//! use actix_gossipsub::{Limits, LimitsConfig, RouteResult, Started, Worker, messages::*, plain::PlainNetwork};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> { actix::System::new().block_on(async {
//! # let limits = Limits::try_from(LimitsConfig::default())?;
//! let Started { worker, .. } = Worker::builder(PlainNetwork::new(), limits).start([])?;
//! let worker = worker.start();
//! worker.send(Join::<PlainNetwork>("news".to_owned())).await??;
//! let report = worker.send(Publish::now(PlainNetwork::message("news", 1, "hello"))).await??;
//! assert_eq!(report.routed, Some(RouteResult::NoPeers), "no peer is connected yet");
//! assert_eq!(worker.send(Mesh::<PlainNetwork>("news".to_owned())).await??, Some(vec![]));
//! worker.send(Shutdown).await?;
//! # Ok(()) }) }
//! ```

use actix::{Message, Recipient};
use derive_where::derive_where;

use super::{
    DeliveredMessage, EngineEvent, EngineStopped, PublishReport, Refused, SubscribeError, SubscriptionConfig,
};
use crate::{
    network::{FullMessage, Network, P2pOutput},
    protocol::{outcome::decision::EventRecord, score::breakdown::ScoreBreakdown},
};

/// Sent by [`P2pOutputs::forward`](super::P2pOutputs::forward).
impl<N: Network> Message for P2pOutput<N> {
    type Result = ();
}

/// Sent by [`AppOutputs::forward`](super::AppOutputs::forward), and to the recipient of a [`SubscribeTopic`].
impl<N: Network> Message for DeliveredMessage<N> {
    type Result = ();
}

/// Sent to the recipient of a [`SubscribeEvents`].
impl<N: Network> Message for EngineEvent<N> {
    type Result = ();
}

/// Publishes a message. The answer is the report when the message is routed: how many peers it was queued for. It is
/// [`RouteResult::Lost`](super::RouteResult::Lost) if the topic panicked or the engine ended before.
///
/// The error says why the engine has not taken the message. No answer: it may be published or not.
#[derive(Message)]
#[rtype(result = "Result<PublishReport, Refused>")]
#[derive_where(Clone, Debug)]
pub struct Publish<N: Network> {
    /// The message.
    pub message: FullMessage<N>,
    /// Whether to wait for room ([`Worker::publish_when_room`](super::Worker::publish_when_room)): the message is published
    /// when there is room for it, and the answer comes after that. Other messages of the mailbox are handled meanwhile. As much
    /// may wait as may be on the way (`bounds.max_unsent_publications`, `bounds.max_unsent_publication_bytes`); beyond that
    /// messages are refused, so a sender that awaits the answers loses none.
    pub when_room: bool,
}

/// Joins a topic. The error says why the engine has not taken the command; messages sent to the worker after the answer find
/// the topic joined. No answer: the topic may be joined or not.
#[derive(Message)]
#[rtype(result = "Result<(), Refused>")]
#[derive_where(Clone, Debug)]
pub struct Join<N: Network>(pub N::Topic);

/// Leaves a topic, and ends its subscription if it has one. The error says why the engine has not taken the command. No
/// answer: the topic may be left or not.
#[derive(Message)]
#[rtype(result = "Result<(), Refused>")]
#[derive_where(Clone, Debug)]
pub struct Leave<N: Network>(pub N::Topic);

/// Relays a topic ([`AppInput::Relay`](crate::AppInput::Relay)). The error says why the engine has not taken the command. No
/// answer: the topic may be relayed or not.
#[derive(Message)]
#[rtype(result = "Result<(), Refused>")]
#[derive_where(Clone, Debug)]
pub struct Relay<N: Network>(pub N::Topic);

/// Relays a topic no more ([`AppInput::StopRelay`](crate::AppInput::StopRelay)). The error says why the engine has not taken
/// the command. No answer: the topic may be relayed or not.
#[derive(Message)]
#[rtype(result = "Result<(), Refused>")]
#[derive_where(Clone, Debug)]
pub struct StopRelay<N: Network>(pub N::Topic);

/// Asks for the mesh of a topic, which is `None` if it is not joined. No answer: nothing is known.
#[derive(Message)]
#[rtype(result = "Result<Option<Vec<N::Peer>>, EngineStopped>")]
#[derive_where(Clone, Debug)]
pub struct Mesh<N: Network>(pub N::Topic);

/// Asks for the last published score of a peer, which is `None` if no score is remembered. No answer: nothing is known.
#[derive(Message)]
#[rtype(result = "Option<f64>")]
#[derive_where(Clone, Debug)]
pub struct Score<N: Network>(pub N::Peer);

/// Asks why a peer has its score and what was decided about it. No answer: nothing is known.
#[derive(Message)]
#[rtype(result = "Result<Explanation<N>, EngineStopped>")]
#[derive_where(Clone, Debug)]
pub struct Explain<N: Network>(pub N::Peer);

/// The answer to [`Explain`].
#[derive_where(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation<N: Network> {
    /// The components of the score; `None` if the peer has no score.
    pub score: Option<ScoreBreakdown<N>>,
    /// The last decisions about the peer, the oldest first ([`Worker::decisions_about`](super::Worker::decisions_about)).
    pub decisions: Vec<EventRecord<N>>,
}

/// Joins a topic, and sends its messages to an actor from now on ([`Worker::subscribe`](super::Worker::subscribe)), under the
/// bounds of `config`. The subscription ends when the recipient has stopped, when the topic is left, and when another
/// subscription to the topic takes its place.
///
/// The error says why there is no subscription. No answer: there may be one or not; another attempt takes its place.
#[derive(Message)]
#[rtype(result = "Result<(), SubscribeError>")]
#[derive_where(Debug)]
pub struct SubscribeTopic<N: Network> {
    /// The topic.
    pub topic: N::Topic,
    /// The actor that receives the messages. While its mailbox is full they wait in the subscription.
    #[derive_where(skip)]
    pub recipient: Recipient<DeliveredMessage<N>>,
    /// The bounds of the subscription.
    pub config: SubscriptionConfig,
}

/// Sends the engine's events to an actor from now on ([`Worker::subscribe_events`](super::Worker::subscribe_events)), until it
/// stops or the engine ends. While its mailbox is full they wait in the subscription; what has no room there is counted and
/// reported as [`EngineEvent::Missed`]. No answer: they may be sent or not.
#[derive(Message)]
#[rtype(result = "()")]
#[derive_where(Debug)]
pub struct SubscribeEvents<N: Network> {
    /// The actor that receives the events.
    #[derive_where(skip)]
    pub recipient: Recipient<EngineEvent<N>>,
    /// Most events that wait; at least 1.
    pub max_unread: usize,
}

/// Shuts the engine down ([`Worker::shutdown`](super::Worker::shutdown)). The answer comes when it has ended. The worker's
/// actor goes on and answers what it is sent with errors. No answer: if the actor has taken the message, the engine ends all
/// the same.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Shutdown;

impl<N: Network> Publish<N> {
    /// Publishes `message` at once, or not at all.
    pub fn now(message: FullMessage<N>) -> Self {
        Self { message, when_room: false }
    }

    /// Publishes `message` when there is room for it.
    pub fn when_room(message: FullMessage<N>) -> Self {
        Self { message, when_room: true }
    }
}

impl<N: Network> SubscribeTopic<N> {
    /// A subscription with the default settings.
    pub fn new(topic: N::Topic, recipient: Recipient<DeliveredMessage<N>>) -> Self {
        Self { topic, recipient, config: SubscriptionConfig::default() }
    }
}

impl<N: Network> SubscribeEvents<N> {
    /// A subscription in which at most 1,024 events wait.
    pub fn new(recipient: Recipient<EngineEvent<N>>) -> Self {
        Self { recipient, max_unread: 1024 }
    }
}
