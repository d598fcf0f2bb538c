//! Everything that goes from one part of the engine to another, in one place. Carries; never decides.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::desk::Address;
pub(crate) use super::inbox::{Inbox, Load, Ticket};
use crate::{
    directory::PeerRecord,
    network::{AppOutput, Delivery, Direction, FullMessage, Network, P2pMessage, PeerKind, Validity},
    protocol::{Fact, Link, Order, Peers, Timestamp, TopicState, Unread, View},
    worker::{Credit, Promise},
};

/// To a topic. From the handle: `Message`, `Peer`, `Publish`, `Join`, `Leave`. From the supervisor: the rest.
pub(crate) enum TopicItem<N: Network> {
    /// A peer sent a full message: most of what comes, so that it is small.
    Message(Arrival<N>),
    /// A peer said something else about this topic. Boxed, lest it make all items larger.
    Peer(Box<Saying<N>>),
    Publish {
        message: Arc<FullMessage<N>>,
        at: Timestamp,
        credit: Credit,
        promise: Promise,
    },
    Join {
        at: Timestamp,
    },
    Leave {
        at: Timestamp,
    },
    /// From a validation of this topic's: its verdict, `None` if there is none.
    Verdict {
        message: Arc<FullMessage<N>>,
        verdict: Option<Validity>,
    },
    Order(Order<N>),
    /// Somebody waits until all is known: the supervisor is to be told of all deliveries.
    TellCredits,
    Inspect(oneshot::Sender<View<N>>),
    /// From the handle: looks at the state, and changes nothing.
    Look(TopicLook<N>),
    /// Nothing needs the actor: it hands its state to the supervisor and stops.
    Retire,
    /// The engine shuts down.
    Stop,
}

impl<N: Network> TopicItem<N> {
    /// Whether it is the application that says so: what makes a topic need an actor.
    pub(crate) fn is_command(&self) -> bool {
        matches!(self, Self::Publish { .. } | Self::Join { .. } | Self::Leave { .. })
    }

    /// Whether it is handled even while the topic waits to hear who is connected: it is that word, or
    /// it changes nothing.
    pub(crate) fn overtakes(&self) -> bool {
        let told = matches!(self, Self::Order(Order::Welcome(_) | Order::Farewell(_)));
        told || matches!(self, Self::Inspect(_) | Self::Look(_) | Self::TellCredits)
    }
}

/// What is run on a topic's state, where that is.
pub(crate) type TopicLook<N> = Box<dyn FnOnce(&TopicState<N>) + Send>;
/// What is run on the peers' side.
pub(crate) type PeersLook<N> = Box<dyn FnOnce(&Peers<N>) + Send>;

/// A full message that a peer sent. When, its inbox knows: see [`Inbox::push_stamped`].
pub(crate) struct Arrival<N: Network> {
    pub(crate) from: N::Peer,
    pub(crate) message: Arc<FullMessage<N>>,
    /// Returned when this is handled.
    pub(crate) credit: Credit,
}

/// What a peer said but for full messages.
pub(crate) struct Saying<N: Network> {
    pub(crate) from: N::Peer,
    pub(crate) message: P2pMessage<N>,
    pub(crate) at: Timestamp,
    /// Returned when this is handled. It knows the connection that the peer had when it said so.
    pub(crate) credit: Held,
}

/// The credit of an input, or a part of one that is handled by several topics: it is returned when all have.
pub(crate) enum Held {
    Whole(Credit),
    Part(Arc<Credit>),
}

impl Held {
    pub(crate) fn record(&self) -> Option<&PeerRecord> {
        match self {
            Self::Whole(credit) => credit.record(),
            Self::Part(credit) => credit.record(),
        }
    }
}

/// To the supervisor.
pub(crate) enum SupervisorItem<N: Network> {
    /// From the handle, in the order of each peer's connections.
    Connect {
        peer: N::Peer,
        direction: Direction,
        kind: PeerKind,
        link: Link,
    },
    Disconnect {
        peer: N::Peer,
        at: Timestamp,
    },
    /// From the handle: the application speaks of peers and points.
    SetApplicationScore {
        peer: N::Peer,
        score: f64,
    },
    SetUnreachablePoint(N::Point),
    /// From the handle: the p2p layer says so.
    SlowPeer(N::Peer),
    /// From the handle: something about a topic that has no actor.
    Topic {
        topic: N::Topic,
        item: TopicItem<N>,
    },
    /// From the handle: a topic needs an actor; its address is in the directory already.
    Spawn {
        topic: N::Topic,
        address: Address<N>,
    },
    /// From a topic: what it came to know.
    Facts {
        topic: N::Topic,
        facts: Vec<Fact<N>>,
        at: Timestamp,
    },
    /// From a topic: it has nothing to do, after so many of the application's commands.
    Idle(N::Topic, u32),
    /// From a topic that retired.
    Retired(Box<TopicState<N>>),
    /// From the seat of a topic that panicked.
    Panicked(N::Topic),
    /// From the heartbeat, or from whoever drives the engine by hand.
    Tick,
    CheckParked,
    ProcessBatch,
    /// From a validation of a batch: its verdicts, none if it took too long.
    BatchVerdicts {
        batch: Vec<Delivery<N>>,
        verdicts: Vec<Validity>,
    },
    /// Questions of the handle.
    Inspect(oneshot::Sender<Inspection<N>>),
    Look(PeersLook<N>),
    /// The topics that follow this one, at most so many.
    Topics(Option<N::Topic>, usize, oneshot::Sender<Vec<Place<N>>>),
    Delays(oneshot::Sender<Vec<(N::Point, i64)>>),
    BatchDeadline(oneshot::Sender<Option<Timestamp>>),
    /// The last item.
    Stop(oneshot::Sender<()>),
}

/// To the router.
pub(crate) enum RouterItem<N: Network> {
    /// From topics and the supervisor: for the p2p layer.
    P2p(Unread<N>),
    /// From topics: for the application.
    App(AppOutput<N>),
    /// From the supervisor: the last item.
    Stop,
}

/// A topic, with its address if it has an actor.
pub(crate) type Place<N> = (<N as Network>::Topic, Option<Address<N>>);

/// The supervisor's share of the state, and where the topics' shares are to be had.
pub(crate) struct Inspection<N: Network> {
    pub(crate) view: View<N>,
    pub(crate) topics: Vec<Address<N>>,
}
