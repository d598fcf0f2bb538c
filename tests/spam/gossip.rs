//! IHAVE and IWANT.

use actix_gossipsub::{
    Refused,
    protocol::{IHaveOutcome, IWantAnswer, IWantOutcome, ReceiveOutcome},
};

use crate::{HEAP, support::*, world::World};

#[test]
fn iwant_spam_is_answered_as_often_as_allowed() {
    besieged(
        |_| {},
        async |siege| {
            let id = siege.speak(ATTACKED);
            let toll = siege.attack(100_000, |_| iwant(ATTACKER, vec![id.clone()])).await;
            assert_eq!(siege.heard.messages, siege.limits().max_gossip_retransmission as usize);
            siege.assert_nothing_kept(&toll);
        },
    );
}

#[test]
fn iwant_of_what_nobody_has_is_not_answered_and_creates_nothing() {
    besieged(
        |_| {},
        async |siege| {
            let ids = |from: u64| (0..1000).map(|number| Id::new(from + number, number)).collect();
            let toll = siege.attack(1000, |number| iwant(ATTACKER, ids(number * 1000))).await;
            assert_eq!(siege.heard, Heard::default());
            siege.assert_nothing_kept(&toll);
        },
    );
    let mut world = World::new(|_| {});
    world.connect(1);
    let before = world.node.footprint();
    let ids: Vec<_> = (0..10_000).map(|topic| Id::new(topic, 1)).collect();
    let IWantOutcome::Answered { ids } = world.node.iwant(&1, ids, world.now) else { panic!("answered") };
    assert!(ids.len() == 10_000 && ids.values().all(|answer| *answer == IWantAnswer::NotFound));
    assert_eq!(world.node.footprint(), before);
}

#[test]
fn ihave_spam_is_looked_at_as_often_as_allowed_in_a_heartbeat() {
    besieged(
        |_| {},
        async |siege| {
            let ids = |from: u64| (0..20).map(|id| Id::new(ATTACKED, from * 20 + id)).collect();
            for heartbeat in 1..=3 {
                let from = heartbeat * 10_000;
                let toll = siege.attack(10_000, |number| ihave(ATTACKER, ATTACKED, ids(from + number))).await;
                let asked = siege.limits().max_recv_ihave_per_heartbeat as usize * 20;
                assert_eq!(siege.heard.iwants, heartbeat as usize * asked);
                assert_eq!(toll.after.footprint.quotas, 1);
                assert!(toll.bytes() <= siege.slack());
                siege.pass(1).await;
            }
            siege.pass(siege.limits().seen_history_length).await;
            assert_eq!(siege.burden().await.footprint.quotas, 0);
        },
    );
}

#[test]
fn ids_that_are_offered_and_never_sent_cost_the_peer() {
    besieged(
        |_| {},
        async |siege| {
            siege.say(ihave(ATTACKER, ATTACKED, (0..1000).map(|id| Id::new(ATTACKED, id)).collect()));
            siege.pass(10).await;
            assert!(siege.view().await.scores[&ATTACKER].behaviour_penalty > 0.0);
        },
    );
}

/// More ids than any transport lets through.
const LONG: u64 = 500_000;

#[test]
fn long_lists_of_ids_cost_no_more_than_their_length() {
    besieged(
        |_| {},
        async |siege| {
            let ids = |topic| -> Vec<_> { (0..LONG).map(|number| Id::new(topic, number)).collect() };
            let list = LONG as usize * (size_of::<Id>() + size_of::<u64>());
            let max = siege.limits().max_sent_iwant_per_heartbeat as usize;
            let toll = siege.attack(1, |_| ihave(ATTACKER, ATTACKED, ids(ATTACKED))).await;
            assert_eq!(siege.heard.iwants, max);
            assert_eq!(toll.after.footprint.quotas, 1);
            // The list as it came, what is wanted of it while both grow, and the answers.
            assert!(toll.peak <= 4 * list + siege.slack(), "{} for {list}", toll.peak);
            assert!(toll.bytes() <= siege.slack() + max * ENTRY);
            for topic in [ATTACKED, NOT_JOINED] {
                let toll = siege.attack(1, |_| iwant(ATTACKER, ids(topic))).await;
                assert!(toll.peak <= 4 * list + siege.slack(), "{} for {list}", toll.peak);
                siege.assert_nothing_kept(&toll);
            }
            assert_eq!(siege.heard.messages, 0);
        },
    );
}

