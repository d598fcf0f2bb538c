//! This test connects a peer that subscribes, stops reading, and does so again whenever it is disconnected. With the default
//! limits it must leave the mesh for good.

use std::time::{Duration, Instant};

use actix_gossipsub::{
    P2pInput,
    libp2p::{BehaviourConfig, NodeEvent},
};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, ping,
    swarm::{NetworkBehaviour, SwarmEvent},
};
use tokio::sync::watch;

use super::{publisher::Publisher, support::*, topic};

#[derive(NetworkBehaviour)]
struct RawNode {
    raw: Raw,
    ping: ping::Behaviour,
}

/// A frame with a subscription to `news`.
const SUBSCRIBE: &[u8] = &[10, 0x0a, 8, 8, 1, 0x12, 4, b'n', b'e', b'w', b's'];
/// More than fit into the window of an unread stream.
const MESSAGES: usize = 20;
const SIZE: usize = 50_000;

/// A peer that answers pings, subscribes, reads nothing, and dials again.
fn unreading(to: Multiaddr) -> PeerId {
    let mut swarm: Swarm<RawNode> =
        other(|_| RawNode { raw: Raw::new(Reads::Nothing), ping: ping::Behaviour::default() });
    let peer = *swarm.local_peer_id();
    swarm.dial(to.clone()).unwrap();
    actix_rt::spawn(async move {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                    swarm.behaviour_mut().raw.write(peer_id, SUBSCRIBE, 100);
                }
                SwarmEvent::ConnectionClosed { .. } => swarm.dial(to.clone()).unwrap(),
                _ => {}
            }
        }
    });
    peer
}

/// Waits until the peer is subscribed.
async fn wait_for_subscription(publisher: &Publisher<watch::Receiver<usize>>, peer: PeerId) {
    let start = Instant::now();
    loop {
        let view = publisher.worker.state().await.unwrap();
        if view.connections.get(&peer).is_some_and(|connection| connection.topics.contains(&topic())) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "it does not return: {:?}", view.connections);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn is_in_mesh(publisher: &Publisher<watch::Receiver<usize>>, peer: PeerId) -> bool {
    publisher.worker.tick().await;
    publisher.worker.state().await.unwrap().mesh[&topic()].contains(&peer)
}

#[test]
fn a_mesh_peer_that_stops_reading_again_and_again_leaves_the_mesh() {
    actix_rt::System::new().block_on(async {
        let config = BehaviourConfig::default().with(|c| c.write_timeout = Duration::from_millis(200));
        let (disconnected, disconnections) = watch::channel(0);
        let observe = move |event: &NodeEvent<'_>| {
            if matches!(event, NodeEvent::Input(P2pInput::Disconnection { .. })) {
                disconnected.send_modify(|count| *count += 1);
            }
        };
        let mut publisher = Publisher::start(config, disconnections, |worker| worker, observe).await;
        let peer = unreading(publisher.address.clone());
        let mut stalls = 0;
        loop {
            wait_for_subscription(&publisher, peer).await;
            if !is_in_mesh(&publisher, peer).await {
                break;
            }
            (0..MESSAGES).for_each(|_| drop(publisher.publish(SIZE)));
            // It is disconnected, and may connect again.
            stalls += 1;
            let closed = publisher.record.wait_for(|count| *count == stalls);
            tokio::time::timeout(Duration::from_secs(30), closed).await.expect("it is slow").unwrap();
            publisher.worker.settle().await;
            assert!(stalls < 20, "it is still in the mesh");
        }
        // Six misbehaviours cost nothing.
        let limits = publisher.worker.limits();
        assert_eq!(stalls, limits.score.behaviour_penalty_threshold as usize + 1);
        for _ in 0..10 {
            assert!(!is_in_mesh(&publisher, peer).await);
        }
        let score = publisher.worker.state().await.unwrap().scores[&peer].score;
        assert!(score < 0.0, "{score}");
        publisher.worker.shutdown().await;
    });
}
