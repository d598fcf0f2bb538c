//! These tests run heartbeats over more topics than the engine has in flight at once. The engine must reach the same
//! state as a `Node`, which processes all topics in one call. They also run two engines that share more topics than a peer may
//! subscribe to that we have not joined.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    AppInput, Limits, LimitsConfig, ManualClock, P2pInput, P2pMessage, P2pOutput, Started, Worker,
    plain::PlainNetwork,
    protocol::{Node, NodeOptions, Timestamp, View},
};

use testkit::fragile::{FragileNetwork, POISON, fragile_message};

use crate::support::*;

/// More than 2.5 times the topics that a heartbeat has in flight at once.
const TOPICS: u64 = 700;
const PEERS: u64 = 12;
const SECOND: Duration = Duration::from_secs(1);

fn topic(number: u64) -> String {
    format!("t{number}")
}

/// All peers connect and subscribe to all topics, and a third of the pairs of peer and topic graft.
fn arrivals() -> Vec<P2pInput<PlainNetwork>> {
    let connections = (1..=PEERS).map(connect);
    let pairs = (0..TOPICS).flat_map(|number| (1..=PEERS).map(move |peer| (number, peer)));
    let entries = pairs.flat_map(|(number, peer)| {
        let grafts = (number + peer).is_multiple_of(3).then(|| graft(peer, &topic(number)));
        [subscribe(peer, &topic(number))].into_iter().chain(grafts)
    });
    connections.chain(entries).collect()
}

/// The messages of one second: one on every other topic, each sent by three peers.
fn messages(second: u64) -> Vec<P2pInput<PlainNetwork>> {
    let topics = (0..TOPICS).filter(|number| (number + second).is_multiple_of(2));
    let copies = topics.flat_map(|number| {
        let first = (number * 7 + second) % PEERS;
        (0..3).map(move |copy| message((first + copy) % PEERS + 1, &topic(number), second))
    });
    copies.collect()
}

/// An engine and a state machine that receive the same inputs.
struct Pair {
    worker: Worker<PlainNetwork>,
    node: Node<PlainNetwork>,
    clock: Arc<ManualClock>,
    now: Timestamp,
}

impl Pair {
    async fn send(&mut self, inputs: Vec<P2pInput<PlainNetwork>>) {
        for input in inputs {
            self.worker.send_p2p_input(input.clone()).await.expect("the engine runs");
            self.node.p2p_input(input, self.now);
        }
        self.worker.settle().await;
    }

    async fn tick(&mut self) {
        self.now = self.now.after(SECOND);
        self.clock.set(self.now);
        self.worker.tick().await;
        self.node.heartbeat(self.now);
    }

    async fn assert_equal(&self) {
        let engine = self.worker.state().await.expect("the engine runs");
        assert_eq!(ordered_state(&engine), ordered_state(&self.node.view(self.now)));
    }
}

/// The parts of the state whose order is specified.
fn ordered_state(view: &View<PlainNetwork>) -> String {
    let View { heartbeat_ticks, connections, scores, mesh, backoff, gossip, .. } = view;
    format!("{heartbeat_ticks} {connections:#?} {scores:#?} {mesh:#?} {backoff:#?} {gossip:#?}")
}

#[test]
fn a_heartbeat_over_many_topics_has_the_same_result_as_in_one_call() {
    run(async {
        let limits = changed(|config| config.max_topics_per_peer = TOPICS as usize);
        let clock = Arc::new(ManualClock::new());
        let topics: Vec<String> = (0..TOPICS).map(topic).collect();
        let builder = manual(PlainNetwork::new(), limits.clone()).clock(Arc::clone(&clock) as _);
        let engine = builder.start(topics.clone()).expect("an actix system runs");
        let options = NodeOptions::default().with(|o| o.seed = 1);
        let mut node = Node::new(Arc::new(PlainNetwork::new()), limits, options);
        for topic in &topics {
            node.join(topic, Timestamp::ZERO);
        }
        let now = Timestamp::ZERO;
        let mut pair = Pair { worker: engine.worker.clone(), node, clock, now };
        // Both streams are read all the time, so that no output is dropped.
        let (mut p2p, mut app) = (engine.p2p, engine.app);
        let p2p = actix_rt::spawn(async move { while p2p.recv_batch().await.is_some() {} });
        let app = actix_rt::spawn(async move { while app.recv().await.is_some() {} });
        pair.send(arrivals()).await;
        for second in 1..=6 {
            pair.send(messages(second)).await;
            if second == 3 {
                pair.send(vec![disconnect(2), connect(2), subscribe(2, "t0"), disconnect(5)]).await;
            }
            pair.tick().await;
            pair.assert_equal().await;
        }
        engine.worker.shutdown().await;
        p2p.await.expect("the stream ends with the engine");
        app.await.expect("the stream ends with the engine");
    });
}

