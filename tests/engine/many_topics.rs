//! This test runs a heartbeat over more topics than the engine has in flight at once. The engine must reach the same
//! state as a `Node`, which processes all topics in one call.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    ManualClock, P2pInput, Worker,
    plain::PlainNetwork,
    protocol::{Node, NodeOptions, Timestamp, View},
};

use crate::support::*;

/// More than two and a half turns of a heartbeat.
const TOPICS: u64 = 700;
const PEERS: u64 = 12;
const SECOND: Duration = Duration::from_secs(1);

fn topic(number: u64) -> String {
    format!("t{number}")
}

/// Everybody connects and subscribes, and a third grafts.
fn arrivals() -> Vec<P2pInput<PlainNetwork>> {
    let connections = (1..=PEERS).map(connect);
    let pairs = (0..TOPICS).flat_map(|number| (1..=PEERS).map(move |peer| (number, peer)));
    let entries = pairs.flat_map(|(number, peer)| {
        let grafts = (number + peer).is_multiple_of(3).then(|| graft(peer, &topic(number)));
        [subscribe(peer, &topic(number))].into_iter().chain(grafts)
    });
    connections.chain(entries).collect()
}

/// A second's messages: on every other topic one, from three peers each.
fn messages(second: u64) -> Vec<P2pInput<PlainNetwork>> {
    let topics = (0..TOPICS).filter(|number| (number + second).is_multiple_of(2));
    let copies = topics.flat_map(|number| {
        let first = (number * 7 + second) % PEERS;
        (0..3).map(move |copy| message((first + copy) % PEERS + 1, &topic(number), second))
    });
    copies.collect()
}

/// An engine and a state machine that hear the same.
struct Pair {
    worker: Worker<PlainNetwork>,
    node: Node<PlainNetwork>,
    clock: Arc<ManualClock>,
    now: Timestamp,
}

impl Pair {
    async fn hear(&mut self, inputs: Vec<P2pInput<PlainNetwork>>) {
        for input in inputs {
            self.worker.p2p_input_ready(&1).await;
            self.worker.p2p_input(input.clone()).expect("there is room");
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
        let engine = self.worker.state().await.expect("it runs");
        assert_eq!(shown(&engine), shown(&self.node.view(self.now)));
    }
}

/// All but what is in no order.
fn shown(view: &View<PlainNetwork>) -> String {
    let View { heartbeat_ticks, connections, scores, mesh, backoff, gossip, .. } = view;
    format!("{heartbeat_ticks} {connections:#?} {scores:#?} {mesh:#?} {backoff:#?} {gossip:#?}")
}

#[test]
fn a_heartbeat_in_many_turns_ends_as_one_in_a_single_turn() {
    run(async {
        let limits = changed(|config| config.max_topics_per_peer = TOPICS as usize);
        let clock = Arc::new(ManualClock::new());
        let topics: Vec<String> = (0..TOPICS).map(topic).collect();
        let builder = manual(PlainNetwork::new(), limits.clone()).clock(Arc::clone(&clock) as _);
        let engine = builder.start(topics.clone()).expect("inside a system");
        let options = NodeOptions::default().with(|o| o.seed = 1);
        let mut node = Node::new(Arc::new(PlainNetwork::new()), limits, options);
        for topic in &topics {
            node.join(topic, Timestamp::ZERO);
        }
        let now = Timestamp::ZERO;
        let mut pair = Pair { worker: engine.worker.clone(), node, clock, now };
        // Read all the while: nothing is dropped for want of room.
        let (mut p2p, mut app) = (engine.p2p, engine.app);
        let p2p = actix_rt::spawn(async move { while p2p.recv_batch().await.is_some() {} });
        let app = actix_rt::spawn(async move { while app.recv().await.is_some() {} });
        pair.hear(arrivals()).await;
        for second in 1..=6 {
            pair.hear(messages(second)).await;
            if second == 3 {
                pair.hear(vec![disconnect(2), connect(2), subscribe(2, "t0"), disconnect(5)]).await;
            }
            pair.tick().await;
            pair.assert_equal().await;
        }
        engine.worker.shutdown().await;
        p2p.await.expect("it ends with the engine");
        app.await.expect("it ends with the engine");
    });
}
