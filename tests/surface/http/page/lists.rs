//! The lists of the page: search among many topics, pages, and names that stay distinct when they are shortened.

use actix_gossipsub::P2pInput;
use serde_json::json;

use crate::http::{
    browser::Browser,
    support::{Server, limits, manual, run, start_alone, subscribed},
};

#[test]
fn any_of_32_000_topics_and_200_peers_is_found() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let names: Vec<_> = (0..32_000).map(|n| format!("topic {n:05}")).collect();
        let topics: Vec<_> = names.iter().map(String::as_str).collect();
        let worker = start_alone(manual(limits(|_| {})), &topics);
        for peer in 1_000..1_200 {
            worker.p2p_input(P2pInput::connected(peer)).unwrap();
        }
        subscribed(&worker, 1_007, "topic 23456");
        worker.settle().await;
        worker.tick().await;
        let server = Server::of(&worker);
        browser.open(&server).await;
        assert_eq!(browser.text("topics-count").await, "32,000");
        assert_eq!(browser.names("topics").await.len(), 20);
        browser.search("pic 23456").await;
        browser.until("return document.querySelectorAll('#topics tr').length === 1").await;
        let found = browser.cells("topics").await;
        assert_eq!((found[0][0].as_str(), found[0][2].as_str()), ("topic 23456", "1"));
        browser
            .until("return document.getElementById('peers-range').textContent === 'Nothing is found.'")
            .await;
        browser.search("1107").await;
        browser.until("return document.querySelectorAll('#peers tr').length === 1").await;
        assert_eq!(browser.names("peers").await, ["1107"]);
        // The list goes on, forward and back.
        browser.search("topic 00").await;
        browser.until("return document.getElementById('topics-range').textContent === '1 to 20 of more' && document.querySelector('#topics a').dataset.key === 'topic 00000'").await;
        browser.run("document.getElementById('topics-next').click()").await;
        browser
            .until("return document.getElementById('topics-range').textContent === '21 to 40 of more'")
            .await;
        assert_eq!(browser.names("topics").await[0], "topic 00020");
        browser.run("document.getElementById('topics-previous').click()").await;
        browser
            .until("return document.getElementById('topics-range').textContent === '1 to 20 of more'")
            .await;
        assert_eq!(browser.names("topics").await[0], "topic 00000");
        assert_eq!(
            browser.run("return document.getElementById('topics-previous').disabled").await,
            json!(true)
        );
        assert_eq!(browser.errors().await, Vec::<String>::new());
        // No request of the page asks for a long list.
        let requests =
            browser.run("return performance.getEntriesByType('resource').map(one => one.name)").await;
        let requests: Vec<String> = serde_json::from_value(requests).unwrap();
        let is_long = |url: &&String| {
            let limit = url.split("limit=").nth(1).map(|rest| rest.split('&').next().unwrap_or_default());
            !url.contains("events?")
                && limit.is_some_and(|limit| limit.parse::<u32>().is_ok_and(|limit| limit > 256))
        };
        assert_eq!(requests.iter().filter(is_long).collect::<Vec<_>>(), Vec::<&String>::new());
        assert!(requests.iter().any(|url| url.contains("topics/status?limit=20")), "{requests:?}");
        server.end().await;
        browser.end().await;
    });
}

/// The names have the same beginning and the same end.
#[test]
fn long_names_are_shortened_in_the_middle_and_stay_distinct() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let names: Vec<_> = (0..12)
            .map(|n| format!("/network/0123456789abcdef0123456789abcdef/subnet/{n}/attestations/of/validators/ssz_snappy"))
            .collect();
        let mut topics: Vec<_> = names.iter().map(String::as_str).collect();
        topics.push("short");
        let worker = start_alone(manual(limits(|_| {})), &topics);
        worker.tick().await;
        let server = Server::of(&worker);
        browser.open(&server).await;
        let displayed = browser.names("topics").await;
        assert_eq!(displayed.len(), 13);
        let distinct: std::collections::BTreeSet<_> = displayed.iter().collect();
        assert_eq!(distinct.len(), 13, "{displayed:?}");
        assert!(displayed.contains(&"short".to_owned()));
        let shortened: Vec<_> = displayed.iter().filter(|name| name.contains('…')).collect();
        assert_eq!(shortened.len(), 12);
        assert!(
            shortened.iter().all(|name| name.starts_with("/network") && name.ends_with("snappy")),
            "{displayed:?}"
        );
        assert!(shortened.iter().all(|name| name.chars().count() < names[0].len()), "{displayed:?}");
        let titles =
            browser.run("return [...document.querySelectorAll('#topics a')].map(one => one.title)").await;
        let titles: std::collections::BTreeSet<String> = serde_json::from_value(titles).unwrap();
        assert!(names.iter().all(|name| titles.contains(name)), "{titles:?}");
        // Where names differ at the end only, few characters are enough.
        let short = "return import(new URL('page/text.js', document.baseURI).href).then(text => text.shortenAll(['a'.repeat(60) + 1, 'a'.repeat(60) + 2]))";
        assert_eq!(browser.run(short).await, json!(["aaaaaaaaaaaa…aaaaaaaaaa1", "aaaaaaaaaaaa…aaaaaaaaaa2"]));
        server.end().await;
        browser.end().await;
    });
}

/// The names of 120 topics that rank before this one contain its name.
#[test]
fn a_topic_whose_name_is_part_of_many_others_opens_with_its_state() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let names: Vec<_> = (0..120).map(|n| format!("a news {n:03}")).chain(["news".to_owned()]).collect();
        let topics: Vec<_> = names.iter().map(String::as_str).collect();
        let worker = start_alone(manual(limits(|_| {})), &topics);
        worker.settle().await;
        worker.tick().await;
        let server = Server::of(&worker);
        browser.open(&server).await;
        browser.run("location.hash = '#topic=news'").await;
        browser.until("return document.getElementById('topic').open").await;
        assert_eq!(browser.text("topic-name").await, "news");
        let state = browser.text("topic-state").await;
        assert!(state.contains("No connected peer subscribes"), "{state:?}");
        server.end().await;
        browser.end().await;
    });
}
