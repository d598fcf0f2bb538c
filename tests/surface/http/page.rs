//! These tests open the live page in a real browser. It must display what the API returns, by mouse and by keyboard, in
//! both colour schemes, with many topics and with hostile identifiers.

use std::collections::BTreeSet;

use actix_gossipsub::{AppInput, ConnectionInfo, P2pInput, P2pMessage, http, plain::PlainNetwork};
use fantoccini::{Locator, key::Key};
use serde_json::{Value, json};

use super::{
    browser::Browser,
    support::{
        Engine, Server, graft, limits, manual, message, network, publish, quiet, run, start_alone, subscribed,
    },
};

/// Twelve engines on eight topics. The first has two more peers: one with a negative score and one direct.
async fn workers_on_eight_topics() -> Vec<Engine> {
    let limits = limits(|config| config.score.app_specific_weight = 1.0);
    let topics = ["blocks", "votes", "slot 0", "slot 1", "slot 2", "slot 3", "news", "idle"];
    let workers = network(12, &topics, &limits).await;
    let first = &workers[0];
    let info = ConnectionInfo::outbound().direct().trusted();
    let direct = P2pInput::NewConnection { peer: 40, info };
    first.p2p_input(direct).unwrap();
    first.p2p_input(P2pInput::connected(77)).unwrap();
    for (peer, score) in [(77, -12.5), (3, 4.0), (5, 2.5)] {
        first.app_input(AppInput::SetApplicationScore { peer, score }).unwrap();
    }
    first.settle().await;
    for topic in &topics[..4] {
        subscribed(first, 77, topic);
        subscribed(first, 40, topic);
        graft(first, 77, topic);
    }
    for worker in &workers {
        worker.tick().await;
    }
    quiet(&workers).await;
    for number in 0..5 {
        publish(&workers[1], "blocks", number);
    }
    quiet(&workers).await;
    workers
}

#[test]
fn the_page_displays_what_the_api_returns() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let workers = workers_on_eight_topics().await;
        let server = Server::of(&workers[0]);
        browser.client.goto(&format!("http://{}/", server.address)).await.unwrap();
        browser.until("return document.querySelectorAll('#peers tr').length > 0").await;
        let stats = server.json("/p2p/gossipsub/stats").await;
        for (id, counter) in [
            ("peers-count", "count_connections"),
            ("topics-count", "count_topics"),
            ("received-count", "count_recv_valid_app_messages"),
            ("sent-count", "count_sent_app_messages"),
        ] {
            assert_eq!(browser.text(id).await, stats[counter].to_string(), "{counter}");
        }
        assert_eq!(browser.text("identity").await, "listening on /ip4/192.0.2.1/tcp/4001/p2p/1");
        // Every peer of the API, with its score and the number of its meshes.
        let mesh = server.json("/p2p/gossipsub/mesh").await;
        let meshes = |peer: &Value| {
            let topics = mesh.as_array().unwrap().iter();
            topics.filter(|topic| topic["peers"].as_array().unwrap().contains(peer)).count()
        };
        let scores = server.json("/p2p/gossipsub/scores").await;
        let rounded = |score: f64| if score == 0.0 { "0".to_owned() } else { format!("{score:.2}") };
        let expected: BTreeSet<_> = scores
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                (
                    one["peer"].to_string(),
                    meshes(&one["peer"]).to_string(),
                    rounded(one["score"].as_f64().unwrap()),
                )
            })
            .collect();
        let displayed = browser
            .run("return [...document.querySelectorAll('#peers tr')].map(row => [...row.cells].map(cell => cell.textContent))")
            .await;
        let cell = |row: &Value, column: usize| row[column].as_str().unwrap().to_owned();
        let displayed: BTreeSet<_> = displayed
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (cell(row, 0), cell(row, 2), cell(row, 3)))
            .collect();
        assert_eq!(displayed, expected);
        let health = browser.text("health").await;
        assert!(health.starts_with(server.json("/health").await["status"].as_str().unwrap()), "{health}");
        assert!(browser.text("rejections").await.contains("negative_score"));
        assert!(browser.text("graph-summary").await.starts_with("8 of 8 topics and 13 of 13 peers"));
        // The page follows new messages.
        publish(&workers[1], "blocks", 99);
        quiet(&workers).await;
        let received = stats["count_recv_valid_app_messages"].as_u64().unwrap() + 1;
        browser
            .until(&format!("return document.getElementById('received-count').textContent === '{received}'"))
            .await;
        assert_eq!(browser.errors().await, Vec::<String>::new());
        server.end().await;
        browser.end().await;
    });
}

