//! These tests attack with IHAVE, IWANT and IDONTWANT.

use std::time::Duration;

use actix_gossipsub::{
    ConnectionInfo, Limits, P2pMessage, P2pOutput, Refused,
    protocol::{IHaveOutcome, IWantAnswer, IWantOutcome, ReceiveOutcome},
};

use super::{HEAP, bare_node::BareNode, support::*};

#[test]
fn iwant_spam_is_answered_up_to_the_retransmission_limit() {
    with_attacker(
        |_| {},
        async |scenario| {
            let id = scenario.send_honest(ATTACKED);
            let cost = scenario.attack(100_000, |_| iwant(ATTACKER, vec![id.clone()])).await;
            assert_eq!(scenario.outputs.messages, scenario.limits().max_gossip_retransmission as usize);
            scenario.assert_nothing_kept(&cost);
        },
    );
}

#[test]
fn iwant_of_unknown_ids_is_not_answered_and_stores_nothing() {
    with_attacker(
        |_| {},
        async |scenario| {
            let ids = |from: u64| (0..1000).map(|number| Id::new(from + number, number)).collect();
            let cost = scenario.attack(1000, |number| iwant(ATTACKER, ids(number * 1000))).await;
            assert_eq!(scenario.outputs, OutputCounts::default());
            scenario.assert_nothing_kept(&cost);
        },
    );
    let mut bare = BareNode::new(|_| {});
    bare.connect(1);
    let before = bare.node.footprint();
    let ids: Vec<_> = (0..10_000).map(|topic| Id::new(topic, 1)).collect();
    let IWantOutcome::Answered { ids } = bare.node.iwant(&1, ids, bare.now) else {
        panic!("the IWANT is answered")
    };
    assert!(ids.len() == 10_000 && ids.values().all(|answer| *answer == IWantAnswer::NotFound));
    assert_eq!(bare.node.footprint(), before);
}

#[test]
fn idontwant_spam_is_stored_up_to_the_limit_and_expires() {
    with_attacker(
        |limits| limits.extensions.max_idontwant_per_heartbeat = 300,
        async |scenario| {
            let ids = |from: u64| (0..100).map(|id| Id::new(ATTACKED, from * 100 + id)).collect();
            let ticks = scenario.limits().extensions.idontwant_ticks;
            for heartbeat in 1..=2 * ticks {
                let from = heartbeat as u64 * 10_000;
                let cost = scenario.attack(10_000, |number| idontwant(ATTACKER, ids(from + number))).await;
                let kept = 300 * heartbeat.min(ticks);
                assert_eq!(cost.after.footprint.peer_idontwant, kept);
                assert!(cost.bytes() <= scenario.allowance() + kept * ENTRY);
                scenario.pass_heartbeats(1).await;
            }
            scenario.pass_heartbeats(ticks).await;
            assert_eq!(scenario.usage().await.footprint.peer_idontwant, 0);
            let cost = scenario.attack(10_000, |number| idontwant(1_000_000 + number, ids(number))).await;
            scenario.assert_nothing_kept(&cost);
        },
    );
}

#[test]
fn ihave_spam_is_answered_up_to_the_limit_of_a_heartbeat() {
    with_attacker(
        |_| {},
        async |scenario| {
            let ids = |from: u64| (0..20).map(|id| Id::new(ATTACKED, from * 20 + id)).collect();
            for heartbeat in 1..=3 {
                let from = heartbeat * 10_000;
                let cost =
                    scenario.attack(10_000, |number| ihave(ATTACKER, ATTACKED, ids(from + number))).await;
                let requested = scenario.limits().max_recv_ihave_per_heartbeat as usize * 20;
                assert_eq!(scenario.outputs.iwants, heartbeat as usize * requested);
                assert_eq!(cost.after.footprint.heartbeat_quotas, 1);
                assert!(cost.bytes() <= scenario.allowance());
                scenario.pass_heartbeats(1).await;
            }
            scenario.pass_heartbeats(scenario.limits().seen_history_length).await;
            assert_eq!(scenario.usage().await.footprint.heartbeat_quotas, 0);
        },
    );
}

