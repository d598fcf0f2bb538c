//! IHAVE, IWANT, and the history they speak of.

use actix_gossipsub::protocol::{IHaveOutcome, IWantAnswer, PeerKind};

use super::setup::{MANY, Setup, TOPIC, World};

fn many_joined() -> World {
    Setup::new().connected(MANY).subscribed().joined().start()
}

/// Peer 99 is connected and not in the mesh.
fn with_peer_99(setup: Setup) -> World {
    let mut world = setup.joined().start();
    world.connect(99, PeerKind::default());
    world
}

fn is_message(answer: &IWantAnswer<super::setup::Plain>) -> bool {
    matches!(answer, IWantAnswer::Message(_))
}

/// How many ids are requested.
#[track_caller]
fn requested(outcome: IHaveOutcome<super::setup::Plain>) -> Vec<u32> {
    let IHaveOutcome::Requested { mut ids } = outcome else { panic!("{outcome:?}") };
    ids.sort_unstable();
    ids
}

#[test]
fn iwant_is_answered_from_the_history() {
    let mut world = many_joined();
    world.publish(3);
    let answer = world.iwant(7, 3);
    assert!(matches!(answer, IWantAnswer::Message(message) if message.message_id == 3));
}

#[test]
fn iwant_is_answered_for_as_many_heartbeats_as_the_history_is_long() {
    let setup = Setup::new().limits(|limits| limits.max_gossip_retransmission = 100);
    let mut world = setup.connected(MANY).subscribed().joined().start();
    world.publish(3);
    let length = world.limits.history_length;
    for tick in 1..=2 * length {
        world.heartbeat();
        assert_eq!(is_message(&world.iwant(7, 3)), tick < length, "after {tick} heartbeats");
    }
    assert_eq!(world.iwant(7, 3), IWantAnswer::NotFound);
}

#[test]
fn iwant_of_what_nobody_has_is_not_found() {
    assert_eq!(many_joined().iwant(7, 99), IWantAnswer::NotFound);
}

#[test]
fn a_message_is_sent_to_a_peer_that_asks_a_few_times_only() {
    let mut world = with_peer_99(Setup::new());
    world.publish(0);
    let most = world.limits.max_gossip_retransmission;
    for _ in 0..most {
        assert!(is_message(&world.iwant(99, 0)));
    }
    for _ in most..2 * most + 10 {
        assert_eq!(world.iwant(99, 0), IWantAnswer::TooManyRequests);
    }
}

#[test]
fn what_is_offered_and_not_seen_is_requested() {
    assert_eq!(requested(many_joined().ihave(7, 99..100)), [99]);
}

#[test]
fn what_is_offered_and_seen_is_not_requested() {
    let mut world = many_joined();
    world.publish(0);
    assert_eq!(requested(world.ihave(7, 0..1)), [] as [u32; 0]);
}

#[test]
fn what_is_offered_on_a_topic_not_joined_is_not_requested() {
    let mut world = Setup::new().connected(MANY).subscribed().start();
    assert_eq!(world.ihave(7, 0..1), IHaveOutcome::TopicNotTracked);
}

#[test]
fn a_peer_may_offer_so_many_times_a_heartbeat() {
    let mut world = with_peer_99(Setup::new());
    let max = world.limits.max_recv_ihave_per_heartbeat;
    assert_eq!(max, 10);
    for id in 0..max {
        assert_eq!(requested(world.ihave(99, id..id + 1)), [id]);
    }
    for count in max + 1..=2 * max + 1 {
        assert_eq!(world.ihave(99, 0..1), IHaveOutcome::TooManyIHaves { count, max });
    }
    world.heartbeat();
    for id in 0..max {
        assert_eq!(requested(world.ihave(99, id..id + 1)), [id]);
    }
}

#[test]
fn so_many_ids_are_requested_from_a_peer_a_heartbeat() {
    let mut world = with_peer_99(Setup::new().limits(|limits| {
        limits.max_sent_iwant_per_heartbeat = 10;
        limits.max_recv_ihave_per_heartbeat = 999;
    }));
    assert_eq!(requested(world.ihave(99, 0..8)), Vec::from_iter(0..8));
    let two = requested(world.ihave(99, 0..12));
    assert!(two.len() == 2 && two.iter().all(|id| *id < 12), "{two:?}");
    assert_eq!(world.ihave(99, 0..20), IHaveOutcome::TooManyIWants { count: 10, max: 10 });
    world.heartbeat();
    assert_eq!(requested(world.ihave(99, 0..20)).len(), 10);
}

/// `test_message_cache.ml`: six batches of ten messages, a heartbeat between each two.
#[test]
fn gossip_offers_the_latest_slots_of_the_history_in_order() {
    let batch = |number: u32| number * 10..(number + 1) * 10;
    let mut world = Setup::new().limits(|limits| limits.seen_history_length = 99).joined().start();
    let offered = |world: &World| world.view().gossip[&TOPIC].clone();
    for number in 0..6 {
        if number > 0 {
            world.heartbeat();
        }
        batch(number).for_each(|id| drop(world.publish(id)));
        let first = number.saturating_sub(2);
        assert_eq!(offered(&world), Vec::from_iter(first * 10..(number + 1) * 10), "after batch {number}");
    }
    assert!(batch(0).all(|id| world.iwant(1, id) == IWantAnswer::NotFound));
    assert!((10..60).all(|id| is_message(&world.iwant(1, id))));
}
