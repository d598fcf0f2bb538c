//! The verdict of the page: healthy, degraded with reasons and links, dead since a time; and a page that is paused.

use actix_gossipsub::P2pInput;
use serde_json::json;

use crate::http::{
    browser::Browser,
    support::{Engine, Server, limits, manual, message, run, start_alone, subscribed},
};

const STATE: &str = "return document.getElementById('verdict').dataset.state";

/// An engine with three topics. D_low is 1, and a peer subscribes to all of them.
async fn healthy() -> Engine {
    let limits = limits(|limits| (limits.degree_low, limits.degree_out) = (1, 0));
    let worker = start_alone(manual(limits), &["alpha", "beta", "gamma"]);
    for peer in [1, 2] {
        worker.p2p_input(P2pInput::connected(peer)).unwrap();
    }
    ["alpha", "beta", "gamma"].iter().for_each(|topic| subscribed(&worker, 1, topic));
    subscribed(&worker, 2, "beta");
    worker.settle().await;
    worker.tick().await;
    worker
}

#[test]
fn the_verdict_follows_the_health() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let worker = healthy().await;
        let server = Server::of(&worker);
        browser.open(&server).await;
        assert_eq!(browser.run(STATE).await, "up");
        assert_eq!(
            (browser.text("health").await, browser.text("summary").await),
            ("Healthy".into(), "All 7 checks pass.".into())
        );
        assert_eq!(browser.text("reasons").await, "");
        browser.run("document.querySelector('#verdict details').open = true").await;
        let checks = server.json("/health").await["checks"].clone();
        let names: Vec<_> = checks
            .as_array()
            .unwrap()
            .iter()
            .map(|check| check["name"].as_str().unwrap().replace('_', " "))
            .collect();
        assert_eq!(browser.names("checks").await, names);
        // Two topics lose their only peer: the reason names them, and leads to them.
        worker.p2p_input(P2pInput::Disconnection { peer: 1 }).unwrap();
        worker.settle().await;
        worker.tick().await;
        browser.until("return document.getElementById('verdict').dataset.state === 'degraded'").await;
        assert_eq!(
            (browser.text("health").await, browser.text("summary").await),
            ("Degraded".into(), "1 of 7 checks fails.".into())
        );
        assert_eq!(browser.text("reasons").await, "topics: 2 joined topics have no peers: alpha, gamma");
        browser.search("beta").await;
        browser.until("return document.querySelectorAll('#topics tr').length === 1").await;
        browser.run("document.querySelector('#reasons a').click()").await;
        browser.until("return document.querySelectorAll('#topics tr').length === 2").await;
        assert_eq!(browser.names("topics").await, ["alpha", "gamma"]);
        assert_eq!(
            browser.run("return [location.hash, document.getElementById('only-problems').checked]").await,
            json!(["#topics-section", true])
        );
        let cells = browser.cells("topics").await;
        assert!(cells[0][1].contains("no peers"), "{cells:?}");
        assert_eq!(browser.errors().await, Vec::<String>::new());
        // The engine ends, and the server still runs.
        worker.shutdown().await;
        browser.until("return document.body.classList.contains('dead')").await;
        assert!(browser.text("summary").await.starts_with("The engine does not answer since "));
        server.end().await;
        browser.end().await;
    });
}

#[test]
fn a_dead_node_greys_the_page_with_the_time_of_its_last_answer() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let worker = healthy().await;
        let server = Server::of(&worker);
        browser.open(&server).await;
        let address = server.address;
        let before = browser.run("return new Date(Date.now() - 4000).toTimeString().slice(0, 8)").await;
        server.end().await;
        browser.until("return document.body.classList.contains('dead')").await;
        let after = browser.run("return new Date().toTimeString().slice(0, 8)").await;
        assert_eq!(
            (browser.run(STATE).await, browser.text("health").await),
            (json!("dead"), "No answer".into())
        );
        let summary = browser.text("summary").await;
        let since = summary
            .strip_prefix("The node does not answer since ")
            .unwrap_or_else(|| panic!("{summary}"))[..8]
            .to_owned();
        // The time of the last answer, not that of the first request without one. The test fails at midnight.
        assert!(
            before.as_str().unwrap() <= since.as_str() && since.as_str() <= after.as_str().unwrap(),
            "{before} {since} {after}"
        );
        let grey =
            browser.run("return getComputedStyle(document.getElementById('topics-section')).filter").await;
        assert_eq!(grey, "grayscale(1)");
        // The values stay, and are of that time.
        assert_eq!(browser.names("topics").await.len(), 3);
        // The time does not move on.
        let now = browser.text("summary").await;
        browser
            .until(&format!("return document.getElementById('summary').textContent !== {}", json!(now)))
            .await;
        assert!(browser.text("summary").await.contains(&since));
        // The node is back.
        let server = Server::at(address, &worker);
        browser.until("return document.getElementById('verdict').dataset.state === 'up'").await;
        assert_eq!(browser.run("return document.body.classList.contains('dead')").await, json!(false));
        server.end().await;
        browser.end().await;
    });
}

#[test]
fn a_paused_page_displays_that_it_is_paused() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let worker = healthy().await;
        let server = Server::of(&worker);
        browser.open(&server).await;
        assert_eq!(
            (browser.text("pause").await, browser.text("paused").await),
            ("Pause".into(), String::new())
        );
        browser.click("pause").await;
        let paused = browser.text("paused").await;
        assert!(
            paused.starts_with("Paused at ") && paused.ends_with("the values are of that time."),
            "{paused}"
        );
        assert_eq!(browser.text("pause").await, "Resume");
        // A round that was in progress ends.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let count = browser.text("received-count").await;
        message(&worker, 1, "alpha", 1);
        worker.settle().await;
        // More than a round.
        tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
        assert_eq!(browser.text("received-count").await, count);
        browser.click("pause").await;
        browser.until("return document.getElementById('received-count').textContent === '1'").await;
        assert_eq!(
            (browser.text("pause").await, browser.text("paused").await),
            ("Pause".into(), String::new())
        );
        server.end().await;
        browser.end().await;
    });
}
