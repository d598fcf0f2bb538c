//! These tests check the lists that begin with what needs attention: their order, their pages, the search, and that they name
//! every topic with a problem, however many topics have a series of their own in the metrics.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use actix_gossipsub::{
    AppInput, ConnectionInfo, P2pInput, Page, Rank, TopicStatus, Validity, Worker, plain::PlainNetwork,
    protocol::TopicProblem,
};
use serde_json::{Value, json};

use super::support::{Engine, Server, limits, manual, message, run, start_alone, subscribed};

const TOPICS: &str = "/p2p/gossipsub/topics/status";
const PEERS: &str = "/p2p/gossipsub/peers/status";

/// The values of a field of all items.
fn fields(list: &Value, name: &str) -> Vec<Value> {
    list.as_array().unwrap().iter().map(|item| item[name].clone()).collect()
}

/// Meshes of 3, 1 and 0 peers, and a topic without subscribers. D_low is 2.
async fn four_topics() -> Engine {
    let limits = limits(|limits| {
        (limits.degree_low, limits.degree_out) = (2, 0);
        limits.score.app_specific_weight = 1.0;
    });
    let worker = start_alone(manual(limits), &["a full", "b alone", "c small", "d empty"]);
    for (peer, score) in [(1, 0.5), (2, -1.5), (3, 7.0), (4, 2.0)] {
        worker.p2p_input(P2pInput::connected(peer)).unwrap();
        worker.app_input(AppInput::SetApplicationScore { peer, score }).unwrap();
    }
    worker.settle().await;
    for peer in [1, 3, 4] {
        subscribed(&worker, peer, "a full");
    }
    subscribed(&worker, 4, "c small");
    // A peer with a negative score is in no mesh.
    subscribed(&worker, 2, "d empty");
    worker.settle().await;
    worker.tick().await;
    worker.settle().await;
    worker
}

#[test]
fn topics_with_problems_are_first() {
    run(async {
        let worker = four_topics().await;
        let server = Server::of(&worker);
        let all = server.json(TOPICS).await;
        assert_eq!(fields(&all, "topic"), ["b alone", "d empty", "c small", "a full"]);
        let problems = [json!("no_peers"), json!("below_d_low"), json!("below_d_low"), Value::Null];
        assert_eq!(fields(&all, "problem"), problems);
        assert_eq!(fields(&all, "mesh"), [0, 0, 1, 3]);
        assert_eq!(fields(&all, "subscribers"), [0, 1, 1, 3]);
        assert_eq!(fields(&all, "degree_low"), [2, 2, 2, 2]);
        let some = server.json(&format!("{TOPICS}?problems&contains=SMALL")).await;
        assert_eq!(fields(&some, "topic"), ["c small"]);
        let some = server.json(&format!("{TOPICS}?problems&contains=full")).await;
        assert_eq!(some, json!([]));
        // One topic, and not those whose names contain its own.
        for (topic, expected) in [("c%20small", json!(["c small"])), ("small", json!([]))] {
            let found = server.json(&format!("{TOPICS}?topic={topic}")).await;
            assert_eq!(json!(fields(&found, "topic")), expected, "{topic}");
        }
        assert_eq!(server.json(&format!("{TOPICS}?topic=a%20full&problems")).await, json!([]));
        // A topic that is left is not listed any more.
        worker.app_input(AppInput::Leave("b alone".to_owned())).unwrap();
        worker.settle().await;
        worker.tick().await;
        assert_eq!(fields(&server.json(TOPICS).await, "topic"), ["d empty", "c small", "a full"]);
        // The health names those that need attention.
        let health = server.json("/health").await;
        let check =
            health["checks"].as_array().unwrap().iter().find(|check| check["name"] == "topics").unwrap();
        let message = "2 joined topics have fewer than D_low peers in the mesh: d empty, c small";
        assert_eq!(check["message"], message);
        assert_eq!(
            fields(&server.json(&format!("/{}", check["list"].as_str().unwrap())).await, "topic"),
            ["d empty", "c small"]
        );
        server.end().await;
    });
}

