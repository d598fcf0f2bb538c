//! The messages that the supervisor takes. All come through its inbox, in order; those of the handle that concern peers
//! are actix messages, for which the actor has a `Handler`.

use std::{marker::PhantomData, net::IpAddr, sync::Arc, time::Duration};

use actix::{Actor, Context, Handler, Message, dev::Envelope};
use tokio::sync::oneshot;

use super::actor::SupervisorActor;
use crate::{
    actors::{arbiter::mailbox::TopicAddr, mesh::messages::TopicItem},
    limits::Limits,
    network::{Delivery, Direction, Network, PeerFeedback, PeerKind, Validity},
    protocol::{
        backoff::Backoffs, connection::ConnectionId, exchange::event::TopicEvent, inspect::view::View,
        peers::Peers, topic::TopicState,
    },
    timestamp::Timestamp,
};

/// An item of the supervisor's inbox. Only an actix message is answered to its sender.
pub(crate) enum SupervisorItem<N: Network> {
    // From the handle.
    /// One of the actix messages below.
    Message(Envelope<SupervisorActor<N>>),
    /// An input for a topic without an actor. The supervisor handles it, or sends it to the topic's actor if
    /// that started in the meantime.
    Topic { topic: N::Topic, item: TopicItem<N> },
    /// A topic needs an actor. The topic table has its address already; the supervisor starts the actor there.
    Spawn { topic: N::Topic, address: TopicAddr<N> },

    // From mesh actors.
    /// The supervisor applies the events to peers and scores, in order.
    Events { topic: N::Topic, events: Vec<TopicEvent<N>>, now: Timestamp },
    /// Nothing needs the topic's actor, after this number of commands of the application. If there was none since, the
    /// supervisor removes the topic from the topic table and sends `Retire`.
    CanRetire { topic: N::Topic, commands: u32 },
    /// A topic's actor has ended. The supervisor keeps the topic's backoffs until they expire, and handles what it
    /// deferred for the topic.
    Retired { topic: N::Topic, backoffs: Backoffs<N::Peer> },
    /// From the arbiter's actor: a topic panicked. The supervisor restarts it, or gives it up if it panics too often.
    /// `unconfirmed`: it waited for the supervisor to confirm a join or a leave.
    Panicked { topic: N::Topic, unconfirmed: bool },

    // From the heartbeat, or from the handle of an engine without timers.
    /// A heartbeat starts, unless one is in progress: that one is reported as skipped.
    Tick,
    /// The supervisor validates parked messages again.
    CheckParked,
    /// From such a handle only: the supervisor validates the pending batch.
    ProcessBatch,

    // From a batch validation that the supervisor started.
    /// The verdicts on messages of a batch; `None` for one whose validation took too long or panicked. The supervisor passes
    /// them on to the topics.
    BatchVerdicts(Vec<(Delivery<N>, Option<Validity>)>),
}

impl<N: Network> SupervisorItem<N> {
    /// An actix message whose result is not awaited.
    pub(crate) fn message<M>(message: M) -> Self
    where
        M: Message<Result = ()> + Send + 'static,
        SupervisorActor<N>: Actor<Context = Context<SupervisorActor<N>>> + Handler<M>,
    {
        Self::Message(Envelope::new(message, None))
    }

    /// An actix message with the channel for its result. The channel closes without a result if the engine has ended.
    pub(crate) fn request<M>(message: M, result: oneshot::Sender<M::Result>) -> Self
    where
        M: Message + Send + 'static,
        M::Result: Send,
        SupervisorActor<N>: Actor<Context = Context<SupervisorActor<N>>> + Handler<M>,
    {
        Self::Message(Envelope::new(message, Some(result)))
    }
}

// === Actix messages of the handle, for the p2p layer ===

/// A connection is in the directory. The supervisor gives the peer a score and announces the joined topics to it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Connect<N: Network> {
    pub(crate) peer: N::Peer,
    pub(crate) direction: Direction,
    pub(crate) kind: PeerKind,
    /// The peer's address, if it is known.
    pub(crate) remote_ip: Option<IpAddr>,
    pub(crate) connection_id: ConnectionId,
}