#[test]
fn the_keyboard_opens_a_score() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let workers = workers_on_eight_topics().await;
        let server = Server::of(&workers[0]);
        browser.client.goto(&format!("http://{}/", server.address)).await.unwrap();
        browser.until("return document.querySelectorAll('#peers button').length > 0").await;
        // Tab leads from the top to the first peer, which has the lowest score.
        let mut steps = 0;
        while browser.run("return document.activeElement.closest('#peers') === null").await == json!(true) {
            browser
                .client
                .active_element()
                .await
                .unwrap()
                .send_keys(&char::from(Key::Tab).to_string())
                .await
                .unwrap();
            steps += 1;
            assert!(steps < 20, "the peers can't be reached");
        }
        browser
            .client
            .active_element()
            .await
            .unwrap()
            .send_keys(&char::from(Key::Enter).to_string())
            .await
            .unwrap();
        browser.until("return document.getElementById('peer').open").await;
        assert_eq!(browser.text("peer-title").await, "Peer 77");
        let score = server.json("/p2p/gossipsub/scores/77").await["score"].as_f64().unwrap();
        let sum = browser.text("peer-sum").await;
        assert!(sum.starts_with(&format!("Score {score:.2} = topics 0 + P5 -12.50")), "{sum}");
        assert!(
            browser.text("peer-thresholds").await.contains("mesh (0): below"),
            "the failed threshold and its effect"
        );
        let decisions = browser.text("peer-decisions").await;
        assert!(
            decisions.contains("REJECT_GRAFT") && decisions.contains("the score of the peer is negative"),
            "{decisions}"
        );
        browser
            .client
            .active_element()
            .await
            .unwrap()
            .send_keys(&char::from(Key::Escape).to_string())
            .await
            .unwrap();
        browser.until("return !document.getElementById('peer').open").await;
        // In the graph an arrow key selects a peer, and Enter opens it.
        let graph = browser.client.find(Locator::Id("graph")).await.unwrap();
        graph.send_keys(&format!("{}{}", char::from(Key::Right), char::from(Key::Enter))).await.unwrap();
        browser.until("return document.getElementById('peer').open").await;
        let title = browser.text("peer-title").await;
        let label = graph.attr("aria-label").await.unwrap().unwrap();
        assert!(label.contains(&format!("{title},")), "{label} {title}");
        browser.run("document.getElementById('peer').close()").await;
        // A click on the position of a peer opens it.
        let position = browser
            .run("const [x, y] = state.nodes.find(one => one.peer.name === '40').position; return [x, y]")
            .await;
        let click = format!(
            "const box = document.getElementById('graph').getBoundingClientRect(); document.getElementById('graph')\
             .dispatchEvent(new MouseEvent('click', {{ clientX: box.left + {}, clientY: box.top + {} }}))",
            position[0], position[1]
        );
        browser.run(&click).await;
        browser.until("return document.getElementById('peer').open && document.getElementById('peer-title').textContent === 'Peer 40'").await;
        assert_eq!(browser.errors().await, Vec::<String>::new());
        server.end().await;
        browser.end().await;
    });
}

