//! Message ids panic repeatedly under load, and each panic restarts the actor of its topic. These tests check that
//! every other topic delivers each message exactly once, and that the restarted topic delivers each message at most
//! once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use actix_gossipsub::{
    Limits, ManualClock, P2pInput, P2pMessage, P2pOutput, Started, Worker, WorkerBuilder, protocol::Event,
};

use testkit::fragile::{FragileNetwork, POISON, fragile_message};

use crate::support::*;

const CALM: [&str; 4] = ["calm0", "calm1", "calm2", "calm3"];
const KILLED: &str = "killed";
/// The peers. All are in the mesh of every topic.
const PEERS: std::ops::RangeInclusive<u64> = 1..=6;
/// The number of threads. Each is the transport of two peers.
const THREADS: u64 = 3;
/// The number of messages that a thread sends on each topic in a round. The outputs of a round fit into the p2p
/// stream, so that none may be dropped.
const MESSAGES: u64 = 400;
const RESTARTS: u64 = 5;

/// A message: its topic and number.
type Key = (&'static str, u64);

/// An engine, and the messages that it accepted, delivered and forwarded.
struct LoadedEngine {
    engine: Started<FragileNetwork>,
    /// The sender of each message that was admitted.
    admitted: BTreeMap<Key, u64>,
    /// How often each message was delivered to the application.
    delivered: BTreeMap<Key, usize>,
    /// The peers to which each message was sent.
    forwarded: BTreeMap<Key, Vec<u64>>,
    ticks: u64,
}

#[test]
fn panics_of_a_topic_under_load_lose_no_message_of_other_topics() {
    run(async {
        let (events, observer) = recorder();
        let clock = Arc::new(ManualClock::new());
        let builder = manual(FragileNetwork::default(), long_memory())
            .observer(observer)
            .clock(Arc::clone(&clock) as _);
        let mut loaded = LoadedEngine::start(builder).await;
        for round in 0..RESTARTS {
            loaded.assert_routes(KILLED, 10 * round).await;
            loaded.panic_under_load(round).await;
        }
        let restarted = Event::TopicRestarted { topic: KILLED.to_owned() };
        assert_eq!(topic_events(&events), vec![restarted.clone(); RESTARTS as usize]);
        loaded.assert_routes(KILLED, 10 * RESTARTS).await;

        loaded.panic_under_load(RESTARTS).await;
        let given_up = Event::TopicGivenUp { topic: KILLED.to_owned() };
        assert_eq!(topic_events(&events)[RESTARTS as usize..], [given_up]);
        assert!(!loaded.engine.worker.is_subscribed(&KILLED.to_owned()));
        CALM.iter().for_each(|topic| assert!(loaded.engine.worker.is_subscribed(&(*topic).to_owned())));

        clock.advance(Duration::from_secs(61));
        loaded.engine.worker.app_input(join(KILLED)).expect("the input is accepted");
        loaded.assert_routes(KILLED, 100).await;
        loaded.panic_under_load(RESTARTS + 1).await;
        assert_eq!(
            topic_events(&events).last(),
            Some(&restarted),
            "restarts are counted anew after a minute"
        );
        loaded.assert_routes(KILLED, 200).await;
        loaded.check();
        loaded.engine.worker.shutdown().await;
    });
}

/// Limits with which no id expires: the test runs heartbeats as fast as it can.
fn long_memory() -> Limits<String> {
    changed(|limits| limits.seen_history_length = 1_000_000)
}

/// The events without refused inputs: the threads send as fast as they can.
fn topic_events(events: &Mutex<Vec<Event<FragileNetwork>>>) -> Vec<Event<FragileNetwork>> {
    let events = events.lock().expect("the lock is not poisoned");
    events.iter().filter(|event| !matches!(event, Event::InputRefused { .. })).cloned().collect()
}

impl LoadedEngine {
    async fn start(builder: WorkerBuilder<FragileNetwork>) -> Self {
        let topics = [&CALM[..], &[KILLED]].concat();
        let engine = start(builder, &topics);
        for peer in PEERS {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            topics.iter().for_each(|topic| {
                engine.worker.p2p_input(graft(peer, topic)).expect("the input is accepted")
            });
        }
        engine.worker.settle().await;
        Self {
            engine,
            admitted: BTreeMap::new(),
            delivered: BTreeMap::new(),
            forwarded: BTreeMap::new(),
            ticks: 0,
        }
    }

    /// Each peer sends a message, and the next peer sends it again. Asserts that each is delivered and forwarded once.
    async fn assert_routes(&mut self, topic: &'static str, from: u64) {
        let numbers = from..from + PEERS.count() as u64;
        for (peer, number) in PEERS.zip(numbers.clone()) {
            self.engine
                .worker
                .p2p_input(fragile_message(peer, topic, number))
                .expect("the input is accepted");
            self.engine
                .worker
                .p2p_input(fragile_message(peer % 6 + 1, topic, number))
                .expect("the input is accepted");
            self.admitted.insert((topic, number), peer);
        }
        self.engine.worker.settle().await;
        self.read();
        numbers.for_each(|number| self.assert_routed_once(&(topic, number)));
    }

    /// The threads send their messages, one thread also the message that panics, while heartbeats run.
    async fn panic_under_load(&mut self, round: u64) {
        let threads: Vec<_> =
            (0..THREADS).map(|number| transport(self.engine.worker.clone(), round, number)).collect();
        loop {
            self.engine.worker.tick().await;
            self.ticks += 1;
            self.read();
            if threads.iter().all(JoinHandle::is_finished) {
                break;
            }
        }
        for thread in threads {
            self.admitted.extend(thread.join().expect("no panic"));
        }
        self.engine.worker.settle().await;
        self.read();
        let view = self.engine.worker.state().await.expect("the engine runs");
        assert_eq!(view.heartbeat_ticks, self.ticks);
        CALM.iter().for_each(|topic| assert!(view.mesh[*topic].iter().copied().eq(PEERS)));
    }

    fn read(&mut self) {
        while let Some(full) = self.engine.app.try_recv() {
            *self.delivered.entry(key(&full.topic, full.message_id.number)).or_default() += 1;
        }
        while let Some(output) = self.engine.p2p.try_recv() {
            if let P2pOutput::OutMessage { to_peer, message: P2pMessage::FullMessage(full) } = output {
                self.forwarded.entry(key(&full.topic, full.message_id.number)).or_default().push(to_peer);
            }
        }
    }

    fn assert_routed_once(&mut self, key: &Key) {
        assert_eq!(self.delivered.get(key), Some(&1), "deliveries of {key:?}");
        let receivers = self.forwarded.get_mut(key).expect("the message is forwarded");
        receivers.sort_unstable();
        let sender = self.admitted[key];
        assert!(
            receivers.iter().copied().eq(PEERS.filter(|peer| *peer != sender)),
            "{key:?} of {sender}: {receivers:?}"
        );
    }

    /// Each message of the calm topics was routed once, and each of the restarted topic at most once.
    fn check(&mut self) {
        let calm: Vec<_> = self.admitted.keys().filter(|(topic, _)| *topic != KILLED).copied().collect();
        assert_eq!(calm.len() as u64, CALM.len() as u64 * THREADS * MESSAGES * (RESTARTS + 2));
        calm.iter().for_each(|key| self.assert_routed_once(key));
        let killed: Vec<_> = self.delivered.keys().filter(|(topic, _)| *topic == KILLED).copied().collect();
        killed.iter().for_each(|key| self.assert_routed_once(key));
        assert!(self.forwarded.keys().eq(self.delivered.keys()), "only delivered messages are forwarded");
    }
}

fn key(topic: &str, number: u64) -> Key {
    let known = CALM.into_iter().chain([KILLED]).find(|known| *known == topic);
    (known.expect("a topic of this test"), number)
}

/// A thread that sends on all topics for its two peers, every third message for both. Returns the admitted messages
/// with their first senders.
fn transport(worker: Worker<FragileNetwork>, round: u64, thread: u64) -> JoinHandle<Vec<(Key, u64)>> {
    thread::spawn(move || {
        let mut admitted = Vec::new();
        for count in 0..MESSAGES {
            let number = 1000 + (round * THREADS + thread) * MESSAGES + count;
            let (first, second) = (2 * thread + 1 + count % 2, 2 * thread + 2 - count % 2);
            for topic in CALM {
                send(&worker, fragile_message(first, topic, number));
                if count % 3 == 0 {
                    send(&worker, fragile_message(second, topic, number));
                }
                admitted.push(((topic, number), first));
            }
            send(&worker, fragile_message(first, KILLED, number));
            admitted.push(((KILLED, number), first));
            if (thread, count) == (round % THREADS, MESSAGES / 2) {
                send(&worker, fragile_message(first, KILLED, POISON));
            }
        }
        admitted
    })
}

/// Retries an input until the queue has room, as a transport does.
fn send(worker: &Worker<FragileNetwork>, input: P2pInput<FragileNetwork>) {
    while worker.p2p_input(input.clone()).is_err() {
        thread::yield_now();
    }
}
