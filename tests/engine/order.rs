//! These tests check the ordering guarantees that `actors/mod.rs` documents.

use actix_gossipsub::{P2pMessage, P2pOutput, Worker, plain::PlainNetwork, protocol::OutputBatch};

use crate::support::*;

#[test]
fn a_message_after_a_join_finds_the_topic_joined() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &[]);
        for number in 0..200 {
            let topic = format!("t{number}");
            engine.worker.app_input(join(&topic)).expect("the input is accepted");
            assert!(engine.worker.is_subscribed(&topic));
            engine.worker.p2p_input(message(1, &topic, number)).expect("the input is accepted");
        }
        for _ in 0..200 {
            engine.app.recv().await.expect("each message is delivered");
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_message_after_a_leave_is_not_delivered() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        engine.worker.p2p_input(message(1, "a", 1)).expect("the input is accepted");
        engine.worker.app_input(leave("a")).expect("the input is accepted");
        engine.worker.p2p_input(message(1, "a", 2)).expect("the input is accepted");
        engine.worker.settle().await;
        assert_eq!(
            engine.app.try_recv().expect("the message before the leave is delivered").message_id.number,
            1
        );
        assert!(engine.app.try_recv().is_none());
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_peer_is_sent_subscribe_before_graft_and_prune_before_unsubscribe() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &[]);
        for peer in 0..20 {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            engine.worker.p2p_input(subscribe(peer, "a")).expect("the input is accepted");
        }
        for _ in 0..10 {
            engine.worker.app_input(join("a")).expect("the input is accepted");
            engine.worker.app_input(leave("a")).expect("the input is accepted");
        }
        engine.worker.settle().await;
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        for peer in 0..20 {
            let kinds = sent_to(&outputs, peer, "a");
            let rounds: Vec<_> = kinds.split_inclusive(|kind| *kind == "unsubscribe").collect();
            assert_eq!(rounds.len(), 10, "{kinds:?}");
            for round in rounds {
                let grafted: &[_] = &["subscribe", "graft", "prune", "unsubscribe"];
                assert!(round == grafted || round == ["subscribe", "unsubscribe"], "{round:?}");
            }
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_reconnected_peer_has_no_subscriptions() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        for _ in 0..100 {
            engine.worker.p2p_input(connect(1)).expect("the input is accepted");
            engine.worker.p2p_input(subscribe(1, "a")).expect("the input is accepted");
            engine.worker.p2p_input(graft(1, "a")).expect("the input is accepted");
            engine.worker.p2p_input(disconnect(1)).expect("the input is accepted");
        }
        engine.worker.p2p_input(connect(1)).expect("the input is accepted");
        engine.worker.settle().await;
        let view = engine.worker.state().await.expect("the engine runs");
        assert!(view.connections[&1].topics.is_empty());
        assert!(view.mesh["a"].is_empty());
        let footprint = engine.worker.footprint().await.expect("the engine runs");
        assert_eq!((footprint.subscribers, footprint.subscriptions), (0, 0));
        engine.worker.shutdown().await;
    });
}

#[test]
fn an_unsubscription_and_a_graft_are_handled_in_order_of_arrival() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        engine.worker.p2p_input(connect(1)).expect("the input is accepted");
        for _ in 0..100 {
            engine.worker.p2p_input(graft(1, "a")).expect("the input is accepted");
            engine.worker.p2p_input(unsubscribe(1, "a")).expect("the input is accepted");
        }
        engine.worker.p2p_input(graft(1, "a")).expect("the input is accepted");
        engine.worker.settle().await;
        let view = engine.worker.state().await.expect("the engine runs");
        assert!(view.mesh["a"].contains(&1));
        assert!(view.connections[&1].topics.contains("a"));
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_broadcast_is_read_as_one_batch_or_one_output_for_each_peer() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        for peer in 1..=3 {
            for input in [connect(peer), subscribe(peer, "a"), graft(peer, "a")] {
                engine.worker.p2p_input(input).expect("the input is accepted");
            }
        }
        engine.worker.settle().await;
        while engine.p2p.try_recv().is_some() {}
        for number in 1..=2 {
            engine.worker.app_input(publish("a", number)).expect("the input is accepted");
        }
        engine.worker.settle().await;
        let batch = engine.p2p.try_recv_batch();
        assert!(matches!(&batch, Some(OutputBatch::Broadcast { to, .. }) if *to == [1, 2, 3]), "{batch:?}");
        let first = engine.p2p.try_recv().map(OutputBatch::Output);
        let rest = [first, engine.p2p.try_recv_batch(), engine.p2p.try_recv_batch()];
        for (batch, peer) in rest.into_iter().zip(1..) {
            let Some(OutputBatch::Output(P2pOutput::OutMessage { to_peer, message })) = batch else {
                panic!("{batch:?}")
            };
            assert!(matches!(message, P2pMessage::FullMessage(_)), "{message:?}");
            assert_eq!(to_peer, peer);
        }
        assert!(engine.p2p.try_recv_batch().is_none());
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_query_is_answered_after_the_join_before_it() {
    run(async {
        // Everything is queued before the topic runs: the join waits until the supervisor has confirmed the leave.
        let engine = start(manual(PlainNetwork::new(), limits()).arbiters(0), &["a"]);
        engine.worker.settle().await;
        engine.worker.app_input(leave("a")).expect("the input is accepted");
        engine.worker.app_input(join("a")).expect("the input is accepted");
        let mesh = engine.worker.mesh_of(&"a".to_owned()).await.expect("the engine runs");
        assert_eq!(mesh, Some(vec![]));
        engine.worker.shutdown().await;
    });
}

/// A topic reports its deliveries when the engine settles. One that is handled right behind that report is not lost.
#[test]
fn a_delivery_that_arrives_while_the_engine_settles_is_in_the_next_settled_state() {
    run(async {
        let builder = Worker::builder(PlainNetwork::new(), limits()).arbiters(0).manual();
        let engine = start(builder, &["a"]);
        engine.worker.p2p_input(connect(1)).expect("the input is accepted");
        engine.worker.p2p_input(graft(1, "a")).expect("the input is accepted");
        engine.worker.settle().await;
        engine.worker.p2p_input(message(1, "a", 1)).expect("the input is accepted");
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let mut settled = std::pin::pin!(engine.worker.settle());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        // It asks the topic for its deliveries. The next message is queued behind that.
        assert!(settled.as_mut().poll(&mut context).is_pending());
        engine.worker.p2p_input(message(1, "a", 2)).expect("the input is accepted");
        settled.await;
        engine.worker.settle().await;
        let view = engine.worker.state().await.expect("the engine runs");
        assert_eq!(view.scores[&1].topics["a"].first, 2.0);
        engine.worker.shutdown().await;
    });
}
