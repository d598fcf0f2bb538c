//! These tests check messages that expire ([`Network::expires_at`](actix_gossipsub::Network::expires_at)).

use std::sync::Arc;

use actix_gossipsub::{
    P2pMessage, P2pOutput,
    protocol::{IHaveOutcome, IWantAnswer, PublishOutcome, ReceiveOutcome, Timestamp, ValidationMode},
};

use super::setup::{BOTH, Fixture, MANY, SECOND, Setup, assert_score, full};

/// A message that expires, and one that does not.
const ID: u32 = 7;
const LASTING: u32 = 8;

fn at(seconds: u32) -> Timestamp {
    Timestamp::ZERO.after(SECOND * seconds)
}

/// A node whose mesh has D of its subscribers. The message expires after `seconds`.
fn expiring(setup: Setup, seconds: u32) -> Fixture {
    let mut fixture = setup.connected(MANY).subscribed().joined().start();
    fixture.set_expiry(ID, at(seconds));
    fixture.node.drain();
    fixture
}

/// The ids that were offered by IHAVE, each once.
fn offered(fixture: &mut Fixture) -> Vec<u32> {
    let outputs = fixture.node.drain().p2p.into_iter();
    let mut ids: Vec<u32> = outputs
        .filter_map(|output| match output {
            P2pOutput::OutMessage { message: P2pMessage::IHave { message_ids, .. }, .. } => Some(message_ids),
            _ => None,
        })
        .flatten()
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[test]
fn an_expired_message_is_outdated_before_it_is_validated_and_costs_its_senders_nothing() {
    for validation_mode in BOTH {
        let mut fixture = expiring(Setup::new().validation_mode(validation_mode), 2);
        fixture.advance(2 * SECOND);
        assert_eq!(fixture.deliver(1, ID), ReceiveOutcome::Outdated);
        assert_eq!(fixture.deliver(2, ID), ReceiveOutcome::Outdated);
        [1, 2].iter().for_each(|peer| assert_score(&fixture, *peer, 0.0));
        assert_eq!(fixture.validations(), 0);
        assert!(!fixture.is_cached(ID));
        let outputs = fixture.node.drain();
        assert!(outputs.p2p.is_empty() && outputs.app.is_empty(), "{outputs:?}");
    }
}

/// Nothing of an expired message is checked. A forged one with the id of another message does not stand in its way.
#[test]
fn the_id_of_a_message_that_expired_before_its_validation_is_not_remembered() {
    for (validation_mode, remember_ignored) in BOTH.into_iter().flat_map(|mode| [(mode, true), (mode, false)])
    {
        let setup = Setup::new().validation_mode(validation_mode);
        let mut fixture =
            expiring(setup.limits(|limits| limits.extensions.remember_ignored = remember_ignored), 2);
        fixture.advance(2 * SECOND);
        assert_eq!(fixture.deliver(1, ID), ReceiveOutcome::Outdated);
        fixture.set_expiry(ID, at(20));
        assert_eq!(fixture.ihave(3, ID..ID + 1), IHaveOutcome::Requested { ids: vec![ID] });
        assert!(matches!(fixture.deliver(2, ID), ReceiveOutcome::Route { .. }), "{validation_mode:?}");
        assert!(fixture.is_cached(ID));
    }
}

/// The hook may have to read the content.
#[test]
fn the_engine_asks_once_for_a_message_and_once_more_after_a_batch() {
    for (validation_mode, expected) in BOTH.into_iter().zip([1, 2]) {
        let mut fixture = expiring(Setup::new().validation_mode(validation_mode), 2);
        assert!(matches!(fixture.deliver(1, ID), ReceiveOutcome::Route { .. }));
        assert_eq!(fixture.expiry_calls(), expected, "{validation_mode:?}");
        // Not for copies.
        assert_eq!(fixture.deliver(2, ID), ReceiveOutcome::AlreadyReceived);
        fixture.next_heartbeat();
        assert!(matches!(fixture.iwant(2, ID), IWantAnswer::Message(_)));
        assert_eq!(fixture.expiry_calls(), expected, "{validation_mode:?}");
        fixture.publish(LASTING);
        assert_eq!(fixture.expiry_calls(), expected + 1, "{validation_mode:?}");
    }
}

/// A copy that comes after the expiry joins the first one, whose verdict counts.
#[test]
fn a_copy_of_a_message_under_validation_is_not_asked_for_its_expiry() {
    let mut fixture = expiring(Setup::new(), 2);
    let receive = |fixture: &mut Fixture, peer, seconds| {
        let now = fixture.now().after(SECOND * seconds);
        fixture.node.receive_message(&peer, Arc::new(full(ID)), ValidationMode::Batched, now)
    };
    assert_eq!(receive(&mut fixture, 1, 0), ReceiveOutcome::Batched);
    assert_eq!(receive(&mut fixture, 2, 2), ReceiveOutcome::Batched);
    assert_eq!(fixture.expiry_calls(), 1);
    fixture.make_all_messages_invalid();
    fixture.advance(3 * SECOND);
    fixture.node.process_batch(fixture.now());
    // Both delivered an invalid message.
    [1, 2].iter().for_each(|peer| assert!(fixture.score(*peer) < 0.0));
}

#[test]
fn a_message_is_valid_until_the_moment_at_which_it_expires() {
    let mut fixture = expiring(Setup::new(), 2);
    fixture.advance(2 * SECOND - std::time::Duration::from_nanos(1));
    assert!(matches!(fixture.deliver(1, ID), ReceiveOutcome::Route { .. }));
}

/// An invalid message does not escape its penalty because it says that it has expired.
#[test]
fn a_copy_of_an_invalid_message_stays_invalid_when_it_expires() {
    let mut fixture = expiring(Setup::new().limits(|l| l.extensions.invalid_memory_ticks = 10), 2);
    fixture.make_all_messages_invalid();
    assert_eq!(fixture.deliver(1, ID), ReceiveOutcome::Invalid);
    fixture.advance(2 * SECOND);
    assert_eq!(fixture.deliver(2, ID), ReceiveOutcome::Invalid);
}

#[test]
fn a_message_that_expires_in_the_history_is_offered_and_sent_to_nobody() {
    let mut fixture = expiring(Setup::new(), 2);
    [ID, LASTING].into_iter().for_each(|id| drop(fixture.deliver(1, id)));
    fixture.next_heartbeat();
    assert_eq!(offered(&mut fixture), [ID, LASTING]);
    assert!(matches!(fixture.iwant(2, ID), IWantAnswer::Message(_)));
    // Not even before the heartbeat that removes it.
    fixture.advance(SECOND);
    assert_eq!(fixture.iwant(2, ID), IWantAnswer::NotFound);
    assert_eq!(fixture.view().gossip[&0], [LASTING]);
    let selected = fixture.node.select_gossip(fixture.now());
    assert!(!selected.is_empty() && selected.iter().all(|(_, _, ids)| *ids == [LASTING]), "{selected:?}");
    fixture.node.drain();
    fixture.heartbeat();
    assert_eq!(offered(&mut fixture), [LASTING]);
    assert!(!fixture.is_cached(ID) && fixture.is_cached(LASTING));
    let footprint = fixture.node.footprint();
    assert_eq!((footprint.history, footprint.topic_by_message_id), (1, 1), "{footprint:?}");
    // It stays a duplicate.
    assert_eq!(fixture.deliver(3, ID), ReceiveOutcome::AlreadyReceived);
    for _ in 0..fixture.limits.history_length {
        fixture.next_heartbeat();
    }
    assert_eq!(fixture.node.footprint().history_bytes, 0);
}

/// Each heartbeat removes those whose time is over, whatever the order in which they came.
#[test]
fn messages_leave_the_history_in_the_order_in_which_they_expire() {
    let setup =
        Setup::new().limits(|limits| (limits.history_length, limits.history_gossip_length) = (20, 20));
    let mut fixture = expiring(setup, 1);
    for id in 100..110 {
        fixture.set_expiry(id, at(1 + (id * 7) % 10));
        fixture.deliver(1, id);
    }
    for second in 1..=10 {
        fixture.next_heartbeat();
        let expected: Vec<u32> = (100..110).filter(|id| 1 + (id * 7) % 10 > second).collect();
        assert_eq!(offered(&mut fixture), expected, "after {second} s");
        assert_eq!(fixture.node.footprint().history, expected.len());
    }
}

/// A new subscriber is offered what was published to few peers, but not when that is over.
#[test]
fn a_publication_that_has_expired_is_not_offered_to_a_new_subscriber() {
    let setup = || Setup::new().limits(|limits| limits.extensions.publish_reaches_degree_optimal = true);
    for (seconds, expected) in [(0, vec![ID, LASTING]), (2, vec![LASTING])] {
        let mut fixture = setup().connected(0..1).joined().start();
        fixture.set_expiry(ID, at(2));
        [ID, LASTING].into_iter().for_each(|id| drop(fixture.publish(id)));
        fixture.advance(SECOND * seconds);
        fixture.node.drain();
        fixture.subscribe(0);
        assert_eq!(offered(&mut fixture), expected);
    }
}

#[test]
fn a_message_that_expires_while_it_awaits_its_verdict_is_outdated() {
    let mut fixture = expiring(Setup::new(), 2);
    fixture.make_all_messages_unknown(true);
    assert_eq!(fixture.deliver(1, ID), ReceiveOutcome::Unknown);
    fixture.make_all_messages_unknown(false);
    fixture.advance(2 * SECOND);
    fixture.node.check_parked(fixture.now());
    assert_eq!(fixture.validations(), 1);
    assert!(!fixture.is_cached(ID));
    assert_eq!(fixture.deliver(2, ID), ReceiveOutcome::Outdated);

    let mut fixture = expiring(Setup::new(), 2);
    let batched =
        fixture.node.receive_message(&1, Arc::new(full(ID)), ValidationMode::Batched, fixture.now());
    assert_eq!(batched, ReceiveOutcome::Batched);
    fixture.advance(2 * SECOND);
    fixture.node.process_batch(fixture.now());
    assert_eq!(fixture.validations(), 1);
    let outputs = fixture.node.drain();
    assert!(outputs.p2p.is_empty() && outputs.app.is_empty(), "{outputs:?}");
    assert!(!fixture.is_cached(ID));
    assert_score(&fixture, 1, 0.0);
}

#[test]
fn an_expired_message_is_not_published_and_changes_nothing() {
    let mut fixture = expiring(Setup::new(), 2);
    fixture.advance(2 * SECOND);
    let before = format!("{:?}", fixture.view());
    assert_eq!(fixture.node.publish(full(ID), fixture.now()), PublishOutcome::Outdated);
    assert_eq!(format!("{:?}", fixture.view()), before);
    assert!(fixture.node.drain().p2p.is_empty());
    assert!(!fixture.publish(LASTING).is_empty());
}