/// Every control, graphic and section has an accessible name.
#[test]
fn every_element_has_an_accessible_name() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let workers = workers_on_eight_topics().await;
        let server = Server::of(&workers[0]);
        browser.client.goto(&format!("http://{}/", server.address)).await.unwrap();
        browser.until("return document.querySelectorAll('#peers button').length > 0").await;
        let nameless = "const named = one => (one.getAttribute('aria-label') || one.textContent.trim() || \
            (one.getAttribute('aria-labelledby') || '').split(' ').map(id => document.getElementById(id)?.textContent).join('').trim() || \
            (one.labels && one.labels.length && one.labels[0].textContent)); \
            return [...document.querySelectorAll('button, input, canvas, [role], dialog, section, [tabindex]')] \
            .filter(one => !named(one)).map(one => one.outerHTML.slice(0, 80))";
        assert_eq!(browser.run(nameless).await, json!([]));
        assert_eq!(browser.run("return document.documentElement.lang").await, "en");
        server.end().await;
        browser.end().await;
    });
}

/// Collects the opaque colours of the graph in `seen`, in the notation of the stylesheet.
const PIXELS: &str = "const graph = document.getElementById('graph'), \
    copy = Object.assign(document.createElement('canvas'), { width: graph.width, height: graph.height }), \
    pen = copy.getContext('2d', { willReadFrequently: true }), seen = new Set(); \
    pen.drawImage(graph, 0, 0); const pixels = pen.getImageData(0, 0, copy.width, copy.height).data; \
    for (let i = 0; i < pixels.length; i += 4) if (pixels[i + 3] === 255) \
    seen.add('#' + [...pixels.slice(i, i + 3)].map(part => part.toString(16).padStart(2, '0')).join(''));";

#[test]
fn both_colour_schemes_are_drawn() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let workers = workers_on_eight_topics().await;
        let server = Server::of(&workers[0]);
        browser.client.goto(&format!("http://{}/", server.address)).await.unwrap();
        let mut renderings = Vec::new();
        for scheme in ["light", "dark"] {
            browser.prefer(scheme).await;
            browser.until("return state.nodes.length > 0 && state.series.size > 5").await;
            // The page redraws when the scheme changes.
            browser.until(&format!("{PIXELS} return seen.has(colour('--topic'))")).await;
            if let Some(folder) = std::env::var_os("GOSSIPSUB_SCREENSHOTS") {
                for number in 0..6 {
                    for message in 0..=number * 3 % 7 {
                        publish(&workers[1], "votes", renderings.len() as u64 * 1000 + number * 10 + message);
                    }
                    workers[0].tick().await;
                    quiet(&workers).await;
                    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
                }
                let picture = browser.client.screenshot().await.unwrap();
                std::fs::write(std::path::Path::new(&folder).join(format!("page-{scheme}.png")), picture)
                    .unwrap();
            }
            let rendering = browser
                .run(&format!(
                    "{PIXELS} return {{ back: getComputedStyle(document.body).backgroundColor, \
                     text: getComputedStyle(document.body).color, colours: [...seen].sort() }}"
                ))
                .await;
            // Three score colours, topics and labels.
            assert!(rendering["colours"].as_array().unwrap().len() >= 5, "{scheme}: {rendering}");
            renderings.push(rendering);
        }
        assert_ne!(renderings[0]["back"], renderings[1]["back"]);
        assert_ne!(renderings[0]["text"], renderings[1]["text"]);
        assert_ne!(renderings[0]["colours"], renderings[1]["colours"]);
        assert_eq!(browser.errors().await, Vec::<String>::new());
        server.end().await;
        browser.end().await;
    });
}

