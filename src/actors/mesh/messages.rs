//! The messages that a mesh actor takes, and the parts that they are made of.

use std::sync::Arc;

use actix::Message;

use crate::{
    admission::Credit,
    directory::connection::ConnectionRecord,
    network::{FullMessage, Network, P2pMessage, Validity},
    outputs::{publication::PublishResponder, publish_batch::PublishBatch, topic_queue::TopicSender},
    protocol::{
        exchange::command::TopicCommand,
        topic::{TopicState, interest::Interest},
    },
    timestamp::Timestamp,
};

/// The items that a mesh actor handles in the order in which they were sent to the topic. They come through the
/// mailbox of the topic's arbiter. Senders get no answer: outputs go to the router and the supervisor.
pub(crate) enum TopicItem<N: Network> {
    // From the handle, for peers.
    /// A full message. The topic validates, delivers and forwards it. Most items are full messages, so this one is
    /// small.
    Message(IncomingMessage<N>),
    /// SUBSCRIBE, UNSUBSCRIBE, GRAFT, PRUNE, IHAVE or IWANT. Boxed, so that it does not make every item larger.
    Peer(Box<PeerMessage<N>>),

    // From the handle, for the application.
    /// The topic sends the message to its mesh, or to its fanout if it is not joined, and perhaps to further subscribers, if
    /// these are at least `min_peers`, and reports the route to `responder`. If the engine ends first, the responder reports
    /// that when it is dropped. In a `batch` what is sent leaves with the batch; then `min_peers` is 0.
    Publish {
        message: Arc<FullMessage<N>>,
        min_peers: usize,
        received_at: Timestamp,
        credit: Credit,
        responder: PublishResponder<N>,
        batch: Option<Arc<PublishBatch<N>>>,
    },
    /// The topic grafts peers and reports `Joined`. Until the supervisor confirms, it defers all items that do not
    /// [bypass the wait](TopicItem::bypasses_wait). From now on its messages go to the subscription, if there is one. With
    /// another interest in the topic it is in the mesh already, and reports nothing.
    Join { interest: Interest, received_at: Timestamp, subscription: Option<Arc<TopicSender<N>>> },
    /// The topic prunes its mesh and reports `Left`, unless there is another interest in it; then as after a join. If it is
    /// left and not only relayed no more, its subscription ends.
    Leave { interest: Interest, received_at: Timestamp },
    /// The actor's own [`TopicQuery`] handler runs the query, after everything before it is handled and sent. If the
    /// topic has retired or panicked, the supervisor runs it. It is dropped unanswered if the engine has ended.
    Query(TopicQuery<N>),

    // From a validation that the topic started.
    /// The result for a message; `None` if there is none. The topic delivers or drops the message.
    Verdict { message: Arc<FullMessage<N>>, verdict: Option<Validity> },

    // From the supervisor; offers of missed messages also from the handle.
    /// The topic changes its state as the command says and reports the events that the command asks for.
    Command(TopicCommand<N>),
    /// Nothing needs the actor: it sends the topic's backoffs to the supervisor (`Retired`) and ends.
    Retire,
    /// The topic panicked too often: the actor ends and drops its state.
    Stop,

    // From `settle` and from queries of the whole state.
    /// The topic reports the deliveries that it has counted and not reported.
    FlushDeliveryCounts,
}

impl<N: Network> TopicItem<N> {
    /// Whether this is a command of the application, which a topic needs an actor for.
    pub(crate) fn is_command(&self) -> bool {
        matches!(self, Self::Publish { .. } | Self::Join { .. } | Self::Leave { .. })
    }

    /// Whether this is handled while the topic waits for the supervisor to confirm a join or a leave: because it is the
    /// confirmation, or because it does not change what the topic decides.
    pub(crate) fn bypasses_wait(&self) -> bool {
        match self {
            Self::Command(command) => {
                matches!(command, TopicCommand::JoinConfirmed | TopicCommand::LeaveConfirmed)
            }
            Self::FlushDeliveryCounts => true,
            _ => false,
        }
    }

    /// When the input of a peer or of the application arrived. A full message arrived with its batch, at `burst`.
    pub(crate) fn arrival(&self, burst: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Message(_) => Some(burst),
            Self::Peer(message) => Some(message.received_at),
            Self::Publish { received_at, .. }
            | Self::Join { received_at, .. }
            | Self::Leave { received_at, .. } => Some(*received_at),
            _ => None,
        }
    }
}

/// From the handle: reads the topic's state. It contains the channel for its answer, which closes if the query is
/// dropped.
pub(crate) struct TopicQuery<N: Network>(Box<dyn FnOnce(&TopicState<N>) + Send>);

impl<N: Network> TopicQuery<N> {
    pub(crate) fn new(read: impl FnOnce(&TopicState<N>) + Send + 'static) -> Self {
        Self(Box::new(read))
    }

    pub(in crate::actors) fn run(self, state: &TopicState<N>) {
        (self.0)(state);
    }
}

impl<N: Network> Message for TopicQuery<N> {
    type Result = ();
}

/// A full message of a peer. Its arrival time is that of its batch: see
/// [`Inbox::push_with_arrival_time`](crate::actors::inbox::Inbox::push_with_arrival_time).
pub(crate) struct IncomingMessage<N: Network> {
    pub(crate) from: N::Peer,
    pub(crate) message: Arc<FullMessage<N>>,
    /// Released when the message is handled.
    pub(crate) credit: Credit,
}

/// Any other message of a peer about a topic.
pub(crate) struct PeerMessage<N: Network> {
    pub(crate) from: N::Peer,
    /// The connection over which it was received; `None` if the peer was not connected.
    pub(crate) connection: Option<Arc<ConnectionRecord>>,
    pub(crate) message: P2pMessage<N>,
    pub(crate) received_at: Timestamp,
    /// Released when the message is handled.
    pub(crate) credit: SharedCredit,
}

/// The credit of an input. An input that several topics handle in parts is released when all have handled theirs.
#[expect(dead_code, reason = "dropping it returns the credit")]
pub(crate) enum SharedCredit {
    Whole(Credit),
    Part(Arc<Credit>),
}
