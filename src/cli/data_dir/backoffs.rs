//! The backoffs of a node with their ends in the time of the calendar, which goes on while no process runs. Peers remember
//! them for the identity of the node, so the file names it.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_gossipsub::{
    libp2p::{Libp2pNetwork, TopicName},
    protocol::RemainingBackoff,
};
use libp2p::PeerId;
use serde::{Deserialize, Serialize};

use super::file::{MAX_BYTES, Stored};

/// Bytes of an entry in the file, at most: peer id, time and punctuation.
const ENTRY: usize = 128;
/// The bytes that the entries and names may have, so that the file has at most [`MAX_BYTES`].
const MAX_ENTRY_BYTES: usize = MAX_BYTES / 2;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredBackoffs {
    /// The node whose backoffs these are.
    pub node: PeerId,
    topics: Vec<TopicBackoffs>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicBackoffs {
    topic: TopicName,
    /// The end of each backoff, in milliseconds since 1970.
    until_ms: BTreeMap<PeerId, u64>,
}

impl Stored for StoredBackoffs {
    const FILE: &'static str = "backoffs.json";
    const WITHOUT: &'static str =
        "its backoffs: peers that it left or that pruned it less than a minute ago may penalise its GRAFTs";
}

impl StoredBackoffs {
    /// The backoffs that remain at `now`, and the number of those for which there is no room: they end first.
    pub fn new(
        node: PeerId,
        mut backoffs: Vec<RemainingBackoff<Libp2pNetwork>>,
        now: SystemTime,
    ) -> (Self, usize) {
        backoffs.sort_by_key(|backoff| std::cmp::Reverse(backoff.remaining));
        let mut topics = BTreeMap::<TopicName, BTreeMap<PeerId, u64>>::new();
        let (mut bytes, mut omitted) = (0, 0);
        for RemainingBackoff { topic, peer, remaining } in backoffs {
            // A name of control characters has six bytes for each in JSON.
            bytes += ENTRY + if topics.contains_key(&topic) { 0 } else { 6 * topic.as_str().len() };
            if bytes > MAX_ENTRY_BYTES {
                omitted += 1;
            } else {
                topics.entry(topic).or_default().insert(peer, millis(now) + round_up(remaining));
            }
        }
        let topics = topics.into_iter().map(|(topic, until_ms)| TopicBackoffs { topic, until_ms });
        (Self { node, topics: topics.collect() }, omitted)
    }

    /// The backoffs that remain at `now`.
    pub fn remaining(self, now: SystemTime) -> Vec<RemainingBackoff<Libp2pNetwork>> {
        let now = millis(now);
        let backoffs = self.topics.into_iter().flat_map(|TopicBackoffs { topic, until_ms }| {
            until_ms.into_iter().map(move |(peer, until)| RemainingBackoff {
                topic: topic.clone(),
                peer,
                remaining: Duration::from_millis(until.saturating_sub(now)),
            })
        });
        backoffs.filter(|backoff| !backoff.remaining.is_zero()).collect()
    }

    /// Whether both have the same backoffs. Their ends are computed from two clocks, so they may differ a little.
    pub fn is_like(&self, other: &Self) -> bool {
        let like = |one: &TopicBackoffs, other: &TopicBackoffs| {
            let ends = one.until_ms.iter().zip(&other.until_ms);
            one.topic == other.topic
                && one.until_ms.len() == other.until_ms.len()
                && ends.into_iter().all(|(one, other)| one.0 == other.0 && one.1.abs_diff(*other.1) < 500)
        };
        self.node == other.node
            && self.topics.len() == other.topics.len()
            && self.topics.iter().zip(&other.topics).all(|(one, other)| like(one, other))
    }
}

/// Milliseconds since 1970; 0 before.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX / 2)
}

/// Rounded up, so that a backoff is never too short.
fn round_up(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).min(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(topic: &str, peer: PeerId, remaining: Duration) -> RemainingBackoff<Libp2pNetwork> {
        RemainingBackoff { topic: topic.into(), peer, remaining }
    }

    #[test]
    fn backoffs_go_on_while_no_process_runs() {
        let (node, one, other) = (PeerId::random(), PeerId::random(), PeerId::random());
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let seconds = Duration::from_secs;
        let backoffs = vec![backoff("a", one, seconds(10)), backoff("b", other, seconds(60))];
        let (stored, omitted) = StoredBackoffs::new(node, backoffs.clone(), now);
        assert_eq!(omitted, 0);
        let text = serde_json::to_string(&stored).unwrap();
        let read: StoredBackoffs = serde_json::from_str(&text).unwrap();
        assert_eq!(read.clone().remaining(now), backoffs);
        assert_eq!(read.clone().remaining(now + seconds(10)), [backoff("b", other, seconds(50))]);
        assert_eq!(read.clone().remaining(now + seconds(3_600)), []);
        // The engine limits what a clock that was set back makes of it.
        assert_eq!(read.remaining(UNIX_EPOCH).len(), 2);
        // A fraction of a millisecond counts as one.
        let (stored, _) = StoredBackoffs::new(node, vec![backoff("a", one, Duration::from_nanos(1))], now);
        assert_eq!(stored.remaining(now), [backoff("a", one, Duration::from_millis(1))]);
    }

    #[test]
    fn the_file_is_never_too_long_to_be_read() {
        let name = "\u{1}".repeat(1_000);
        let node = PeerId::random();
        let many = (0..100_000_u64).map(|number| {
            let topic = format!("{name}{}", number % 1_000);
            backoff(&topic, PeerId::random(), Duration::from_millis(number + 1))
        });
        let now = UNIX_EPOCH + Duration::from_secs(2_000_000_000);
        let (stored, omitted) = StoredBackoffs::new(node, many.collect(), now);
        assert!(omitted > 0);
        assert!(serde_json::to_vec(&stored).unwrap().len() < MAX_BYTES - 1_000);
        // The last ones end last.
        let remaining = stored.remaining(now);
        assert_eq!(remaining.len() + omitted, 100_000);
        assert!(remaining.iter().all(|one| one.remaining > Duration::from_millis(omitted as u64)));
    }

    #[test]
    fn a_difference_of_clocks_is_no_change() {
        let (node, peer) = (PeerId::random(), PeerId::random());
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let stored = |millis| {
            StoredBackoffs::new(node, vec![backoff("a", peer, Duration::from_millis(millis))], now).0
        };
        assert!(stored(10_000).is_like(&stored(10_003)));
        assert!(!stored(10_000).is_like(&stored(12_000)));
        assert!(!stored(10_000).is_like(&StoredBackoffs::new(node, Vec::new(), now).0));
    }
}
