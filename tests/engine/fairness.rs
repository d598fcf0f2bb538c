//! These tests check that the backlog of one peer or topic delays only that peer or topic. The engine runs on the
//! test's own thread and handles inputs only when the test awaits, so that admission depends on counts alone.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    Limits, LimitsConfig, P2pInput, P2pMessage, Refused, Started, Validity, Worker, plain::PlainNetwork,
};
use tokio::sync::Semaphore;

const HONEST_PEERS: u64 = 8;
const FLOODER: u64 = 1000;
/// The maximal number of queued inputs.
const MAX_ITEMS: usize = 2048;
/// The number of queued inputs that each peer is guaranteed. The two additional peers are the flooder and the sender
/// on the slow topic.
const FAIR_SHARE: u64 = MAX_ITEMS as u64 / (HONEST_PEERS + 2);
/// A timeout that fails a test that hangs; it does not measure speed.
const TIMEOUT: Duration = Duration::from_secs(60);

fn topic_of(peer: u64) -> String {
    format!("honest{peer}")
}

async fn start(network: PlainNetwork) -> Started<PlainNetwork> {
    let config = LimitsConfig::tezos_dal().with(|config| config.bounds.max_input_items = MAX_ITEMS);
    let limits = Limits::try_from(config).expect("a valid change");
    let topics = (0..HONEST_PEERS).map(topic_of).chain(["slow".to_owned(), "flooded".to_owned()]);
    let started =
        Worker::builder(network, limits).arbiters(0).manual().start(topics).expect("an actix system runs");
    for peer in (0..HONEST_PEERS).chain([FLOODER]) {
        started.worker.p2p_input(P2pInput::connected(peer)).expect("the engine runs");
    }
    started.worker.settle().await;
    started
}

fn send(worker: &Worker<PlainNetwork>, peer: u64, topic: &str, number: u64) -> Result<(), Refused> {
    let message = PlainNetwork::message(topic, number, "content");
    worker.p2p_input(P2pInput::message(peer, P2pMessage::FullMessage(message.into())))
}

#[actix_rt::test]
async fn a_flood_is_refused_and_honest_peers_keep_their_fair_share() {
    let Started { worker, p2p: _p2p, mut app } = start(PlainNetwork::new()).await;
    for round in 0..3 {
        let number = |index: u64| round * 100_000 + index;
        let flood = 20 * MAX_ITEMS as u64;
        let admitted = (0..flood).filter(|index| send(&worker, FLOODER, "flooded", number(*index)).is_ok());
        let admitted = admitted.count() as u64;
        assert!(admitted < MAX_ITEMS as u64, "the flood took the whole queue: {admitted}");
        assert!(admitted >= FAIR_SHARE, "the flooder has a fair share too: {admitted}");
        for index in 0..FAIR_SHARE / 2 {
            for peer in 0..HONEST_PEERS {
                let sent = send(&worker, peer, &topic_of(peer), number(index));
                assert_eq!(sent, Ok(()), "peer {peer} within its share, message {index}");
            }
        }
        worker.settle().await;
        let mut honest = vec![0; HONEST_PEERS as usize];
        let mut flooded = 0;
        while let Some(message) = app.try_recv() {
            match message.topic.strip_prefix("honest") {
                Some(peer) => {
                    let next = &mut honest[peer.parse::<usize>().expect("a number")];
                    assert_eq!(message.message_id.number, number(*next), "in order on {}", message.topic);
                    *next += 1;
                }
                None => flooded += 1,
            }
        }
        assert_eq!(honest, [FAIR_SHARE / 2; HONEST_PEERS as usize], "every honest message arrives");
        assert_eq!(flooded, admitted, "every admitted message arrives");
        let ticks = worker.state().await.expect("the engine runs").heartbeat_ticks;
        worker.tick().await;
        worker.settle().await;
        let after = worker.state().await.expect("the engine runs").heartbeat_ticks;
        assert_eq!(after, ticks + 1, "no heartbeat is skipped");
    }
    worker.shutdown().await;
}

#[actix_rt::test]
async fn a_slow_topic_delays_no_other_topic() {
    let permits = Arc::new(Semaphore::new(0));
    let network = PlainNetwork::with_async_validator({
        let permits = Arc::clone(&permits);
        move |delivery| {
            let permits = (delivery.message.topic == "slow").then(|| Arc::clone(&permits));
            async move {
                if let Some(permits) = permits {
                    permits.acquire().await.expect("the semaphore is never closed").forget();
                }
                Validity::Valid
            }
        }
    });
    let Started { worker, p2p: _p2p, mut app } = start(network).await;
    let slow = 20;
    for number in 0..slow {
        send(&worker, 0, "slow", number).expect("the sender is within its share");
    }
    for number in 0..FAIR_SHARE / 4 {
        for peer in 0..HONEST_PEERS {
            send(&worker, peer, &topic_of(peer), number).expect("the sender is within its share");
        }
    }
    let mut receive = async |expected: u64| {
        let mut topics = Vec::new();
        for _ in 0..expected {
            let message = tokio::time::timeout(TIMEOUT, app.recv())
                .await
                .expect("no topic is delayed")
                .expect("the engine runs");
            topics.push(message.topic.clone());
        }
        topics
    };
    let honest = receive(HONEST_PEERS * (FAIR_SHARE / 4)).await;
    assert!(honest.iter().all(|topic| topic != "slow"), "the slow topic has no verdict yet");
    permits.add_permits(slow as usize);
    assert_eq!(receive(slow).await, vec!["slow".to_owned(); slow as usize]);
    worker.shutdown().await;
}
