//! These tests check the explanations of a peer's status: score components, and rejections with their reason and the
//! score at that time.

use actix_gossipsub::{AppInput, P2pInput, P2pMessage, Validity, Worker, plain::PlainNetwork};
use serde_json::{Value, json};

use super::support::{Server, graft, limits, manual, message, run, start_alone, subscribed};

fn events<'a>(list: &'a Value, kind: &str) -> Vec<&'a Value> {
    list.as_array().unwrap().iter().filter(|event| event["type"] == kind).collect()
}

#[test]
fn a_rejected_graft_is_explained_by_its_reason_and_score() {
    run(async {
        let limits = limits(|config| config.score.app_specific_weight = 2.0);
        let worker = start_alone(manual(limits), &["a"]);
        worker.p2p_input(P2pInput::connected(1)).unwrap();
        worker.app_input(AppInput::SetApplicationScore { peer: 1, score: -1.5 }).unwrap();
        worker.settle().await;
        subscribed(&worker, 1, "a");
        for _ in 0..3 {
            graft(&worker, 1, "a");
        }
        worker.settle().await;
        let server = Server::of(&worker);
        let explained = server.json("/p2p/gossipsub/explain/1").await;
        assert_eq!((&explained["connected"], &explained["peer"]), (&json!(true), &json!(1)));
        let decisions = &explained["decisions"];
        let refused = events(decisions, "REJECT_GRAFT");
        assert_eq!(refused[0]["reason"], "negative_score");
        assert_eq!((&refused[0]["topic"], &refused[0]["score"]), (&json!("a"), &json!(-3.0)));
        assert!(refused[0]["message"].as_str().unwrap().contains("negative"));
        // The next two arrived during the backoff of the first: each is penalised.
        let reasons: Vec<_> = refused.iter().map(|event| event["reason"].as_str().unwrap()).collect();
        assert!(reasons.contains(&"backed_off"), "{decisions}");
        let penalties: u64 =
            events(decisions, "PENALTY").iter().map(|event| event["count"].as_u64().unwrap()).sum();
        assert_eq!(penalties, 2);
        let of_topic = server.json("/p2p/gossipsub/explain/1?topic=a").await;
        assert_eq!(of_topic["topic"]["subscribed"], true);
        assert_eq!(of_topic["topic"]["in_mesh"], false);
        assert!(of_topic["topic"]["backoff_until"].is_string());
        assert!(events(&of_topic["decisions"], "ADD_PEER").is_empty(), "ADD_PEER concerns no topic");
        let counts = server.json("/p2p/gossipsub/decisions").await;
        let counted = json!({ "type": "REJECT_GRAFT", "reason": "backed_off", "count": 2 });
        assert!(counts.as_array().unwrap().contains(&counted), "{counts}");
        server.end().await;
    });
}

#[test]
fn a_score_is_the_sum_of_its_components() {
    run(async {
        let limits = limits(|config| {
            config.score.app_specific_weight = 1.0;
            config.score.behaviour_penalty_weight = -1.0;
            config.score.behaviour_penalty_threshold = 0.0;
            let actix_gossipsub::limits::TopicScores::Single { parameters } = &mut config.score.topics else {
                unreachable!("the default")
            };
            parameters.invalid_message_deliveries_weight = -1.0;
            parameters.first_message_deliveries_weight = 1.0;
            parameters.first_message_deliveries_cap = 100.0;
        });
        let network = PlainNetwork::with_validator(|delivery| {
            if delivery.message.message_id.number < 100 { Validity::Valid } else { Validity::Invalid }
        });
        let worker = start_alone(Worker::builder(network, limits).manual().arbiters(1).seed(1), &["a", "b"]);
        worker.p2p_input(P2pInput::connected(1)).unwrap();
        worker.app_input(AppInput::SetApplicationScore { peer: 1, score: -0.5 }).unwrap();
        for number in 0..5 {
            message(&worker, 1, "a", number);
        }
        message(&worker, 1, "b", 100);
        message(&worker, 1, "b", 101);
        worker.report_slow_peer(&1);
        worker.settle().await;
        let server = Server::of(&worker);
        let score = server.json("/p2p/gossipsub/scores/1").await;
        let number = |name: &str| score[name].as_f64().unwrap_or_else(|| panic!("{name}: {score}"));
        let [a, b] = &score["topics"].as_array().unwrap()[..] else { panic!("{score}") };
        assert_eq!(
            (&a["topic"], &a["p2"], &a["first_message_deliveries"]),
            (&json!("a"), &json!(5.0), &json!(5.0))
        );
        assert_eq!(
            (&b["topic"], &b["p4"], &b["invalid_message_deliveries"]),
            (&json!("b"), &json!(-4.0), &json!(2.0))
        );
        assert_eq!((number("p5"), number("p6"), number("p7")), (-0.5, 0.0, -1.0));
        for topic in [a, b] {
            let parts: f64 = ["p1", "p2", "p3", "p3b", "p4"].iter().map(|p| topic[p].as_f64().unwrap()).sum();
            assert!((parts - topic["total"].as_f64().unwrap()).abs() < 1e-9, "{topic}");
        }
        let topics = a["total"].as_f64().unwrap() + b["total"].as_f64().unwrap();
        assert!((topics - number("topics_sum")).abs() < 1e-9, "{score}");
        assert!((number("topics_sum") + number("p5") + number("p7") - number("score")).abs() < 1e-9);
        let listed = server.json("/p2p/gossipsub/scores").await;
        assert_eq!(listed[0]["score"], score["score"]);
        server.end().await;
    });
}

