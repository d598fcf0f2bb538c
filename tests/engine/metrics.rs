//! These tests compare the exported metrics with the state that the engine returns.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use actix_gossipsub::{
    AppInput, ConnectionInfo, Delivery, Direction, DropReason, FullMessage, Limits, LimitsConfig,
    ManualClock, Network, P2pInput, P2pMessage, Validity, Worker, plain::PlainNetwork, protocol::Lane,
};

use metrics::with_local_recorder;

use crate::{recording::Recording, support::*};

/// A network whose ids are numbers without a topic. The content of a message is its verdict.
struct UntaggedNetwork;

impl Network for UntaggedNetwork {
    type Peer = u64;
    type Topic = u64;
    type MessageId = u64;
    type Message = char;
    type Point = u64;

    fn topic_of(&self, _: &u64) -> Option<u64> {
        None
    }

    fn topic_size(&self, topic: &u64) -> usize {
        size_of_val(topic)
    }

    fn message_size(&self, message: &char) -> usize {
        size_of_val(message)
    }

    fn message_id_size(&self, id: &u64) -> usize {
        size_of_val(id)
    }

    fn validate(&self, delivery: &Delivery<Self>) -> Validity {
        match delivery.message.message {
            'i' => Validity::Invalid,
            'u' => Validity::Unknown,
            _ => Validity::Valid,
        }
    }
}

fn full(topic: u64, message_id: u64, message: char) -> FullMessage<UntaggedNetwork> {
    FullMessage { topic, message_id, message }
}

/// Puts entries into each map, except the maps of messages that wait for an asynchronous verdict.
fn fill(worker: &Worker<UntaggedNetwork>) {
    for peer in 1..=5 {
        let mut info = ConnectionInfo::new(Direction::outbound_if(peer % 2 == 0));
        info.kind.trusted = peer == 1;
        worker.p2p_input(P2pInput::NewConnection { peer, info }).expect("the input is accepted");
    }
    let send =
        |peer, message| worker.p2p_input(P2pInput::message(peer, message)).expect("the input is accepted");
    for topic in [1, 2, 9, 10] {
        send(1, P2pMessage::subscribe(topic));
        send(2, P2pMessage::subscribe(topic));
    }
    for peer in 1..=4 {
        send(peer, P2pMessage::Graft { topic: 1 });
        // Refused: topic 11 is not joined.
        send(peer, P2pMessage::Graft { topic: 11 });
    }
    for (id, content) in [(1, 'v'), (2, 'v'), (3, 'u'), (4, 'i'), (5, 'i'), (6, 'i')] {
        send(3, P2pMessage::FullMessage(Arc::new(full(1 + id % 2, id, content))));
    }
    send(4, P2pMessage::IHave { topic: 1, message_ids: vec![100, 101] });
    send(4, P2pMessage::IDontWant { message_ids: vec![102] });
    worker.app_input(AppInput::Publish(full(9, 200, 'v'))).expect("the input is accepted");
    worker.p2p_input(P2pInput::Disconnection { peer: 5 }).expect("the input is accepted");
    worker.set_unreachable_point(7);
    worker.report_missed(&4, &1, &[103]);
}

#[test]
fn after_a_heartbeat_the_gauge_of_each_map_equals_its_size() {
    run(async {
        let limits = Limits::try_from(LimitsConfig::default()).expect("valid");
        // The clock stands still: nothing expires, and no promise is broken.
        let clock = Arc::new(ManualClock::new());
        let builder = Worker::builder(UntaggedNetwork, limits).manual().arbiters(2).seed(1).clock(clock as _);
        let (recording, engine) = Recording::of(builder, [1, 2]);
        fill(&engine.worker);
        engine.worker.settle().await;
        let _ticket = engine.worker.publish(full(1, 201, 'v')).expect("accepted");
        engine.worker.settle().await;
        // Topics report their sizes at the end of a heartbeat, and the metrics are set at the start of the next one.
        for _ in 0..2 {
            engine.worker.tick().await;
        }
        let footprint = engine.worker.footprint().await.expect("the engine runs");
        let series = |map: &str| match map.strip_suffix("_bytes") {
            Some(map) => format!("gossipsub_cache_bytes{{cache={map}}}"),
            None => format!("gossipsub_cache_entries{{cache={map}}}"),
        };
        for (map, size) in footprint.maps() {
            assert_eq!(recording.gauge(&series(map)), size as f64, "{map}");
            // A heartbeat resets quotas and sent IDONTWANTs, and no message waits for a verdict here.
            let empty = ["heartbeat_quotas", "sent_idontwant", "batched", "validating"].contains(&map);
            assert_eq!(size == 0, empty, "{size} in {map}: the test must fill each map");
        }
        let gauges =
            ["gossipsub_cache_entries", "gossipsub_cache_bytes"].map(|name| recording.series(name).len());
        assert_eq!(gauges.iter().sum::<usize>(), footprint.maps().count());
        assert_eq!(recording.gauge("gossipsub_topics"), 2.0);
        assert_eq!(recording.gauge("gossipsub_connections{direction=inbound,kind=regular}"), 2.0);
        assert_eq!(recording.gauge("gossipsub_connections{direction=outbound,kind=regular}"), 2.0);
        assert_eq!(recording.gauges("gossipsub_connections{"), 4.0);
        assert_eq!(recording.count("gossipsub_heartbeats_total"), 2);
        assert_eq!(recording.sum("gossipsub_messages_validated_total{", "validity=invalid"), 3);
        engine.worker.shutdown().await;
    });
}

