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

/// Ids are numbers, which tell no topic; a message is its verdict.
struct Nameless;

impl Network for Nameless {
    type Peer = u64;
    type Topic = u64;
    type MessageId = u64;
    type Message = char;
    type Point = u64;

    fn topic_of(&self, _: &u64) -> Option<u64> {
        None
    }

    fn validate(&self, delivery: &Delivery<Self>) -> Validity {
        match delivery.message.message {
            'i' => Validity::Invalid,
            'u' => Validity::Unknown,
            _ => Validity::Valid,
        }
    }
}

fn full(topic: u64, message_id: u64, message: char) -> FullMessage<Nameless> {
    FullMessage { topic, message_id, message }
}

/// Something of everything: in each map that no verdict of later fills there is something.
fn fill(worker: &Worker<Nameless>) {
    for peer in 1..=5 {
        let mut info = ConnectionInfo::new(Direction::outbound_if(peer % 2 == 0));
        info.kind.trusted = peer == 1;
        worker.p2p_input(P2pInput::NewConnection { peer, info }).expect("taken");
    }
    let said = |peer, message| worker.p2p_input(P2pInput::message(peer, message)).expect("taken");
    for topic in [1, 2, 9, 10] {
        said(1, P2pMessage::subscribe(topic));
        said(2, P2pMessage::subscribe(topic));
    }
    for peer in 1..=4 {
        said(peer, P2pMessage::Graft { topic: 1 });
        // Refused: we are not in it.
        said(peer, P2pMessage::Graft { topic: 11 });
    }
    for (id, content) in [(1, 'v'), (2, 'v'), (3, 'u'), (4, 'i'), (5, 'i'), (6, 'i')] {
        said(3, P2pMessage::FullMessage(Arc::new(full(1 + id % 2, id, content))));
    }
    said(4, P2pMessage::IHave { topic: 1, message_ids: vec![100, 101] });
    said(4, P2pMessage::IDontWant { message_ids: vec![102] });
    worker.app_input(AppInput::Publish(full(9, 200, 'v'))).expect("taken");
    worker.p2p_input(P2pInput::Disconnection { peer: 5 }).expect("taken");
    worker.set_unreachable_point(7);
}

