//! IHAVE and IWANT.

use std::time::Duration;

use actix_gossipsub::{
    ConnectionInfo, Limits, P2pMessage, P2pOutput, Refused,
    protocol::{IHaveOutcome, IWantAnswer, IWantOutcome, ReceiveOutcome},
};

use super::{HEAP, support::*, world::World};

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
fn idontwant_spam_is_remembered_as_far_as_allowed_and_not_for_long() {
    besieged(
        |limits| limits.extensions.max_idontwant_per_heartbeat = 300,
        async |siege| {
            let ids = |from: u64| (0..100).map(|id| Id::new(ATTACKED, from * 100 + id)).collect();
            let ticks = siege.limits().extensions.idontwant_ticks;
            for heartbeat in 1..=2 * ticks {
                let from = heartbeat as u64 * 10_000;
                let toll = siege.attack(10_000, |number| idontwant(ATTACKER, ids(from + number))).await;
                let kept = 300 * heartbeat.min(ticks);
                assert_eq!(toll.after.footprint.peer_idontwant, kept);
                assert!(toll.bytes() <= siege.slack() + kept * ENTRY);
                siege.pass(1).await;
            }
            siege.pass(ticks).await;
            assert_eq!(siege.burden().await.footprint.peer_idontwant, 0);
            let toll = siege.attack(10_000, |number| idontwant(1_000_000 + number, ids(number))).await;
            siege.assert_nothing_kept(&toll);
        },
    );
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
                assert_eq!(toll.after.footprint.heartbeat_quotas, 1);
                assert!(toll.bytes() <= siege.slack());
                siege.pass(1).await;
            }
            siege.pass(siege.limits().seen_history_length).await;
            assert_eq!(siege.burden().await.footprint.heartbeat_quotas, 0);
        },
    );
}

#[test]
fn ids_that_are_offered_and_never_sent_cost_the_peer() {
    besieged(
        |limits| limits.score.behaviour_penalty_decay = 1.0,
        async |siege| {
            let offer = |round: u64| (0..1000).map(|id| Id::new(ATTACKED, round * 1000 + id)).collect();
            for round in 0..10 {
                siege.say(ihave(ATTACKER, ATTACKED, offer(round)));
                assert_eq!(siege.burden().await.footprint.promises, 1, "one of many is watched");
                siege.pass(followup(siege.limits()) - 1).await;
                assert_eq!(siege.burden().await.footprint.promises, 1, "there is time left");
                siege.pass(1).await;
                assert_eq!(siege.burden().await.footprint.promises, 0);
                let faults = siege.view().await.scores[&ATTACKER].behaviour_penalty;
                assert_eq!(faults, (round + 1) as f64);
            }
            assert!(siege.score().await < siege.limits().gossip_threshold);
            let asked = siege.heard.iwants;
            siege.say(ihave(ATTACKER, ATTACKED, offer(99)));
            assert_eq!(siege.burden().await.footprint.promises, 0);
            assert_eq!(siege.heard.iwants, asked, "nothing is asked for any more");
        },
    );
}

/// In so many heartbeats a promise is broken.
fn followup(limits: &Limits<u64>) -> usize {
    limits.extensions.iwant_followup_time.div_duration_f64(limits.heartbeat_interval) as usize
}

/// Offers ten messages in each of many rounds, and sends of what it is asked for what `kept` takes. Answers
/// how many faults (P7) are counted.
fn faults(rounds: u64, kept: impl Fn(&[Id]) -> &[Id]) -> f64 {
    let mut world = World::new(|limits| limits.score.behaviour_penalty_decay = 1.0);
    world.connect(1);
    world.join(ATTACKED);
    for round in 0..rounds {
        let offer = (0..10).map(|id| Id::new(ATTACKED, round * 10 + id)).collect();
        let outcome = world.node.ihave(&1, &ATTACKED, offer, world.now);
        let IHaveOutcome::Requested { ids } = outcome else { panic!("asked for nothing in round {round}") };
        for id in kept(&ids) {
            world.receive(1, ATTACKED, id.clone(), b"v");
        }
        world.pass(followup(&world.limits));
    }
    assert_eq!(world.node.footprint().promises, 0);
    world.node.view(world.now).scores[&1].behaviour_penalty
}

#[test]
fn who_keeps_its_promises_is_not_to_blame_and_who_keeps_some_is_found_out() {
    assert_eq!(faults(8, |ids| ids), 0.0);
    assert_eq!(faults(8, |_| &[]), 8.0);
    // It knows the order in which it was asked, and not what is watched.
    for faults in [faults(8, |ids| &ids[..1]), faults(8, |ids| &ids[9..])] {
        assert!((1.0..=8.0).contains(&faults), "{faults} of 8 promises found broken");
    }
}

#[test]
fn nobody_owes_what_another_delivers() {
    let mut world = World::new(|_| {});
    world.join(ATTACKED);
    let id = || Id::new(ATTACKED, 1);
    for peer in 1..=3 {
        world.connect(peer);
        world.node.ihave(&peer, &ATTACKED, vec![id()], world.now);
    }
    assert_eq!(world.node.footprint().promises, 3);
    world.receive(3, ATTACKED, id(), b"v");
    assert_eq!(world.node.footprint().promises, 0);
    world.pass(followup(&world.limits));
    let scores = world.node.view(world.now).scores;
    assert!(scores.values().all(|score| score.behaviour_penalty == 0.0));
}

#[test]
fn who_is_not_asked_owes_nothing() {
    let mut world = World::new(|_| {});
    world.join(ATTACKED);
    world.node.add_peer(&1, &ConnectionInfo::inbound().bootstrap(), world.now);
    world.node.ihave(&1, &ATTACKED, vec![Id::new(ATTACKED, 1)], world.now);
    let asks = |output: &_| matches!(output, P2pOutput::OutMessage { message: P2pMessage::IWant { .. }, .. });
    assert!(!world.node.drain().p2p.iter().any(asks));
    assert_eq!(world.node.footprint().promises, 0);
}

/// A message that waits for its batch's verdict is not seen yet, and is asked for.
#[test]
fn a_copy_of_what_was_accepted_meanwhile_keeps_the_promise() {
    let mut world = World::with(Field::default(), Some(Duration::from_secs(1)), |_| {});
    world.join(ATTACKED);
    (1..=2).for_each(|peer| world.connect(peer));
    let id = || Id::new(ATTACKED, 1);
    assert_eq!(world.receive(1, ATTACKED, id(), b"v"), ReceiveOutcome::Batched);
    world.node.ihave(&2, &ATTACKED, vec![id()], world.now);
    assert_eq!(world.node.footprint().promises, 1);
    world.node.process_batch(world.now);
    assert_eq!(world.receive(2, ATTACKED, id(), b"v"), ReceiveOutcome::AlreadyReceived);
    world.pass(followup(&world.limits));
    assert_eq!(world.node.view(world.now).scores[&2].behaviour_penalty, 0.0);
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
            assert_eq!(toll.after.footprint.heartbeat_quotas, 1);
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