#[test]
fn the_gauges_fall_to_zero_when_all_state_expired() {
    run(async {
        let limits = LimitsConfig::default().with(|c| c.retain_duration = Duration::ZERO);
        let limits = Limits::try_from(limits).expect("valid");
        let (ticks, clock) = (limits.seen_history_length, Arc::new(ManualClock::new()));
        let builder =
            Worker::builder(UntaggedNetwork, limits).manual().arbiters(2).clock(Arc::clone(&clock) as _);
        let (recording, engine) = Recording::of(builder, [1, 2]);
        fill(&engine.worker);
        engine.worker.settle().await;
        for peer in 1..=5 {
            engine.worker.p2p_input(P2pInput::Disconnection { peer }).expect("the input is accepted");
        }
        for topic in 1..=2 {
            engine.worker.app_input(AppInput::Leave(topic)).expect("the input is accepted");
        }
        for _ in 0..=ticks {
            clock.advance(Duration::from_secs(10));
            engine.worker.tick().await;
        }
        engine.worker.check_parked().await;
        engine.worker.tick().await;
        for series in recording.series("gossipsub_cache_") {
            // Trusted peers and unreachable points do not expire.
            let stays = ["trusted", "unreachable"].iter().any(|map| series.contains(map));
            assert_eq!(recording.gauge(&series), f64::from(u8::from(stays)), "{series}");
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn connections_are_counted_by_direction_and_kind() {
    run(async {
        let (recording, engine) = Recording::of(manual(PlainNetwork::new(), limits()), ["a".to_owned()]);
        let kinds = [(false, false), (true, false), (false, true), (true, true)];
        for (peer, (direct, bootstrap)) in kinds.into_iter().enumerate() {
            for outbound in [false, true] {
                let peer = 2 * peer as u64 + u64::from(outbound);
                let mut info = ConnectionInfo::new(Direction::outbound_if(outbound));
                (info.kind.direct, info.kind.bootstrap) = (direct, bootstrap);
                engine
                    .worker
                    .p2p_input(P2pInput::NewConnection { peer, info })
                    .expect("the input is accepted");
            }
        }
        engine.worker.tick().await;
        for direction in ["inbound", "outbound"] {
            let of = |kind| format!("gossipsub_connections{{direction={direction},kind={kind}}}");
            // A direct bootstrap peer counts as a bootstrap peer: no message is sent to it.
            for (kind, count) in [("regular", 1.0), ("direct", 1.0), ("bootstrap", 2.0)] {
                assert_eq!(recording.gauge(&of(kind)), count, "{direction} {kind}");
            }
        }
        assert_eq!(engine.worker.stats().count_bootstrap_connections, 4);
        engine.worker.shutdown().await;
    });
}

#[test]
fn queued_inputs_are_reported_while_heartbeats_are_skipped() {
    run(async {
        let limits = changed(|limits| limits.heartbeat_interval = Duration::from_millis(10));
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = Mutex::new(blocked);
        // The validator blocks until `release` is dropped. Topic b runs on another thread than the heartbeat.
        let network = PlainNetwork::with_validator(move |_| {
            let _ = blocked.lock().expect("the lock is not poisoned").recv();
            Validity::Valid
        });
        let builder = Worker::builder(network, limits).arbiters(2).seed(1);
        let (recording, engine) = Recording::of(builder, ["a".to_owned(), "b".to_owned()]);
        engine.worker.p2p_input(connect(1)).expect("the input is accepted");
        for number in 0..5 {
            engine.worker.p2p_input(message(1, "b", number)).expect("the input is accepted");
        }
        let is_reported = || {
            recording.count("gossipsub_heartbeats_skipped_total") > 0
                && recording.gauge("gossipsub_queue_depth{queue=input}") == 5.0
                && recording.gauge("gossipsub_queue_bytes{queue=input}") > 0.0
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_reported() {
            assert!(Instant::now() < deadline, "the metrics do not report the queued inputs");
            actix_rt::time::sleep(Duration::from_millis(5)).await;
        }
        drop(release);
        engine.worker.shutdown().await;
    });
}

fn dropped(lane: Lane, reason: DropReason) -> String {
    let (lane, reason) = (lane.name(), reason.reason());
    format!("gossipsub_outputs_dropped_total{{lane={lane},reason={reason}}}")
}

#[test]
fn dropped_outputs_are_counted_by_lane_and_reason() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_output_items = 13);
        let (recording, mut engine) = Recording::of(manual(PlainNetwork::new(), limits), ["a".to_owned()]);
        for peer in 1..=2 {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        // Three announcements are queued, of a join and two connections, which leaves room for ten forwarded messages.
        for number in 0..15 {
            engine.worker.p2p_input(message(1, "a", number)).expect("the input is accepted");
            engine.worker.settle().await;
            while engine.app.try_recv().is_some() {}
        }
        // Each message is sent to two peers.
        for number in 100..107 {
            engine.worker.app_input(publish("a", number)).expect("the input is accepted");
            engine.worker.settle().await;
        }
        let stream_full = |lane| recording.count(&dropped(lane, DropReason::OutputQueueFull));
        assert_eq!(stream_full(Lane::Forward), 15);
        assert_eq!(stream_full(Lane::Publish), 4);
        assert_eq!(stream_full(Lane::Control), 0);
        // The transport reports the messages that it drops.
        engine.worker.report_dropped(Lane::Forward, DropReason::PeerQueueFull, 3);
        engine.worker.report_dropped(Lane::Answer, DropReason::TooLarge, 1);
        assert_eq!(recording.count(&dropped(Lane::Forward, DropReason::PeerQueueFull)), 3);
        assert_eq!(recording.count(&dropped(Lane::Answer, DropReason::TooLarge)), 1);
        assert_eq!(stream_full(Lane::Forward), 15);
        let all = Lane::ALL.len() * DropReason::ALL.len();
        assert_eq!(recording.series("gossipsub_outputs_dropped_total").len(), all);
        engine.worker.shutdown().await;
    });
}

#[test]
fn topics_with_problems_are_counted_without_a_label_of_their_own() {
    run(async {
        let limits = changed(|limits| (limits.degree_low, limits.degree_out) = (2, 0));
        let topics = ["a", "b", "c"].map(str::to_owned);
        let builder = manual(PlainNetwork::new(), limits).max_topic_labels(1);
        let (recording, engine) = Recording::of(builder, topics);
        let counted =
            |problem: &str| recording.gauge(&format!("gossipsub_topics_with_problem{{problem={problem}}}"));
        let worker = &engine.worker;
        worker.tick().await;
        assert_eq!((counted("no_peers"), counted("below_d_low")), (3.0, 3.0));
        for (peer, topic) in [(1, "b"), (1, "c"), (2, "c")] {
            worker.p2p_input(connect(peer)).expect("the input is accepted");
            worker
                .p2p_input(P2pInput::message(peer, P2pMessage::subscribe(topic.to_owned())))
                .expect("accepted");
        }
        worker.settle().await;
        worker.tick().await;
        worker.tick().await;
        assert_eq!((counted("no_peers"), counted("below_d_low")), (1.0, 2.0));
        for topic in ["a", "b"] {
            worker.app_input(AppInput::Leave(topic.to_owned())).expect("the engine runs");
        }
        worker.settle().await;
        worker.tick().await;
        assert_eq!((counted("no_peers"), counted("below_d_low")), (0.0, 0.0));
        worker.shutdown().await;
    });
}

#[test]
fn two_engines_have_separate_metrics() {
    run(async {
        let builder = || manual(PlainNetwork::new(), limits());
        let (one, first) = Recording::of(builder(), ["a".to_owned()]);
        // An engine without a recorder uses the current one.
        let other = Recording::default();
        let second = with_local_recorder(&other, || start(builder(), &["a"]));
        first.worker.p2p_input(connect(1)).expect("the input is accepted");
        first.worker.p2p_input(message(1, "a", 1)).expect("the input is accepted");
        first.worker.settle().await;
        first.worker.tick().await;
        assert_eq!(one.gauges("gossipsub_connections{"), 1.0);
        assert_eq!(one.count("gossipsub_messages_received_total{topic=a}"), 1);
        second.worker.tick().await;
        assert_eq!(other.gauges("gossipsub_connections{"), 0.0);
        assert_eq!(other.count("gossipsub_messages_received_total{topic=a}"), 0);
        assert_eq!(other.gauge("gossipsub_topic_subscribed{topic=a}"), 1.0);
        first.worker.shutdown().await;
        second.worker.shutdown().await;
    });
}