#[test]
fn broken_promises_lower_the_score_until_ihaves_are_ignored() {
    with_attacker(
        |limits| limits.score.behaviour_penalty_decay = 1.0,
        async |scenario| {
            let ids = |round: u64| (0..1000).map(|id| Id::new(ATTACKED, round * 1000 + id)).collect();
            for round in 0..10 {
                scenario.send(ihave(ATTACKER, ATTACKED, ids(round)));
                assert_eq!(
                    scenario.usage().await.footprint.promises,
                    1,
                    "one of the requested ids is tracked"
                );
                scenario.pass_heartbeats(followup_heartbeats(&scenario.limits()) - 1).await;
                assert_eq!(scenario.usage().await.footprint.promises, 1, "the follow-up time is not over");
                scenario.pass_heartbeats(1).await;
                assert_eq!(scenario.usage().await.footprint.promises, 0);
                let faults = scenario.view().await.scores[&ATTACKER].behaviour_penalty;
                assert_eq!(faults, (round + 1) as f64);
            }
            assert!(scenario.score().await < scenario.limits().gossip_threshold);
            let requested = scenario.outputs.iwants;
            scenario.send(ihave(ATTACKER, ATTACKED, ids(99)));
            assert_eq!(scenario.usage().await.footprint.promises, 0);
            assert_eq!(scenario.outputs.iwants, requested, "no further ids are requested");
        },
    );
}

/// The number of heartbeats after which a promise is broken.
fn followup_heartbeats(limits: &Limits<u64>) -> usize {
    limits.extensions.iwant_followup_time.div_duration_f64(limits.heartbeat_interval) as usize
}

/// A peer sends an IHAVE with ten ids in each round, and of the requested messages those that `sent` selects. Returns
/// the behaviour penalty (P7).
fn faults(rounds: u64, sent: impl Fn(&[Id]) -> &[Id]) -> f64 {
    let mut bare = BareNode::new(|limits| limits.score.behaviour_penalty_decay = 1.0);
    bare.connect(1);
    bare.join(ATTACKED);
    for round in 0..rounds {
        let ids = (0..10).map(|id| Id::new(ATTACKED, round * 10 + id)).collect();
        let outcome = bare.node.ihave(&1, &ATTACKED, ids, bare.now);
        let IHaveOutcome::Requested { ids } = outcome else { panic!("no id is requested in round {round}") };
        for id in sent(&ids) {
            bare.receive(1, ATTACKED, id.clone(), b"v");
        }
        bare.pass_heartbeats(followup_heartbeats(&bare.limits));
    }
    assert_eq!(bare.node.footprint().promises, 0);
    bare.node.view(bare.now).scores[&1].behaviour_penalty
}

#[test]
fn kept_promises_cost_nothing_and_broken_ones_are_penalised() {
    assert_eq!(faults(8, |ids| ids), 0.0);
    assert_eq!(faults(8, |_| &[]), 8.0);
    // The peer knows the order of the requested ids, but not which id is tracked.
    for faults in [faults(8, |ids| &ids[..1]), faults(8, |ids| &ids[9..])] {
        assert!((1.0..=8.0).contains(&faults), "{faults} of 8 promises are counted as broken");
    }
}

#[test]
fn a_message_from_any_peer_fulfils_all_promises_of_it() {
    let mut bare = BareNode::new(|limits| limits.extensions.iwant_from_one_peer = false);
    bare.join(ATTACKED);
    let id = || Id::new(ATTACKED, 1);
    for peer in 1..=3 {
        bare.connect(peer);
        bare.node.ihave(&peer, &ATTACKED, vec![id()], bare.now);
    }
    assert_eq!(bare.node.footprint().promises, 3);
    bare.receive(3, ATTACKED, id(), b"v");
    assert_eq!(bare.node.footprint().promises, 0);
    bare.pass_heartbeats(followup_heartbeats(&bare.limits));
    let scores = bare.node.view(bare.now).scores;
    assert!(scores.values().all(|score| score.behaviour_penalty == 0.0));
}

