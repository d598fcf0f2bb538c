//! These tests attack with SUBSCRIBE and UNSUBSCRIBE, and with topics that are never joined.

use actix_gossipsub::{
    Limits, LimitsConfig, P2pInput, P2pMessage, Started, Worker,
    plain::PlainNetwork,
    protocol::{GraftOutcome, SubscribeOutcome},
};

use super::{HEAP, bare_node::BareNode, support::*};
use crate::lock_process;

const MILLION: u64 = 1_000_000;

#[test]
fn a_million_subscriptions_and_unsubscriptions_store_nothing() {
    with_attacker(
        |_| {},
        async |scenario| {
            let cost = scenario
                .attack(2 * MILLION as usize, |number| match number % 2 {
                    0 => subscribe(ATTACKER, NOT_JOINED + number / 2),
                    _ => unsubscribe(ATTACKER, NOT_JOINED + number / 2),
                })
                .await;
            scenario.assert_nothing_kept(&cost);
            assert_eq!(scenario.view().await.connections[&ATTACKER].topics.len(), 1);
        },
    );
}

#[test]
fn subscriptions_of_a_peer_are_bounded() {
    with_attacker(
        |_| {},
        async |scenario| {
            let cost = scenario.attack(100_000, |number| subscribe(ATTACKER, NOT_JOINED + number)).await;
            let max = scenario.limits().max_topics_per_peer;
            // It is also subscribed to a topic that we have joined, which does not count.
            assert_eq!(scenario.view().await.connections[&ATTACKER].topics.len(), max + 1);
            let (before, after) = (cost.before.footprint, cost.after.footprint);
            assert_eq!((after.topics, after.subscribers), (before.topics, before.subscribers));
            assert_eq!(after.subscriptions - before.subscriptions, max);
            assert!(cost.bytes() <= max * ENTRY + scenario.allowance(), "{} bytes", cost.bytes());
            scenario.send(actix_gossipsub::P2pInput::Disconnection { peer: ATTACKER });
            scenario.pass_heartbeats(scenario.limits().retain_duration.as_secs() as usize + 1).await;
            assert_eq!(scenario.usage().await.footprint.topics, 2);
        },
    );
}

#[test]
fn grafts_on_a_million_topics_leave_a_bounded_number_of_idle_topics() {
    let mut bare = BareNode::new(|limits| {
        limits.bounds.max_idle_topics = 1000;
        limits.extensions.ignore_unknown_grafts = false;
    });
    bare.connect(1);
    bare.join(CALM);
    for topic in 0..MILLION {
        let outcome = bare.node.graft(&1, &(NOT_JOINED + topic), bare.now);
        assert_eq!(outcome, GraftOutcome::UnsubscribedTopic);
        if topic % 1000 == 0 {
            bare.node.drain();
        }
    }
    let footprint = bare.node.footprint();
    assert_eq!((footprint.topics, footprint.backoffs), (1 + 1000, 1000));
}

/// Case 10. Each peer subscribes, so that the topics are stored, sends grafts that are refused with a backoff, and disconnects.
#[test]
fn topics_of_disconnected_peers_are_bounded() {
    const TOPICS: u64 = 500;
    let mut bare = BareNode::new(|limits| {
        limits.bounds.max_idle_topics = 100;
        limits.extensions.ignore_unknown_grafts = false;
    });
    for peer in 0..10 {
        bare.connect(peer);
        for topic in 0..TOPICS {
            let topic = NOT_JOINED + peer * TOPICS + topic;
            assert_eq!(bare.node.subscribe(&peer, &topic, bare.now), SubscribeOutcome::Subscribed);
            assert_eq!(bare.node.graft(&peer, &topic, bare.now), GraftOutcome::UnsubscribedTopic);
        }
        bare.node.remove_peer(&peer, bare.now);
        bare.node.heartbeat(bare.now);
    }
    let footprint = bare.node.footprint();
    assert!(footprint.topics <= 100, "{} topics without subscribers are stored", footprint.topics);
}

#[test]
fn topics_of_disconnected_peers_are_bounded_in_the_engine() {
    const TOPICS: u64 = 500;
    with_attacker(
        |limits| {
            limits.bounds.max_idle_topics = 100;
            limits.extensions.ignore_unknown_grafts = false;
        },
        async |scenario| {
            for peer in 1000..1010 {
                scenario.send(actix_gossipsub::P2pInput::connected(peer));
                let topic = |number: u64| NOT_JOINED + peer * TOPICS + number / 2;
                scenario
                    .attack(2 * TOPICS as usize, |number| match number % 2 {
                        0 => subscribe(peer, topic(number)),
                        _ => graft(peer, topic(number)),
                    })
                    .await;
                scenario.send(actix_gossipsub::P2pInput::Disconnection { peer });
                scenario.pass_heartbeats(1).await;
            }
            let topics = scenario.usage().await.footprint.topics;
            assert!(topics <= 2 + 100, "{topics} topics without subscribers are stored");
        },
    );
}

