//! These tests check IDONTWANT in both directions: when the node sends it, and how the node applies that of a peer.

use std::{collections::BTreeSet, sync::Arc};

use actix_gossipsub::{
    ConnectionInfo, P2pMessage, P2pOutput,
    limits::Extensions,
    protocol::{IDontWantOutcome, IWantAnswer, OutputBatch, ReceiveOutcome, ValidationMode},
};

use super::setup::{BOTH, Fixture, MANY, Plain, SECOND, Setup, full};

/// The default message size in bytes from which IDONTWANT is sent.
const LARGE: usize = 1000;

fn joined_with_large_messages(setup: Setup) -> Fixture {
    let fixture = setup.connected(MANY).subscribed().joined().start();
    fixture.set_message_size(LARGE);
    fixture
}

fn default_fixture() -> Fixture {
    joined_with_large_messages(Setup::new())
}

/// The IDONTWANTs sent since the last call, by peer, and the peers that were sent a full message.
fn drain_sent(fixture: &mut Fixture) -> (Vec<(u32, Vec<u32>)>, BTreeSet<u32>) {
    let (mut idontwants, mut sent) = (Vec::new(), BTreeSet::new());
    for output in fixture.node.drain().p2p {
        let P2pOutput::OutMessage { to_peer, message } = output else { continue };
        match message {
            P2pMessage::IDontWant { message_ids } => idontwants.push((to_peer, message_ids)),
            P2pMessage::FullMessage(_) => drop(sent.insert(to_peer)),
            _ => {}
        }
    }
    idontwants.sort_unstable();
    (idontwants, sent)
}

fn idontwant_to_mesh(fixture: &Fixture, except: u32) -> Vec<(u32, Vec<u32>)> {
    let peers = fixture.mesh().into_iter().filter(|peer| *peer != except);
    peers.map(|peer| (peer, vec![7])).collect()
}

fn routed(outcome: ReceiveOutcome<Plain>) -> BTreeSet<u32> {
    let ReceiveOutcome::Route { to } = outcome else { panic!("{outcome:?}") };
    to.into_iter().collect()
}

#[test]
fn idontwant_is_sent_to_the_mesh_for_the_first_copy_of_a_large_message() {
    for validation_mode in BOTH {
        let mut fixture = joined_with_large_messages(Setup::new().validation_mode(validation_mode));
        let sender = *fixture.mesh().first().expect("the mesh is not empty");
        drain_sent(&mut fixture);
        fixture.deliver(sender, 7);
        assert_eq!(drain_sent(&mut fixture).0, idontwant_to_mesh(&fixture, sender));
        let other = *fixture.mesh().last().expect("the mesh is not empty");
        assert_eq!(
            fixture.node.receive_message(&other, full(7).into(), ValidationMode::Sequential, fixture.now()),
            ReceiveOutcome::AlreadyReceived
        );
        assert_eq!(drain_sent(&mut fixture).0, []);
    }
}

#[test]
fn idontwant_is_sent_before_the_message() {
    let mut fixture = default_fixture();
    drain_sent(&mut fixture);
    fixture.deliver(99, 7);
    let is_idontwant = |one: &OutputBatch<Plain>| {
        matches!(one, OutputBatch::Gossip { message: P2pMessage::IDontWant { .. }, .. })
    };
    let batches: Vec<_> = fixture.node.drain_batches().collect();
    let order: Vec<bool> = batches.iter().map(is_idontwant).collect();
    assert_eq!(order, [true, false], "one batch of IDONTWANT is followed by one batch of the message");
}

#[test]
fn idontwant_of_a_message_in_a_batch_is_sent_once() {
    let mut fixture = default_fixture();
    drain_sent(&mut fixture);
    let now = fixture.now();
    for sender in [99, 98] {
        let outcome = fixture.node.receive_message(&sender, full(7).into(), ValidationMode::Batched, now);
        assert_eq!(outcome, ReceiveOutcome::Batched);
    }
    assert_eq!(drain_sent(&mut fixture).0, idontwant_to_mesh(&fixture, 99));
}

#[test]
fn idontwant_of_an_invalid_message_is_sent_once_per_heartbeat() {
    let mut fixture =
        joined_with_large_messages(Setup::new().limits(|limits| limits.extensions.invalid_memory_ticks = 0));
    fixture.make_all_messages_invalid();
    drain_sent(&mut fixture);
    for is_sent in [true, false, false] {
        assert_eq!(fixture.deliver(99, 7), ReceiveOutcome::Invalid);
        assert_eq!(!drain_sent(&mut fixture).0.is_empty(), is_sent);
    }
    fixture.heartbeat();
    drain_sent(&mut fixture);
    fixture.deliver(99, 7);
    assert_eq!(drain_sent(&mut fixture).0, idontwant_to_mesh(&fixture, 99));
}

