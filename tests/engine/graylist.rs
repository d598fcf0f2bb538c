//! These tests check what the engine does about a peer with a low score: it refuses its inputs, drops what is queued of it,
//! has it disconnected at a heartbeat, and records each of these.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_gossipsub::{
    AppInput, ConnectionInfo, Limits, P2pInput, P2pMessage, P2pOutput, Refused, Validity, Worker,
    plain::PlainNetwork,
    protocol::{Event, EventKind, PeerDecision, Penalty, ScoreAction},
};

use crate::{recording::Recording, support::*};

const ATTACKER: u64 = 1;

fn low_limits() -> Limits<String> {
    changed(|limits| {
        limits.score.app_specific_weight = 1.0;
        limits.extensions.graylist_threshold = Some(-1000.0);
    })
}

/// A network in which messages with the content "invalid" are, and the number of messages that were judged.
fn judging() -> (PlainNetwork, Arc<AtomicUsize>) {
    let judged = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&judged);
    let network = PlainNetwork::with_validator(move |delivery| {
        counter.fetch_add(1, Ordering::Relaxed);
        if delivery.message.message == "invalid" { Validity::Invalid } else { Validity::Valid }
    });
    (network, judged)
}

fn full(peer: u64, number: u64, content: &str) -> P2pInput<PlainNetwork> {
    P2pInput::message(peer, P2pMessage::FullMessage(Arc::new(PlainNetwork::message("a", number, content))))
}

fn score(worker: &Worker<PlainNetwork>, peer: u64, score: f64) {
    worker.app_input(AppInput::SetApplicationScore { peer, score }).expect("the input is accepted");
}

/// The names and reasons of what was decided about the attacker because of its score.
fn actions(worker: &Worker<PlainNetwork>) -> Vec<ScoreAction> {
    let records = worker.decisions_about(&ATTACKER);
    let action = |kind| match kind {
        EventKind::Decided(PeerDecision::ActedOnScore(action)) => Some(action),
        _ => None,
    };
    records.into_iter().filter_map(|record| action(record.kind)).collect()
}