#[test]
fn no_promise_is_tracked_for_a_bootstrap_peer() {
    let mut bare = BareNode::new(|_| {});
    bare.join(ATTACKED);
    bare.node.add_peer(&1, &ConnectionInfo::inbound().bootstrap(), bare.now);
    bare.node.ihave(&1, &ATTACKED, vec![Id::new(ATTACKED, 1)], bare.now);
    let is_iwant =
        |output: &_| matches!(output, P2pOutput::OutMessage { message: P2pMessage::IWant { .. }, .. });
    assert!(!bare.node.drain().p2p.iter().any(is_iwant));
    assert_eq!(bare.node.footprint().promises, 0);
}

/// A message in a batch is not in the seen cache before its verdict, so an IHAVE of it is answered with IWANT.
#[test]
fn a_duplicate_of_a_message_accepted_meanwhile_fulfils_the_promise() {
    let mut bare = BareNode::with(AttackNetwork::default(), Some(Duration::from_secs(1)), |limits| {
        limits.extensions.iwant_skips_undecided = false;
    });
    bare.join(ATTACKED);
    (1..=2).for_each(|peer| bare.connect(peer));
    let id = || Id::new(ATTACKED, 1);
    assert_eq!(bare.receive(1, ATTACKED, id(), b"v"), ReceiveOutcome::Batched);
    bare.node.ihave(&2, &ATTACKED, vec![id()], bare.now);
    assert_eq!(bare.node.footprint().promises, 1);
    bare.node.process_batch(bare.now);
    assert_eq!(bare.receive(2, ATTACKED, id(), b"v"), ReceiveOutcome::AlreadyReceived);
    bare.pass_heartbeats(followup_heartbeats(&bare.limits));
    assert_eq!(bare.node.view(bare.now).scores[&2].behaviour_penalty, 0.0);
}

/// More ids than any transport accepts in one message.
const MANY_IDS: u64 = 500_000;

#[test]
fn long_lists_of_ids_use_memory_proportional_to_their_length() {
    with_attacker(
        |_| {},
        async |scenario| {
            let ids = |topic| -> Vec<_> { (0..MANY_IDS).map(|number| Id::new(topic, number)).collect() };
            let list = MANY_IDS as usize * (size_of::<Id>() + size_of::<u64>());
            let max = scenario.limits().max_sent_iwant_per_heartbeat as usize;
            let cost = scenario.attack(1, |_| ihave(ATTACKER, ATTACKED, ids(ATTACKED))).await;
            assert_eq!(scenario.outputs.iwants, max);
            assert_eq!(cost.after.footprint.heartbeat_quotas, 1);
            // The received list, the requested ids while both lists grow, and the answers.
            assert!(
                cost.peak <= 4 * list + scenario.allowance(),
                "a peak of {} bytes for a list of {list}",
                cost.peak
            );
            assert!(cost.bytes() <= scenario.allowance() + max * ENTRY);
            for topic in [ATTACKED, NOT_JOINED] {
                let cost = scenario.attack(1, |_| iwant(ATTACKER, ids(topic))).await;
                assert!(
                    cost.peak <= 4 * list + scenario.allowance(),
                    "a peak of {} bytes for a list of {list}",
                    cost.peak
                );
                scenario.assert_nothing_kept(&cost);
            }
            assert_eq!(scenario.outputs.messages, 0);
        },
    );
}

#[test]
fn empty_and_oversized_ids_are_invalid_and_lower_the_score() {
    for length in [0, 1 << 20] {
        with_attacker(
            |_| {},
            async |scenario| {
                assert!(scenario.is_answered().await);
                let ids = || vec![Id::new(ATTACKED, 1), Id::of_length(ATTACKED, length)];
                let cost = scenario.attack(10, |_| ihave(ATTACKER, ATTACKED, ids())).await;
                assert!(scenario.score().await < scenario.limits().gossip_threshold);
                assert_eq!(scenario.outputs.iwants, 0);
                assert!(!scenario.is_answered().await);
                assert!(cost.bytes() <= scenario.allowance(), "{} bytes kept", cost.bytes());
                let id = || Id::of_length(ATTACKED, length);
                let cost =
                    scenario.attack(10, |_| full_message(ATTACKER, ATTACKED, id(), b"v".to_vec())).await;
                assert_eq!(scenario.outputs.delivered, 0);
                scenario.assert_nothing_kept(&cost);
            },
        );
    }
}