#[test]
fn no_idontwant_is_sent_for_small_or_own_messages() {
    let mut fixture = default_fixture();
    drain_sent(&mut fixture);
    fixture.publish(7);
    fixture.set_message_size(LARGE - 1);
    fixture.deliver(99, 8);
    assert_eq!(drain_sent(&mut fixture).0, []);
}

#[test]
fn no_idontwant_is_sent_to_bootstrap_peers() {
    let mut fixture = default_fixture();
    fixture.connect(99, ConnectionInfo::outbound().bootstrap());
    fixture.subscribe(99);
    fixture.graft(99);
    assert!(fixture.mesh().contains(&99));
    drain_sent(&mut fixture);
    fixture.deliver(98, 7);
    assert!(drain_sent(&mut fixture).0.iter().all(|(peer, _)| *peer != 99));
}

#[test]
fn without_the_extension_idontwant_is_neither_sent_nor_applied() {
    let mut fixture =
        joined_with_large_messages(Setup::new().limits(|limits| limits.extensions = Extensions::none()));
    assert_eq!(fixture.idontwant(0, 7..8), IDontWantOutcome::SwitchedOff);
    drain_sent(&mut fixture);
    let to = routed(fixture.deliver(99, 7));
    assert_eq!(drain_sent(&mut fixture), (Vec::new(), to));
}

#[test]
fn a_message_is_not_sent_to_a_mesh_peer_that_sent_idontwant() {
    for validation_mode in BOTH {
        let mut fixture = joined_with_large_messages(Setup::new().validation_mode(validation_mode));
        let (one, mesh) = (*fixture.mesh().first().expect("the mesh is not empty"), fixture.mesh());
        assert_eq!(fixture.idontwant(one, 7..9), IDontWantOutcome::Recorded { ids: 2 });
        drain_sent(&mut fixture);
        assert_eq!(routed(fixture.deliver(99, 7)), mesh);
        let mut receivers = mesh.clone();
        receivers.remove(&one);
        assert_eq!(drain_sent(&mut fixture).1, receivers);
        // The same applies to our own messages, but not to messages with other ids.
        assert_eq!(BTreeSet::from_iter(fixture.publish(8)), mesh);
        assert_eq!(drain_sent(&mut fixture).1, receivers);
        fixture.deliver(99, 9);
        assert_eq!(drain_sent(&mut fixture).1, mesh);
    }
}

#[test]
fn a_small_message_is_sent_in_spite_of_idontwant() {
    let mut fixture = default_fixture();
    let mesh = fixture.mesh();
    fixture.idontwant(*mesh.first().expect("the mesh is not empty"), 7..8);
    fixture.set_message_size(LARGE - 1);
    drain_sent(&mut fixture);
    fixture.deliver(99, 7);
    assert_eq!(drain_sent(&mut fixture).1, mesh);
}

/// Case 15 of field.md, section 5.
#[test]
fn iwant_of_a_message_that_the_peer_declined_is_not_answered() {
    let mut fixture = default_fixture();
    fixture.publish(7);
    fixture.idontwant(24, 7..8);
    assert_eq!(fixture.iwant(24, 7), IWantAnswer::Declined);
    assert!(matches!(fixture.iwant(25, 7), IWantAnswer::Message(_)));
    assert!(!drain_sent(&mut fixture).1.contains(&24));
}

/// Case 19 of field.md, section 5.
#[test]
fn idontwant_of_an_own_message_is_sent_before_it_if_enabled() {
    for enabled in [false, true] {
        let setup = Setup::new().limits(|limits| limits.extensions.idontwant_on_publish = enabled);
        let mut fixture = joined_with_large_messages(setup);
        let mesh = fixture.mesh();
        drain_sent(&mut fixture);
        fixture.publish(7);
        let outputs = fixture.node.drain().p2p;
        let position = |peer: u32, is_wanted: &dyn Fn(&P2pMessage<Plain>) -> bool| {
            outputs.iter().position(|output| match output {
                P2pOutput::OutMessage { to_peer, message } => *to_peer == peer && is_wanted(message),
                _ => false,
            })
        };
        for peer in mesh {
            let message = position(peer, &|message| matches!(message, P2pMessage::FullMessage(_)));
            let idontwant = position(
                peer,
                &|message| matches!(message, P2pMessage::IDontWant { message_ids } if *message_ids == [7]),
            );
            assert_eq!(idontwant.is_some(), enabled);
            assert!(message.is_some() && idontwant < message, "{idontwant:?} {message:?}");
        }
    }
}

