//! These tests check that what is published right after a peer has subscribed, or before, reaches it through the engine (A10).
//! `tests/core/node/first_messages.rs` has the cases of the protocol.

use std::collections::BTreeMap;

use actix_gossipsub::{
    Limits, P2pMessage, P2pOutput, P2pOutputs, Started, Worker,
    plain::PlainNetwork,
    protocol::{EventKind, GraftReason, PeerDecision},
};

use crate::{recording::Recording, support::*};

const SEEDS: u64 = 100;
/// Fewer than D, so that a message is for all of them.
const PEERS: u64 = 5;

fn first_messages() -> Limits<String> {
    changed(|limits| {
        limits.extensions.graft_on_subscribe = true;
        limits.extensions.publish_reaches_degree_optimal = true;
    })
}

/// Reads the p2p stream.
async fn outputs(worker: &Worker<PlainNetwork>, p2p: &mut P2pOutputs<PlainNetwork>) -> Vec<Output> {
    worker.settle().await;
    std::iter::from_fn(|| p2p.try_recv()).collect()
}

/// Case 20.
#[test]
fn a_subscriber_is_grafted_after_our_subscribe_and_the_reason_is_recorded() {
    run(async {
        let builder = manual(PlainNetwork::new(), first_messages());
        let (recording, Started { worker, mut p2p, .. }) = Recording::of(builder, ["a".to_owned()]);
        worker.p2p_input(connect(1)).expect("the input is accepted");
        worker.p2p_input(subscribe(1, "a")).expect("the input is accepted");
        assert_eq!(sent_to(&outputs(&worker, &mut p2p).await, 1, "a"), ["subscribe", "graft"]);
        let decision = worker.decisions_about(&1).pop().expect("a decision");
        let expected = EventKind::Decided(PeerDecision::Grafted(GraftReason::RemoteSubscribe));
        assert_eq!(decision.kind, expected);
        assert_eq!(decision.kind.reason(), Some("remote_subscribe"));
        assert!(decision.kind.explanation().is_some_and(|text| text.contains("degree_optimal")));
        let grafted = "gossipsub_mesh_grafted_total{topic=a,reason=remote_subscribe}";
        assert_eq!(recording.count(grafted), 1);
        assert_eq!(recording.count("gossipsub_inputs_total{input=subscribe,outcome=grafted}"), 1);
        worker.shutdown().await;
    });
}

#[test]
fn a_subscriber_of_a_topic_that_is_not_joined_makes_no_state() {
    run(async {
        let Started { worker, mut p2p, .. } = start(manual(PlainNetwork::new(), first_messages()), &[]);
        worker.p2p_input(connect(1)).expect("the input is accepted");
        worker.p2p_input(subscribe(1, "a")).expect("the input is accepted");
        assert_eq!(outputs(&worker, &mut p2p).await, []);
        assert_eq!(worker.footprint().await.expect("the engine runs").topics, 0);
        worker.shutdown().await;
    });
}

/// The peers come one by one, and the message is published after `subscribers` of them have subscribed. Nothing waits, so the
/// actors are anywhere. Returns what each peer is sent.
async fn publish_after(
    subscribers: u64,
    seed: u64,
    limits: Limits<String>,
) -> BTreeMap<u64, Vec<&'static str>> {
    let joined: &[_] = if seed.is_multiple_of(2) { &["a"] } else { &[] };
    let builder = manual(PlainNetwork::new(), limits).seed(seed);
    let Started { worker, mut p2p, .. } = start(builder, joined);
    let heartbeat_before = seed.is_multiple_of(3);
    let heartbeat_after = seed.is_multiple_of(5);
    for peer in 0..PEERS {
        if peer == subscribers {
            if heartbeat_before {
                worker.tick().await;
            }
            worker.app_input(publish("a", 1)).expect("the input is accepted");
            if heartbeat_after {
                worker.tick().await;
            }
        }
        worker.p2p_input(connect(peer)).expect("the input is accepted");
        worker.p2p_input(subscribe(peer, "a")).expect("the input is accepted");
    }
    let mut sent = BTreeMap::<_, Vec<_>>::new();
    for output in outputs(&worker, &mut p2p).await {
        let P2pOutput::OutMessage { to_peer, message } = output else { continue };
        match message {
            P2pMessage::FullMessage(_) => sent.entry(to_peer).or_default().push("message"),
            P2pMessage::IHave { .. } => sent.entry(to_peer).or_default().push("offer"),
            _ => {}
        }
    }
    worker.shutdown().await;
    sent
}

#[test]
fn a_publication_is_sent_to_earlier_subscribers_and_offered_to_later_ones() {
    run(async {
        for seed in 0..SEEDS {
            let subscribers = seed % PEERS;
            let sent = publish_after(subscribers, seed, first_messages()).await;
            let expected = (0..PEERS).map(|peer| {
                let kind = if peer < subscribers { "message" } else { "offer" };
                (peer, vec![kind])
            });
            assert_eq!(sent, expected.collect(), "seed {seed}");
        }
        // The reference sends it to nobody: the topic is joined, and no heartbeat has built its mesh.
        assert_eq!(publish_after(4, 4, limits()).await, BTreeMap::new());
    });
}

#[test]
fn messages_beyond_the_mesh_are_counted_on_a_path_of_their_own() {
    run(async {
        let limits = changed(|limits| limits.extensions.publish_reaches_degree_optimal = true);
        let builder = manual(PlainNetwork::new(), limits);
        let (recording, Started { worker, mut p2p, .. }) = Recording::of(builder, ["a".to_owned()]);
        for peer in 0..10 {
            worker.p2p_input(connect(peer)).expect("the input is accepted");
            worker.p2p_input(subscribe(peer, "a")).expect("the input is accepted");
        }
        for peer in 0..2 {
            worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        worker.app_input(publish("a", 1)).expect("the input is accepted");
        outputs(&worker, &mut p2p).await;
        let sent = |path| recording.count(&format!("gossipsub_messages_sent_total{{topic=a,path={path}}}"));
        assert_eq!(["publish", "beyond_mesh", "fanout"].map(sent), [2, 4, 0]);
        worker.shutdown().await;
    });
}
