//! These tests check the lists: their fields and values are those of the Octez DAL node, and their pages are complete.

use serde_json::{Value, json};

use super::support::{
    Server, graft, limits, manual, message, network, publish, quiet, run, start_alone, subscribed,
};
use actix_gossipsub::P2pInput;

#[test]
fn fields_are_those_of_octez() {
    run(async {
        let limits = limits(|config| config.extensions.ignore_unknown_grafts = false);
        let workers = network(3, &["a", "b"], &limits).await;
        for worker in &workers {
            worker.tick().await;
        }
        quiet(&workers).await;
        let server = Server::of(&workers[0]);
        let ask = |path: &str| server.json(Box::leak(format!("/p2p/gossipsub/{path}").into_boxed_str()));
        assert_eq!(ask("topics").await, json!(["a", "b"]));
        let both = json!([{ "topic": "a", "peers": [2, 3] }, { "topic": "b", "peers": [2, 3] }]);
        assert_eq!(ask("topics/peers").await, both);
        assert_eq!(ask("mesh").await, both);
        assert_eq!(ask("mesh?topic=b").await, json!([{ "topic": "b", "peers": [2, 3] }]));
        let connection = |outbound| json!({ "topics": ["a", "b"], "direct": false, "outbound": outbound, "bootstrap": false });
        let connections = json!([{ "peer": 2, "connection": connection(true) }, { "peer": 3, "connection": connection(true) }]);
        assert_eq!(ask("connections").await, connections);
        let scores = ask("scores").await;
        let peers: Vec<_> =
            scores.as_array().unwrap().iter().map(|entry| entry["peer"].as_u64().unwrap()).collect();
        assert_eq!(peers, [2, 3]);
        assert!(scores[0]["score"].is_f64());

        publish(&workers[0], "a", 1);
        subscribed(&workers[0], 2, "elsewhere");
        workers[0].settle().await;
        publish(&workers[0], "elsewhere", 1);
        workers[0].set_unreachable_point(9);
        graft(&workers[0], 2, "elsewhere");
        quiet(&workers).await;
        let fanout = ask("fanout").await;
        assert_eq!(fanout[0]["topic"], "elsewhere");
        let time = fanout[0]["last_publication_time"].as_str().unwrap();
        assert!(time.starts_with("20") && time.ends_with('Z') && time.contains('T'), "{time}");
        let backoffs = ask("backoffs").await;
        assert_eq!(
            (&backoffs[0]["topic"], &backoffs[0]["backoffs"][0]["peer"]),
            (&json!("elsewhere"), &json!(2))
        );
        assert!(backoffs[0]["backoffs"][0]["backoff"].as_str().unwrap() > time, "it is in the future");
        let cached = json!([{ "tick": 1, "per_topic_cache_size": [{ "topic": "a", "num_ids": 1 }, { "topic": "elsewhere", "num_ids": 1 }] }]);
        assert_eq!(ask("message_cache").await, cached);
        assert_eq!(ask("reconnection_delays").await, json!([{ "point": 9, "delay": "5s" }]));
        server.end().await;
    });
}

/// Lists, counters and map sizes agree.
#[test]
fn lists_agree_with_counters_and_maps() {
    run(async {
        let workers = network(4, &["a", "b", "c"], &limits(|_| {})).await;
        workers[0].tick().await;
        quiet(&workers).await;
        publish(&workers[1], "a", 1);
        quiet(&workers).await;
        let server = Server::of(&workers[0]);
        let stats = server.json("/p2p/gossipsub/stats").await;
        let count = |list: &Value| list.as_array().unwrap().len() as u64;
        assert_eq!(stats["count_topics"], count(&server.json("/p2p/gossipsub/topics").await));
        assert_eq!(stats["count_connections"], count(&server.json("/p2p/gossipsub/connections").await));
        assert_eq!(stats["count_recv_valid_app_messages"], 1);
        let footprint = server.json("/p2p/gossipsub/footprint").await;
        let size = |cache: &str| {
            let mut caches = footprint.as_array().unwrap().iter();
            caches.find(|entry| entry["cache"] == cache).expect("a cache")["size"].as_u64().unwrap()
        };
        let mesh = server.json("/p2p/gossipsub/mesh").await;
        let in_mesh: u64 = mesh.as_array().unwrap().iter().map(|entry| count(&entry["peers"])).sum();
        assert_eq!(size("mesh"), in_mesh);
        assert!(in_mesh > 0);
        assert_eq!(size("history"), 1);
        server.end().await;
    });
}

#[test]
fn pages_miss_nothing_and_repeat_nothing() {
    run(async {
        let names: Vec<_> = (0..57).map(|n| format!("t {n:02}/\"ü&")).collect();
        let topics: Vec<_> = names.iter().map(String::as_str).collect();
        let worker = start_alone(manual(limits(|_| {})), &topics);
        for peer in 0..23 {
            worker.p2p_input(P2pInput::connected(peer)).unwrap();
            topics.iter().for_each(|topic| subscribed(&worker, peer, topic));
        }
        worker.settle().await;
        topics.iter().for_each(|topic| message(&worker, 1, topic, 1));
        worker.tick().await;
        let server = Server::of(&worker);
        for (list, key, whole) in [
            ("topics", None, 57),
            ("topics/peers", Some("topic"), 57),
            ("mesh", Some("topic"), 57),
            ("connections", Some("peer"), 23),
            ("scores", Some("peer"), 23),
        ] {
            let path = format!("/p2p/gossipsub/{list}");
            let all = server.json(&path).await;
            assert_eq!(all.as_array().unwrap().len(), whole, "{list}");
            let (mut walked, mut query) = (Vec::new(), "?limit=5".to_owned());
            loop {
                let answer = server.get(&format!("{path}{query}")).await;
                let items = answer.json();
                let items = items.as_array().unwrap();
                assert!(!items.is_empty() && items.len() <= 5, "{list}");
                walked.extend(items.clone());
                match answer.next() {
                    Some(next) => query = next,
                    None => break,
                }
                // The last page may name a next one, which is empty.
                if walked.len() == whole {
                    break;
                }
            }
            let name = |item: &Value| key.map_or(item.clone(), |key| item[key].clone());
            let names = |items: &[Value]| items.iter().map(name).collect::<Vec<_>>();
            assert_eq!(names(&walked), names(all.as_array().unwrap()), "{list}");
        }
        server.end().await;
    });
}

/// A page ends at 50,000 entries, and the next one continues.
#[test]
fn a_page_of_large_items_ends_early() {
    run(async {
        let names: Vec<_> = (0..160).map(|n| format!("{n:03}")).collect();
        let topics: Vec<_> = names.iter().map(String::as_str).collect();
        let worker = start_alone(manual(limits(|config| config.max_topics_per_peer = 1_000)), &topics);
        for peer in 0..400 {
            worker.p2p_input(P2pInput::connected(peer)).unwrap();
            for topic in &topics {
                subscribed(&worker, peer, topic);
            }
            worker.settle().await;
        }
        let server = Server::of(&worker);
        let answer = server.get("/p2p/gossipsub/topics/peers?limit=10000").await;
        let items = answer.json();
        let peers: usize =
            items.as_array().unwrap().iter().map(|item| item["peers"].as_array().unwrap().len()).sum();
        assert_eq!(peers, 50_000);
        let rest = server.json(&format!("/p2p/gossipsub/topics/peers{}", answer.next().expect("more"))).await;
        assert_eq!(items.as_array().unwrap().len() + rest.as_array().unwrap().len(), 160);
        server.end().await;
    });
}