#[test]
fn after_a_heartbeat_each_map_has_a_gauge_that_tells_what_it_holds() {
    run(async {
        let limits = Limits::try_from(LimitsConfig::default()).expect("valid");
        // A clock that stands: nothing expires, and no promise is broken.
        let clock = Arc::new(ManualClock::new());
        let builder = Worker::builder(Nameless, limits).manual().arbiters(2).seed(1).clock(clock as _);
        let (recording, engine) = Recording::of(builder, [1, 2]);
        fill(&engine.worker);
        engine.worker.settle().await;
        let _ticket = engine.worker.publish(full(1, 201, 'v')).expect("taken");
        engine.worker.settle().await;
        // Topics tell at the end of a heartbeat what they hold, and the metrics are set at its beginning.
        for _ in 0..2 {
            engine.worker.tick().await;
        }
        let held = engine.worker.footprint().await.expect("it runs");
        let series = |map: &str| match map.strip_suffix("_bytes") {
            Some(map) => format!("gossipsub_cache_bytes{{cache={map}}}"),
            None => format!("gossipsub_cache_entries{{cache={map}}}"),
        };
        for (map, held) in held.maps() {
            assert_eq!(recording.gauge(&series(map)), held as f64, "{map}");
            // A heartbeat resets quotas and what was declined in it; nothing waits for a verdict here.
            let empty = ["heartbeat_quotas", "sent_idontwant", "batched", "validating"].contains(&map);
            assert_eq!(held == 0, empty, "{held} in {map}: the test is to show something of each map");
        }
        assert_eq!(recording.series("gossipsub_cache_").len(), held.maps().count());
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
fn the_gauges_fall_when_everything_is_over() {
    run(async {
        let limits = LimitsConfig::default().with(|c| c.retain_duration = Duration::ZERO);
        let limits = Limits::try_from(limits).expect("valid");
        let (ticks, clock) = (limits.seen_history_length, Arc::new(ManualClock::new()));
        let builder = Worker::builder(Nameless, limits).manual().arbiters(2).clock(Arc::clone(&clock) as _);
        let (recording, engine) = Recording::of(builder, [1, 2]);
        fill(&engine.worker);
        engine.worker.settle().await;
        for peer in 1..=5 {
            engine.worker.p2p_input(P2pInput::Disconnection { peer }).expect("taken");
        }
        for topic in 1..=2 {
            engine.worker.app_input(AppInput::Leave(topic)).expect("taken");
        }
        for _ in 0..=ticks {
            clock.advance(Duration::from_secs(10));
            engine.worker.tick().await;
        }
        engine.worker.check_parked().await;
        engine.worker.tick().await;
        for series in recording.series("gossipsub_cache_") {
            // Who is trusted stays so, and points that could not be reached are left alone.
            let kept = ["trusted", "unreachable"].iter().any(|map| series.contains(map));
            assert_eq!(recording.gauge(&series), f64::from(u8::from(kept)), "{series}");
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn connections_are_told_apart_by_who_dialled_and_what_they_are() {
    run(async {
        let (recording, engine) = Recording::of(manual(PlainNetwork::new(), limits()), ["a".to_owned()]);
        let kinds = [(false, false), (true, false), (false, true), (true, true)];
        for (peer, (direct, bootstrap)) in kinds.into_iter().enumerate() {
            for outbound in [false, true] {
                let peer = 2 * peer as u64 + u64::from(outbound);
                let mut info = ConnectionInfo::new(Direction::outbound_if(outbound));
                (info.kind.direct, info.kind.bootstrap) = (direct, bootstrap);
                engine.worker.p2p_input(P2pInput::NewConnection { peer, info }).expect("taken");
            }
        }
        engine.worker.tick().await;
        for direction in ["inbound", "outbound"] {
            let of = |kind| format!("gossipsub_connections{{direction={direction},kind={kind}}}");
            // Who is both is a bootstrap peer: it gets no messages.
            for (kind, count) in [("regular", 1.0), ("direct", 1.0), ("bootstrap", 2.0)] {
                assert_eq!(recording.gauge(&of(kind)), count, "{direction} {kind}");
            }
        }
        assert_eq!(engine.worker.stats().count_bootstrap_connections, 4);
        engine.worker.shutdown().await;
    });
}

#[test]
fn what_waits_is_shown_while_heartbeats_are_missed() {
    run(async {
        let limits = changed(|limits| limits.heartbeat_interval = Duration::from_millis(10));
        let (release, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        // Until it is released. The second of two topics on two threads does not share the heartbeat's.
        let network = PlainNetwork::with_validator(move |_| {
            let _ = held.lock().expect("not poisoned").recv();
            Validity::Valid
        });
        let builder = Worker::builder(network, limits).arbiters(2).seed(1);
        let (recording, engine) = Recording::of(builder, ["a".to_owned(), "b".to_owned()]);
        engine.worker.p2p_input(connect(1)).expect("taken");
        for number in 0..5 {
            engine.worker.p2p_input(message(1, "b", number)).expect("taken");
        }
        let shown = || {
            recording.count("gossipsub_heartbeats_skipped_total") > 0
                && recording.gauge("gossipsub_queue_depth{queue=input}") == 5.0
                && recording.gauge("gossipsub_queue_bytes{queue=input}") > 0.0
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !shown() {
            assert!(Instant::now() < deadline, "never");
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
fn what_is_dropped_is_counted_by_lane_and_reason() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_output_items = 12);
        let (recording, mut engine) = Recording::of(manual(PlainNetwork::new(), limits), ["a".to_owned()]);
        for peer in 1..=2 {
            engine.worker.p2p_input(connect(peer)).expect("taken");
            engine.worker.p2p_input(graft(peer, "a")).expect("taken");
        }
        // Two who are told of the topic, and ten places for forwards.
        for number in 0..15 {
            engine.worker.p2p_input(message(1, "a", number)).expect("taken");
            engine.worker.settle().await;
            while engine.app.try_recv().is_some() {}
        }
        // Each is for two peers.
        for number in 100..107 {
            engine.worker.app_input(publish("a", number)).expect("taken");
            engine.worker.settle().await;
        }
        let stream_full = |lane| recording.count(&dropped(lane, DropReason::OutputQueueFull));
        assert_eq!(stream_full(Lane::Forward), 15);
        assert_eq!(stream_full(Lane::Publish), 4);
        assert_eq!(stream_full(Lane::Control), 0);
        // What the transport drops, it tells.
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
fn two_engines_are_recorded_apart() {
    run(async {
        let builder = || manual(PlainNetwork::new(), limits());
        let (one, first) = Recording::of(builder(), ["a".to_owned()]);
        // Given none, it takes the recorder that is current.
        let other = Recording::default();
        let second = with_local_recorder(&other, || start(builder(), &["a"]));
        first.worker.p2p_input(connect(1)).expect("taken");
        first.worker.p2p_input(message(1, "a", 1)).expect("taken");
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