/// D4: a peer at a score of -2.5e7 had 2,000 of 2,000 invalid messages judged and 20 of 20 valid ones forwarded.
#[test]
fn of_a_peer_below_the_graylist_no_message_is_judged_or_forwarded() {
    run(async {
        let (network, judged) = judging();
        let (recording, mut engine) = Recording::of(manual(network, low_limits()), ["a".to_owned()]);
        let worker = &engine.worker;
        for peer in [ATTACKER, 2, 3] {
            worker.p2p_input(connect(peer)).expect("the input is accepted");
            worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        worker.settle().await;
        let handle = worker.peer_inputs(ATTACKER);
        score(worker, ATTACKER, -2.5e7);
        worker.settle().await;
        assert!(worker.is_graylisted(&ATTACKER) && !worker.is_graylisted(&2));
        while engine.p2p.try_recv().is_some() {}

        let content = |number: u64| if number < 2000 { "invalid" } else { "valid" };
        for number in 0..2020 {
            let refused = Err(Refused::Graylisted);
            assert_eq!(worker.p2p_input(full(ATTACKER, number, content(number))), refused);
            let message = PlainNetwork::message("a", number, content(number));
            assert_eq!(handle.input(P2pMessage::FullMessage(Arc::new(message))), refused);
        }
        for control in [subscribe(ATTACKER, "b"), unsubscribe(ATTACKER, "a"), graft(ATTACKER, "a")] {
            assert_eq!(worker.p2p_input(control.clone()), Err(Refused::Graylisted));
            assert_eq!(worker.send_p2p_input(control).await, Err(Refused::Graylisted));
        }
        worker.settle().await;
        assert_eq!(judged.load(Ordering::Relaxed), 0);
        assert!(engine.p2p.try_recv().is_none() && engine.app.try_recv().is_none());
        assert_eq!(recording.count("gossipsub_inputs_refused_total{reason=graylisted}"), 2 * 2020 + 6);
        // A flood of the peer is no load of this node, which would excuse broken promises.
        assert_eq!(recording.sum("gossipsub_inputs_total", "outcome=graylisted"), 0);

        // Others are served, and the peer too when its score has recovered.
        worker.p2p_input(full(2, 1, "valid")).expect("the input is accepted");
        score(worker, ATTACKER, 0.0);
        worker.settle().await;
        worker.p2p_input(full(ATTACKER, 2, "valid")).expect("the input is accepted");
        worker.settle().await;
        assert_eq!(judged.load(Ordering::Relaxed), 2);
        assert_eq!(actions(worker), [ScoreAction::Graylist, ScoreAction::LeaveGraylist]);
        for action in ["graylist", "leave_graylist"] {
            assert_eq!(recording.count(&format!("gossipsub_score_actions_total{{action={action}}}")), 1);
        }
        worker.shutdown().await;
    });
}

#[test]
fn what_is_queued_of_a_peer_that_is_graylisted_meanwhile_is_dropped_and_counted() {
    run(async {
        let (network, judged) = judging();
        let (recording, engine) = Recording::of(manual(network, low_limits()).arbiters(0), ["a".to_owned()]);
        let worker = &engine.worker;
        for peer in [ATTACKER, 2] {
            worker.p2p_input(connect(peer)).expect("the input is accepted");
            worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        worker.settle().await;
        // Nothing runs until the next await, and then the supervisor, which is woken first.
        score(worker, ATTACKER, -2.5e7);
        for number in 0..10 {
            worker.p2p_input(full(ATTACKER, number, "valid")).expect("the input is accepted");
        }
        worker.p2p_input(subscribe(ATTACKER, "a")).expect("the input is accepted");
        worker.p2p_input(full(2, 100, "valid")).expect("the input is accepted");
        worker.settle().await;
        assert_eq!(judged.load(Ordering::Relaxed), 1);
        let dropped = |input| format!("gossipsub_inputs_total{{input={input},outcome=graylisted}}");
        assert_eq!(recording.count(&dropped("receive_message")), 10);
        assert_eq!(recording.count(&dropped("subscribe")), 1);
        assert_eq!(worker.input_queue_length(), 0);
        worker.shutdown().await;
    });
}

#[test]
fn connections_of_a_graylisted_peer_are_handled_and_a_direct_peer_is_excepted() {
    run(async {
        let (network, judged) = judging();
        let engine = start(manual(network, low_limits()), &["a"]);
        let worker = &engine.worker;
        worker.p2p_input(connect(ATTACKER)).expect("the input is accepted");
        score(worker, ATTACKER, -2.5e7);
        worker.settle().await;
        // It does not get rid of its score by a reconnection, not even for its first inputs.
        worker.p2p_input(disconnect(ATTACKER)).expect("the input is accepted");
        assert_eq!(worker.p2p_input(full(ATTACKER, 1, "valid")), Err(Refused::Graylisted));
        worker.p2p_input(connect(ATTACKER)).expect("the input is accepted");
        assert_eq!(worker.p2p_input(full(ATTACKER, 1, "valid")), Err(Refused::Graylisted));
        worker.settle().await;
        assert_eq!(worker.p2p_input(full(ATTACKER, 1, "valid")), Err(Refused::Graylisted));

        worker.p2p_input(disconnect(ATTACKER)).expect("the input is accepted");
        let info = ConnectionInfo::inbound().direct();
        worker.p2p_input(P2pInput::NewConnection { peer: ATTACKER, info }).expect("the input is accepted");
        assert!(!worker.is_graylisted(&ATTACKER));
        worker.p2p_input(full(ATTACKER, 1, "valid")).expect("the input is accepted");
        worker.settle().await;
        assert_eq!(judged.load(Ordering::Relaxed), 1);
        worker.shutdown().await;
    });
}

#[test]
fn a_peer_below_the_disconnect_threshold_is_banned_at_the_next_heartbeat() {
    run(async {
        let (events, observer) = recorder();
        let limits = changed(|limits| {
            limits.score.app_specific_weight = 1.0;
            limits.extensions.disconnect_threshold = Some(-1000.0);
            limits.extensions.ban_duration = Duration::from_secs(60);
        });
        let builder = manual(PlainNetwork::new(), limits).observer(observer);
        let (recording, mut engine) = Recording::of(builder, ["a".to_owned()]);
        let worker = &engine.worker;
        for peer in [ATTACKER, 2] {
            worker.p2p_input(connect(peer)).expect("the input is accepted");
        }
        score(worker, ATTACKER, -1000.5);
        score(worker, 2, -1000.0);
        worker.settle().await;
        worker.tick().await;
        let outputs = std::iter::from_fn(|| engine.p2p.try_recv());
        let kicks: Vec<_> = outputs.filter(|output| matches!(output, P2pOutput::Kick { .. })).collect();
        assert_eq!(kicks, [P2pOutput::Kick { peer: ATTACKER, duration: Duration::from_secs(60) }]);
        let event = Event::LowScore { peer: ATTACKER, score: -1000.5, ban_duration: Duration::from_secs(60) };
        assert_eq!(*events.lock().expect("the lock is not poisoned"), [event]);
        assert_eq!(actions(worker), [ScoreAction::Ban]);
        let record = worker.decisions_about(&ATTACKER).pop().expect("a record");
        assert_eq!((record.kind.name(), record.kind.reason()), ("BAN_PEER", Some("low_score")));
        assert_eq!(record.score, Some(-1000.5));
        assert!(record.kind.explanation().is_some_and(|text| text.contains("disconnect_threshold")));
        assert_eq!(recording.count("gossipsub_score_actions_total{action=ban}"), 1);

        worker.p2p_input(disconnect(ATTACKER)).expect("the input is accepted");
        worker.settle().await;
        worker.tick().await;
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        assert!(!outputs.iter().any(|output| matches!(output, P2pOutput::Kick { .. })), "{outputs:?}");
        worker.shutdown().await;
    });
}

#[test]
fn a_protocol_violation_is_penalised_counted_and_recorded() {
    run(async {
        let (events, observer) = recorder();
        let limits = changed(|limits| limits.extensions.protocol_violation_penalty = 2.0);
        let weight = limits.score.behaviour_penalty_weight;
        let builder = manual(PlainNetwork::new(), limits).observer(observer);
        let (recording, engine) = Recording::of(builder, ["a".to_owned()]);
        let worker = &engine.worker;
        for peer in [ATTACKER, 2] {
            worker.p2p_input(connect(peer)).expect("the input is accepted");
        }
        for _ in 0..3 {
            worker.report_protocol_violation(&ATTACKER);
        }
        worker.settle().await;
        let view = worker.state().await.expect("the engine runs");
        assert_eq!((view.scores[&ATTACKER].score, view.scores[&2].score), (weight * 36.0, 0.0));
        assert_eq!(recording.count("gossipsub_score_penalties_total{reason=protocol_violation}"), 3);
        let event = Event::ProtocolViolation { peer: ATTACKER };
        assert_eq!(*events.lock().expect("the lock is not poisoned"), [event], "at most once an interval");
        let record = worker.decisions_about(&ATTACKER).pop().expect("a record");
        let kind = EventKind::Decided(PeerDecision::Penalised(Penalty::ProtocolViolation));
        assert_eq!((record.kind, record.count), (kind, 3));
        worker.shutdown().await;
    });
}
