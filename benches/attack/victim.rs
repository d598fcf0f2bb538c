//! The node under attack: a node of this crate or of rust-libp2p's gossipsub, as an application starts it. A thread of
//! its own answers the coordinator, so that a busy node answers too:
//!
//! `listening ADDRESS` → `sample` → `sample LIVE PEAK REMEMBERED` → … → `stop`

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use actix_gossipsub::{
    LimitsConfig,
    libp2p::{Keypair, Node, TransportConfig},
};
use libp2p::Multiaddr;
use testkit::wire::{
    clock::now,
    content::Content,
    libp2p_node::{Libp2pNode, Settings},
    plan::Implementation,
    remote::Control,
};

use super::{
    HEAP,
    plan::{BULK_TOPIC, TOPIC, VICTIM, VictimPlan},
};

/// The time between two messages that the node itself publishes.
const OWN_INTERVAL: Duration = Duration::from_millis(500);
/// The size of a message of the node itself, in bytes.
const OWN_SIZE: usize = 256;

/// The bytes of seen ids and of the history that the node's `Footprint` reports; 0 for rust-libp2p, which reports nothing.
static REMEMBERED: AtomicUsize = AtomicUsize::new(0);

pub fn run_as_process() {
    let Some((first, control)) = Control::of_process() else { return };
    let plan: VictimPlan = serde_json::from_str(&first).expect("the plan of the coordinator");
    match plan.implementation {
        Implementation::ActixGossipsub => actix::System::new().block_on(run(ours(plan), control)),
        // As `#[tokio::main]` does: the connections are spread over all cores.
        Implementation::RustLibp2p => {
            let runtime =
                || tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
            actix::System::with_tokio_rt(runtime).block_on(run(theirs(plan), control));
        }
    }
}

/// Runs a node until the coordinator stops this process.
async fn run<P: FnMut(Vec<u8>)>(start: impl Future<Output = (Multiaddr, P)>, mut control: Control) {
    let (address, mut publish) = start.await;
    (control.send)(format!("listening {address}"));
    thread::spawn(move || answer(control));
    for number in 0.. {
        tokio::time::sleep(OWN_INTERVAL).await;
        publish(Content { publisher: VICTIM, number, published: now() }.encode(OWN_SIZE));
    }
}

/// Each sample restarts the search for the peak.
fn answer(mut control: Control) {
    while let Some(command) = control.received.blocking_recv() {
        match command.as_str() {
            "sample" => {
                let (live, peak) = (HEAP.current_usage(), HEAP.peak_usage());
                HEAP.reset_peak_usage();
                let remembered = REMEMBERED.load(Ordering::Relaxed);
                (control.send)(format!("sample {live} {peak} {remembered}"));
            }
            _ => break,
        }
    }
    std::process::exit(0);
}

async fn ours(plan: VictimPlan) -> (Multiaddr, impl FnMut(Vec<u8>)) {
    let mut limits = LimitsConfig::default();
    if let Some(seconds) = plan.seen_seconds {
        // Messages can be requested for as long as they are remembered, at most.
        limits.seen_history_length = seconds.try_into().expect("a few seconds");
    }
    // Each peer has an address of its own.
    let transport = TransportConfig::default().with(|c| c.connections.exempt_loopback = false);
    let node = Node::builder(Keypair::generate_ed25519())
        .listen("/ip4/127.0.0.1/tcp/0")
        .topics([TOPIC, BULK_TOPIC])
        .limits(limits)
        .transport(transport)
        .start();
    let (node, mut received) = node.await.expect("the node starts");
    actix::spawn(async move { while received.recv().await.is_some() {} });
    let address = node.addresses()[0].clone();
    let worker = node.worker().clone();
    actix::spawn(async move {
        while let Ok(footprint) = worker.footprint().await {
            REMEMBERED.store(footprint.seen_bytes + footprint.history_bytes, Ordering::Relaxed);
            tokio::time::sleep(OWN_INTERVAL).await;
        }
    });
    // A refused message is one that this node does not publish, which no measurement counts.
    let publish = move |data| drop(node.publish(TOPIC, data));
    (address, publish)
}

async fn theirs(plan: VictimPlan) -> (Multiaddr, impl FnMut(Vec<u8>)) {
    let mut settings = Settings::new(vec![TOPIC.to_owned(), BULK_TOPIC.to_owned()]);
    settings.scoring = true;
    settings.seen_time = plan.seen_seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let (node, address) = Libp2pNode::start(settings, |_| {}).await;
    (address, move |data| node.publish(0, data))
}

/// The program of this package, if the bench is built with the feature `node`.
pub fn program() -> Option<&'static str> {
    option_env!("CARGO_BIN_EXE_actix-gossipsub")
}