/// The connections of a peer are from other addresses than before.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SetAddresses<N: Network> {
    pub(crate) peer: N::Peer,
    pub(crate) addresses: Vec<IpAddr>,
}

/// A peer is sent everything over another connection from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct FurtherConnection<N: Network> {
    pub(crate) peer: N::Peer,
}

/// A connection has left the directory. The supervisor informs the topics, and retains or drops the peer's score.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Disconnect<N: Network> {
    pub(crate) peer: N::Peer,
    pub(crate) disconnected_at: Timestamp,
}

/// The transport reports that a peer reads control messages too slowly. The supervisor penalises the peer (P7).
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SlowPeer<N: Network>(pub(crate) N::Peer);

/// The transport reports that a peer sent bytes that are no RPC. The supervisor penalises the peer (P7).
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ProtocolViolation<N: Network>(pub(crate) N::Peer);

/// An attempt to reach a point failed. The supervisor delays the next request to connect to it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SetUnreachablePoint<N: Network>(pub(crate) N::Point);

// === Actix messages of the handle, for the application ===

/// The supervisor sets the application's score of a peer (P5).
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SetApplicationScore<N: Network> {
    pub(crate) peer: N::Peer,
    pub(crate) score: f64,
}

/// The supervisor changes the score of a peer in a topic: P2 and P3, or P4.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ReportPeerFeedback<N: Network> {
    pub(crate) peer: N::Peer,
    pub(crate) topic: N::Topic,
    pub(crate) feedback: PeerFeedback,
}

/// The limits in force are new ones. The supervisor computes all scores anew and informs the topics.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SetLimits<N: Network>(pub(crate) Arc<Limits<N::Topic>>);

/// The directory knows whether the peer is a direct peer from now on. The supervisor informs the topics, and asks the
/// transport to dial a direct peer that is not connected.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SetDirect<N: Network> {
    pub(crate) peer: N::Peer,
    pub(crate) direct: bool,
}

/// The supervisor asks the transport to refuse a peer for this time; `None`: to admit it again.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SetBlocked<N: Network> {
    pub(crate) peer: N::Peer,
    pub(crate) duration: Option<Duration>,
}

/// The supervisor answers with what `read` returns for the state of the peers. No answer if the engine has ended.
pub(crate) struct PeersQuery<F, T> {
    pub(super) read: F,
    answer: PhantomData<fn() -> T>,
}

/// The supervisor answers with at most `limit` topics that follow `after`, in order: those that have an actor, and these
/// passive ones. No answer if the engine has ended.
pub(crate) struct ListTopics<N: Network> {
    pub(crate) after: Option<N::Topic>,
    pub(crate) limit: usize,
    pub(crate) passive: PassiveTopics,
}

/// The passive topics that a query is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PassiveTopics {
    None,
    WithBackoffs,
    WithSubscribers,
}

/// The supervisor sends its part of the state to `reply`, once no topic is retiring. `reply` closes if the engine has
/// ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TakeSnapshot<N: Network> {
    pub(crate) reply: oneshot::Sender<Snapshot<N>>,
}

impl<F, T> PeersQuery<F, T> {
    pub(crate) fn new<N: Network>(read: F) -> Self
    where
        F: FnOnce(&Peers<N>) -> T,
    {
        Self { read, answer: PhantomData }
    }
}

impl<F: 'static, T: 'static> Message for PeersQuery<F, T> {
    type Result = T;
}

impl<N: Network> Message for ListTopics<N> {
    type Result = TopicList<N>;
}

/// A part of the topics of an engine.
pub(crate) struct TopicList<N: Network> {
    pub(crate) topics: Vec<(N::Topic, TopicLocation<N>)>,
    /// Whether more topics follow.
    pub(crate) more: bool,
}

/// Where the state of a topic can be read.
pub(crate) enum TopicLocation<N: Network> {
    Actor(TopicAddr<N>),
    /// The topic is passive or retires: the supervisor runs the query.
    Supervisor,
    /// The topic is passive, and this is the state that it would have.
    Here(Box<TopicState<N>>),
}

/// The supervisor's part of the state, and the addresses of the topics that have the other parts.
pub(crate) struct Snapshot<N: Network> {
    pub(crate) view: View<N>,
    pub(crate) topics: Vec<TopicAddr<N>>,
}
