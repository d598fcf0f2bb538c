//! These tests start a node with the backoffs of a former process. It grafts these peers when the backoffs have ended, as
//! soon as that is safe, and never before.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    ConnectionInfo, Limits, LimitsConfig,
    plain::PlainNetwork,
    protocol::{Footprint, JoinOutcome, Node, NodeOptions, RemainingBackoff, Timestamp},
};

const SECOND: Duration = Duration::from_secs(1);
const PEERS: u64 = 4;

fn limits(change: impl FnOnce(&mut LimitsConfig)) -> Limits<String> {
    let config = LimitsConfig::default().with(|config| {
        config.heartbeat_interval = SECOND;
        config.backoff_cleanup_ticks = 15;
        change(config);
    });
    Limits::try_from(config).expect("valid limits")
}

fn backoff(peer: u64, remaining: Duration) -> RemainingBackoff<PlainNetwork> {
    RemainingBackoff { topic: "a".to_owned(), peer, remaining }
}

/// A node with these backoffs that joined the topic and is connected to the subscribed peers.
fn restarted(
    limits: Limits<String>,
    backoffs: &[RemainingBackoff<PlainNetwork>],
    start: Timestamp,
) -> Node<PlainNetwork> {
    let mut node = Node::new(Arc::new(PlainNetwork::new()), limits, NodeOptions::default());
    node.restore_backoffs(backoffs, start);
    let joined = node.join(&"a".to_owned(), start);
    assert_eq!(joined, JoinOutcome::Joined { to_graft: [].into() });
    for peer in 0..PEERS {
        node.add_peer(&peer, &ConnectionInfo::outbound(), start);
        node.subscribe(&peer, &"a".to_owned(), start);
    }
    node
}

fn mesh(node: &Node<PlainNetwork>, now: Timestamp) -> Vec<u64> {
    node.view(now).mesh.remove("a").unwrap_or_default().into_iter().collect()
}

/// The heartbeat, counted from the first one after the end of the backoffs, at which the peers are grafted.
fn grafted_at(remaining: Duration) -> u64 {
    let start = Timestamp::since_start(Duration::from_millis(300));
    let backoffs: Vec<_> = (0..PEERS).map(|peer| backoff(peer, remaining)).collect();
    let mut node = restarted(limits(|_| {}), &backoffs, start);
    let (end, mut now, mut after) = (start.after(remaining), start, 0);
    loop {
        assert_eq!(mesh(&node, now), [0; 0], "{now:?} of {end:?}");
        now = now.after(SECOND);
        after += u64::from(now >= end);
        node.heartbeat(now);
        if !mesh(&node, now).is_empty() {
            assert_eq!(mesh(&node, now), [0, 1, 2, 3]);
            return after;
        }
        assert!(after < 3, "the peers are not grafted");
    }
}

#[test]
fn peers_are_grafted_within_two_heartbeats_after_their_backoff() {
    for millis in [1, 999, 1_000, 1_001, 9_999, 10_000, 10_400, 60_000] {
        let heartbeats = grafted_at(Duration::from_millis(millis));
        // Not at the first one: a GRAFT must not overtake the end of the backoff at the peer.
        assert_eq!(heartbeats, 2, "{millis} ms");
    }
}

#[test]
fn peers_without_a_backoff_are_grafted_at_once_and_others_at_their_own_time() {
    let backoffs = [backoff(1, 5 * SECOND), backoff(2, 20 * SECOND)];
    let (mut node, mut now) = (restarted(limits(|_| {}), &backoffs, Timestamp::ZERO), Timestamp::ZERO);
    assert_eq!(mesh(&node, now), [0, 3]);
    let mut grafted = Vec::new();
    for second in 1..=22 {
        now = now.after(SECOND);
        node.heartbeat(now);
        let size = mesh(&node, now).len();
        if grafted.last().is_none_or(|(_, last)| *last != size) {
            grafted.push((second, size));
        }
    }
    assert_eq!(grafted, [(1, 2), (6, 3), (21, 4)]);
}

/// A restored backoff changes nothing for a peer that has pruned this process: it is grafted after the cleanup, with slack.
#[test]
fn a_backoff_of_this_process_keeps_its_slack_beside_restored_ones() {
    let backoffs = [backoff(0, 5 * SECOND), backoff(3, 60 * SECOND)];
    let (mut node, mut now) = (restarted(limits(|_| {}), &backoffs, Timestamp::ZERO), Timestamp::ZERO);
    assert_eq!(mesh(&node, now), [1, 2]);
    node.prune(&1, &"a".to_owned(), Vec::new(), 3 * SECOND, now);
    for second in 1..=15 {
        now = now.after(SECOND);
        node.heartbeat(now);
        let expected: &[u64] = match second {
            ..6 => &[2],
            6..15 => &[0, 2],
            _ => &[0, 1, 2],
        };
        assert_eq!(mesh(&node, now), expected, "after {second} s");
    }
}

#[test]
fn restored_backoffs_of_further_topics_than_may_be_idle_are_not_stored() {
    let limits = limits(|config| config.bounds.max_idle_topics = 10);
    let mut node = Node::new(Arc::new(PlainNetwork::new()), limits, NodeOptions::default());
    let backoffs =
        (0..40).map(|n| RemainingBackoff { topic: format!("topic {}", n % 20), peer: n, remaining: SECOND });
    node.restore_backoffs(&backoffs.collect::<Vec<_>>(), Timestamp::ZERO);
    let footprint = node.footprint();
    assert_eq!((footprint.topics, footprint.backoffs), (10, 20), "{footprint:?}");
}

#[test]
fn a_restored_backoff_lasts_no_longer_than_one_of_this_node_may() {
    let limits = limits(|config| {
        config.prune_backoff = 10 * SECOND;
        config.unsubscribe_backoff = 5 * SECOND;
        config.bounds.max_remote_backoff = 20 * SECOND;
    });
    let node = restarted(
        limits,
        &(0..PEERS).map(|peer| backoff(peer, Duration::MAX)).collect::<Vec<_>>(),
        Timestamp::ZERO,
    );
    let backoffs = node.view(Timestamp::ZERO).backoff.remove("a").expect("the topic has backoffs");
    assert!(backoffs.values().all(|until| *until == Timestamp::since_start(20 * SECOND)), "{backoffs:?}");
}

#[test]
fn restored_backoffs_keep_the_bounds_of_all_backoffs() {
    let limits = limits(|config| {
        config.bounds.max_backoff_bytes = 256 << 10;
        config.bounds.max_backoffs_per_topic = 50;
    });
    let mut node = Node::new(Arc::new(PlainNetwork::new()), limits.clone(), NodeOptions::default());
    let topics = |topic: u64| format!("topic {topic}");
    let many = (0..1_000).flat_map(|topic| {
        let peers = 0..100;
        peers.map(move |peer| RemainingBackoff { topic: topics(topic), peer, remaining: SECOND })
    });
    node.restore_backoffs(&many.collect::<Vec<_>>(), Timestamp::ZERO);
    let footprint = node.footprint();
    let most = Footprint::at_most(&limits, 0, 0);
    assert!(footprint.backoffs > 0 && footprint.backoffs_bytes <= most.backoffs_bytes, "{footprint:?}");
    assert!(footprint.backoffs <= 50 * 1_000, "{footprint:?}");
}
