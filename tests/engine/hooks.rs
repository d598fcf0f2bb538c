//! These tests make hooks of the application panic. Each panic loses only the item for which the hook was called.

mod panicking;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use actix_gossipsub::{
    FullMessage, Limits, P2pInput, P2pMessage, Started, Worker,
    limits::{PatternOverrides, TopicOverrides},
    plain::PlainId,
    protocol::Event,
};
use proptest::prelude::*;
use tokio::time::timeout;

use self::panicking::{PanickingHooks, PanickingRecorder, Schedule};
use crate::{
    recording::Recording,
    support::{changed, connect, graft, join, recorder, run, subscribe},
};

/// How the hooks of an engine are used.
#[derive(Clone, Copy, Debug)]
struct Mode {
    named: bool,
    is_async: bool,
    batched: bool,
}

const TOPICS: [&str; 3] = ["a", "b", "c"];
const PEERS: std::ops::RangeInclusive<u64> = 1..=4;
/// The number of messages on each topic.
const MESSAGES: u64 = 30;

/// What a run did, apart from the messages that it lost.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    delivered: BTreeMap<u64, usize>,
    mesh: BTreeMap<String, BTreeSet<u64>>,
    heartbeats: u64,
}

/// Limits with which all hooks are called.
fn limits() -> Limits<String> {
    changed(|limits| {
        limits.bounds.reconnect_interval_ticks = 1;
        limits.extensions.refuse_own_messages = true;
        limits.extensions.skip_author = true;
        limits.extensions.protocol_violation_penalty = 1.0;
        limits.extensions.max_message_size = 1_000;
        let overrides = TopicOverrides::default().with(|topic| topic.max_message_size = Some(500));
        limits.topics.patterns.push(PatternOverrides { pattern: "joined *".into(), limits: overrides });
    })
}

struct HookedEngine {
    engine: Started<PanickingHooks>,
    recording: Recording,
    schedule: Arc<Schedule>,
    events: Arc<Mutex<Vec<Event<PanickingHooks>>>>,
}

impl HookedEngine {
    /// An engine with a full mesh in all topics. No hook has panicked.
    async fn start(mode: Mode, schedule: Arc<Schedule>) -> Self {
        let Mode { named, is_async, batched } = mode;
        let network = PanickingHooks { schedule: Arc::clone(&schedule), named, is_async };
        let (events, collect) = recorder();
        let observed = Arc::clone(&schedule);
        let observer = move |event: &Event<PanickingHooks>| {
            collect(event);
            observed.hit_any("observer");
        };
        let mut builder = Worker::builder(network, limits()).manual().arbiters(2).seed(1);
        builder = builder.self_peer(99).observer(observer);
        builder = builder.input_recorder(Arc::new(PanickingRecorder(Arc::clone(&schedule))));
        if batched {
            builder = builder.batching(Duration::from_secs(3600));
        }
        let (recording, engine) = Recording::of(builder, TOPICS.map(str::to_owned));
        let hooked = Self { engine, recording, schedule, events };
        for peer in PEERS {
            hooked.p2p(connect(peer));
            TOPICS.iter().for_each(|topic| hooked.p2p(graft(peer, topic)));
        }
        hooked.settle().await;
        hooked
    }

    fn p2p(&self, input: P2pInput<PanickingHooks>) {
        self.engine.worker.p2p_input(input).expect("the input is accepted");
    }

    fn message(&self, peer: u64, message: P2pMessage<PanickingHooks>) {
        self.p2p(P2pInput::message(peer, message));
    }

    async fn settle(&self) {
        let settled = timeout(Duration::from_secs(20), self.engine.worker.settle()).await;
        settled.expect("the engine settles");
    }

    /// Uses all hooks: messages of all peers, gossip, requests, connections, heartbeats, and another topic.
    async fn use_all_hooks(&self) {
        for number in 0..MESSAGES {
            for (index, topic) in (0..).zip(TOPICS) {
                let id = PlainId { number: number + MESSAGES * index, topic: topic.to_owned() };
                let full = full(id.clone());
                self.message(number % 4 + 1, P2pMessage::FullMessage(full));
                let message_ids = vec![PlainId { number: number + 10_000, ..id.clone() }];
                self.message(1, P2pMessage::IHave { topic: topic.to_owned(), message_ids });
                self.message(2, P2pMessage::IWant { message_ids: vec![id.clone()] });
                self.message(3, P2pMessage::IDontWant { message_ids: vec![id] });
            }
            let id = PlainId { number: number + 20_000, topic: "not joined".to_owned() };
            self.message(4, P2pMessage::FullMessage(full(id)));
            if number % 10 == 9 {
                self.settle().await;
                self.engine.worker.process_batch().await;
                let tick = timeout(Duration::from_secs(20), self.engine.worker.tick()).await;
                tick.expect("the heartbeat ends");
                let peer = 100 + number;
                self.p2p(connect(peer));
                self.p2p(subscribe(peer, "passive"));
                self.p2p(graft(peer, "passive"));
                self.p2p(P2pInput::Disconnection { peer });
                let joined = self.engine.worker.app_input(join(&format!("joined {number}")));
                joined.expect("the input is accepted");
            }
        }
        self.settle().await;
        self.engine.worker.process_batch().await;
        self.settle().await;
        // The counters of the transport are read at the end of a heartbeat.
        self.engine.worker.tick().await;
    }