#[test]
fn a_thousand_topics_and_two_hundred_peers() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let names: Vec<_> = (0..1_000).map(|n| format!("topic {n:04}")).collect();
        let topics: Vec<_> = names.iter().map(String::as_str).collect();
        let worker = start_alone(manual(limits(|config| config.max_topics_per_peer = 1_000)), &topics);
        for peer in 1..=200 {
            worker.p2p_input(P2pInput::connected(peer)).unwrap();
            // Each peer subscribes to a fortieth of the topics, and to the first one.
            let some = topics
                .iter()
                .enumerate()
                .filter(|(index, _)| *index == 0 || (*index as u64 + peer).is_multiple_of(40));
            some.for_each(|(_, topic)| subscribed(&worker, peer, topic));
            worker.settle().await;
        }
        worker.tick().await;
        let server = Server::of(&worker);
        browser.client.goto(&format!("http://{}/", server.address)).await.unwrap();
        browser.until("return document.getElementById('graph-summary').textContent.startsWith('60 of 1,000 topics and 200 of 200 peers')").await;
        assert_eq!(browser.text("topics-count").await, "1,000");
        assert_eq!(browser.run("return document.querySelectorAll('#topics tr').length").await, json!(200));
        assert!(browser.text("topics-more").await.starts_with("800 more are not listed"));
        // The filter still responds and narrows the graph.
        let filter = browser.client.find(Locator::Id("filter")).await.unwrap();
        filter.send_keys("topic 07").await.unwrap();
        browser
            .until(
                "return document.getElementById('graph-summary').textContent.startsWith('60 of 100 topics')",
            )
            .await;
        filter.send_keys("77").await.unwrap();
        browser
            .until("return document.getElementById('graph-summary').textContent.startsWith('1 of 1 topics')")
            .await;
        let mesh = server.json("/p2p/gossipsub/mesh?topic=topic%200777").await;
        let drawn = browser.run("return graphContent().topics[0].peers.length").await;
        assert_eq!(drawn.as_u64(), Some(mesh[0]["peers"].as_array().unwrap().len() as u64));
        assert_eq!(browser.errors().await, Vec::<String>::new());
        server.end().await;
        browser.end().await;
    });
}

#[test]
fn identifiers_are_never_markup() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let hostile = [
            "<img src=x onerror=\"window.pwned=1\">",
            "</td><script>window.pwned=1</script>",
            "javascript:window.pwned=1",
            "\u{202e}'\"`${window.pwned=1}",
        ];
        let worker = start_alone(manual(limits(|_| {})).message_events(16), &hostile);
        worker.p2p_input(P2pInput::connected(1)).unwrap();
        for topic in hostile {
            subscribed(&worker, 1, topic);
            graft(&worker, 1, topic);
            graft(&worker, 1, &format!("{topic}!"));
            message(&worker, 1, topic, 1);
        }
        let ids = vec![PlainNetwork::message(hostile[0], 5, "").message_id];
        super::support::receive(&worker, 1, P2pMessage::IWant { message_ids: ids });
        worker.settle().await;
        worker.tick().await;
        let served = worker.clone();
        // Mounted below a path prefix, and requested without the trailing slash.
        let server = Server::serving(move || {
            actix_web::web::scope("/x").service(http::scope(served.clone(), String::new))
        });
        browser.client.goto(&format!("http://{}/x", server.address)).await.unwrap();
        browser.until("return document.querySelectorAll('#topics tr').length === 4").await;
        browser.run("openPeer('1')").await;
        browser.until("return document.querySelectorAll('#peer-decisions li').length > 0 && document.querySelectorAll('#events li').length > 0").await;
        for topic in hostile {
            let quoted = serde_json::to_string(topic).unwrap();
            for place in ["#topics", "#events", "#peer-decisions"] {
                let displayed = browser
                    .run(&format!("return document.querySelector('{place}').textContent.includes({quoted})"))
                    .await;
                assert_eq!(displayed, json!(true), "{topic} in {place}");
            }
        }
        assert_eq!(
            browser
                .run("return [window.pwned === undefined, document.images.length, document.scripts.length]")
                .await,
            json!([true, 0, 1])
        );
        // The content security policy blocks inline scripts as well.
        let tried = "const made = document.createElement('script'); made.textContent = 'window.pwned = 1'; document.body.append(made); return window.pwned === undefined";
        assert_eq!(browser.run(tried).await, json!(true));
        server.end().await;
        browser.end().await;
    });
}
