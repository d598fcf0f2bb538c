//! These tests check that full maps evict entries in an order that an attacker can't use against honest peers.

use std::time::Duration;

use actix_gossipsub::protocol::{IWantAnswer, IWantOutcome, ReceiveOutcome};

use super::{bare_node::BareNode, support::*};

const OTHER_PEERS: u64 = 5000;
/// Ten peers with entries that must not be evicted: negative scores or long backoffs.
const REMEMBERED: std::ops::Range<u64> = 1..11;

/// A peer connects and disconnects without sending anything.
fn connect_and_disconnect(bare: &mut BareNode, peer: u64) {
    bare.connect(peer);
    bare.node.remove_peer(&peer, bare.now);
}

#[test]
fn negative_scores_are_not_evicted_by_peers_with_neutral_scores() {
    let mut bare = BareNode::new(|limits| limits.bounds.max_retained_scores = 100);
    bare.join(ATTACKED);
    for peer in REMEMBERED {
        bare.connect(peer);
        for number in 0..peer {
            bare.receive(peer, ATTACKED, Id::new(ATTACKED, peer * 100 + number), b"i");
        }
        bare.node.remove_peer(&peer, bare.now);
        (0..OTHER_PEERS / 10)
            .for_each(|number| connect_and_disconnect(&mut bare, peer * OTHER_PEERS + number));
        let scores = bare.node.footprint().scores;
        assert!((80..=100).contains(&scores), "{scores} scores");
    }
    for peer in REMEMBERED {
        bare.connect(peer);
        let score = bare.node.view(bare.now).scores[&peer].clone();
        assert_eq!(score.topics[&ATTACKED].invalid, peer as f64);
        assert!(score.score < 0.0);
    }
}

#[test]
fn the_lowest_scores_are_retained() {
    let mut bare = BareNode::new(|limits| limits.bounds.max_retained_scores = 100);
    bare.join(ATTACKED);
    // Each of the ten peers sends ten times as many invalid messages as each other peer.
    for peer in REMEMBERED.chain(1000..1000 + OTHER_PEERS) {
        bare.connect(peer);
        for number in 0..if REMEMBERED.contains(&peer) { 10 } else { 1 } {
            bare.receive(peer, ATTACKED, Id::new(ATTACKED, peer * 100 + number), b"i");
        }
        bare.node.remove_peer(&peer, bare.now);
    }
    let scores = bare.node.view(bare.now).scores;
    assert!(scores.len() <= 100 && REMEMBERED.into_iter().all(|peer| scores.contains_key(&peer)));
}

#[test]
fn with_a_bound_of_zero_no_score_of_a_disconnected_peer_is_retained() {
    let mut bare = BareNode::new(|limits| limits.bounds.max_retained_scores = 0);
    bare.connect(1);
    connect_and_disconnect(&mut bare, 2);
    connect_and_disconnect(&mut bare, 3);
    assert!(bare.node.view(bare.now).scores.keys().eq([&1]));
}

#[test]
fn the_engine_retains_scores_of_disconnected_peers_within_the_bound() {
    with_attacker(
        |limits| limits.bounds.max_retained_scores = 200,
        async |scenario| {
            let input = |number: u64| match (number % 2, 1_000_000 + number / 2) {
                (0, peer) => actix_gossipsub::P2pInput::connected(peer),
                (_, peer) => actix_gossipsub::P2pInput::Disconnection { peer },
            };
            scenario.send(message(ATTACKER, ATTACKED, 1, b"i"));
            let score = scenario.score().await;
            scenario.send(actix_gossipsub::P2pInput::Disconnection { peer: ATTACKER });
            let cost = scenario.attack(2 * 20_000, input).await;
            let retained = cost.after.footprint.scores - HONEST.count();
            assert!((150..=200).contains(&retained), "{retained} retained peers remembered");
            assert!(cost.bytes() <= 200 * 2 * ENTRY + scenario.allowance(), "{} bytes kept", cost.bytes());
            assert_eq!(scenario.score().await, score);
            scenario.send(actix_gossipsub::P2pInput::connected(ATTACKER));
            scenario.send(graft(ATTACKER, ATTACKED));
            assert!(!scenario.view().await.mesh[&ATTACKED].contains(&ATTACKER));
        },
    );
}

