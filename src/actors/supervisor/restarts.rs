//! How often topics were restarted. Counts; restarts nothing.

use std::{collections::BTreeMap, time::Duration};

use crate::timestamp::Timestamp;

/// More restarts than this in a [`PERIOD`] and the topic is given up.
const MAX_RESTARTS: u32 = 5;
const PERIOD: Duration = Duration::from_secs(60);

/// The restarts of topics in their present period. Holds only topics that panicked lately.
#[derive(Debug)]
pub(crate) struct Restarts<T> {
    counts: BTreeMap<T, (Timestamp, u32)>,
}

impl<T: Ord + Clone> Restarts<T> {
    pub(crate) fn new() -> Self {
        Self { counts: BTreeMap::new() }
    }

    /// Counts a panic of `topic`, and tells whether it may be restarted once more.
    pub(crate) fn allow(&mut self, topic: &T, now: Timestamp) -> bool {
        self.counts.retain(|_, (since, _)| since.after(PERIOD) > now);
        let (_, count) = self.counts.entry(topic.clone()).or_insert((now, 0));
        *count += 1;
        *count <= MAX_RESTARTS
    }
}
