//! These tests inject panics that the engine does not contain where it calls the application, and check what survives
//! the restart of the topic: everything but the item that panicked.

use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    sync::{Arc, Mutex},
    thread::{self, ThreadId},
    time::Duration,
};

use actix_gossipsub::{
    AppInput, Delivery, FullMessage, Limits, Network, P2pInput, P2pMessage, P2pOutput, Page, RouteResult,
    Started, Validity, Worker, protocol::Event,
};
use tokio::time::timeout;

use testkit::fragile::{FragileNetwork, POISON, fragile_message};

use crate::support::*;

/// The message whose id panics, made on another thread than that of the engine.
fn poison() -> P2pInput<FragileNetwork> {
    thread::spawn(|| fragile_message(1, "a", POISON)).join().expect("no panic")
}

#[test]
fn a_panic_keeps_the_effects_of_the_items_before_it_and_the_items_behind_it() {
    run(async {
        let (events, observer) = recorder();
        // All inputs are in the inbox when the first is handled.
        let builder = manual(FragileNetwork::default(), limits()).arbiters(0).observer(observer);
        let mut engine = start(builder, &["a"]);
        for peer in [1, 2] {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        engine.worker.settle().await;
        let send = |input| engine.worker.p2p_input(input).expect("the input is accepted");
        (1..=5).for_each(|number| send(fragile_message(1, "a", number)));
        send(poison());
        (6..=10).for_each(|number| send(fragile_message(1, "a", number)));
        let ticket = engine
            .worker
            .publish(FragileNetwork::message("a", 11, "content"))
            .expect("the input is accepted");
        engine.worker.settle().await;

        let delivered: Vec<_> =
            std::iter::from_fn(|| engine.app.try_recv()).map(|full| full.message_id.number).collect();
        assert_eq!(delivered, Vec::from_iter(1..=10));
        let mut forwarded = Vec::new();
        while let Some(output) = engine.p2p.try_recv() {
            if let P2pOutput::OutMessage { to_peer: 2, message: P2pMessage::FullMessage(full) } = output {
                forwarded.push(full.message_id.number);
            }
        }
        forwarded.sort_unstable();
        assert_eq!(forwarded, Vec::from_iter(1..=11));
        assert_eq!(ticket.routed().await.routed, Some(RouteResult::Queued));
        let expected = [Event::TopicRestarted { topic: "a".to_owned() }];
        assert_eq!(*events.lock().expect("the lock is not poisoned"), expected);
        engine.worker.shutdown().await;
    });
}

/// On each armed thread, the number of clones of an [`Armed`] value before the one that panics.
static CLONES_LEFT: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

fn key(thread: ThreadId) -> String {
    format!("{thread:?}")
}

/// A value that panics when it is cloned on an armed thread. A thread panics once.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Armed<T>(T);

impl<T: Clone> Clone for Armed<T> {
    fn clone(&self) -> Self {
        let thread = key(thread::current().id());
        let mut clones_left = CLONES_LEFT.lock().expect("the lock is not poisoned");
        let is_last = clones_left.get_mut(&thread).is_some_and(|left| {
            *left = left.saturating_sub(1);
            *left == 0
        });
        if is_last {
            clones_left.remove(&thread);
            drop(clones_left);
            resume_unwind(Box::new("a panic that a test injects"));
        }
        Self(self.0.clone())
    }
}

/// A network whose peers and topics are armed. It notes the thread of each topic.
#[derive(Clone, Default)]
struct ArmedNetwork(Arc<Mutex<BTreeMap<String, ThreadId>>>);

impl ArmedNetwork {
    fn thread_of(&self, topic: &str) -> ThreadId {
        self.0.lock().expect("the lock is not poisoned")[topic]
    }
}

impl Network for ArmedNetwork {
    type Peer = Armed<u64>;
    type Topic = Armed<String>;
    type MessageId = u64;
    type Message = ();
    type Point = u64;

    fn topic_of(&self, _: &u64) -> Option<Armed<String>> {
        None
    }

    fn topic_size(&self, topic: &Armed<String>) -> usize {
        size_of_val(topic)
    }

    fn message_size(&self, message: &()) -> usize {
        size_of_val(message)
    }

    fn message_id_size(&self, id: &u64) -> usize {
        size_of_val(id)
    }

    fn validate(&self, delivery: &Delivery<Self>) -> Validity {
        let topic = delivery.message.topic.0.clone();
        self.0.lock().expect("the lock is not poisoned").insert(topic, thread::current().id());
        Validity::Valid
    }
}

fn topic() -> Armed<String> {
    Armed("a".to_owned())
}

/// An engine with the joined topic `a` on an arbiter of its own, and with three peers in the mesh of the topic.
struct ArmedEngine {
    engine: Started<ArmedNetwork>,
    network: ArmedNetwork,
    numbers: std::ops::RangeFrom<u64>,
}

impl ArmedEngine {
    async fn start() -> Self {
        let network = ArmedNetwork::default();
        let limits = Limits::try_from({
            let mut config = actix_gossipsub::LimitsConfig::tezos_dal();
            // The topic retires after few heartbeats.
            (config.history_gossip_length, config.history_length, config.seen_history_length) = (1, 2, 2);
            config.unsubscribe_backoff = Duration::ZERO;
            config
        });
        let limits = limits.expect("valid limits");
        let builder = Worker::builder(network.clone(), limits).manual().arbiters(2).seed(1);
        // The first topic runs on the thread of the supervisor.
        let first = Armed("first".to_owned());
        let engine = builder.start([first, topic()]).expect("an actix system runs");
        let mut armed = Self { engine, network, numbers: 1.. };
        for peer in 1..=3 {
            armed.connect(peer);
            armed.p2p(peer, P2pMessage::Graft { topic: topic() });
        }
        armed.assert_delivers("first").await;
        armed.assert_delivers("a").await;
        assert_ne!(armed.network.thread_of("a"), armed.network.thread_of("first"));
        armed
    }

    fn connect(&self, peer: u64) {
        self.engine.worker.p2p_input(P2pInput::connected(Armed(peer))).expect("the input is accepted");
        self.p2p(peer, P2pMessage::subscribe(topic()));
    }

    fn p2p(&self, peer: u64, message: P2pMessage<ArmedNetwork>) {
        let input = P2pInput::message(Armed(peer), message);
        self.engine.worker.p2p_input(input).expect("the input is accepted");
    }

    fn app(&self, input: AppInput<ArmedNetwork>) {
        self.engine.worker.app_input(input).expect("the input is accepted");
    }

    async fn settle(&self) {
        let settled = timeout(Duration::from_secs(20), self.engine.worker.settle()).await;
        settled.expect("the engine settles");
    }

    /// Runs `act`, in which clone number `clones` on the topic's thread panics. Returns whether it was reached.
    async fn with_panic(&self, clones: usize, act: impl AsyncFnOnce(&Self)) -> bool {
        self.settle().await;
        let thread = key(self.network.thread_of("a"));
        let armed = || CLONES_LEFT.lock().expect("the lock is not poisoned");
        armed().insert(thread.clone(), clones);
        act(self).await;
        self.settle().await;
        armed().remove(&thread).is_none()
    }

    /// Sends a new message of peer 1, and asserts that the application receives it.
    async fn assert_delivers(&mut self, topic: &str) {
        let number = self.numbers.next().expect("there are numbers");
        let full = FullMessage { topic: Armed(topic.to_owned()), message_id: number, message: () };
        self.p2p(1, P2pMessage::FullMessage(Arc::new(full)));
        self.settle().await;
        let delivered: Vec<_> =
            std::iter::from_fn(|| self.engine.app.try_recv()).map(|full| full.message_id).collect();
        assert_eq!(delivered, [number]);
    }

    /// For each peer, whether the last announcement about the topic that it was sent is a SUBSCRIBE.
    fn announced(&mut self) -> BTreeMap<u64, bool> {
        let mut announced = BTreeMap::new();
        while let Some(output) = self.engine.p2p.try_recv() {
            let P2pOutput::OutMessage { to_peer, message } = output else { continue };
            match message {
                P2pMessage::Subscribe { topic: of, .. } if of == topic() => {
                    announced.insert(to_peer.0, true);
                }
                P2pMessage::Unsubscribe { topic: of } if of == topic() => {
                    announced.insert(to_peer.0, false);
                }
                _ => {}
            }
        }
        announced
    }

    /// Asserts that all parts of the engine and all peers have the topic as joined or not.
    async fn assert_joined(&mut self, joined: bool, context: &str) {
        assert_eq!(self.engine.worker.is_subscribed(&topic()), joined, "{context}");
        assert_eq!(self.announced(), BTreeMap::from([1, 2, 3].map(|peer| (peer, joined))), "{context}");
        let state = self.engine.worker.state().await.expect("the engine runs");
        assert_eq!(state.mesh.contains_key(&topic()), joined, "{context}");
        // The supervisor announces the joined topics to a new peer.
        self.connect(9);
        self.settle().await;
        let announced = if joined { BTreeMap::from([(9, true)]) } else { BTreeMap::new() };
        assert_eq!(self.announced(), announced, "{context}");
    }
}

/// Runs `test` with a panic at each of the first clones, until one is not reached any more.
async fn for_each_panic(test: impl AsyncFn(usize) -> bool) {
    for clones in 1..60 {
        if !test(clones).await {
            assert!(clones > 2, "the panics are injected");
            return;
        }
    }
}

#[test]
fn a_leave_takes_effect_although_the_topic_panics() {
    run(for_each_panic(async |clones| {
        let mut armed = ArmedEngine::start().await;
        let panicked = armed.with_panic(clones, async |armed| armed.app(AppInput::Leave(topic()))).await;
        armed.assert_joined(false, &format!("a panic at clone {clones}")).await;
        armed.app(AppInput::Join(topic()));
        armed.assert_delivers("a").await;
        armed.engine.worker.shutdown().await;
        panicked
    }));
}

#[test]
fn a_join_takes_effect_although_the_topic_panics() {
    run(for_each_panic(async |clones| {
        let mut armed = ArmedEngine::start().await;
        armed.app(AppInput::Leave(topic()));
        let panicked = armed.with_panic(clones, async |armed| armed.app(AppInput::Join(topic()))).await;
        armed.assert_joined(true, &format!("a panic at clone {clones}")).await;
        armed.assert_delivers("a").await;
        armed.engine.worker.shutdown().await;
        panicked
    }));
}

#[test]
fn a_topic_that_panics_while_it_retires_is_not_lost() {
    run(for_each_panic(async |clones| {
        let mut armed = ArmedEngine::start().await;
        armed.app(AppInput::Leave(topic()));
        let retire = async |armed: &ArmedEngine| {
            for _ in 0..6 {
                let tick = timeout(Duration::from_secs(20), armed.engine.worker.tick()).await;
                tick.unwrap_or_else(|_| panic!("the heartbeat ends after a panic at clone {clones}"));
            }
        };
        let panicked = armed.with_panic(clones, retire).await;
        let subscribers = armed.engine.worker.subscribers(Page::all(), false).await.expect("the engine runs");
        let expected = [(topic(), [1, 2, 3].map(Armed).into())];
        assert_eq!(subscribers.items, expected, "the subscribers after a panic at clone {clones}");
        armed.app(AppInput::Join(topic()));
        armed.assert_delivers("a").await;
        armed.engine.worker.shutdown().await;
        panicked
    }));
}
