//! These tests check IDONTWANT in both directions: when the node sends it, and how the node applies that of a peer.

use std::{collections::BTreeSet, sync::Arc};

use actix_gossipsub::{
    ConnectionInfo, P2pMessage, P2pOutput,
    limits::Extensions,
    protocol::{IDontWantOutcome, IWantAnswer, OutputBatch, ReceiveOutcome, ValidationMode},
};

use super::setup::{BOTH, MANY, Plain, SECOND, Setup, World, full};

/// The bytes from which a message is large, by default.
const LARGE: usize = 1000;

fn with(setup: Setup) -> World {
    let world = setup.connected(MANY).subscribed().joined().start();
    world.messages_have(LARGE);
    world
}

fn large() -> World {
    with(Setup::new())
}

/// Who is told not to send what, and who is sent a message, since the last call.
fn said(world: &mut World) -> (Vec<(u32, Vec<u32>)>, BTreeSet<u32>) {
    let (mut declined, mut sent) = (Vec::new(), BTreeSet::new());
    for output in world.node.drain().p2p {
        let P2pOutput::OutMessage { to_peer, message } = output else { continue };
        match message {
            P2pMessage::IDontWant { message_ids } => declined.push((to_peer, message_ids)),
            P2pMessage::FullMessage(_) => drop(sent.insert(to_peer)),
            _ => {}
        }
    }
    declined.sort_unstable();
    (declined, sent)
}

fn others(world: &World, but: u32) -> Vec<(u32, Vec<u32>)> {
    let others = world.mesh().into_iter().filter(|peer| *peer != but);
    others.map(|peer| (peer, vec![7])).collect()
}

fn routed(outcome: ReceiveOutcome<Plain>) -> BTreeSet<u32> {
    let ReceiveOutcome::Route { to } = outcome else { panic!("{outcome:?}") };
    to.into_iter().collect()
}

#[test]
fn the_mesh_but_the_sender_is_told_of_the_first_copy_of_a_large_message() {
    for validation_mode in BOTH {
        let mut world = with(Setup::new().validation_mode(validation_mode));
        let sender = *world.mesh().first().expect("a mesh");
        said(&mut world);
        world.deliver(sender, 7);
        assert_eq!(said(&mut world).0, others(&world, sender));
        let other = *world.mesh().last().expect("a mesh");
        assert_eq!(
            world.node.receive_message(&other, full(7).into(), ValidationMode::Sequential, world.now()),
            ReceiveOutcome::AlreadyReceived
        );
        assert_eq!(said(&mut world).0, []);
    }
}

#[test]
fn it_is_told_before_the_message_is_sent() {
    let mut world = large();
    said(&mut world);
    world.deliver(99, 7);
    let declines = |one: &OutputBatch<Plain>| {
        matches!(one, OutputBatch::Gossip { message: P2pMessage::IDontWant { .. }, .. })
    };
    let batches: Vec<_> = world.node.drain_batches().collect();
    let order: Vec<bool> = batches.iter().map(declines).collect();
    assert_eq!(order, [true, false], "one item for all who are told, then one for all who are sent it");
}

#[test]
fn a_message_that_waits_for_its_verdict_is_told_of_once() {
    let mut world = large();
    said(&mut world);
    let now = world.now();
    for sender in [99, 98] {
        let outcome = world.node.receive_message(&sender, full(7).into(), ValidationMode::Batched, now);
        assert_eq!(outcome, ReceiveOutcome::Batched);
    }
    assert_eq!(said(&mut world).0, others(&world, 99));
}

#[test]
fn an_invalid_message_is_told_of_once_a_heartbeat() {
    let mut world = with(Setup::new().limits(|limits| limits.extensions.invalid_memory_ticks = 0));
    world.refuse_all_messages();
    said(&mut world);
    for told in [true, false, false] {
        assert_eq!(world.deliver(99, 7), ReceiveOutcome::Invalid);
        assert_eq!(!said(&mut world).0.is_empty(), told);
    }
    world.heartbeat();
    said(&mut world);
    world.deliver(99, 7);
    assert_eq!(said(&mut world).0, others(&world, 99));
}

#[test]
fn nobody_is_told_of_a_small_message_or_of_one_that_we_publish() {
    let mut world = large();
    said(&mut world);
    world.publish(7);
    world.messages_have(LARGE - 1);
    world.deliver(99, 8);
    assert_eq!(said(&mut world).0, []);
}

#[test]
fn bootstrap_peers_are_not_told() {
    let mut world = large();
    world.connect(99, ConnectionInfo::outbound().bootstrap());
    world.subscribe(99);
    world.graft(99);
    assert!(world.mesh().contains(&99));
    said(&mut world);
    world.deliver(98, 7);
    assert!(said(&mut world).0.iter().all(|(peer, _)| *peer != 99));
}

#[test]
fn as_the_reference_does_nothing_is_told_and_nothing_heeded() {
    let mut world = with(Setup::new().limits(|limits| limits.extensions = Extensions::none()));
    assert_eq!(world.idontwant(0, 7..8), IDontWantOutcome::SwitchedOff);
    said(&mut world);
    let to = routed(world.deliver(99, 7));
    assert_eq!(said(&mut world), (Vec::new(), to));
}

