//! Everything that goes from one part of the engine to another, in one place. Carries; never decides.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::{
    actors::arbiter::mailbox::TopicAddr,
    admission::Credit,
    directory::connection::ConnectionRecord,
    network::{FullMessage, Network, P2pMessage, Validity},
    outputs::publication::PublishResponder,
    protocol::{exchange::command::TopicCommand, inspect::view::View, peers::Peers, topic::TopicState},
    timestamp::Timestamp,
};

/// To a topic. From the handle: `Message`, `Peer`, `Publish`, `Join`, `Leave`. From the supervisor: the rest.
pub(crate) enum TopicItem<N: Network> {
    /// A peer sent a full message: most of what comes, so that it is small.
    Message(IncomingMessage<N>),
    /// A peer said something else about this topic. Boxed, lest it make all items larger.
    Peer(Box<PeerMessage<N>>),
    Publish {
        message: Arc<FullMessage<N>>,
        at: Timestamp,
        credit: Credit,
        promise: PublishResponder,
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
    Command(TopicCommand<N>),
    /// Somebody waits until all is known: the supervisor is to be told of all deliveries.
    FlushDeliveryCounts,
    Inspect(oneshot::Sender<View<N>>),
    /// From the handle: looks at the state, and changes nothing.
    Look(TopicQuery<N>),
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
        let told =
            matches!(self, Self::Command(TopicCommand::JoinConfirmed(_) | TopicCommand::LeaveConfirmed(_)));
        told || matches!(self, Self::Inspect(_) | Self::Look(_) | Self::FlushDeliveryCounts)
    }
}

/// What is run on a topic's state, where that is.
pub(crate) type TopicQuery<N> = Box<dyn FnOnce(&TopicState<N>) + Send>;

/// What is run on the peers' side.
pub(crate) type PeersQuery<N> = Box<dyn FnOnce(&Peers<N>) + Send>;

/// A full message that a peer sent. When, its inbox knows: see [`Inbox::push_stamped`].
pub(crate) struct IncomingMessage<N: Network> {
    pub(crate) from: N::Peer,
    pub(crate) message: Arc<FullMessage<N>>,
    /// Returned when this is handled.
    pub(crate) credit: Credit,
}

/// What a peer said but for full messages.
pub(crate) struct PeerMessage<N: Network> {
    pub(crate) from: N::Peer,
    /// The connection over which it was received; `None` if the peer was not connected.
    pub(crate) connection: Option<Arc<ConnectionRecord>>,
    pub(crate) message: P2pMessage<N>,
    pub(crate) at: Timestamp,
    /// Returned when this is handled.
    pub(crate) credit: SharedCredit,
}

/// The credit of an input, or a part of one that is handled by several topics: it is returned when all have.
#[expect(dead_code, reason = "dropping it returns the credit")]
pub(crate) enum SharedCredit {
    Whole(Credit),
    Part(Arc<Credit>),
}

/// The supervisor's share of the state, and where the topics' shares are to be had.
pub(crate) struct Snapshot<N: Network> {
    pub(crate) view: View<N>,
    pub(crate) topics: Vec<TopicAddr<N>>,
}
