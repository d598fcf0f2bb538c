//! These tests check that the metrics over HTTP equal the counters of the same server.

use std::sync::Arc;

use actix_gossipsub::{
    ConnectionInfo, Direction, P2pInput, P2pMessage, http, metrics::with_buckets, plain::PlainNetwork,
};
use metrics_exporter_prometheus::PrometheusBuilder;

use super::support::*;

/// The sum of all series of a name whose lines contain `label`.
fn sum(scrape: &str, name: &str, label: &str) -> f64 {
    let of_name = scrape.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    let values = of_name.filter(|line| line.contains(label)).map(|line| line.rsplit(' ').next().unwrap());
    values.map(|value| value.parse::<f64>().expect("a number")).sum()
}

/// Generates input of every kind that is counted.
fn send_inputs(worker: &Engine) {
    for peer in 1..=6 {
        let info = ConnectionInfo::new(Direction::outbound_if(peer % 2 == 0));
        let connection = P2pInput::NewConnection { peer, info };
        worker.p2p_input(connection).expect("the engine runs");
        subscribed(worker, peer, "a");
        graft(worker, peer, "a");
    }
    for number in 0..5 {
        message(worker, 1, "a", number);
        message(worker, 2, "a", number);
    }
    publish(worker, "a", 99);
    let offered = PlainNetwork::message("a", 7, "content").message_id;
    let ihave = P2pMessage::IHave { topic: "a".to_owned(), message_ids: vec![offered] };
    receive(worker, 3, ihave);
    let wanted = PlainNetwork::message("a", 1, "content").message_id;
    receive(worker, 4, P2pMessage::IWant { message_ids: vec![wanted] });
    let px = Vec::new();
    receive(
        worker,
        5,
        P2pMessage::Prune { topic: "a".to_owned(), px, backoff: std::time::Duration::from_secs(60) },
    );
}

#[test]
fn the_statistics_equal_the_scrape() {
    run(async {
        let recorder = with_buckets(PrometheusBuilder::new()).build_recorder();
        let handle = recorder.handle();
        let worker = start_alone(manual(limits(|_| {})).recorder(Arc::new(recorder)), &["a", "b"]);
        send_inputs(&worker);
        worker.settle().await;
        worker.tick().await;
        let served = worker.clone();
        let server = Server::serving(move || {
            let handle = handle.clone();
            http::scope(served.clone(), move || handle.render())
        });
        let stats = server.json("/p2p/gossipsub/stats").await;
        let scrape = server.get("/metrics").await.text;
        let sent = |kind: &str| sum(&scrape, "gossipsub_rpc_sent_total", &format!("type=\"{kind}\""));
        let pairs = [
            ("count_topics", sum(&scrape, "gossipsub_topics", "")),
            ("count_connections", sum(&scrape, "gossipsub_connections", "")),
            ("count_sent_app_messages", sent("message")),
            ("count_sent_grafts", sent("graft")),
            ("count_sent_prunes", sent("prune")),
            ("count_sent_ihaves", sent("ihave")),
            ("count_sent_iwants", sent("iwant")),
            (
                "count_recv_valid_app_messages",
                sum(&scrape, "gossipsub_messages_validated_total", "validity=\"valid\""),
            ),
        ];
        for (name, in_scrape) in pairs {
            assert_eq!(stats[name].as_f64(), Some(in_scrape), "{name}");
        }
        for name in ["count_sent_app_messages", "count_sent_iwants", "count_recv_iwants", "count_recv_prunes"]
        {
            assert_ne!(stats[name], 0, "{name}: nothing was counted");
        }
        server.end().await;
    });
}
