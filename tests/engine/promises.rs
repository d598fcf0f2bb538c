//! These tests check broken IWANT promises (P7): a peer is penalised for a message that it never sends, but not for a
//! message that the engine refused.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    ManualClock, P2pInput, P2pMessage, Worker,
    plain::{PlainId, PlainNetwork},
};

use crate::support::*;

const FOLLOWUP: Duration = Duration::from_secs(3);

fn ihave(peer: u64, number: u64) -> P2pInput<PlainNetwork> {
    let message_ids = vec![PlainId { topic: "a".to_owned(), number }];
    P2pInput::message(peer, P2pMessage::IHave { topic: "a".to_owned(), message_ids })
}

#[test]
fn a_promise_is_not_broken_while_the_engine_refuses_inputs() {
    run(async {
        let clock = Arc::new(ManualClock::new());
        let limits = changed(|limits| {
            limits.extensions.iwant_followup_time = FOLLOWUP;
            limits.score.behaviour_penalty_decay = 1.0;
            limits.bounds.max_input_items = 10;
        });
        // The engine runs on this thread: it handles inputs only while this test awaits.
        let builder = Worker::builder(PlainNetwork::new(), limits).arbiters(0).manual().seed(1);
        let engine = start(builder.clock(Arc::clone(&clock) as _), &["a"]);
        let worker = &engine.worker;
        worker.p2p_input(connect(1)).expect("the input is accepted");
        let penalty = async || worker.state().await.expect("the engine runs").scores[&1].behaviour_penalty;

        worker.p2p_input(ihave(1, 100)).expect("the input is accepted");
        worker.settle().await;
        let refused = (0..50).filter(|number| worker.p2p_input(message(2, "a", *number)).is_err()).count();
        assert!(refused > 0);
        worker.settle().await;
        clock.advance(FOLLOWUP);
        worker.tick().await;
        assert_eq!(penalty().await, 0.0, "the promised message may have been refused");

        clock.advance(FOLLOWUP * 2);
        worker.p2p_input(ihave(1, 101)).expect("the input is accepted");
        worker.settle().await;
        clock.advance(FOLLOWUP);
        worker.tick().await;
        assert_eq!(penalty().await, 1.0);
        engine.worker.shutdown().await;
    });
}
