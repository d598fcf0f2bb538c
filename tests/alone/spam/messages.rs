//! Full messages.

use actix_gossipsub::protocol::View;

use super::{HEAP, support::*, world::World};

#[test]
fn invalid_messages_cost_the_peer_its_place_and_the_gossip() {
    besieged(
        |limits| limits.bounds.max_invalid_per_topic = 1000,
        async |siege| {
            siege.say(graft(ATTACKER, ATTACKED));
            let toll = siege.attack(50_000, |number| message(ATTACKER, ATTACKED, number, b"i")).await;
            assert_eq!(siege.heard.delivered, 0);
            assert!(siege.score().await < siege.limits().publish_threshold);
            siege.assert_nothing_kept(&toll);
            let remembered = toll.after.footprint;
            let bytes = remembered.invalid * message_bytes(b"i");
            assert_eq!((remembered.invalid, remembered.invalid_bytes), (1000, bytes));
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
    const COPIES: usize = 10_000;
    besieged(
        |_| {},
        async |siege| {
            let toll = siege.attack(COPIES, |_| message(ATTACKER, ATTACKED, 1, b"i")).await;
            assert_eq!(siege.validated_of_others(), 1);
            siege.assert_nothing_kept(&toll);
            assert_eq!(toll.after.footprint.invalid, 1);
            // Each copy costs all the same, whoever sends it.
            siege.say(message(0, ATTACKED, 1, b"i"));
            let invalid = |siege: &View<Field>, peer: u64| siege.scores[&peer].topics[&ATTACKED].invalid;
            let view = siege.view().await;
            assert_eq!((invalid(&view, ATTACKER), invalid(&view, 0)), (COPIES as f64, 1.0));
            assert_eq!(siege.validated_of_others(), 1);
        },
    );
}

#[test]
fn an_invalid_message_is_remembered_for_some_ticks() {
    besieged(
        |limits| limits.extensions.invalid_memory_ticks = 4,
        async |siege| {
            siege.say(message(ATTACKER, ATTACKED, 1, b"i"));
            siege.pass(3).await;
            siege.say(message(ATTACKER, ATTACKED, 1, b"i"));
            assert_eq!(siege.burden().await.footprint.invalid, 1);
            assert_eq!(siege.validated_of_others(), 1);
            siege.pass(1).await;
            let forgotten = siege.burden().await.footprint;
            assert_eq!((forgotten.invalid, forgotten.invalid_bytes), (0, 0));
            siege.say(message(ATTACKER, ATTACKED, 1, b"i"));
            siege.rest().await;
            assert_eq!(siege.validated_of_others(), 2);
        },
    );
}

#[test]
fn rubbish_under_the_id_of_an_honest_message_does_not_keep_that_out() {
    besieged(
        |_| {},
        async |siege| {
            siege.say(message(ATTACKER, ATTACKED, 1, b"i"));
            siege.say(message(0, ATTACKED, 1, b"v"));
            siege.rest().await;
            assert_eq!(siege.heard.delivered, 1);
            let view = siege.view().await;
            assert_eq!(view.scores[&0].topics[&ATTACKED].invalid, 0.0);
            assert_eq!(view.scores[&0].topics[&ATTACKED].first, 1.0);
        },
    );
}

#[test]
fn large_invalid_messages_are_remembered_within_their_bytes() {
    const LARGE: usize = 10_000;
    besieged(
        |limits| limits.bounds.max_invalid_bytes_per_topic = 50 * LARGE,
        async |siege| {
            let large = [b'i'; LARGE];
            let toll = siege.attack(1000, |number| message(ATTACKER, ATTACKED, number, &large)).await;
            siege.assert_nothing_kept(&toll);
            let most = siege.limits().bounds.max_invalid_bytes_per_topic / message_bytes(&large);
            assert_eq!(toll.after.footprint.invalid, most);
            assert!(toll.bytes() <= siege.limits().bounds.max_invalid_bytes_per_topic + siege.slack());
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
            assert_eq!(delivered, 1.0, "deliveries credited (P3) for one message");
        },
    );
}

#[test]
fn of_those_who_repeat_a_message_as_many_are_credited_as_are_remembered() {
    let mut world = World::new(|limits| {
        limits.bounds.max_co_senders = 3;
        (limits.degree_low, limits.degree_optimal, limits.degree_high) = (8, 8, 8);
    });
    world.join(ATTACKED);
    for peer in 0..8 {
        world.connect(peer);
        world.node.graft(&peer, &ATTACKED, world.now);
    }
    for peer in (0..8).chain(0..8) {
        world.receive(peer, ATTACKED, Id::new(ATTACKED, 1), b"v");
    }
    let scores = world.node.view(world.now).scores;
    let credited: Vec<_> = scores.values().map(|score| score.topics[&ATTACKED].delivered).collect();
    assert_eq!(credited, [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
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
