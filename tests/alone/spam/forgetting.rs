//! What goes when a map is full: not what an attacker would like to see forgotten.

use std::time::Duration;

use actix_gossipsub::protocol::{IWantAnswer, IWantOutcome, ReceiveOutcome};

use super::{support::*, world::World};

const THOUSANDS: u64 = 5000;
/// Ten peers who did wrong, or whom we wronged.
const TEN: std::ops::Range<u64> = 1..11;

/// One comes, and goes without a deed.
fn visit(world: &mut World, peer: u64) {
    world.connect(peer);
    world.node.remove_peer(&peer, world.now);
}

#[test]
fn bad_peers_are_remembered_among_thousands_who_did_nothing() {
    let mut world = World::new(|limits| limits.bounds.max_retained_scores = 100);
    world.join(ATTACKED);
    for peer in TEN {
        world.connect(peer);
        for number in 0..peer {
            world.receive(peer, ATTACKED, Id::new(ATTACKED, peer * 100 + number), b"i");
        }
        world.node.remove_peer(&peer, world.now);
        (0..THOUSANDS / 10).for_each(|number| visit(&mut world, peer * THOUSANDS + number));
        let scores = world.node.footprint().scores;
        assert!((80..=100).contains(&scores), "{scores} scores");
    }
    for peer in TEN {
        world.connect(peer);
        let score = world.node.view(world.now).scores[&peer].clone();
        assert_eq!(score.topics[&ATTACKED].invalid, peer as f64);
        assert!(score.score < 0.0);
    }
}

#[test]
fn of_bad_peers_the_worst_are_remembered() {
    let mut world = World::new(|limits| limits.bounds.max_retained_scores = 100);
    world.join(ATTACKED);
    // Each of the ten did ten times what each of the others did.
    for peer in TEN.chain(1000..1000 + THOUSANDS) {
        world.connect(peer);
        for number in 0..if TEN.contains(&peer) { 10 } else { 1 } {
            world.receive(peer, ATTACKED, Id::new(ATTACKED, peer * 100 + number), b"i");
        }
        world.node.remove_peer(&peer, world.now);
    }
    let scores = world.node.view(world.now).scores;
    assert!(scores.len() <= 100 && TEN.into_iter().all(|peer| scores.contains_key(&peer)));
}

#[test]
fn with_no_room_for_departed_peers_none_is_remembered() {
    let mut world = World::new(|limits| limits.bounds.max_retained_scores = 0);
    world.connect(1);
    visit(&mut world, 2);
    visit(&mut world, 3);
    assert!(world.node.view(world.now).scores.keys().eq([&1]));
}

#[test]
fn in_the_engine_too_peers_that_left_are_remembered_within_the_bound() {
    besieged(
        |limits| limits.bounds.max_retained_scores = 200,
        async |siege| {
            let input = |number: u64| match (number % 2, 1_000_000 + number / 2) {
                (0, peer) => actix_gossipsub::P2pInput::connected(peer),
                (_, peer) => actix_gossipsub::P2pInput::Disconnection { peer },
            };
            siege.say(message(ATTACKER, ATTACKED, 1, b"i"));
            let score = siege.score().await;
            siege.say(actix_gossipsub::P2pInput::Disconnection { peer: ATTACKER });
            let toll = siege.attack(2 * 20_000, input).await;
            let departed = toll.after.footprint.scores - HONEST.count();
            assert!((150..=200).contains(&departed), "{departed} departed peers remembered");
            assert!(toll.bytes() <= 200 * 2 * ENTRY + siege.slack(), "{} bytes kept", toll.bytes());
            assert_eq!(siege.score().await, score);
            siege.say(actix_gossipsub::P2pInput::connected(ATTACKER));
            siege.say(graft(ATTACKER, ATTACKED));
            assert!(!siege.view().await.mesh[&ATTACKED].contains(&ATTACKER));
        },
    );
}