#[test]
fn empty_and_oversized_ids_are_invalid_and_cost_the_peer() {
    for length in [0, 1 << 20] {
        besieged(
            |_| {},
            async |siege| {
                assert!(siege.is_answered().await);
                let ids = || vec![Id::new(ATTACKED, 1), Id::of_length(ATTACKED, length)];
                let toll = siege.attack(10, |_| ihave(ATTACKER, ATTACKED, ids())).await;
                assert!(siege.score().await < siege.limits().gossip_threshold);
                assert_eq!(siege.heard.iwants, 0);
                assert!(!siege.is_answered().await);
                assert!(toll.bytes() <= siege.slack(), "{} bytes kept", toll.bytes());
                let id = || Id::of_length(ATTACKED, length);
                let toll = siege.attack(10, |_| said_message(ATTACKER, ATTACKED, id(), b"v".to_vec())).await;
                assert_eq!(siege.heard.delivered, 0);
                siege.assert_nothing_kept(&toll);
            },
        );
    }
}

#[test]
fn the_length_of_ids_counts_when_they_wait() {
    const LENGTH: usize = 64 * 1024;
    besieged_on(
        0,
        |limits| limits.bounds.max_input_bytes = 16 * LENGTH,
        async |siege| {
            let before = HEAP.current_usage();
            let ids = || vec![Id::of_length(ATTACKED, LENGTH)];
            let taken = (0..100).filter(|_| {
                let taken = siege.worker.p2p_input(ihave(ATTACKER, ATTACKED, ids()));
                taken.is_ok()
            });
            let taken = taken.count();
            let held = HEAP.current_usage().saturating_sub(before);
            siege.speak(CALM);
            siege.rest().await;
            let bound = siege.limits().bounds.max_input_bytes;
            assert!(held <= bound + siege.slack(), "{taken} taken: {held} bytes wait, {bound} may");
        },
    );
}

#[test]
fn one_iwant_over_many_topics_shuts_nobody_out() {
    besieged_on(
        0,
        |limits| limits.bounds.max_input_items = 64,
        async |siege| {
            let topics = 2..102;
            for topic in topics.clone() {
                siege.worker.app_input(actix_gossipsub::AppInput::Join(topic)).expect("taken");
            }
            siege.rest().await;
            siege.say(iwant(ATTACKER, topics.map(|topic| Id::new(topic, 1)).collect()));
            let more = iwant(ATTACKER, vec![Id::new(CALM, 1)]);
            let attacker = siege.worker.p2p_input(more);
            assert!(matches!(attacker, Ok(()) | Err(Refused::PeerOverShare { .. })), "{attacker:?}");
            let honest = siege.worker.p2p_input(message(0, CALM, 1, b"v"));
            siege.rest().await;
            assert_eq!(honest, Ok(()));
        },
    );
}

#[test]
fn ids_of_another_topic_are_invalid_and_cost_the_peer() {
    besieged(
        |_| {},
        async |siege| {
            let foreign = |number| Id::new(CALM, number);
            let toll = siege.attack(1000, |number| ihave(ATTACKER, ATTACKED, vec![foreign(number)])).await;
            assert_eq!(siege.heard.iwants, 0);
            assert!(siege.score().await < siege.limits().gossip_threshold);
            assert!(toll.bytes() <= siege.slack());
            let toll = siege
                .attack(1000, |number| said_message(ATTACKER, ATTACKED, foreign(number), b"v".to_vec()))
                .await;
            assert_eq!(siege.heard, Heard::default());
            assert!(siege.view().await.scores[&ATTACKER].topics[&ATTACKED].invalid >= 1000.0);
            siege.assert_nothing_kept(&toll);
        },
    );
    let mut world = World::new(|_| {});
    world.connect(1);
    world.join(ATTACKED);
    let now = world.now;
    let outcome = world.receive(1, ATTACKED, Id::new(CALM, 1), b"v");
    assert_eq!(outcome, ReceiveOutcome::Invalid);
    let outcome = world.node.ihave(&1, &ATTACKED, vec![Id::new(CALM, 1)], now);
    assert_eq!(outcome, IHaveOutcome::InvalidId);
    assert!(world.node.view(now).scores[&1].score < 0.0);
    let footprint = world.node.footprint();
    assert_eq!((footprint.history, footprint.seen, footprint.parked), (0, 0, 0));
}