#[test]
fn the_bytes_of_ids_count_in_the_input_queue() {
    const LENGTH: usize = 64 * 1024;
    with_attacker_on(
        0,
        |limits| limits.bounds.max_input_bytes = 16 * LENGTH,
        async |scenario| {
            let before = HEAP.current_usage();
            let ids = || vec![Id::of_length(ATTACKED, LENGTH)];
            let accepted = (0..100).filter(|_| {
                let accepted = scenario.worker.p2p_input(ihave(ATTACKER, ATTACKED, ids()));
                accepted.is_ok()
            });
            let accepted = accepted.count();
            let queued = HEAP.current_usage().saturating_sub(before);
            scenario.send_honest(CALM);
            scenario.settle().await;
            let bound = scenario.limits().bounds.max_input_bytes;
            assert!(
                queued <= bound + scenario.allowance(),
                "{accepted} inputs are accepted: {queued} bytes are queued, above {bound}"
            );
        },
    );
}

#[test]
fn one_iwant_over_many_topics_leaves_room_for_other_peers() {
    with_attacker_on(
        0,
        |limits| limits.bounds.max_input_items = 64,
        async |scenario| {
            let topics = 2..102;
            for topic in topics.clone() {
                scenario
                    .worker
                    .app_input(actix_gossipsub::AppInput::Join(topic))
                    .expect("the input is accepted");
            }
            scenario.settle().await;
            scenario.send(iwant(ATTACKER, topics.map(|topic| Id::new(topic, 1)).collect()));
            let more = iwant(ATTACKER, vec![Id::new(CALM, 1)]);
            let attacker = scenario.worker.p2p_input(more);
            assert!(matches!(attacker, Ok(()) | Err(Refused::PeerOverShare { .. })), "{attacker:?}");
            let honest = scenario.worker.p2p_input(message(0, CALM, 1, b"v"));
            scenario.settle().await;
            assert_eq!(honest, Ok(()));
        },
    );
}

#[test]
fn ids_of_another_topic_are_invalid_and_lower_the_score() {
    with_attacker(
        |_| {},
        async |scenario| {
            let foreign = |number| Id::new(CALM, number);
            let cost = scenario.attack(1000, |number| ihave(ATTACKER, ATTACKED, vec![foreign(number)])).await;
            assert_eq!(scenario.outputs.iwants, 0);
            assert!(scenario.score().await < scenario.limits().gossip_threshold);
            assert!(cost.bytes() <= scenario.allowance());
            let cost = scenario
                .attack(1000, |number| full_message(ATTACKER, ATTACKED, foreign(number), b"v".to_vec()))
                .await;
            assert_eq!(scenario.outputs, OutputCounts::default());
            assert!(scenario.view().await.scores[&ATTACKER].topics[&ATTACKED].invalid >= 1000.0);
            scenario.assert_nothing_kept(&cost);
        },
    );
    let mut bare = BareNode::new(|_| {});
    bare.connect(1);
    bare.join(ATTACKED);
    let now = bare.now;
    let outcome = bare.receive(1, ATTACKED, Id::new(CALM, 1), b"v");
    assert_eq!(outcome, ReceiveOutcome::Invalid);
    let outcome = bare.node.ihave(&1, &ATTACKED, vec![Id::new(CALM, 1)], now);
    assert_eq!(outcome, IHaveOutcome::InvalidId);
    assert!(bare.node.view(now).scores[&1].score < 0.0);
    let footprint = bare.node.footprint();
    assert_eq!((footprint.history, footprint.seen, footprint.parked), (0, 0, 0));
}