#[test]
fn peers_with_the_lowest_scores_are_first() {
    run(async {
        let worker = four_topics().await;
        let server = Server::of(&worker);
        let all = server.json(PEERS).await;
        assert_eq!(fields(&all, "peer"), [2, 1, 4, 3]);
        assert_eq!(
            (&all[0]["below"], &all[3]["below"]),
            (&json!(["mesh", "accept_px"]), &json!(["accept_px"]))
        );
        assert_eq!(fields(&server.json(&format!("{PEERS}?contains=3")).await, "peer"), [3]);
        let check = async || {
            let health = server.json("/health").await;
            let checks = health["checks"].as_array().unwrap().clone();
            let check = checks.into_iter().find(|check| check["name"] == "peers").unwrap();
            (check["status"].as_str().unwrap().to_owned(), check["message"].as_str().unwrap().to_owned())
        };
        let message = "1 of 4 connected peers have a negative score: 2";
        assert_eq!(check().await, ("ok".into(), message.into()), "less than 30 %");
        worker.p2p_input(P2pInput::Disconnection { peer: 3 }).unwrap();
        worker.settle().await;
        assert_eq!(check().await.0, "ko", "more than 30 %");
        // The negative score of a disconnected peer is retained, and is behind those of connected peers.
        worker.p2p_input(P2pInput::Disconnection { peer: 2 }).unwrap();
        worker.settle().await;
        let all = server.json(PEERS).await;
        assert_eq!(fields(&all, "peer"), [1, 4, 2]);
        assert_eq!(fields(&all, "connected"), [true, true, false]);
        assert_eq!(check().await, ("ok".into(), "none of 2 connected peers has a negative score".into()));
        server.end().await;
    });
}

#[test]
fn a_peer_that_speaks_floodsub_is_listed_as_such() {
    run(async {
        let worker = start_alone(manual(limits(|_| {})), &[]);
        worker.p2p_input(P2pInput::connected(1)).unwrap();
        let mut info = ConnectionInfo::inbound();
        info.floodsub = true;
        worker.p2p_input(P2pInput::NewConnection { peer: 2, info }).unwrap();
        worker.settle().await;
        let server = Server::of(&worker);
        let all = server.json(PEERS).await;
        assert_eq!(fields(&all, "peer"), [1, 2]);
        assert_eq!(fields(&all, "floodsub"), [Value::Null, json!(true)]);
        server.end().await;
    });
}

/// The metrics have series of their own for 100 topics; the list has all.
#[test]
fn pages_of_ranked_lists_miss_nothing_and_repeat_nothing() {
    run(async {
        let names: Vec<_> = (0..300).map(|n| format!("t.{n:03}/ü&")).collect();
        let topics: Vec<_> = names.iter().map(String::as_str).collect();
        let limits = limits(|config| (config.degree_low, config.degree_out) = (1, 0));
        let worker = start_alone(manual(limits), &topics);
        for peer in 0..40_u32 {
            worker.p2p_input(P2pInput::connected(u64::from(peer))).unwrap();
            let score = f64::from(peer % 7) - 3.25;
            worker.app_input(AppInput::SetApplicationScore { peer: u64::from(peer), score }).unwrap();
        }
        // All but every hundredth topic have a mesh.
        names
            .iter()
            .enumerate()
            .filter(|(n, _)| n % 100 != 99)
            .for_each(|(_, topic)| subscribed(&worker, 6, topic));
        worker.settle().await;
        worker.tick().await;
        let server = Server::of(&worker);
        for (list, key, count) in [(TOPICS, "topic", 300), (PEERS, "peer", 40)] {
            let whole = server.json(list).await;
            assert_eq!(whole.as_array().unwrap().len(), count);
            let (mut walked, mut query) = (Vec::new(), Some("?limit=7".to_owned()));
            while let Some(next) = query {
                let answer = server.get(&format!("{list}{next}")).await;
                let items = answer.json();
                assert!(items.as_array().unwrap().len() <= 7);
                walked.extend(fields(&items, key));
                query = answer.next();
            }
            assert_eq!(walked, fields(&whole, key), "{list}");
        }
        let problems = server.json(&format!("{TOPICS}?problems")).await;
        assert_eq!(fields(&problems, "topic"), ["t.099/ü&", "t.199/ü&", "t.299/ü&"]);
        for after in ["", "x", "1.2", "1.x.t", "-1.2.t", "9.99999999999999999999.t"] {
            assert_eq!(server.get(&format!("{TOPICS}?after={after}")).await.status, 400, "{after}");
        }
        server.end().await;
    });
}