    async fn finish(mut self) -> Run {
        let mut delivered = BTreeMap::new();
        while let Some(full) = self.engine.app.try_recv() {
            *delivered.entry(full.message_id.number).or_default() += 1;
        }
        let state = self.engine.worker.state().await.expect("the engine runs");
        let mesh = state.mesh.into_iter().filter(|(topic, _)| TOPICS.contains(&&**topic));
        let run = Run { delivered, mesh: mesh.collect(), heartbeats: state.heartbeat_ticks };
        assert_eq!(*self.events.lock().expect("the lock is not poisoned"), [], "no topic restarts");
        assert_eq!(self.recording.count("gossipsub_hook_panics_total"), self.schedule.panics());
        self.engine.worker.shutdown().await;
        run
    }
}

fn full(message_id: PlainId) -> Arc<FullMessage<PanickingHooks>> {
    let (topic, message) = (message_id.topic.clone(), message_id.number.to_string());
    Arc::new(FullMessage { topic, message_id, message })
}

/// Runs an engine in which one of `one_of` calls of a hook panics, and one in which none does. Compares them.
/// Returns the hooks that were called.
async fn assert_only_the_items_that_panicked_are_lost(
    mode: Mode,
    seed: u64,
    one_of: u64,
) -> BTreeSet<&'static str> {
    let (calm, panicking) = (Schedule::new(seed), Schedule::new(seed));
    let hooked = HookedEngine::start(mode, Arc::clone(&calm)).await;
    hooked.use_all_hooks().await;
    let mut expected = hooked.finish().await;
    assert_eq!(expected.delivered.len() as u64, TOPICS.len() as u64 * MESSAGES);
    assert_eq!(calm.panics(), 0);

    let hooked = HookedEngine::start(mode, Arc::clone(&panicking)).await;
    panicking.one_of.store(one_of, Ordering::Relaxed);
    hooked.use_all_hooks().await;
    panicking.one_of.store(0, Ordering::Relaxed);
    assert!(panicking.panics() > 0);
    let lost = panicking.lost.lock().expect("the lock is not poisoned").clone();
    expected.delivered.retain(|number, _| !lost.contains(number));
    // A message that was lost may be received again, from any peer.
    let again = *lost.iter().find(|number| **number < MESSAGES).unwrap_or(&(5 * MESSAGES));
    hooked.message(4, P2pMessage::FullMessage(full(PlainId { number: again, topic: "a".to_owned() })));
    hooked.settle().await;
    hooked.engine.worker.process_batch().await;
    hooked.settle().await;
    expected.delivered.insert(again, 1);
    assert_eq!(hooked.finish().await, expected, "{:?}", panicking.panics);
    std::mem::take(&mut *calm.called.lock().expect("the lock is not poisoned"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_panic_of_any_hook_loses_only_the_item_that_it_was_called_for(
        (named, is_async, batched) in any::<(bool, bool, bool)>(),
        seed in any::<u64>(),
        one_of in 2..12_u64,
    ) {
        let mode = Mode { named, is_async, batched };
        run(async move {
            assert_only_the_items_that_panicked_are_lost(mode, seed, one_of).await;
        });
    }
}

#[test]
fn an_engine_whose_hooks_always_panic_goes_on() {
    run(async {
        let mut called = BTreeSet::new();
        for is_async in [false, true] {
            for batched in [false, true] {
                let mode = Mode { named: true, is_async, batched };
                called.extend(assert_only_the_items_that_panicked_are_lost(mode, 1, 1).await);
            }
        }
        assert_eq!(called.len(), 24, "20 hooks, two futures, observer and recorder: {called:?}");
    });
}

/// A hook that panics at the start of an engine does not prevent it.
#[test]
fn an_engine_starts_although_its_hooks_panic() {
    run(async {
        let schedule = Schedule::new(1);
        schedule.one_of.store(1, Ordering::Relaxed);
        let mode = Mode { named: true, is_async: false, batched: false };
        let hooked = HookedEngine::start(mode, Arc::clone(&schedule)).await;
        hooked.engine.worker.tick().await;
        let panics = schedule.panics.lock().expect("the lock is not poisoned").clone();
        let expected = [
            "input_recorder",
            "observer",
            "peer_filter",
            "persistent_points",
            "reachable_point",
            "topic_label",
            "topic_name",
            "topic_size",
            "transport_stats",
        ];
        assert!(panics.keys().copied().eq(expected), "{panics:?}");
        hooked.finish().await;
    });
}