/// Passes the outputs of each engine to the other until there are none.
async fn exchange(engines: &mut [Started<PlainNetwork>; 2]) {
    loop {
        for engine in engines.iter() {
            engine.worker.settle().await;
        }
        let outputs = engines
            .each_mut()
            .map(|engine| std::iter::from_fn(|| engine.p2p.try_recv()).collect::<Vec<P2pOutput<_>>>());
        if outputs.iter().all(Vec::is_empty) {
            return;
        }
        for (from, outputs) in outputs.into_iter().enumerate() {
            for output in outputs {
                let P2pOutput::OutMessage { message, .. } = output else { continue };
                let input = P2pInput::message(from as u64, message);
                engines[1 - from].worker.send_p2p_input(input).await.expect("the engine runs");
            }
        }
    }
}

#[test]
fn two_engines_with_default_limits_build_the_meshes_of_5000_topics() {
    const TOPICS: usize = 5_000;
    run(async {
        let limits = Limits::try_from(LimitsConfig::default()).expect("valid limits");
        assert!(limits.max_topics_per_peer < TOPICS);
        let mut engines = [1, 2].map(|seed| {
            // Each engine subscribes in another order.
            let topics = (0..TOPICS).map(|number| topic(((number + seed * 2_500) % TOPICS) as u64));
            manual(PlainNetwork::new(), limits.clone())
                .seed(seed as u64)
                .start(topics)
                .expect("a system runs")
        });
        for (index, engine) in engines.iter().enumerate() {
            engine.worker.p2p_input(connect(1 - index as u64)).expect("the input is accepted");
        }
        for _ in 0..3 {
            exchange(&mut engines).await;
            for engine in &engines {
                engine.worker.tick().await;
            }
        }
        for (index, engine) in engines.iter().enumerate() {
            let mesh = engine.worker.state().await.expect("the engine runs").mesh;
            let complete = mesh.values().filter(|peers| peers.contains(&(1 - index as u64))).count();
            assert_eq!(complete, TOPICS, "mesh links of engine {index}");
            engine.worker.shutdown().await;
        }
    });
}

/// An engine for which `max_topics_per_peer` is 10, with a peer that is connected.
struct LimitedTopics(Started<FragileNetwork>);

impl LimitedTopics {
    async fn send(&self, input: P2pInput<FragileNetwork>) {
        self.0.worker.p2p_input(input).expect("the input is accepted");
        self.0.worker.settle().await;
    }

    /// Subscribes to more topics than there is room for. Returns how many are accepted.
    async fn fill(&self, name: &str) -> usize {
        let before = self.subscriptions().await;
        for number in 0..15 {
            self.send(subscribe(1, &format!("{name}-{number}"))).await;
        }
        self.subscriptions().await - before
    }

    async fn subscriptions(&self) -> usize {
        let view = self.0.worker.state().await.expect("the engine runs");
        view.connections[&1].topics.len()
    }

    async fn unsubscribe(&self, topic: &str) {
        self.send(P2pInput::message(1, P2pMessage::Unsubscribe { topic: topic.to_owned() })).await;
    }

    async fn app(&self, input: AppInput<FragileNetwork>) {
        self.0.worker.app_input(input).expect("the input is accepted");
        self.0.worker.settle().await;
    }
}

#[test]
fn subscriptions_to_joined_topics_do_not_count_for_the_limit() {
    run(async {
        let config = LimitsConfig::default().with(|config| config.max_topics_per_peer = 10);
        let limits = Limits::try_from(config).expect("valid limits");
        let topics: Vec<_> = (0..20).map(topic).collect();
        let started = manual(FragileNetwork::default(), limits).start(topics.clone());
        let engine = LimitedTopics(started.expect("a system runs"));
        engine.send(connect(1)).await;
        for topic in &topics {
            engine.send(subscribe(1, topic)).await;
        }
        assert_eq!((engine.subscriptions().await, engine.fill("a").await), (20, 10));
        // A topic that is joined later makes room for another, also if it is joined twice.
        engine.app(join("a-0")).await;
        engine.app(join("a-0")).await;
        assert_eq!(engine.fill("b").await, 1);
        // One that is left counts again.
        engine.app(leave("a-0")).await;
        engine.unsubscribe("a-1").await;
        assert_eq!(engine.fill("c").await, 0);
        engine.unsubscribe("a-2").await;
        assert_eq!(engine.fill("c").await, 1);
        // A joined topic makes no room when the peer leaves it, and needs none when the peer is back.
        engine.unsubscribe("t0").await;
        assert_eq!(engine.fill("d").await, 0);
        engine.send(subscribe(1, "t0")).await;
        // Nor does the restart of a topic change what counts.
        engine.send(fragile_message(1, "t0", POISON)).await;
        assert!(engine.0.worker.is_subscribed(&"t0".to_owned()));
        assert_eq!(engine.fill("e").await, 0);
        engine.unsubscribe("a-3").await;
        assert_eq!((engine.fill("e").await, engine.subscriptions().await), (1, 30));
        engine.0.worker.shutdown().await;
    });
}
