//! These tests check that full maps evict entries in an order that an attacker can't use against honest peers.

use std::time::Duration;

use actix_gossipsub::protocol::{IWantAnswer, IWantOutcome, ReceiveOutcome};

use super::{bare_node::BareNode, support::*};

const THOUSANDS: u64 = 5000;
/// Ten peers who did wrong, or whom we wronged.
const TEN: std::ops::Range<u64> = 1..11;

/// One comes, and goes without a deed.
fn visit(bare: &mut BareNode, peer: u64) {
    bare.connect(peer);
    bare.node.remove_peer(&peer, bare.now);
}

#[test]
fn bad_peers_are_remembered_among_thousands_who_did_nothing() {
    let mut bare = BareNode::new(|limits| limits.bounds.max_retained_scores = 100);
    bare.join(ATTACKED);
    for peer in TEN {
        bare.connect(peer);
        for number in 0..peer {
            bare.receive(peer, ATTACKED, Id::new(ATTACKED, peer * 100 + number), b"i");
        }
        bare.node.remove_peer(&peer, bare.now);
        (0..THOUSANDS / 10).for_each(|number| visit(&mut bare, peer * THOUSANDS + number));
        let scores = bare.node.footprint().scores;
        assert!((80..=100).contains(&scores), "{scores} scores");
    }
    for peer in TEN {
        bare.connect(peer);
        let score = bare.node.view(bare.now).scores[&peer].clone();
        assert_eq!(score.topics[&ATTACKED].invalid, peer as f64);
        assert!(score.score < 0.0);
    }
}

#[test]
fn of_bad_peers_the_worst_are_remembered() {
    let mut bare = BareNode::new(|limits| limits.bounds.max_retained_scores = 100);
    bare.join(ATTACKED);
    // Each of the ten did ten times what each of the others did.
    for peer in TEN.chain(1000..1000 + THOUSANDS) {
        bare.connect(peer);
        for number in 0..if TEN.contains(&peer) { 10 } else { 1 } {
            bare.receive(peer, ATTACKED, Id::new(ATTACKED, peer * 100 + number), b"i");
        }
        bare.node.remove_peer(&peer, bare.now);
    }
    let scores = bare.node.view(bare.now).scores;
    assert!(scores.len() <= 100 && TEN.into_iter().all(|peer| scores.contains_key(&peer)));
}

#[test]
fn with_no_room_for_departed_peers_none_is_remembered() {
    let mut bare = BareNode::new(|limits| limits.bounds.max_retained_scores = 0);
    bare.connect(1);
    visit(&mut bare, 2);
    visit(&mut bare, 3);
    assert!(bare.node.view(bare.now).scores.keys().eq([&1]));
}

#[test]
fn in_the_engine_too_peers_that_left_are_remembered_within_the_bound() {
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
            let departed = cost.after.footprint.scores - HONEST.count();
            assert!((150..=200).contains(&departed), "{departed} departed peers remembered");
            assert!(cost.bytes() <= 200 * 2 * ENTRY + scenario.allowance(), "{} bytes kept", cost.bytes());
            assert_eq!(scenario.score().await, score);
            scenario.send(actix_gossipsub::P2pInput::connected(ATTACKER));
            scenario.send(graft(ATTACKER, ATTACKED));
            assert!(!scenario.view().await.mesh[&ATTACKED].contains(&ATTACKER));
        },
    );
}