#[test]
fn who_does_not_want_a_message_is_not_sent_it_though_it_is_meant_for_it() {
    for validation_mode in BOTH {
        let mut world = with(Setup::new().validation_mode(validation_mode));
        let (one, mesh) = (*world.mesh().first().expect("a mesh"), world.mesh());
        assert_eq!(world.idontwant(one, 7..9), IDontWantOutcome::Noted { ids: 2 });
        said(&mut world);
        assert_eq!(routed(world.deliver(99, 7)), mesh);
        let mut wanting = mesh.clone();
        wanting.remove(&one);
        assert_eq!(said(&mut world).1, wanting);
        // What we publish ourselves is no other matter; another message is.
        assert_eq!(BTreeSet::from_iter(world.publish(8)), mesh);
        assert_eq!(said(&mut world).1, wanting);
        world.deliver(99, 9);
        assert_eq!(said(&mut world).1, mesh);
    }
}

#[test]
fn a_small_message_is_sent_to_all() {
    let mut world = large();
    let mesh = world.mesh();
    world.idontwant(*mesh.first().expect("a mesh"), 7..8);
    world.messages_have(LARGE - 1);
    said(&mut world);
    world.deliver(99, 7);
    assert_eq!(said(&mut world).1, mesh);
}

#[test]
fn who_asks_for_what_it_did_not_want_is_sent_it() {
    let mut world = large();
    world.publish(7);
    world.idontwant(24, 7..8);
    assert!(matches!(world.iwant(24, 7), IWantAnswer::Message(_)));
    assert!(said(&mut world).1.contains(&24));
}

#[test]
fn it_is_heeded_for_some_heartbeats() {
    for ticks in 1..=4 {
        let mut world = with(Setup::new().limits(|limits| limits.extensions.idontwant_ticks = ticks));
        for passed in 0..=ticks {
            assert_eq!(world.mesh().len(), 6);
            let one = *world.mesh().first().expect("a mesh");
            let id = passed as u32;
            world.idontwant(one, id..id + 1);
            (0..passed).for_each(|_| drop(world.heartbeat()));
            assert!(world.mesh().contains(&one));
            said(&mut world);
            world.deliver(99, id);
            assert_eq!(said(&mut world).1.contains(&one), passed == ticks, "after {passed} of {ticks}");
        }
        (0..ticks).for_each(|_| drop(world.heartbeat()));
        assert_eq!(world.node.footprint().peer_idontwant, 0);
    }
}

#[test]
fn a_peer_may_name_so_many_ids_a_heartbeat() {
    let mut world = with(Setup::new().limits(|limits| limits.extensions.max_idontwant_per_heartbeat = 10));
    assert_eq!(world.idontwant(0, 0..8), IDontWantOutcome::Noted { ids: 8 });
    assert_eq!(world.idontwant(0, 8..12), IDontWantOutcome::TooMany { ignored: 2, max: 10 });
    assert_eq!(world.idontwant(0, 12..13), IDontWantOutcome::TooMany { ignored: 1, max: 10 });
    assert_eq!(world.idontwant(1, 12..13), IDontWantOutcome::Noted { ids: 1 });
    assert_eq!(world.node.footprint().peer_idontwant, 11);
    world.heartbeat();
    assert_eq!(world.idontwant(0, 20..30), IDontWantOutcome::Noted { ids: 10 });
    assert_eq!(world.node.footprint().peer_idontwant, 21);
}

#[test]
fn no_more_is_said_of_one_topic_than_is_heard_of_one_peer() {
    let mut world = with(Setup::new().limits(|limits| limits.extensions.max_idontwant_per_heartbeat = 2));
    said(&mut world);
    (0..5).for_each(|id| drop(world.deliver(99, id)));
    assert_eq!(said(&mut world).0.len(), 2 * world.mesh().len());
    assert_eq!(world.node.footprint().sent_idontwant, 2);
    world.heartbeat();
    said(&mut world);
    world.deliver(99, 5);
    assert_eq!(said(&mut world).0.len(), world.mesh().len());
}

#[test]
fn strangers_and_peers_below_the_gossip_threshold_are_not_heeded() {
    let mut world = large();
    assert_eq!(world.idontwant(99, 7..8), IDontWantOutcome::UnknownPeer);
    world.set_application_score(3, -1.0);
    let outcome = world.idontwant(3, 7..8);
    assert!(matches!(outcome, IDontWantOutcome::LowScore { threshold: 0.0, .. }), "{outcome:?}");
    assert_eq!(world.node.footprint().peer_idontwant, 0);
}

#[test]
fn what_a_peer_said_is_forgotten_with_its_connection() {
    let mut world = large();
    world.idontwant(3, 0..100);
    assert_eq!(world.node.footprint().peer_idontwant, 100);
    let now = world.now();
    world.node.remove_peer(&3, now);
    assert_eq!(world.node.footprint().peer_idontwant, 0);
    world.connect(3, ConnectionInfo::inbound().direct());
    world.subscribe(3);
    world.advance(SECOND);
    said(&mut world);
    let message = Arc::new(full(7));
    world.node.receive_message(&99, message, ValidationMode::Sequential, now);
    assert!(said(&mut world).1.contains(&3));
}