#[test]
fn ranks_follow_urgency() {
    let status = |problem, mesh| TopicStatus {
        problem,
        mesh,
        outbound_mesh: 0,
        subscribers: 9,
        degree_low: 4,
        degree_high: 8,
    };
    let ranks = [
        status(Some(TopicProblem::NoPeers), 3).rank(),
        status(Some(TopicProblem::BelowDLow), 0).rank(),
        status(Some(TopicProblem::BelowDLow), 3).rank(),
        status(Some(TopicProblem::NoScores), 8).rank(),
        status(None, 0).rank(),
    ];
    assert!(ranks.is_sorted() && ranks[0] != ranks[1] && ranks[3] != ranks[4], "{ranks:?}");
    assert_eq!(status(None, 5).rank(), status(None, 7).rank());
    assert!(Rank { class: 0, value: 5 } < Rank { class: 1, value: -5 });
}

/// Four queries of long lists run at a time: the fifth waits, and a short one does not.
#[test]
fn long_queries_wait_for_each_other() {
    run(async {
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = std::sync::Mutex::new(blocked);
        let network = PlainNetwork::with_validator(move |_| {
            // An error means that the test has ended.
            let _ = blocked.lock().unwrap().recv();
            Validity::Valid
        });
        let builder = Worker::builder(network, limits(|_| {})).manual().arbiters(2).seed(1);
        // The supervisor runs on the thread of the first topic.
        let worker = start_alone(builder, &["a", "b"]);
        worker.p2p_input(P2pInput::connected(1)).unwrap();
        worker.settle().await;
        // The topic validates until it is released, and answers no query meanwhile.
        message(&worker, 1, "b", 1);
        let server = Server::of(&worker);
        let long = || async { worker.mesh(Page::first(1_000)).await.unwrap().items.len() };
        let queries: Vec<_> = (0..4).map(|_| Box::pin(long())).collect();
        let mut queries = futures::future::join_all(queries);
        let pending = tokio::time::timeout(Duration::from_millis(100), &mut queries).await;
        assert!(pending.is_err(), "the topic answers");
        // It asks the supervisor only, which is not blocked.
        let start = Instant::now();
        let answer = server.get("/p2p/gossipsub/connections").await;
        assert_eq!((answer.status.as_u16(), answer.retry_after.as_deref()), (503, Some("2")));
        assert!(start.elapsed() >= Duration::from_secs(2), "it waits before it is refused");
        let short = server.json("/p2p/gossipsub/connections?limit=256").await;
        assert_eq!(fields(&short, "peer"), [1]);
        drop(release);
        assert_eq!(queries.await, [2, 2, 2, 2]);
        assert_eq!(fields(&server.json("/p2p/gossipsub/connections").await, "peer"), [1]);
        server.end().await;
    });
}

#[test]
fn the_backoffs_of_one_peer_are_listed() {
    run(async {
        let worker = four_topics().await;
        for peer in [1, 3] {
            let prune = actix_gossipsub::P2pMessage::Prune {
                topic: "a full".to_owned(),
                px: vec![],
                backoff: Duration::from_secs(60),
            };
            super::support::receive(&worker, peer, prune);
        }
        worker.settle().await;
        let server = Server::of(&worker);
        let all = server.json("/p2p/gossipsub/backoffs").await;
        assert_eq!(fields(&all[0]["backoffs"], "peer"), [1, 3]);
        let of_one = server.json("/p2p/gossipsub/backoffs?peer=3").await;
        assert_eq!(fields(&of_one, "topic"), ["a full"]);
        assert_eq!(fields(&of_one[0]["backoffs"], "peer"), [3]);
        assert_eq!(server.json("/p2p/gossipsub/backoffs?peer=4").await, json!([]));
        assert_eq!(server.get("/p2p/gossipsub/backoffs?peer=x").await.status, 400);
        server.end().await;
    });
}
