//! Outputs for the p2p layer and their lanes. One output to many peers is one batch until a transport reads it.

pub(crate) mod announcements;
pub(crate) mod expand;
pub(crate) mod pending;
pub(crate) mod spread;

use std::sync::Arc;

use derive_where::derive_where;
use enum_map::Enum;
use strum::{IntoStaticStr, VariantNames};

use crate::network::{FullMessage, Network, P2pMessage, P2pOutput};

/// The priority of an output, most urgent first. When a queue is full, outputs of the least urgent lane are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enum, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Lane {
    /// SUBSCRIBE, UNSUBSCRIBE, GRAFT, PRUNE, pings, and connect or disconnect requests. Never dropped while the peer's
    /// connection is open.
    Control,
    /// Full messages that the application publishes.
    Publish,
    /// Full messages received from other peers and forwarded.
    Forward,
    /// Full messages sent in response to an IWANT.
    #[strum(serialize = "iwant_response")]
    Answer,
    /// IHAVE, IWANT and IDONTWANT. An IDONTWANT is written ahead of full messages nevertheless, because it is useless
    /// after the message that it declines.
    Gossip,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Self; 5] = [Self::Control, Self::Publish, Self::Forward, Self::Answer, Self::Gossip];

    /// The name of the lane, as used in metric labels.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The lane of an output for one peer.
    pub(crate) fn of<N: Network>(output: &P2pOutput<N>) -> Self {
        match output {
            P2pOutput::OutMessage { message, .. } => Self::of_message(message),
            _ => Self::Control,
        }
    }

    /// The lane of a message for one peer.
    pub(crate) fn of_message<N: Network>(message: &P2pMessage<N>) -> Self {
        match message {
            P2pMessage::IHave { .. } | P2pMessage::IWant { .. } | P2pMessage::IDontWant { .. } => {
                Self::Gossip
            }
            P2pMessage::FullMessage(_) => Self::Forward,
            _ => Self::Control,
        }
    }

    /// The number of queues that hold outputs: two a lane of full messages, of which the topics that are sent first have one,
    /// one for each other lane, and one for IDONTWANT.
    pub(crate) const QUEUES: usize = 9;

    /// The index of the queue for an output of this lane. Queues are read in ascending order.
    #[inline]
    pub(crate) fn queue_index(self, idontwant: bool, sent_first: bool) -> usize {
        match self {
            Self::Control => 0,
            Self::Gossip if idontwant => 1,
            Self::Gossip => 8,
            lane => 2 * lane as usize + usize::from(!sent_first),
        }
    }

    /// The indexes of the queues that are less urgent than this one, in the order in which they are dropped.
    pub(crate) fn drop_order(self, sent_first: bool) -> &'static [usize] {
        const LEAST_URGENT_FIRST: [usize; Lane::QUEUES - 1] = [8, 1, 7, 6, 5, 4, 3, 2];
        match self {
            Self::Control => &LEAST_URGENT_FIRST,
            Self::Gossip => &[],
            lane => &LEAST_URGENT_FIRST[..8 - 2 * lane as usize + usize::from(sent_first)],
        }
    }
}

/// One output for the p2p layer, to one peer or to many.
#[derive_where(Clone, Debug)]
pub enum OutputBatch<N: Network> {
    /// Send a full message to each of these peers.
    Broadcast {
        /// The recipients, ascending.
        to: Vec<N::Peer>,
        /// The message.
        message: Arc<FullMessage<N>>,
        /// The lane: why the message is sent.
        lane: Lane,
        /// Whether it is sent before the messages of other topics in its lane
        /// ([`TopicOverrides::sent_first`](crate::limits::TopicOverrides::sent_first)).
        sent_first: bool,
    },
    /// Send the same IHAVE or IDONTWANT to each of these peers.
    Gossip {
        /// The recipients, each once.
        to: Vec<N::Peer>,
        /// The message: an IHAVE or an IDONTWANT.
        message: P2pMessage<N>,
    },
    /// A single output.
    Output(P2pOutput<N>),
}

impl<N: Network> OutputBatch<N> {
    /// The number of outputs in the batch: one for each recipient.
    pub fn count(&self) -> usize {
        match self {
            Self::Broadcast { to, .. } | Self::Gossip { to, .. } => to.len(),
            Self::Output(_) => 1,
        }
    }

    /// The lane of the batch.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Broadcast { lane, .. } => *lane,
            Self::Gossip { .. } => Lane::Gossip,
            Self::Output(output) => Lane::of(output),
        }
    }
}
