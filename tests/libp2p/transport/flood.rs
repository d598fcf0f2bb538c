//! This test floods a real engine with a small input queue from one peer. All messages must arrive exactly once, and
//! other peers must get through.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_gossipsub::libp2p::{
    BehaviourConfig, Libp2pNetwork, Node, NodeEvent, QueueLimits, SignaturePolicy, TransportConfig,
};
use actix_gossipsub::{LimitsConfig, P2pInput};
use futures::StreamExt;
use libp2p::{Multiaddr, identity::Keypair};

use super::{support::*, topic};

/// A network whose message ids are the contents, so that 20,000 messages need no signatures.
fn network() -> Net {
    let network = Libp2pNetwork::builder(SignaturePolicy::StrictNoSign);
    network.message_id(|_, message| message.data().into()).build()
}

/// A peer without an engine, which sends `count` messages that begin with `name`.
async fn sender(to: Multiaddr, name: &'static str, count: usize) {
    let network = network();
    let queue =
        QueueLimits::default().with(|l| (l.max_items, l.max_bytes, l.stall_factor) = (100_000, 1 << 30, 8));
    let gossipsub = BehaviourConfig::default().with(|c| (c.queue, c.max_memory) = (queue, 16 << 30));
    let config = TransportConfig::default().with(|c| c.gossipsub = gossipsub);
    let key = Keypair::generate_ed25519();
    let mut swarm = actix_gossipsub::libp2p::swarm(key, network.clone(), &config).unwrap();
    swarm.dial(to).unwrap();
    loop {
        let event = swarm.select_next_some().await;
        if let Some(P2pInput::NewConnection { peer, .. }) = gossipsub_event(event).and_then(connected) {
            for number in 0..count {
                let message = network.message(topic(), format!("{name} {number}")).unwrap();
                send_message(&mut swarm, peer, NetMessage::FullMessage(message.into()));
            }
        }
    }
}

#[test]
fn a_flood_is_slowed_down_and_delivered_exactly_once() {
    actix_rt::System::new().block_on(async {
        let mut limits = LimitsConfig::default();
        limits.bounds.max_input_items = 16;
        let counts = Arc::new(Mutex::new((0, 0)));
        let observed = counts.clone();
        let builder = Node::builder(Keypair::generate_ed25519()).network(network()).limits(limits);
        let builder = builder.engine(|engine| engine.arbiters(1)).observer(move |event| match event {
            NodeEvent::Paused(..) => observed.lock().unwrap().0 += 1,
            NodeEvent::Refused(..) => observed.lock().unwrap().1 += 1,
            _ => {}
        });
        let started = builder.topic(topic()).listen("/ip4/127.0.0.1/tcp/0").start().await;
        let (node, mut app) = started.unwrap();
        let address = node.addresses()[0].clone();
        actix_rt::spawn(sender(address.clone(), "flood", 20_000));
        actix_rt::spawn(sender(address, "honest", 200));

        let mut delivered = HashMap::<String, usize>::new();
        let all = async {
            while delivered.len() < 20_200 {
                let full = app.recv().await.unwrap();
                *delivered.entry(full.message_id.to_string()).or_default() += 1;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(120), all).await;
        let (paused, refused) = *counts.lock().unwrap();
        assert!(
            waited.is_ok(),
            "{} messages were delivered; {paused} pauses, {refused} refusals",
            delivered.len()
        );
        assert!(delivered.values().all(|count| *count == 1));
        assert_eq!(refused, 0);
        assert!(paused > 0, "the flood was never paused");
        node.shutdown().await;
    });
}
