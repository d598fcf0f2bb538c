//! These tests check IHAVE, IWANT, and the message history that answers them.

use std::collections::BTreeSet;

use actix_gossipsub::{
    ConnectionInfo, P2pMessage, P2pOutput,
    protocol::{IHaveOutcome, IWantAnswer},
};

use super::setup::{MANY, Setup, TOPIC, World};

fn many_joined() -> World {
    Setup::new().connected(MANY).subscribed().joined().start()
}

/// Peer 99 is connected and not in the mesh.
fn with_peer_99(setup: Setup) -> World {
    let mut world = setup.joined().start();
    world.connect(99, ConnectionInfo::inbound());
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

/// Whom a heartbeat tells what we have.
fn told(world: &mut World) -> Vec<u32> {
    drop(world.node.drain());
    world.heartbeat();
    let ihave = |output| match output {
        P2pOutput::OutMessage { to_peer, message: P2pMessage::IHave { .. } } => Some(to_peer),
        _ => None,
    };
    world.node.drain().p2p.into_iter().filter_map(ihave).collect()
}

/// v1.1 "adaptive gossip dissemination": max(D_lazy, a share) of those who get no full messages, each of them in time.
#[track_caller]
fn assert_gossip_goes_round(world: &mut World, but_for: &[u32]) {
    let (factor, least) = (world.limits.gossip_factor, world.limits.degree_lazy);
    let (mut candidates, mut reached) = (BTreeSet::new(), BTreeSet::new());
    for id in 0..100 {
        world.publish(id);
        let told = told(world);
        let mesh = world.mesh();
        candidates = MANY.filter(|peer| !mesh.contains(peer) && !but_for.contains(peer)).collect();
        let distinct: BTreeSet<_> = told.iter().copied().collect();
        assert!(distinct.is_subset(&candidates), "{told:?} of {candidates:?}");
        let count = least.max((factor * candidates.len() as f64) as usize).min(candidates.len());
        assert_eq!((told.len(), distinct.len()), (count, count), "of {candidates:?}");
        reached.extend(distinct);
    }
    // That chance passes over somebody 100 times is less likely than one in 10^12.
    assert_eq!(reached, candidates);
}

/// Peer 99 is direct.
fn with_a_direct_peer(factor: f64, lazy: usize) -> World {
    let limits = |limits: &mut actix_gossipsub::limits::LimitsConfig<u32>| {
        (limits.gossip_factor, limits.degree_lazy) = (factor, lazy);
    };
    let mut world = Setup::new().limits(limits).connected(MANY).subscribed().start();
    world.connect(99, ConnectionInfo::inbound().direct());
    world.subscribe(99);
    world.join();
    world
}

#[test]
fn gossip_goes_to_a_share_of_those_who_get_no_full_messages() {
    for (factor, lazy) in [(0.25, 6), (0.5, 3), (0.0, 25), (1.0, 0)] {
        assert_gossip_goes_round(&mut with_a_direct_peer(factor, lazy), &[]);
    }
}

#[test]
fn gossip_passes_over_those_who_stand_badly() {
    for (factor, lazy) in [(0.25, 6), (0.5, 3), (0.0, 25), (1.0, 0)] {
        let mut world = with_a_direct_peer(factor, lazy);
        world.set_application_score(7, -1.0);
        world.set_application_score(11, -2.0);
        assert_gossip_goes_round(&mut world, &[7, 11]);
    }
}

#[test]
fn gossip_is_for_those_who_are_connected_when_it_is_read() {
    let mut world = with_a_direct_peer(1.0, 0);
    world.publish(1);
    drop(world.node.drain());
    world.heartbeat();
    let mesh = world.mesh();
    let gone: BTreeSet<_> = MANY.filter(|peer| peer % 2 == 0).collect();
    for peer in &gone {
        world.node.remove_peer(peer, world.now());
    }
    let ihave = |output| match output {
        P2pOutput::OutMessage { to_peer, message: P2pMessage::IHave { .. } } => Some(to_peer),
        _ => None,
    };
    let told: BTreeSet<_> = world.node.drain().p2p.into_iter().filter_map(ihave).collect();
    let expected = MANY.filter(|peer| !mesh.contains(peer) && !gone.contains(peer));
    assert_eq!(told, expected.collect());
}
