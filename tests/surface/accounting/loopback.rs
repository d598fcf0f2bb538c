//! This test checks the sums of the metrics over TCP on loopback, with engines that run their own transport and
//! heartbeat.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    AppInput, AppOutputs, LimitsConfig,
    libp2p::{Libp2pNetwork, Node, TopicName},
    metrics::with_buckets,
};
use libp2p::identity::Keypair;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::time::Instant;

use super::{identities, scrape::Scrape};

const NODES: usize = 4;
const MESSAGES: usize = 60;
/// The time limit of every wait.
const TIMEOUT: Duration = Duration::from_secs(60);

struct Running {
    node: Node,
    app: AppOutputs<Libp2pNetwork>,
    prometheus: PrometheusHandle,
}

fn topic() -> TopicName {
    "news".into()
}

fn limits() -> LimitsConfig<TopicName> {
    let mut limits = LimitsConfig::default().with(|c| c.heartbeat_interval = Duration::from_millis(100));
    // The libp2p transport does not send pings.
    limits.heartbeat_ping_interval = 1_000_000;
    limits
}

async fn start() -> Running {
    let recorder = with_buckets(PrometheusBuilder::new()).build_recorder();
    let prometheus = recorder.handle();
    let builder = Node::builder(Keypair::generate_ed25519()).limits(limits()).topic(topic());
    let builder = builder.engine(|engine| engine.arbiters(1).recorder(Arc::new(recorder)));
    let (node, app) = builder.listen("/ip4/127.0.0.1/tcp/0").start().await.expect("the node starts");
    Running { node, app, prometheus }
}

impl Running {
    fn scrape(&self) -> Scrape {
        Scrape::parse(&self.prometheus.render())
    }
}

/// Polls until the condition is true.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "not true within {TIMEOUT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn sum(nodes: &[Running], name: &str, labels: &[(&str, &str)]) -> f64 {
    nodes.iter().map(|node| node.scrape().sum(name, labels)).sum()
}

#[test]
fn metrics_over_tcp_satisfy_all_identities() {
    actix::System::new().block_on(async {
        let mut nodes = Vec::new();
        for number in 0..NODES {
            let node = start().await;
            for other in &nodes[..number] {
                let Running { node: other, .. }: &Running = other;
                node.node.handle().dial(other.addresses()[0].clone()).await.expect("the node dials");
            }
            nodes.push(node);
        }
        let all = (NODES * (NODES - 1)) as f64;
        until("all nodes are connected", || sum(&nodes, "gossipsub_connections", &[]) == all).await;
        until("all nodes are in each other's mesh", || {
            sum(&nodes, "gossipsub_mesh_peers", &[("topic", "news")]) == all
        })
        .await;
        let mut delivered = 0;
        for number in 0..MESSAGES {
            let node = &nodes[number % NODES].node;
            let message = node.network().message(topic(), vec![7; 100]).expect("the message is valid");
            node.worker().app_input(AppInput::Publish(message)).expect("the input is accepted");
        }
        let expected = MESSAGES * (NODES - 1);
        until("all messages are delivered", || {
            let read = |node: &mut Running| std::iter::from_fn(|| node.app.try_recv()).count();
            delivered += nodes.iter_mut().map(read).sum::<usize>();
            delivered >= expected
        })
        .await;
        assert_eq!(delivered, expected);
        let bytes = |name| sum(&nodes, name, &[]);
        // Bytes are reported at heartbeats, so the sums are complete only after the next heartbeat.
        until("all bytes arrived", || {
            let sent = bytes("gossipsub_rpc_sent_bytes_total");
            sent > (expected * 100) as f64
                && sent == bytes("gossipsub_rpc_received_bytes_total")
                && sum(&nodes, "gossipsub_rpc_sent_total", &[("type", "message")])
                    == sum(&nodes, "gossipsub_rpc_received_total", &[("type", "message")])
        })
        .await;
        let scrapes: Vec<_> = nodes.iter().map(Running::scrape).collect();
        identities::wire(&scrapes, false);
        for (node, scrape) in nodes.iter().zip(&scrapes) {
            let state = node.node.worker().state().await.expect("the engine runs");
            identities::messages(scrape);
            identities::inputs(scrape);
            identities::gossip(scrape);
            identities::meshes(scrape, &state);
            identities::stats(scrape, &node.node.worker().stats());
            // Scores decay at each heartbeat, so only their number can be compared.
            let banded = scrape.sum("gossipsub_peers_by_score", &[]);
            assert_eq!(banded, scrape.sum("gossipsub_connections", &[]));
            assert!(scrape.sum("gossipsub_heartbeat_duration_seconds_count", &[]) > 0.0);
        }
        for node in nodes {
            node.node.shutdown().await;
        }
    });
}
