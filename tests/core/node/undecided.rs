//! These tests check that a message which awaits its verdict is not requested by IWANT, and that this ends with the wait.

use std::sync::Arc;

use actix_gossipsub::protocol::{IHaveOutcome, ReceiveOutcome, ValidationMode};

use super::setup::{Fixture, SECOND, Setup, full};

/// What is requested of the messages 7 and 8.
fn requested(fixture: &mut Fixture) -> Vec<u32> {
    match fixture.ihave(2, 7..9) {
        IHaveOutcome::Requested { mut ids } => {
            ids.sort_unstable();
            ids
        }
        other => panic!("{other:?}"),
    }
}

fn receive_batched(fixture: &mut Fixture, peer: u32, id: u32) {
    let now = fixture.now();
    let outcome = fixture.node.receive_message(&peer, Arc::new(full(id)), ValidationMode::Batched, now);
    assert_eq!(outcome, ReceiveOutcome::Batched);
}

fn joined(setup: Setup) -> Fixture {
    setup
        .limits(|limits| limits.extensions.iwant_from_one_peer = false)
        .connected(0..4)
        .subscribed()
        .joined()
        .start()
}

#[test]
fn a_message_of_a_batch_is_not_requested() {
    let mut fixture = joined(Setup::new());
    receive_batched(&mut fixture, 1, 7);
    assert_eq!(requested(&mut fixture), [8]);
    fixture.node.process_batch(fixture.now());
    assert_eq!(requested(&mut fixture), [8], "it is seen");
}

#[test]
fn a_message_that_a_full_batch_drops_is_requested_again() {
    let mut fixture = joined(Setup::new().limits(|limits| limits.bounds.max_batch_items = 1));
    receive_batched(&mut fixture, 1, 7);
    receive_batched(&mut fixture, 1, 8);
    assert_eq!(requested(&mut fixture), [8]);
    assert_eq!(fixture.node.drain().throttled, 1);
}

#[test]
fn a_parked_message_is_not_requested_until_it_is_dropped_or_decided() {
    let mut fixture = joined(Setup::new().limits(|limits| limits.extensions.parked_ticks = 2));
    fixture.make_all_messages_unknown(true);
    assert_eq!(fixture.deliver(1, 7), ReceiveOutcome::Unknown);
    assert_eq!(requested(&mut fixture), [8]);
    // It is validated again, and parked again.
    for _ in 0..2 {
        fixture.node.check_parked(fixture.now());
        assert_eq!(requested(&mut fixture), [8]);
    }
    fixture.node.check_parked(fixture.now());
    assert_eq!(fixture.node.drain().expired, 1);
    assert_eq!(requested(&mut fixture), [7, 8]);

    fixture.deliver(1, 7);
    fixture.make_all_messages_unknown(false);
    fixture.make_all_messages_invalid();
    fixture.node.check_parked(fixture.now());
    assert_eq!(requested(&mut fixture), [8], "it is rejected");
}

#[test]
fn a_parked_message_that_is_evicted_is_requested_again() {
    let mut fixture = joined(Setup::new().limits(|limits| limits.bounds.max_parked_messages = 1));
    fixture.make_all_messages_unknown(true);
    fixture.deliver(1, 8);
    assert_eq!(requested(&mut fixture), [7]);
    // The greatest id is dropped: that of the parked message, and then that of the new one.
    fixture.deliver(1, 7);
    assert_eq!(requested(&mut fixture), [8]);
    fixture.deliver(1, 8);
    assert_eq!(requested(&mut fixture), [8]);
    assert_eq!(fixture.node.drain().throttled, 2);
}

#[test]
fn without_the_extension_messages_without_a_verdict_are_requested() {
    let mut fixture = joined(Setup::new().limits(|limits| limits.extensions.iwant_skips_undecided = false));
    receive_batched(&mut fixture, 1, 7);
    fixture.make_all_messages_unknown(true);
    fixture.deliver(1, 8);
    assert_eq!(requested(&mut fixture), [7, 8]);
}

/// Case 35 (jvm). The engine's test of it has an asynchronous validation.
#[test]
fn a_requested_message_that_awaits_its_verdict_at_the_deadline_breaks_no_promise() {
    let setup = Setup::new().limits(|limits| {
        limits.extensions.iwant_followup_time = SECOND;
        limits.score.behaviour_penalty_decay = 1.0;
    });
    let mut fixture = joined(setup);
    assert_eq!(requested(&mut fixture), [7, 8]);
    // One of both is tracked.
    [7, 8].iter().for_each(|id| receive_batched(&mut fixture, 1, *id));
    fixture.advance(SECOND * 2);
    fixture.heartbeat();
    assert_eq!(fixture.view().scores[&2].behaviour_penalty, 0.0);
    fixture.ihave(3, 9..10);
    fixture.advance(SECOND * 2);
    fixture.heartbeat();
    assert_eq!(fixture.view().scores[&3].behaviour_penalty, 1.0, "an unanswered request breaks one");
}