#[test]
fn thresholds_list_what_a_peer_is_below() {
    run(async {
        let limits = limits(|config| config.score.app_specific_weight = 1.0);
        let (gossip, publish) = (limits.gossip_threshold, limits.publish_threshold);
        assert!(publish < gossip && gossip < 0.0);
        let worker = start_alone(manual(limits), &["a"]);
        worker.p2p_input(P2pInput::connected(1)).unwrap();
        let server = Server::of(&worker);
        let mid = (gossip + publish) / 2.0;
        for (score, expected) in
            [(0.0, vec![]), (mid, vec!["mesh", "gossip"]), (publish - 1.0, vec!["mesh", "gossip", "publish"])]
        {
            worker.app_input(AppInput::SetApplicationScore { peer: 1, score }).unwrap();
            worker.settle().await;
            let explained = server.json("/p2p/gossipsub/scores/1").await;
            let below = explained["thresholds"].as_array().unwrap().iter();
            let below =
                below.filter(|threshold| threshold["below"] == true && threshold["name"] != "accept_px");
            let names: Vec<_> = below.map(|threshold| threshold["name"].as_str().unwrap()).collect();
            assert_eq!(names, expected, "{score}");
        }
        // The engine acts on the same threshold.
        receive_ihave(&worker, 1);
        worker.settle().await;
        let explained = server.json("/p2p/gossipsub/explain/1").await;
        let ignored = events(&explained["decisions"], "REJECT_IHAVE");
        assert_eq!(ignored[0]["reason"], "low_score");
        assert_eq!(ignored[0]["score"].as_f64(), Some(publish - 1.0));
        server.end().await;
    });
}

fn receive_ihave(worker: &Worker<PlainNetwork>, peer: u64) {
    let message_ids = vec![PlainNetwork::message("a", 1, "").message_id];
    super::support::receive(worker, peer, P2pMessage::IHave { topic: "a".to_owned(), message_ids });
}

/// A flood of rejections evicts records of the flooding peer only.
#[test]
fn the_records_of_each_peer_are_bounded() {
    run(async {
        let limits = limits(|config| {
            config.bounds.max_decisions = 40;
            config.bounds.max_decisions_per_peer = 10;
            config.degree_high = 100;
        });
        let worker = start_alone(manual(limits).message_events(5), &["a"]);
        worker.p2p_input(P2pInput::connected(1)).unwrap();
        graft(&worker, 1, "a");
        worker.settle().await;
        worker.p2p_input(P2pInput::connected(2)).unwrap();
        for number in 0..500 {
            // Each concerns another topic, so that none is merged with the previous one.
            graft(&worker, 2, &format!("unknown {number}"));
            message(&worker, 2, "a", number);
            worker.settle().await;
        }
        let server = Server::of(&worker);
        let flooder = server.json("/p2p/gossipsub/explain/2").await;
        assert_eq!(flooder["decisions"].as_array().unwrap().len(), 10);
        assert_eq!(flooder["decisions"][9]["topic"], "unknown 499");
        let other = server.json("/p2p/gossipsub/explain/1").await;
        let kinds: Vec<_> =
            other["decisions"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["ADD_PEER", "GRAFT"]);
        let all = server.json("/p2p/gossipsub/events").await;
        let messages = events(&all["events"], "DELIVER_MESSAGE");
        assert_eq!(messages.len(), 5);
        assert_eq!(messages[4]["message_id"], json!({ "number": 499, "topic": "a" }));
        // With many peers the oldest records of all are evicted.
        for peer in 100..200 {
            worker.p2p_input(P2pInput::connected(peer)).unwrap();
        }
        worker.settle().await;
        let all = server.json("/p2p/gossipsub/events").await;
        assert_eq!(all["events"].as_array().unwrap().len(), 45);
        server.end().await;
    });
}

#[test]
fn events_continue_after_the_last_page() {
    run(async {
        let worker = start_alone(manual(limits(|_| {})), &["a"]);
        for peer in 0..10 {
            worker.p2p_input(P2pInput::connected(peer)).unwrap();
        }
        worker.settle().await;
        let server = Server::of(&worker);
        let (mut since, mut seen) = (0, Vec::new());
        loop {
            let page = server.json(&format!("/p2p/gossipsub/events?since={since}&limit=3")).await;
            let events = page["events"].as_array().unwrap();
            if events.is_empty() {
                assert_eq!(page["next"].as_u64(), Some(since));
                break;
            }
            assert!(events.len() <= 3);
            seen.extend(events.iter().map(|event| event["seq"].as_u64().unwrap()));
            since = page["next"].as_u64().unwrap();
        }
        assert_eq!(seen, (1..=11).collect::<Vec<_>>(), "a join and ten peers");
        worker.p2p_input(P2pInput::Disconnection { peer: 3 }).unwrap();
        worker.settle().await;
        let news = server.json(&format!("/p2p/gossipsub/events?since={since}")).await;
        assert_eq!(news["events"][0]["type"], "REMOVE_PEER");
        assert_eq!(news["events"][0]["peer"], 3);
        server.end().await;
    });
}
