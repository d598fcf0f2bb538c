//! Measures how long items wait and how long it takes to handle them. It samples them, because reading the clock costs
//! a tenth of handling an item.

use std::time::Duration;

use crate::{
    actors::{mesh::messages::TopicItem, shared::Shared},
    metrics::{Handled, TimedQueue},
    network::{Network, P2pMessage},
    timestamp::Timestamp,
};

/// One item in this number is measured.
const SAMPLE_EVERY: u32 = 64;

/// Chooses the items that an actor measures: the first, then one in [`SAMPLE_EVERY`].
#[derive(Debug, Default)]
pub(in crate::actors) struct LatencySampler {
    /// The number of items to skip before the next one is measured.
    skip: u32,
}

/// The measurement of an item.
pub(in crate::actors) struct Sample {
    what: Handled,
    started: Timestamp,
}

impl LatencySampler {
    /// Starts a measurement if the next item is to be measured. `arrival` returns when the item arrived, if that is
    /// known.
    #[inline]
    pub(in crate::actors) fn begin<N: Network>(
        &mut self,
        shared: &Shared<N>,
        what: impl FnOnce() -> Handled,
        arrival: impl FnOnce() -> Option<Timestamp>,
    ) -> Option<Sample> {
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.skip = SAMPLE_EVERY - 1;
        let started = shared.now();
        if let Some(arrival) = arrival() {
            shared.metrics.waited(TimedQueue::Input, started.saturating_since(arrival));
        }
        Some(Sample { what: what(), started })
    }

    /// With `enabled`, measures the first item after a heartbeat too, so that actors with little traffic are measured.
    pub(in crate::actors) fn heartbeat(&mut self, enabled: bool) {
        if enabled {
            self.skip = 0;
        }
    }
}

impl Sample {
    pub(in crate::actors) fn end<N: Network>(self, shared: &Shared<N>) {
        let took: Duration = shared.now().saturating_since(self.started);
        shared.metrics.handled(self.what, took);
    }
}

impl Handled {
    pub(in crate::actors) fn of<N: Network>(item: &TopicItem<N>) -> Self {
        match item {
            TopicItem::Message(_) => Self::ReceiveMessage,
            TopicItem::Peer(input) => match input.message {
                P2pMessage::Subscribe { .. } => Self::Subscribe,
                P2pMessage::Unsubscribe { .. } => Self::Unsubscribe,
                P2pMessage::Graft { .. } => Self::Graft,
                P2pMessage::Prune { .. } => Self::Prune,
                P2pMessage::IHave { .. } => Self::IHave,
                P2pMessage::IWant { .. } => Self::IWant,
                // These have no `TopicItem::Peer`.
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
            | TopicItem::Query(_)
            | TopicItem::Retire
            | TopicItem::Stop => Self::Command,
        }
    }
}
