//! Full messages.

use std::sync::atomic::Ordering;

use crate::{HEAP, support::*};

#[test]
fn invalid_messages_cost_the_peer_its_place_and_the_gossip() {
    besieged(
        |_| {},
        async |siege| {
            siege.say(graft(ATTACKER, ATTACKED));
            let toll = siege.attack(50_000, |number| message(ATTACKER, ATTACKED, number, b"i")).await;
            assert_eq!(siege.heard.delivered, 0);
            assert!(siege.score().await < siege.limits().publish_threshold);
            siege.assert_nothing_kept(&toll);
            siege.pass(1).await;
            assert!(!siege.view().await.mesh[&ATTACKED].contains(&ATTACKER));
            assert_eq!(siege.heard.prunes, 1);
            siege.say(ihave(ATTACKER, ATTACKED, vec![Id::new(ATTACKED, 1 << 40)]));
            assert!(!siege.is_answered().await);
            assert_eq!(siege.heard.iwants, 0);
        },
    );
}

#[test]
fn an_invalid_message_is_validated_once_however_often_it_comes() {
    besieged(
        |_| {},
        async |siege| {
            siege.attack(10_000, |_| message(ATTACKER, ATTACKED, 1, b"i")).await;
            let honest = siege.burden().await;
            let validated = siege.field.validated.load(Ordering::Relaxed);
            assert!(validated < 100, "validated {validated} times: {honest:?}");
        },
    );
}

#[test]
fn duplicates_are_dropped() {
    besieged(
        |_| {},
        async |siege| {
            siege.say(graft(ATTACKER, ATTACKED));
            siege.say(message(ATTACKER, ATTACKED, 1, b"v"));
            let before = siege.burden().await;
            let toll = siege.attack(100_000, |_| message(ATTACKER, ATTACKED, 1, b"v")).await;
            assert_eq!(siege.heard.delivered, 1);
            assert_eq!(toll.after.footprint, before.footprint);
            siege.assert_nothing_kept(&toll);
            // Once for the first, and never for a copy.
            let view = siege.view().await;
            assert!(view.scores[&ATTACKER].topics[&ATTACKED].first <= 1.0);
        },
    );
}

#[test]
fn who_repeats_the_message_of_another_is_credited_once() {
    besieged(
        |_| {},
        async |siege| {
            siege.say(graft(ATTACKER, ATTACKED));
            siege.say(message(0, ATTACKED, 1, b"v"));
            siege.rest().await;
            let toll = siege.attack(1000, |_| message(ATTACKER, ATTACKED, 1, b"v")).await;
            siege.assert_nothing_kept(&toll);
            let delivered = siege.view().await.scores[&ATTACKER].topics[&ATTACKED].delivered;
            assert!(delivered <= 1.0, "{delivered} deliveries credited (P3) for one message");
        },
    );
}

#[test]
fn of_undecidable_messages_as_many_are_parked_as_may() {
    besieged(
        |limits| limits.bounds.max_parked_messages = 500,
        async |siege| {
            let toll = siege.attack(50_000, |number| message(ATTACKER, ATTACKED, number, b"u")).await;
            let parked = siege.limits().bounds.max_parked_messages;
            assert_eq!(toll.after.footprint.parked, parked);
            assert_eq!(siege.heard.delivered, 0);
            assert!(toll.bytes() <= parked * ENTRY + siege.slack(), "{} bytes", toll.bytes());
            siege.worker.check_parked().await;
            assert_eq!(siege.burden().await.footprint.parked, parked);
        },
    );
}

#[test]
fn messages_on_topics_that_we_are_not_in_leave_no_trace() {
    besieged(
        |_| {},
        async |siege| {
            let toll = siege.attack(100_000, |number| message(ATTACKER, NOT_JOINED + number, 1, b"v")).await;
            assert_eq!(siege.heard, Heard::default());
            siege.assert_nothing_kept(&toll);
        },
    );
}

#[test]
fn large_messages_wait_within_the_bound_and_the_honest_get_in() {
    const LARGE: usize = 100_000;
    besieged_on(
        0,
        |limits| limits.bounds.max_input_bytes = 40 * LARGE,
        async |siege| {
            let before = HEAP.current_usage();
            let large = |number| message(ATTACKER, ATTACKED, number, &vec![b'i'; LARGE]);
            let taken = (0..200).filter(|number| siege.worker.p2p_input(large(*number)).is_ok()).count();
            let held = HEAP.current_usage().saturating_sub(before);
            assert!((1..40).contains(&taken), "{taken} taken");
            let bound = siege.limits().bounds.max_input_bytes;
            assert!(held <= bound + siege.slack(), "{held} bytes wait, {bound} may");
            siege.speak(CALM);
            siege.speak(ATTACKED);
            siege.rest().await;
            let after = HEAP.current_usage().saturating_sub(before);
            assert!(after <= siege.slack(), "{after} bytes kept");
            assert!(siege.score().await < siege.limits().gossip_threshold);
        },
    );
}
