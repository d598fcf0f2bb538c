//! The same sums over real connections: engines, their transport and TCP on loopback, each with a heartbeat of its
//! own.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    AppInput, AppOutputs, Limits, LimitsConfig, Started, Worker,
    libp2p::{
        Libp2pNetwork, Libp2pNode, NodeEvent, NodeHandle, SignaturePolicy, TopicName, TransportConfig, swarm,
    },
    metrics::with_buckets,
};
use libp2p::{Multiaddr, identity::Keypair};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use crate::{identities, scrape::Scrape};

const NODES: usize = 4;
const MESSAGES: usize = 60;
/// Far beyond what it takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Running {
    network: Libp2pNetwork,
    worker: Worker<Libp2pNetwork>,
    app: AppOutputs<Libp2pNetwork>,
    prometheus: PrometheusHandle,
    node: NodeHandle,
    task: JoinHandle<()>,
    address: Multiaddr,
}

fn topic() -> TopicName {
    "news".into()
}

fn limits() -> Limits<TopicName> {
    let mut limits = LimitsConfig::default().with(|c| c.heartbeat_interval = Duration::from_millis(100));
    // Pings are not on this wire.
    limits.heartbeat_ping_interval = 1_000_000;
    Limits::try_from(limits).expect("valid")
}

async fn start() -> Running {
    let key = Keypair::generate_ed25519();
    let network = Libp2pNetwork::builder(SignaturePolicy::StrictSign(Box::new(key.clone()))).build();
    let recorder = with_buckets(PrometheusBuilder::new()).build_recorder();
    let prometheus = recorder.handle();
    let builder = Worker::builder(network.clone(), limits()).arbiters(1).recorder(Arc::new(recorder));
    let Started { worker, p2p, app } = builder.start([topic()]).expect("inside a system");
    let (listening, mut addresses) = mpsc::unbounded_channel();
    let swarm = swarm(key, network.clone(), &TransportConfig::default()).expect("a swarm");
    let (future, node) = Libp2pNode::new(swarm, worker.clone(), p2p, move |event| {
        if let NodeEvent::Listening(address) = event {
            let _ = listening.send(address.clone());
        }
    });
    let task = tokio::task::spawn_local(future);
    node.listen("/ip4/127.0.0.1/tcp/0".parse().expect("an address")).await.expect("it listens");
    let address = addresses.recv().await.expect("an address");
    Running { network, worker, app, prometheus, node, task, address }
}

impl Running {
    fn scrape(&self) -> Scrape {
        Scrape::parse(&self.prometheus.render())
    }
}

/// Polls until it is so.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "{what}: never");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn sum(nodes: &[Running], name: &str, labels: &[(&str, &str)]) -> f64 {
    nodes.iter().map(|node| node.scrape().sum(name, labels)).sum()
}

#[test]
fn what_goes_over_tcp_is_accounted_for() {
    actix::System::new().block_on(async {
        let mut nodes = Vec::new();
        for number in 0..NODES {
            let node = start().await;
            for other in &nodes[..number] {
                let Running { address, .. }: &Running = other;
                node.node.dial(address.clone()).await.expect("it dials");
            }
            nodes.push(node);
        }
        let all = (NODES * (NODES - 1)) as f64;
        until("connected", || sum(&nodes, "gossipsub_connections", &[]) == all).await;
        until("in meshes", || sum(&nodes, "gossipsub_mesh_peers", &[("topic", "news")]) == all).await;
        let mut delivered = 0;
        for number in 0..MESSAGES {
            let node = &nodes[number % NODES];
            let message = node.network.message(topic(), vec![7; 100]).expect("made");
            node.worker.app_input(AppInput::Publish(message)).expect("taken");
        }
        let expected = MESSAGES * (NODES - 1);
        until("delivered", || {
            let read = |node: &mut Running| std::iter::from_fn(|| node.app.try_recv()).count();
            delivered += nodes.iter_mut().map(read).sum::<usize>();
            delivered >= expected
        })
        .await;
        assert_eq!(delivered, expected);
        let bytes = |name| sum(&nodes, name, &[]);
        until("all bytes arrived", || {
            bytes("gossipsub_rpc_received_bytes_total") == bytes("gossipsub_rpc_sent_bytes_total")
                && sum(&nodes, "gossipsub_rpc_sent_total", &[("type", "message")])
                    == sum(&nodes, "gossipsub_rpc_received_total", &[("type", "message")])
        })
        .await;
        assert!(bytes("gossipsub_rpc_sent_bytes_total") > (expected * 100) as f64);
        let scrapes: Vec<_> = nodes.iter().map(Running::scrape).collect();
        identities::wire(&scrapes, false);
        for (node, scrape) in nodes.iter().zip(&scrapes) {
            let state = node.worker.state().await.expect("it runs");
            identities::messages(scrape);
            identities::inputs(scrape);
            identities::gossip(scrape);
            identities::meshes(scrape, &state);
            identities::stats(scrape, &node.worker.stats());
            // Scores decay at each heartbeat: only their number is sure.
            let banded = scrape.sum("gossipsub_peers_by_score", &[]);
            assert_eq!(banded, scrape.sum("gossipsub_connections", &[]));
            assert!(scrape.sum("gossipsub_heartbeat_duration_seconds_count", &[]) > 0.0);
        }
        for node in nodes {
            node.worker.shutdown().await;
            node.node.shutdown().await;
            node.task.await.expect("it ended well");
        }
    });
}