/// The bytes that an engine keeps for each subscription when these peers subscribe to these topics, which nobody has
/// joined, and the bytes in total that are left after they have unsubscribed. Names have ten bytes, and each subscription
/// brings its own copy of the name.
fn bytes_of_a_subscription(peers: u64, topics: u64) -> (usize, usize) {
    let _alone = lock_process();
    let mut limits = LimitsConfig::default();
    limits.max_topics_per_peer = 65_536;
    let limits = Limits::try_from(limits).expect("valid limits");
    actix::System::new().block_on(async {
        let builder = Worker::builder(PlainNetwork::new(), limits).manual().arbiters(1).seed(1);
        let Started { worker, p2p: _p2p, app: _app } = builder.start([]).expect("an actix system runs");
        let send_all = async |input: fn(String) -> P2pMessage<PlainNetwork>| {
            for number in 0..peers * topics {
                let name = format!("{:010}", number / peers);
                let input = P2pInput::message(number % peers, input(name));
                worker.p2p_input(input).expect("the input is accepted");
                // Queues that grow by as many inputs keep far less than the test allows, however the threads run.
                if number % 100 == 99 {
                    worker.settle().await;
                }
            }
            worker.tick().await;
            worker.settle().await;
        };
        for peer in 0..peers {
            worker.p2p_input(P2pInput::connected(peer)).expect("the input is accepted");
        }
        let (subscribe, unsubscribe): (fn(String) -> _, fn(String) -> _) =
            (P2pMessage::subscribe, |topic| P2pMessage::Unsubscribe { topic });
        // The queues grow to their size.
        send_all(unsubscribe).await;
        let before = HEAP.current_usage();
        send_all(subscribe).await;
        let subscriptions = worker.footprint().await.expect("the engine runs").subscriptions;
        assert_eq!(subscriptions as u64, peers * topics);
        let bytes = HEAP.current_usage().saturating_sub(before) / subscriptions;
        send_all(unsubscribe).await;
        let kept = HEAP.current_usage().saturating_sub(before);
        worker.shutdown().await;
        (bytes, kept)
    })
}

#[test]
fn a_topic_that_nobody_joined_costs_100_bytes_a_subscriber() {
    for (peers, topics) in [(1, 65_000), (100, 2000)] {
        let (bytes, kept) = bytes_of_a_subscription(peers, topics);
        println!("{peers} peers, {topics} topics: {bytes} bytes a subscription, {kept} bytes kept");
        assert!(bytes <= 100, "{bytes} bytes for each of {topics} topics of {peers} peers");
        // Queues keep some capacity.
        assert!(kept < 100_000, "{kept} bytes are kept after all have unsubscribed");
    }
}

/// The bytes that a node allocates at most to handle something: the middle of five measurements. The heap is that of the
/// process, in which the thread that runs the tests allocates and frees now and then.
fn peak(bare: &mut BareNode, mut handle: impl FnMut(&mut BareNode)) -> usize {
    let mut peaks = [0; 5].map(|_| {
        let before = HEAP.current_usage();
        HEAP.reset_peak_usage();
        handle(bare);
        let peak = HEAP.peak_usage().saturating_sub(before);
        bare.node.drain();
        peak
    });
    peaks.sort_unstable();
    peaks[2]
}

/// A message about a topic that nobody knows is handled without building the state of a topic, which takes more than 500
/// bytes.
#[test]
fn a_message_about_an_unknown_topic_builds_no_state() {
    let mut bare = BareNode::new(|limits| limits.bounds.max_idle_topics = 0);
    bare.connect(1);
    let mut assert_small = |name: &str, handle: &dyn Fn(&mut BareNode)| {
        // The first one fills maps whose entries stay.
        handle(&mut bare);
        bare.node.drain();
        let peak = peak(&mut bare, handle);
        assert!(peak < 400, "{name} allocates {peak} bytes");
    };
    let topic = NOT_JOINED;
    assert_small("GRAFT", &|bare| _ = bare.node.graft(&1, &topic, bare.now));
    assert_small("GRAFT of an unconnected peer", &|bare| _ = bare.node.graft(&2, &topic, bare.now));
    assert_small("PRUNE", &|bare| _ = bare.node.prune(&1, &topic, Vec::new(), Default::default(), bare.now));
    assert_small("IHAVE", &|bare| _ = bare.node.ihave(&1, &topic, Vec::new(), bare.now));
    assert_small("UNSUBSCRIBE", &|bare| _ = bare.node.unsubscribe(&1, &topic, bare.now));
    assert_small("SUBSCRIBE of an unconnected peer", &|bare| _ = bare.node.subscribe(&2, &topic, bare.now));
    assert_small("full message", &|bare| _ = bare.receive(1, topic, Id::new(topic, 1), b"v"));
    assert_small("leave", &|bare| _ = bare.node.leave(&topic, bare.now));
    // What builds the state of a topic is found.
    let mut unknown = NOT_JOINED;
    let built = peak(&mut bare, |bare| {
        unknown += 1;
        bare.join(unknown);
    });
    assert!(built > 500, "{built} bytes");
}
