//! What the page costs with 32,000 topics and 200 peers: the CPU time of the browser and of the process that serves it. Only a
//! measurement, since the time depends on the machine.

use std::{fs, sync::Arc, time::Duration};

use actix_gossipsub::P2pInput;
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::http::{
    browser::Browser,
    support::{Server, limits, manual, run, start_alone, subscribed},
};

const PERIOD: Duration = Duration::from_secs(30);

/// The user and system time in seconds of a process, without its children.
fn cpu(process: &str) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().ok();
    // Linux counts in hundredths of a second.
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

/// The processes below one, itself not included.
fn below(process: u32) -> Vec<String> {
    let children = |process: &str| {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        lists
            .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    let mut found = children(&process.to_string());
    let mut next = 0;
    while let Some(process) = found.get(next) {
        found.extend(children(&process.clone()));
        next += 1;
    }
    found
}

#[test]
#[ignore = "a measurement: prints CPU times, and takes two minutes"]
fn what_the_page_costs() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let names: Vec<_> = (0..32_000).map(|n| format!("topic {n:05}")).collect();
        let topics: Vec<_> = names.iter().map(String::as_str).collect();
        let recorder = actix_gossipsub::metrics::with_buckets(PrometheusBuilder::new()).build_recorder();
        let exporter = recorder.handle();
        let builder = manual(limits(|config| config.max_topics_per_peer = 32_000));
        let worker = start_alone(builder.recorder(Arc::new(recorder)), &topics);
        for peer in 0..200_u64 {
            worker.p2p_input(P2pInput::connected(peer)).unwrap();
            for topic in topics.iter().skip(peer as usize).step_by(40) {
                while worker.input_queue_length() > 1_000 {
                    tokio::task::yield_now().await;
                }
                subscribed(&worker, peer, topic);
            }
            worker.settle().await;
        }
        worker.tick().await;
        let server = Server::exporting(&worker, move || exporter.render());
        let own = || cpu("self").expect("this process");
        let of_browser = || below(browser.process()).iter().filter_map(|process| cpu(process)).sum::<f64>();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let idle = own();
        tokio::time::sleep(PERIOD).await;
        let idle = own() - idle;
        browser.open(&server).await;
        for state in ["lists", "search", "graph"] {
            match state {
                "search" => browser.search("topic 1").await,
                "graph" => browser.open_graph().await,
                _ => {}
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
            let before = (own(), of_browser());
            tokio::time::sleep(PERIOD).await;
            let per_ten = |seconds: f64| seconds / PERIOD.as_secs_f64() * 10.0;
            let (node, page) = (own() - before.0 - idle, of_browser() - before.1);
            println!(
                "{state}: browser {:.2} s of CPU in 10 s, node {:.1} % of a core beyond the {:.1} % without a page",
                per_ten(page),
                per_ten(node) * 10.0,
                per_ten(idle) * 10.0
            );
        }
        browser.end().await;
        server.end().await;
    });
}