#[test]
fn the_backoffs_that_end_last_are_remembered() {
    let mut world = World::new(|limits| limits.bounds.max_backoffs_per_topic = 100);
    world.join(ATTACKED);
    let (long, short) = (Duration::from_secs(1000), Duration::from_secs(60));
    for peer in TEN {
        world.connect(peer);
        world.node.prune(&peer, &ATTACKED, Vec::new(), long, world.now);
    }
    let ends = world.now.after(long);
    for peer in 1000..1000 + THOUSANDS {
        world.connect(peer);
        // Some at the same moment, some later.
        world.now = world.now.after(Duration::from_millis(peer % 2));
        world.node.prune(&peer, &ATTACKED, Vec::new(), short, world.now);
        world.node.remove_peer(&peer, world.now);
        let backoffs = world.node.footprint().backoffs;
        assert!(backoffs <= 100 && backoffs >= 80.min(peer as usize - 990), "{backoffs} backoffs");
    }
    let backoffs = &world.node.view(world.now).backoff[&ATTACKED];
    for peer in TEN {
        assert_eq!(backoffs.get(&peer), Some(&ends));
    }
    // And of the others those who came last.
    let others = backoffs.keys().filter(|peer| **peer >= 1000);
    assert!(others.min() >= Some(&(1000 + THOUSANDS - 100)));
}

#[test]
fn of_backoffs_that_end_at_once_some_are_remembered() {
    let mut world = World::new(|limits| limits.bounds.max_backoffs_per_topic = 80);
    world.join(ATTACKED);
    for peer in 0..1000 {
        world.connect(peer);
        world.node.prune(&peer, &ATTACKED, Vec::new(), Duration::from_secs(60), world.now);
        let backoffs = world.node.footprint().backoffs;
        assert!(backoffs <= 80 && backoffs >= 70.min(peer as usize + 1), "{backoffs} backoffs");
    }
}

/// Sends message `number` and tells what became of it.
fn receive(world: &mut World, number: u64, content: &[u8]) -> ReceiveOutcome<Field> {
    world.receive(1, ATTACKED, Id::new(ATTACKED, number), content)
}

/// Which of the first `count` messages can be asked for.
fn to_be_had(world: &mut World, count: u64) -> Vec<u64> {
    let ids = (0..count).map(|number| Id::new(ATTACKED, number)).collect();
    let IWantOutcome::Answered { ids } = world.node.iwant(&2, ids, world.now) else { panic!("answered") };
    let had = |id: &Id| matches!(ids[id], IWantAnswer::Message(_));
    (0..count).filter(|number| had(&Id::new(ATTACKED, *number))).collect()
}

#[test]
fn of_too_many_messages_the_latest_can_be_asked_for_and_are_recognised() {
    let mut world = World::new(|limits| {
        limits.bounds.max_history_per_topic = 10;
        limits.bounds.max_seen_per_topic = 20;
    });
    world.join(ATTACKED);
    for number in 0..50 {
        assert!(matches!(receive(&mut world, number, b"v"), ReceiveOutcome::Route { .. }));
    }
    assert_eq!(to_be_had(&mut world, 50), (40..50).collect::<Vec<_>>());
    for number in 30..50 {
        assert_eq!(receive(&mut world, number, b"v"), ReceiveOutcome::AlreadyReceived);
    }
    assert!(matches!(receive(&mut world, 29, b"v"), ReceiveOutcome::Route { .. }));
}

#[test]
fn of_too_large_messages_the_latest_can_be_asked_for() {
    const LARGE: usize = 1000;
    let mut world = World::new(|limits| limits.bounds.max_history_bytes_per_topic = 10 * LARGE);
    world.join(ATTACKED);
    for number in 0..20 {
        receive(&mut world, number, &[b'v'; LARGE]);
    }
    assert_eq!(to_be_had(&mut world, 20), (11..20).collect::<Vec<_>>());
    let before = world.node.footprint();
    // One that is too large for all the room there is is handed on, and not kept: the others stay.
    assert!(matches!(receive(&mut world, 20, &[b'v'; 11 * LARGE]), ReceiveOutcome::Route { .. }));
    assert_eq!(to_be_had(&mut world, 21), (11..20).collect::<Vec<_>>());
    let footprint = world.node.footprint();
    assert_eq!((footprint.history_bytes, footprint.seen), (before.history_bytes, 21));
}
