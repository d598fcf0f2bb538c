//! Where the topics of one arbiter write down what follows from what they handle, one after the other. Shared, it stays
//! in the processor's cache and keeps its room, which there need not be for each topic. Keeps nothing for later.

use std::sync::{Mutex, MutexGuard};

use derive_where::derive_where;

use crate::{network::Network, protocol::Outbox};

/// The outbox of the topics of one arbiter: empty but while one of them handles a burst.
#[derive_where(Default)]
pub(crate) struct Desk<N: Network>(Mutex<Outbox<N>>);

impl<N: Network> Desk<N> {
    /// Sits down. Nobody else of this arbiter does meanwhile, so that nobody waits. What a topic that panicked left
    /// is lost with its state.
    pub(crate) fn sit_down(&self) -> MutexGuard<'_, Outbox<N>> {
        self.0.lock().unwrap_or_else(|panicked| {
            self.0.clear_poison();
            let mut outbox = panicked.into_inner();
            *outbox = Outbox::default();
            outbox
        })
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::plain::PlainNetwork;

    #[test]
    fn nobody_finds_what_a_topic_left_that_panicked() {
        let desk = Desk::<PlainNetwork>::default();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut outbox = desk.sit_down();
            outbox.tally.offered(1);
            outbox.stats.count_sent_iwants = 1;
            panic!("a topic's");
        }));
        assert!(panicked.is_err());
        let mut outbox = desk.sit_down();
        assert!(outbox.tally.take_rest().is_none());
        assert_eq!(outbox.stats, Default::default());
        outbox.stats.count_sent_iwants = 2;
        drop(outbox);
        assert_eq!(desk.sit_down().stats.count_sent_iwants, 2, "what nobody panicked over is there");
    }
}
