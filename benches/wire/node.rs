//! A node runs on its own thread. The coordinator controls it by lines of text:
//!
//! `listening ADDRESS` → `dial ADDRESS …` → `ready` → `start NANOS` → `totals JSON` → `stop`

use std::{
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};

use libp2p::Multiaddr;
use testkit::wire::{
    clock::{nanos, wait_until},
    libp2p_node::{Libp2pNode, Settings},
    plan::{DRAIN, Implementation, NODES, Plan, QUIET, WARM_UP},
    remote::Control,
};

use super::{actix_node::ActixNode, publisher, stats::Stats};

/// A future on the node's own thread.
pub type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A node of either implementation.
pub trait Node: Clone + 'static {
    fn dial(&self, address: Multiaddr) -> Local<'_, ()>;
    /// The size of the smallest mesh of all topics.
    fn smallest_mesh(&self) -> Local<'_, usize>;
    /// Publishes. Waits while the node refuses the message because of backpressure.
    fn publish(&self, topic: usize, data: Vec<u8>) -> Local<'_, ()>;
}

impl Node for Libp2pNode {
    fn dial(&self, address: Multiaddr) -> Local<'_, ()> {
        self.dial(address);
        Box::pin(std::future::ready(()))
    }

    fn smallest_mesh(&self) -> Local<'_, usize> {
        Box::pin(self.smallest_mesh())
    }

    fn publish(&self, topic: usize, data: Vec<u8>) -> Local<'_, ()> {
        self.publish(topic, data);
        Box::pin(std::future::ready(()))
    }
}

/// Runs a node to its end on this thread.
pub fn run(plan: Plan, control: Control) {
    actix::System::new().block_on(async move {
        let stats = Stats::new();
        // A missing command means that the coordinator has ended.
        let _ = match plan.implementation {
            Implementation::ActixGossipsub => {
                let (node, address) = ActixNode::start(&plan, stats.clone()).await;
                let end = follow(plan, stats, node.clone(), address, control).await;
                node.shutdown().await;
                end
            }
            Implementation::RustLibp2p => {
                let topics = (0..plan.topics).map(Plan::topic).collect();
                let delivered = stats.clone();
                let on_message = move |data: &[u8]| delivered.record_delivery(data);
                let (node, address) = Libp2pNode::start(Settings::new(topics), on_message).await;
                follow(plan, stats, node, address, control).await
            }
        };
    });
}

/// Follows the coordinator's commands until `stop`.
async fn follow(
    plan: Plan,
    stats: Stats,
    node: impl Node,
    address: Multiaddr,
    mut control: Control,
) -> Option<()> {
    (control.send)(format!("listening {address}"));
    for address in control.receive("dial").await?.split_whitespace() {
        node.dial(address.parse().ok()?).await;
    }
    while node.smallest_mesh().await < NODES - 1 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (control.send)("ready".to_owned());
    let start = control.receive("start").await?.parse().ok()?;

    let (publisher, published) = (node.clone(), stats.clone());
    let publishing = actix::spawn(async move {
        let publish = async |topic, data| publisher.publish(topic, data).await;
        publisher::run(plan, published, start, publish).await;
    });
    wait_until(start + nanos(WARM_UP)).await;
    let from = stats.snapshot(true);
    wait_until(start + nanos(WARM_UP + plan.measured)).await;
    let to = stats.snapshot(false);
    // Publishing ends at the same time. The totals reveal a publisher that is stuck.
    let _ = tokio::time::timeout(DRAIN, publishing).await;
    drain(&stats).await;
    let totals = serde_json::to_string(&stats.totals(&from, &to)).expect("totals are plain data");
    (control.send)(format!("totals {totals}"));
    control.receive("stop").await.map(drop)
}

/// Waits until no message has come for [`QUIET`], for at most [`DRAIN`].
async fn drain(stats: &Stats) {
    let end = Instant::now() + DRAIN;
    let mut before = None;
    while before != Some(stats.deliveries()) && Instant::now() < end {
        before = Some(stats.deliveries());
        tokio::time::sleep(QUIET).await;
    }
}

/// Runs a node that standard input controls. The first line is its plan.
pub fn run_as_process() {
    let Some((first, control)) = Control::of_process() else { return };
    let Ok(plan) = serde_json::from_str(&first) else { return };
    run(plan, control);
}
