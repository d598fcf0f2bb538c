//! These tests publish more messages at once than the send queues of five real nodes take. Every node must receive all
//! messages of the others nevertheless.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_gossipsub::libp2p::{
    BehaviourConfig, Event, NodeDriver, NodeEvent, NodeHandle, QueueLimits, TopicName, TransportConfig,
};
use actix_gossipsub::{
    AppInput, AppOutputs, DropReason, Limits, LimitsConfig, Started, Worker, protocol::Lane,
};
use futures::future::join_all;
use libp2p::{Multiaddr, identity::Keypair};

use super::support::*;

const NODES: usize = 5;
const TOPICS: usize = 8;
/// The messages that a node publishes at once.
const BURST: usize = 300;
/// Far fewer items than that. As the nodes share a thread, a queue is not written while a burst is put into it.
const QUEUE: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(120);

fn topic(index: usize) -> TopicName {
    format!("topic-{}", index % TOPICS).into()
}

struct Node {
    worker: Worker<Net>,
    network: Net,
    app: AppOutputs<Net>,
    handle: NodeHandle,
    address: Multiaddr,
    /// Publications that were dropped because a peer was slow, counted by recipient.
    dropped: Arc<AtomicU64>,
}

impl Node {
    async fn start(limits: Limits<TopicName>) -> Self {
        let key = Keypair::generate_ed25519();
        let network = settings(&key).build();
        let queue = QueueLimits::default().with(|l| l.max_items = QUEUE);
        let gossipsub = BehaviourConfig::default().with(|c| (c.queue, c.write_timeout) = (queue, TIMEOUT));
        let config = TransportConfig::default().with(|c| c.gossipsub = gossipsub);
        let swarm = actix_gossipsub::libp2p::swarm(key, network.clone(), &config).unwrap();
        let engine = Worker::builder(network.clone(), limits).self_peer(*swarm.local_peer_id()).arbiters(1);
        let Started { worker, p2p, app } = engine.start((0..TOPICS).map(topic)).unwrap();
        let dropped = Arc::<AtomicU64>::default();
        let count = dropped.clone();
        let (driver, handle) = NodeDriver::new(swarm, worker.clone(), p2p, move |event| {
            if let NodeEvent::Gossipsub(Event::Dropped { reason: DropReason::PeerQueueFull, lanes, .. }) =
                event
            {
                count.fetch_add(lanes.of(Lane::Publish), Ordering::Relaxed);
            }
        });
        actix_rt::spawn(driver);
        let address = handle.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap()).await.unwrap();
        Self { worker, network, app, handle, address, dropped }
    }

    /// Waits until `count` messages are delivered; each must be another one.
    async fn receive(&mut self, count: usize) {
        let mut received = BTreeSet::new();
        let receive = async {
            while received.len() < count {
                let message = self.app.recv().await.expect("the engine runs");
                assert!(received.insert(message.message_id.clone()), "{message} is delivered twice");
            }
        };
        if tokio::time::timeout(TIMEOUT, receive).await.is_err() {
            panic!("{} of {count} messages are delivered", received.len());
        }
    }
}

/// Starts nodes that are connected to each other and have each other in the meshes of all topics.
async fn nodes(change: impl FnOnce(&mut LimitsConfig<TopicName>)) -> Vec<Node> {
    let mut config = LimitsConfig::default();
    config.heartbeat_interval = Duration::from_millis(200);
    change(&mut config);
    let limits = Limits::try_from(config).unwrap();
    let mut nodes = Vec::<Node>::new();
    for _ in 0..NODES {
        let node = Node::start(limits.clone()).await;
        for other in &nodes {
            node.handle.dial(other.address.clone()).await.unwrap();
        }
        nodes.push(node);
    }
    let meshes = async {
        for node in &nodes {
            let is_full = |mesh: &BTreeSet<_>| mesh.len() == NODES - 1;
            while {
                let mesh = node.worker.state().await.unwrap().mesh;
                mesh.len() < TOPICS || !mesh.values().all(is_full)
            } {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    tokio::time::timeout(TIMEOUT, meshes).await.expect("the meshes form");
    nodes
}

async fn shutdown(nodes: Vec<Node>) {
    for node in nodes {
        node.worker.shutdown().await;
    }
}

#[test]
fn publishers_that_wait_for_room_lose_no_message_of_a_burst() {
    actix_rt::System::new().block_on(async {
        let mut nodes = nodes(|limits| limits.bounds.max_unsent_publications = QUEUE / 2).await;
        let publish = |(index, node): (usize, &Node)| {
            let (worker, network) = (node.worker.clone(), node.network.clone());
            actix_rt::spawn(async move {
                for number in 0..BURST {
                    let data = format!("{index}/{number}").into_bytes();
                    let message = network.message(topic(number), data).unwrap();
                    worker.publish_when_room(message).await.unwrap();
                }
            })
        };
        let publishing: Vec<_> = nodes.iter().enumerate().map(publish).collect();
        join_all(nodes.iter_mut().map(|node| node.receive((NODES - 1) * BURST))).await;
        for publisher in publishing {
            publisher.await.unwrap();
        }
        for node in &nodes {
            assert_eq!(node.dropped.load(Ordering::Relaxed), 0, "publications are dropped");
        }
        shutdown(nodes).await;
    });
}

#[test]
fn what_is_dropped_from_send_queues_in_a_burst_is_made_up_for() {
    actix_rt::System::new().block_on(async {
        // The messages can be requested for as long as it takes.
        let mut nodes = nodes(|limits| {
            limits.history_length = 1_000;
            limits.seen_history_length = 1_000;
        })
        .await;
        let (publisher, others) = nodes.split_first_mut().unwrap();
        for number in 0..BURST {
            let message = publisher.network.message(topic(number), vec![7; number]).unwrap();
            publisher.worker.app_input(AppInput::Publish(message)).unwrap();
        }
        join_all(others.iter_mut().map(|node| node.receive(BURST))).await;
        assert!(publisher.dropped.load(Ordering::Relaxed) > 0, "the burst does not exceed the queues");
        shutdown(nodes).await;
    });
}
