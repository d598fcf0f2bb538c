//! These tests check that work that peers can cause is bounded. They count uses of the names of peers and calls of hooks.

use std::sync::atomic::Ordering::Relaxed;

use actix_gossipsub::{P2pMessage, P2pOutput, limits::Extensions, protocol::IHaveOutcome};
use testkit::counted::CountedNetwork;

use super::counted::CountedNode;

/// A leave prunes the whole mesh and offers peers to each of them. It gathers the subscribers once.
#[test]
fn the_peers_to_offer_are_gathered_once_for_all_prunes() {
    const SUBSCRIBERS: u64 = 1000;
    let mut counted = CountedNode::new(CountedNetwork::default(), |limits| {
        limits.do_px = true;
        (limits.degree_low, limits.degree_optimal, limits.degree_high) = (100, 100, 100);
        (limits.degree_score, limits.degree_out) = (0, 0);
        limits.peers_to_px = 3;
    });
    counted.subscribe_all(SUBSCRIBERS, 1);
    let topic = counted.topic(0);
    counted.node.join(&topic, counted.now);
    counted.node.drain();
    let before = counted.peer_uses.load(Relaxed);
    counted.node.leave(&topic, counted.now);
    let uses = counted.peer_uses.load(Relaxed) - before;
    let mut prunes = 0;
    for output in counted.node.drain().p2p {
        if let P2pOutput::OutMessage { to_peer, message: P2pMessage::Prune { px, .. } } = output {
            prunes += 1;
            assert_eq!(px.len(), 3);
            assert!(px.iter().all(|offered| offered.peer != to_peer), "a peer is not offered to itself");
        }
    }
    assert_eq!(prunes, 100);
    // To gather and sort the subscribers takes less than 40 uses of each, and UNSUBSCRIBE one.
    assert!(uses < 100 * SUBSCRIBERS, "{uses} uses of peers for {prunes} prunes");
}

/// A peer offers more ids than may be requested from it.
#[test]
fn the_ids_of_an_ihave_are_judged_until_the_quota_is_used_up() {
    const QUOTA: u64 = 100;
    let requested = |extensions: Extensions, invalid_from| {
        let network = CountedNetwork { invalid_from, ..CountedNetwork::default() };
        let mut counted = CountedNode::new(network, |limits| {
            limits.max_sent_iwant_per_heartbeat = QUOTA as u32;
            limits.extensions = extensions;
        });
        let (peer, topic) = (counted.connect(0), counted.topic(0));
        counted.node.join(&topic, counted.now);
        let outcome = counted.node.ihave(&peer, &topic, (0..10_000).collect(), counted.now);
        let requested = match outcome {
            IHaveOutcome::Requested { ids } => Some(ids),
            _ => None,
        };
        (requested, counted.network.judged_ids.load(Relaxed))
    };
    let (ids, judged) = requested(Extensions::default(), u64::MAX);
    let ids = ids.expect("all ids are valid");
    assert_eq!((ids.len() as u64, judged), (QUOTA, QUOTA));
    assert!(ids.iter().any(|id| *id > 1000), "the choice among all ids is random");
    // The reference judges all ids, and finds the last one invalid.
    let (ids, judged) = requested(Extensions::none(), 9999);
    assert_eq!((ids, judged), (None, 10_000));
}