#[test]
fn the_backoffs_that_end_last_are_remembered() {
    let mut bare = BareNode::new(|limits| limits.bounds.max_backoffs_per_topic = 100);
    bare.join(ATTACKED);
    let (long, short) = (Duration::from_secs(1000), Duration::from_secs(60));
    for peer in TEN {
        bare.connect(peer);
        bare.node.prune(&peer, &ATTACKED, Vec::new(), long, bare.now);
    }
    let ends = bare.now.after(long);
    for peer in 1000..1000 + THOUSANDS {
        bare.connect(peer);
        // Some at the same moment, some later.
        bare.now = bare.now.after(Duration::from_millis(peer % 2));
        bare.node.prune(&peer, &ATTACKED, Vec::new(), short, bare.now);
        bare.node.remove_peer(&peer, bare.now);
        let backoffs = bare.node.footprint().backoffs;
        assert!(backoffs <= 100 && backoffs >= 80.min(peer as usize - 990), "{backoffs} backoffs");
    }
    let backoffs = &bare.node.view(bare.now).backoff[&ATTACKED];
    for peer in TEN {
        assert_eq!(backoffs.get(&peer), Some(&ends));
    }
    // And of the others those who came last.
    let others = backoffs.keys().filter(|peer| **peer >= 1000);
    assert!(others.min() >= Some(&(1000 + THOUSANDS - 100)));
}

#[test]
fn of_backoffs_that_end_at_once_some_are_remembered() {
    let mut bare = BareNode::new(|limits| limits.bounds.max_backoffs_per_topic = 80);
    bare.join(ATTACKED);
    for peer in 0..1000 {
        bare.connect(peer);
        bare.node.prune(&peer, &ATTACKED, Vec::new(), Duration::from_secs(60), bare.now);
        let backoffs = bare.node.footprint().backoffs;
        assert!(backoffs <= 80 && backoffs >= 70.min(peer as usize + 1), "{backoffs} backoffs");
    }
}

/// Sends message `number` and tells what became of it.
fn receive(bare: &mut BareNode, number: u64, content: &[u8]) -> ReceiveOutcome<AttackNetwork> {
    bare.receive(1, ATTACKED, Id::new(ATTACKED, number), content)
}

/// Which of the first `count` messages can be asked for.
fn to_be_had(bare: &mut BareNode, count: u64) -> Vec<u64> {
    let ids = (0..count).map(|number| Id::new(ATTACKED, number)).collect();
    let IWantOutcome::Answered { ids } = bare.node.iwant(&2, ids, bare.now) else { panic!("answered") };
    let had = |id: &Id| matches!(ids[id], IWantAnswer::Message(_));
    (0..count).filter(|number| had(&Id::new(ATTACKED, *number))).collect()
}

#[test]
fn of_too_many_messages_the_latest_can_be_asked_for_and_are_recognised() {
    let mut bare = BareNode::new(|limits| {
        limits.bounds.max_history_per_topic = 10;
        limits.bounds.max_seen_per_topic = 20;
    });
    bare.join(ATTACKED);
    for number in 0..50 {
        assert!(matches!(receive(&mut bare, number, b"v"), ReceiveOutcome::Route { .. }));
    }
    assert_eq!(to_be_had(&mut bare, 50), (40..50).collect::<Vec<_>>());
    for number in 30..50 {
        assert_eq!(receive(&mut bare, number, b"v"), ReceiveOutcome::AlreadyReceived);
    }
    assert!(matches!(receive(&mut bare, 29, b"v"), ReceiveOutcome::Route { .. }));
}

#[test]
fn of_too_large_messages_the_latest_can_be_asked_for() {
    const LARGE: usize = 1000;
    let mut bare = BareNode::new(|limits| limits.bounds.max_history_bytes_per_topic = 10 * LARGE);
    bare.join(ATTACKED);
    for number in 0..20 {
        receive(&mut bare, number, &[b'v'; LARGE]);
    }
    assert_eq!(to_be_had(&mut bare, 20), (11..20).collect::<Vec<_>>());
    let before = bare.node.footprint();
    // One that is too large for all the room there is is handed on, and not kept: the others stay.
    assert!(matches!(receive(&mut bare, 20, &[b'v'; 11 * LARGE]), ReceiveOutcome::Route { .. }));
    assert_eq!(to_be_had(&mut bare, 21), (11..20).collect::<Vec<_>>());
    let footprint = bare.node.footprint();
    assert_eq!((footprint.history_bytes, footprint.seen), (before.history_bytes, 21));
}