#[test]
fn the_backoffs_that_end_last_are_retained() {
    let mut bare = BareNode::new(|limits| limits.bounds.max_backoffs_per_topic = 100);
    bare.join(ATTACKED);
    let (long, short) = (Duration::from_secs(1000), Duration::from_secs(60));
    for peer in REMEMBERED {
        bare.connect(peer);
        bare.node.prune(&peer, &ATTACKED, Vec::new(), long, bare.now);
    }
    let ends = bare.now.after(long);
    for peer in 1000..1000 + OTHER_PEERS {
        bare.connect(peer);
        // Some backoffs end at the same time, some later.
        bare.now = bare.now.after(Duration::from_millis(peer % 2));
        bare.node.prune(&peer, &ATTACKED, Vec::new(), short, bare.now);
        bare.node.remove_peer(&peer, bare.now);
        let backoffs = bare.node.footprint().backoffs;
        assert!(backoffs <= 100 && backoffs >= 80.min(peer as usize - 990), "{backoffs} backoffs");
    }
    let backoffs = &bare.node.view(bare.now).backoff[&ATTACKED];
    for peer in REMEMBERED {
        assert_eq!(backoffs.get(&peer), Some(&ends));
    }
    // Of the other peers, the backoffs of the last ones are retained.
    let others = backoffs.keys().filter(|peer| **peer >= 1000);
    assert!(others.min() >= Some(&(1000 + OTHER_PEERS - 100)));
}

#[test]
fn some_of_the_backoffs_that_end_at_the_same_time_are_retained() {
    let mut bare = BareNode::new(|limits| limits.bounds.max_backoffs_per_topic = 80);
    bare.join(ATTACKED);
    for peer in 0..1000 {
        bare.connect(peer);
        bare.node.prune(&peer, &ATTACKED, Vec::new(), Duration::from_secs(60), bare.now);
        let backoffs = bare.node.footprint().backoffs;
        assert!(backoffs <= 80 && backoffs >= 70.min(peer as usize + 1), "{backoffs} backoffs");
    }
}

/// Peer 1 sends message `number`. Returns the outcome.
fn receive(bare: &mut BareNode, number: u64, content: &[u8]) -> ReceiveOutcome<AttackNetwork> {
    bare.receive(1, ATTACKED, Id::new(ATTACKED, number), content)
}

/// The numbers below `count` of the messages that an IWANT is answered with.
fn answered_numbers(bare: &mut BareNode, count: u64) -> Vec<u64> {
    let ids = (0..count).map(|number| Id::new(ATTACKED, number)).collect();
    let IWantOutcome::Answered { ids } = bare.node.iwant(&2, ids, bare.now) else {
        panic!("the IWANT is answered")
    };
    let is_answered = |id: &Id| matches!(ids[id], IWantAnswer::Message(_));
    (0..count).filter(|number| is_answered(&Id::new(ATTACKED, *number))).collect()
}

#[test]
fn the_latest_messages_stay_in_the_history_and_the_seen_cache() {
    let mut bare = BareNode::new(|limits| {
        limits.bounds.max_history_per_topic = 10;
        limits.bounds.max_seen_per_topic = 20;
    });
    bare.join(ATTACKED);
    for number in 0..50 {
        assert!(matches!(receive(&mut bare, number, b"v"), ReceiveOutcome::Route { .. }));
    }
    assert_eq!(answered_numbers(&mut bare, 50), (40..50).collect::<Vec<_>>());
    for number in 30..50 {
        assert_eq!(receive(&mut bare, number, b"v"), ReceiveOutcome::AlreadyReceived);
    }
    assert!(matches!(receive(&mut bare, 29, b"v"), ReceiveOutcome::Route { .. }));
}

#[test]
fn the_latest_messages_within_the_byte_bound_stay_in_the_history() {
    const LARGE: usize = 1000;
    let mut bare = BareNode::new(|limits| limits.bounds.max_history_bytes_per_topic = 10 * LARGE);
    bare.join(ATTACKED);
    for number in 0..20 {
        receive(&mut bare, number, &[b'v'; LARGE]);
    }
    assert_eq!(answered_numbers(&mut bare, 20), (11..20).collect::<Vec<_>>());
    let before = bare.node.footprint();
    // A message larger than the whole history is forwarded but not stored, and evicts no other message.
    assert!(matches!(receive(&mut bare, 20, &[b'v'; 11 * LARGE]), ReceiveOutcome::Route { .. }));
    assert_eq!(answered_numbers(&mut bare, 21), (11..20).collect::<Vec<_>>());
    let footprint = bare.node.footprint();
    assert_eq!((footprint.history_bytes, footprint.seen), (before.history_bytes, 21));
}