#[test]
fn idontwant_expires_after_the_configured_heartbeats() {
    for ticks in 1..=4 {
        let mut fixture = joined_with_large_messages(
            Setup::new().limits(|limits| limits.extensions.idontwant_ticks = ticks),
        );
        for passed in 0..=ticks {
            assert_eq!(fixture.mesh().len(), 6);
            let one = *fixture.mesh().first().expect("the mesh is not empty");
            let id = passed as u32;
            fixture.idontwant(one, id..id + 1);
            (0..passed).for_each(|_| drop(fixture.heartbeat()));
            assert!(fixture.mesh().contains(&one));
            drain_sent(&mut fixture);
            fixture.deliver(99, id);
            assert_eq!(
                drain_sent(&mut fixture).1.contains(&one),
                passed == ticks,
                "after {passed} of {ticks}"
            );
        }
        (0..ticks).for_each(|_| drop(fixture.heartbeat()));
        assert_eq!(fixture.node.footprint().peer_idontwant, 0);
    }
}

#[test]
fn idontwant_ids_of_a_peer_are_limited_per_heartbeat() {
    let mut fixture = joined_with_large_messages(
        Setup::new().limits(|limits| limits.extensions.max_idontwant_per_heartbeat = 10),
    );
    assert_eq!(fixture.idontwant(0, 0..8), IDontWantOutcome::Recorded { ids: 8 });
    assert_eq!(fixture.idontwant(0, 8..12), IDontWantOutcome::TooMany { ignored: 2, max: 10 });
    assert_eq!(fixture.idontwant(0, 12..13), IDontWantOutcome::TooMany { ignored: 1, max: 10 });
    assert_eq!(fixture.idontwant(1, 12..13), IDontWantOutcome::Recorded { ids: 1 });
    assert_eq!(fixture.node.footprint().peer_idontwant, 11);
    fixture.heartbeat();
    assert_eq!(fixture.idontwant(0, 20..30), IDontWantOutcome::Recorded { ids: 10 });
    assert_eq!(fixture.node.footprint().peer_idontwant, 21);
}

#[test]
fn sent_idontwants_of_a_topic_are_limited_per_heartbeat() {
    let mut fixture = joined_with_large_messages(
        Setup::new().limits(|limits| limits.extensions.max_idontwant_per_heartbeat = 2),
    );
    drain_sent(&mut fixture);
    (0..5).for_each(|id| drop(fixture.deliver(99, id)));
    assert_eq!(drain_sent(&mut fixture).0.len(), 2 * fixture.mesh().len());
    assert_eq!(fixture.node.footprint().sent_idontwant, 2);
    fixture.heartbeat();
    drain_sent(&mut fixture);
    fixture.deliver(99, 5);
    assert_eq!(drain_sent(&mut fixture).0.len(), fixture.mesh().len());
}

#[test]
fn idontwant_of_unconnected_and_low_scored_peers_is_ignored() {
    let mut fixture = default_fixture();
    assert_eq!(fixture.idontwant(99, 7..8), IDontWantOutcome::UnknownPeer);
    fixture.set_application_score(3, -1.0);
    let outcome = fixture.idontwant(3, 7..8);
    assert!(matches!(outcome, IDontWantOutcome::LowScore { threshold: 0.0, .. }), "{outcome:?}");
    assert_eq!(fixture.node.footprint().peer_idontwant, 0);
}

#[test]
fn idontwant_ids_of_a_peer_are_removed_when_it_disconnects() {
    let mut fixture = default_fixture();
    fixture.idontwant(3, 0..100);
    assert_eq!(fixture.node.footprint().peer_idontwant, 100);
    let now = fixture.now();
    fixture.node.remove_peer(&3, now);
    assert_eq!(fixture.node.footprint().peer_idontwant, 0);
    fixture.connect(3, ConnectionInfo::inbound().direct());
    fixture.subscribe(3);
    fixture.advance(SECOND);
    drain_sent(&mut fixture);
    let message = Arc::new(full(7));
    fixture.node.receive_message(&99, message, ValidationMode::Sequential, now);
    assert!(drain_sent(&mut fixture).1.contains(&3));
}
