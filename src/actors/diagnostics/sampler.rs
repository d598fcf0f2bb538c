//! How long items wait, and how long they take: of some of them, for a look at the clock costs as much as a tenth
//! of an item. Measures; handles nothing.

use std::time::Duration;

use crate::{
    actors::{mesh::messages::TopicItem, shared::Shared},
    metrics::{Handled, TimedQueue},
    network::{Network, P2pMessage},
    timestamp::Timestamp,
};

/// One of so many items is measured.
const ONE_OF: u32 = 64;

/// Chooses what an actor measures: the first item, then one of 64.
#[derive(Debug, Default)]
pub(in crate::actors) struct LatencySampler {
    /// So many items are not measured before the next one is.
    left: u32,
}

/// An item that is measured.
pub(in crate::actors) struct Sample {
    what: Handled,
    began: Timestamp,
}

impl LatencySampler {
    /// An item is about to be handled; `since` tells when it came, if it is known.
    #[inline]
    pub(in crate::actors) fn begin<N: Network>(
        &mut self,
        shared: &Shared<N>,
        what: impl FnOnce() -> Handled,
        since: impl FnOnce() -> Option<Timestamp>,
    ) -> Option<Sample> {
        if self.left > 0 {
            self.left -= 1;
            return None;
        }
        self.left = ONE_OF - 1;
        let began = shared.now();
        if let Some(since) = since() {
            shared.metrics.waited(TimedQueue::Input, began.saturating_since(since));
        }
        Some(Sample { what: what(), began })
    }

    /// Where little comes, the first item after each heartbeat is measured too.
    pub(in crate::actors) fn heartbeat(&mut self, too: bool) {
        if too {
            self.left = 0;
        }
    }
}

impl Sample {
    pub(in crate::actors) fn end<N: Network>(self, shared: &Shared<N>) {
        let took: Duration = shared.now().saturating_since(self.began);
        shared.metrics.handled(self.what, took);
    }
}

impl Handled {
    pub(in crate::actors) fn of<N: Network>(item: &TopicItem<N>) -> Self {
        match item {
            TopicItem::Message(_) => Self::ReceiveMessage,
            TopicItem::Peer(saying) => match saying.message {
                P2pMessage::Subscribe { .. } => Self::Subscribe,
                P2pMessage::Unsubscribe { .. } => Self::Unsubscribe,
                P2pMessage::Graft { .. } => Self::Graft,
                P2pMessage::Prune { .. } => Self::Prune,
                P2pMessage::IHave { .. } => Self::IHave,
                P2pMessage::IWant { .. } => Self::IWant,
                // The others are dealt with at the door.
                P2pMessage::FullMessage(_) | P2pMessage::IDontWant { .. } | P2pMessage::Ping => {
                    Self::ReceiveMessage
                }
            },
            TopicItem::Publish { .. } => Self::Publish,
            TopicItem::Join { .. } => Self::Join,
            TopicItem::Leave { .. } => Self::Leave,
            TopicItem::Verdict { .. } => Self::ValidationResult,
            TopicItem::Command(_)
            | TopicItem::FlushDeliveryCounts
            | TopicItem::Inspect(_)
            | TopicItem::Look(_)
            | TopicItem::Retire
            | TopicItem::Stop => Self::Command,
        }
    }
}

impl<N: Network> TopicItem<N> {
    /// When it came, if it was a peer or the application that said it; a message, with its burst.
    pub(in crate::actors) fn since(&self, burst: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Message(_) => Some(burst),
            Self::Peer(saying) => Some(saying.at),
            Self::Publish { at, .. } | Self::Join { at } | Self::Leave { at } => Some(*at),
            _ => None,
        }
    }
}
