//! The order between topics within one lane of the p2p stream.

use actix_gossipsub::{
    P2pMessage, P2pOutput, Started,
    limits::{PatternOverrides, TopicLimits, TopicOverrides},
    plain::PlainNetwork,
};

use crate::support::*;

/// The topics that match a pattern are sent first, or none.
fn topics(sent_first: bool) -> TopicLimits {
    let limits = TopicOverrides::default().with(|limits| limits.sent_first = Some(sent_first));
    let pattern = "/eth2/*/beacon_block/*".into();
    TopicLimits::default().with(|topics| topics.patterns = vec![PatternOverrides { pattern, limits }])
}

const BLOCKS: &str = "/eth2/8c9f62fe/beacon_block/ssz_snappy";
const OTHERS: &str = "/eth2/8c9f62fe/voluntary_exit/ssz_snappy";

/// The full messages that are queued for peer 2, in order.
fn sent(engine: &mut Started<PlainNetwork>) -> Vec<u64> {
    let number = |output: Output| match output {
        P2pOutput::OutMessage { to_peer: 2, message: P2pMessage::FullMessage(full) } => {
            Some(full.message_id.number)
        }
        _ => None,
    };
    std::iter::from_fn(|| engine.p2p.try_recv()).filter_map(number).collect()
}

async fn engine(max_output_items: usize) -> Started<PlainNetwork> {
    let limits = changed(|limits| {
        limits.topics = topics(true);
        limits.bounds.max_output_items = max_output_items;
    });
    let mut engine = start(manual(PlainNetwork::new(), limits), &[BLOCKS, OTHERS]);
    for peer in [1, 2] {
        engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
        for topic in [BLOCKS, OTHERS] {
            engine.worker.p2p_input(graft(peer, topic)).expect("the input is accepted");
        }
    }
    engine.worker.settle().await;
    while engine.p2p.try_recv().is_some() {}
    engine
}

/// Messages of both topics, forwarded (from 10) and published (from 20), one after the other.
async fn send(engine: &Started<PlainNetwork>) {
    let worker = &engine.worker;
    for (number, topic) in [(10, OTHERS), (11, BLOCKS), (12, OTHERS), (13, BLOCKS)] {
        worker.p2p_input(message(1, topic, number)).expect("the input is accepted");
        worker.settle().await;
        worker.app_input(publish(topic, number + 10)).expect("the input is accepted");
        worker.settle().await;
    }
}

#[test]
fn a_topic_that_is_sent_first_goes_before_others_of_its_lane_and_not_before_more_urgent_lanes() {
    run(async {
        let mut engine = engine(1_000).await;
        send(&engine).await;
        assert_eq!(sent(&mut engine), [21, 23, 20, 22, 11, 13, 10, 12]);
        engine.worker.shutdown().await;
    });
}

#[test]
fn without_the_setting_and_after_it_is_taken_back_each_lane_is_in_order() {
    run(async {
        let mut engine = engine(1_000).await;
        engine.worker.change_limits(|limits| limits.topics = topics(false)).expect("the limits are valid");
        engine.worker.settle().await;
        send(&engine).await;
        assert_eq!(sent(&mut engine), [20, 21, 22, 23, 10, 11, 12, 13]);
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_full_queue_drops_the_other_topics_first() {
    run(async {
        let mut engine = engine(8).await;
        let worker = &engine.worker;
        let others = (10..18).map(|number| (number, OTHERS));
        for (number, topic) in others.chain([(30, BLOCKS), (31, OTHERS)]) {
            worker.p2p_input(message(1, topic, number)).expect("the input is accepted");
            worker.settle().await;
            while engine.app.try_recv().is_some() {}
        }
        assert_eq!(sent(&mut engine), [30, 10, 11, 12, 13, 14, 15, 16]);
        engine.worker.shutdown().await;
    });
}
