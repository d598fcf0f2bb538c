//! The page displays what the API returns, follows changes, and works by mouse and by keyboard.

use actix_gossipsub::{P2pInput, P2pMessage, http, plain::PlainNetwork};
use fantoccini::{Locator, key::Key};
use serde_json::json;

use super::workers_on_eight_topics;
use crate::http::{
    browser::Browser,
    support::{
        Server, graft, limits, manual, message, publish, quiet, receive, run, start_alone, subscribed,
    },
};

#[test]
fn the_page_displays_what_the_api_returns() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let workers = workers_on_eight_topics().await;
        let server = Server::of(&workers[0]);
        browser.open(&server).await;
        let stats = server.json("/p2p/gossipsub/stats").await;
        for (id, counter) in [
            ("peers-count", "count_connections"),
            ("topics-count", "count_topics"),
            ("received-count", "count_recv_valid_app_messages"),
            ("sent-count", "count_sent_app_messages"),
        ] {
            assert_eq!(browser.text(id).await, stats[counter].to_string(), "{counter}");
        }
        browser.until("return document.getElementById('own-id').textContent === '1'").await;
        assert_eq!(browser.text("own-addresses").await, "/ip4/192.0.2.1/tcp/4001/p2p/1");
        // Every peer of the API with its score, and every topic with its mesh, in the order of the API.
        let rounded = |score: f64| if score == 0.0 { "0".to_owned() } else { format!("{score:.2}") };
        let peers = server.json("/p2p/gossipsub/peers/status").await;
        let expected: Vec<_> = peers
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["peer"].to_string(), rounded(one["score"].as_f64().unwrap())))
            .collect();
        let displayed = browser.cells("peers").await;
        assert_eq!(
            displayed.iter().map(|row| (row[0].clone(), row[2].clone())).collect::<Vec<_>>(),
            expected
        );
        assert_eq!(displayed[0][..2], ["77", "inbound\nbelow mesh"]);
        assert!(displayed.iter().any(|row| row[..2] == ["40", "direct, outbound"]), "{displayed:?}");
        let topics = server.json("/p2p/gossipsub/topics/status").await;
        let expected: Vec<_> = topics
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let mesh = format!("{} of {}–{}", one["mesh"], one["degree_low"], one["degree_high"]);
                [one["topic"].as_str().unwrap().to_owned(), mesh, one["subscribers"].to_string()]
            })
            .collect();
        assert_eq!(browser.cells("topics").await, expected);
        assert!(browser.text("refusals").await.contains("negative score"));
        // The page follows new messages.
        publish(&workers[1], "blocks", 99);
        quiet(&workers).await;
        let received = stats["count_recv_valid_app_messages"].as_u64().unwrap() + 1;
        browser
            .until(&format!("return document.getElementById('received-count').textContent === '{received}'"))
            .await;
        // Each rate has a unit and an axis of time.
        let sparks =
            browser.run("return [...document.querySelectorAll('.spark')].map(one => one.innerText)").await;
        let sparks: Vec<String> = serde_json::from_value(sparks).unwrap();
        assert!(sparks.len() >= 8, "{sparks:?}");
        for spark in sparks {
            assert!(spark.contains("−3 min") && spark.contains("now"), "{spark}");
            assert!(["/s", "ms", "items"].iter().any(|unit| spark.contains(unit)), "{spark}");
        }
        assert_eq!(browser.errors().await, Vec::<String>::new());
        server.end().await;
        browser.end().await;
    });
}

/// A peer that is in a mesh already and grafts again is normal.
#[test]
fn normal_refusals_are_not_listed() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let worker = start_alone(manual(limits(|_| {})), &["a"]);
        worker.p2p_input(P2pInput::connected(1)).unwrap();
        subscribed(&worker, 1, "a");
        for _ in 0..3 {
            graft(&worker, 1, "a");
        }
        worker.settle().await;
        let server = Server::of(&worker);
        browser.open(&server).await;
        browser
            .until("return document.getElementById('normal-refusals').textContent.includes('REJECT_GRAFT')")
            .await;
        let displayed = browser.run("return document.getElementById('refusals-section').innerText").await;
        let displayed = displayed.as_str().unwrap();
        assert!(
            displayed.contains("None since the start.") && displayed.contains("Normal, and not listed:"),
            "{displayed}"
        );
        assert_eq!(browser.names("refusals").await, Vec::<String>::new());
        server.end().await;
        browser.end().await;
    });
}

#[test]
fn the_keyboard_opens_a_peer() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let workers = workers_on_eight_topics().await;
        let server = Server::of(&workers[0]);
        browser.open(&server).await;
        // Tab leads from the top to the first peer, which has the lowest score.
        let mut steps = 0;
        while browser.run("return document.activeElement.closest('#peers') === null").await == json!(true) {
            browser.press(Key::Tab).await;
            steps += 1;
            assert!(steps < 40, "the peers can't be reached");
        }
        // The list is drawn again meanwhile, and the focus stays.
        publish(&workers[1], "blocks", 98);
        quiet(&workers).await;
        let drawn_again = "document.querySelector('#peers a').dataset.old ??= 'x'; return true";
        browser.run(drawn_again).await;
        workers[0].app_input(actix_gossipsub::AppInput::SetApplicationScore { peer: 3, score: 9.0 }).unwrap();
        workers[0].settle().await;
        workers[0].tick().await;
        browser.until("return document.querySelector('#peers a').dataset.old === undefined").await;
        assert_eq!(browser.run("return document.activeElement.dataset.key").await, "77");
        browser.press(Key::Enter).await;
        browser.until("return document.getElementById('peer').open").await;
        assert_eq!(browser.text("peer-title").await, "Peer 77");
        let score = server.json("/p2p/gossipsub/scores/77").await["score"].as_f64().unwrap();
        let sum = browser.text("peer-sum").await;
        assert!(sum.starts_with(&format!("Score {score:.2} = topics 0 + P5 -12.50")), "{sum}");
        let components = browser.cells("peer-components").await;
        assert_eq!(components[1], ["P5", "-12.50", "The application rates it -12.50."]);
        let refused = browser.text("peer-refused").await;
        assert!(
            refused.contains("mesh: its GRAFTs are refused")
                && refused.contains("until its score is at least 0"),
            "{refused}"
        );
        assert!(refused.contains("GRAFTs on slot 0 until"), "the backoff: {refused}");
        let facts = browser.text("peer-facts").await;
        for fact in
            ["inbound: it dialled us", "/dns4/77.example/tcp/4001", "go-libp2p/0.36.2", "/meshsub/1.2.0"]
        {
            assert!(facts.contains(fact), "{facts}");
        }
        let decisions = browser.text("peer-decisions").await;
        assert!(
            decisions.contains("REJECT_GRAFT") && decisions.contains("the score of the peer is negative"),
            "{decisions}"
        );
        browser.press(Key::Escape).await;
        browser.until("return !document.getElementById('peer').open").await;
        browser.run("document.querySelector('#peers a[data-key=\"40\"]').click()").await;
        browser
            .until(
                "return document.getElementById('peer-refused').textContent.includes('connections for ever')",
            )
            .await;
        browser.press(Key::Escape).await;
        // A topic leads to the peers of its mesh.
        browser.run("document.querySelector('#topics a[data-key=blocks]').click()").await;
        browser.until("return document.getElementById('topic').open").await;
        assert!(browser.text("topic-state").await.contains("peers that it is to have (D_low to D_high)"));
        let mesh = server.json("/p2p/gossipsub/mesh?topic=blocks").await;
        let peers = browser
            .run(
                "return [...document.querySelectorAll('#topic-peers a')].map(one => Number(one.dataset.key))",
            )
            .await;
        assert_eq!(peers, mesh[0]["peers"]);
        browser.press(Key::Escape).await;
        assert_eq!(browser.errors().await, Vec::<String>::new());
        server.end().await;
        browser.end().await;
    });
}

#[test]
fn the_address_of_the_page_names_the_open_peer_or_topic() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let workers = workers_on_eight_topics().await;
        let server = Server::of(&workers[0]);
        browser.open(&server).await;
        let is_open =
            |kind: &str, open: bool| format!("return document.getElementById('{kind}').open === {open}");
        // A link opens it, and the address can be copied.
        browser.run("document.querySelector('#topics a[data-key=\"slot 0\"]').click()").await;
        browser.until(&is_open("topic", true)).await;
        assert_eq!(browser.run("return location.hash").await, "#topic=slot+0");
        browser.run("document.querySelector('#topic-peers a').click()").await;
        browser.until(&is_open("peer", true)).await;
        let peer = browser.text("peer-id").await;
        assert_eq!(browser.run("return location.hash").await, json!(format!("#peer={peer}")));
        // Back leads to the topic that it was opened from; a closed dialog leaves the address to the one below it.
        browser.run("history.back()").await;
        browser.until(&is_open("peer", false)).await;
        assert_eq!(browser.run("return location.hash").await, "#topic=slot+0");
        // Clicked as by a user: of dialogs that a script opens, a browser closes all at one Escape.
        browser.client.find(Locator::Css("#topic-peers a")).await.unwrap().click().await.unwrap();
        browser.until(&is_open("peer", true)).await;
        browser.press(Key::Escape).await;
        browser
            .until("return location.hash === '#topic=slot+0' && document.getElementById('topic').open")
            .await;
        browser.press(Key::Escape).await;
        browser.until("return location.hash === '' && !document.getElementById('topic').open").await;
        assert_eq!(browser.errors().await, Vec::<String>::new());
        // A loaded address opens what it names, known or not: the node answers 404 for a topic that it has not.
        for (address, kind, id, name) in
            [("#peer=77", "peer", "peer-id", "77"), ("#topic=a%3Cb%26c", "topic", "topic-name", "a<b&c")]
        {
            browser.client.goto(&format!("http://{}/{address}", server.address)).await.unwrap();
            browser.client.refresh().await.unwrap();
            browser.until(&is_open(kind, true)).await;
            assert_eq!(browser.text(id).await, name);
        }
        server.end().await;
        browser.end().await;
    });
}

#[test]
fn decisions_of_a_peer_are_filtered_by_their_text() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let workers = workers_on_eight_topics().await;
        let server = Server::of(&workers[0]);
        browser.open(&server).await;
        browser.run("location.hash = '#peer=77'").await;
        browser.until("return document.getElementById('peer').open").await;
        let listed = "return [...document.querySelectorAll('#peer-decisions li')].filter(line => !line.hidden).map(line => line.innerText)";
        let all: Vec<String> = serde_json::from_value(browser.run(listed).await).unwrap();
        browser
            .client
            .find(Locator::Id("decisions-filter"))
            .await
            .unwrap()
            .send_keys("graft SLOT")
            .await
            .unwrap();
        assert_eq!(browser.run(listed).await, json!([]), "the text is searched for as it is");
        let filter = browser.client.find(Locator::Id("decisions-filter")).await.unwrap();
        filter.clear().await.unwrap();
        filter.send_keys("reject_GRAFT").await.unwrap();
        let some: Vec<String> = serde_json::from_value(browser.run(listed).await).unwrap();
        let expected: Vec<_> = all.iter().filter(|line| line.contains("REJECT_GRAFT")).cloned().collect();
        assert!(!expected.is_empty() && expected.len() < all.len(), "{all:?}");
        assert_eq!(some, expected);
        server.end().await;
        browser.end().await;
    });
}

/// What a script finds out about the drawn graph.
fn of_graph(expression: &str) -> String {
    format!("return import(new URL('page/graph.js', document.baseURI).href).then(graph => {expression})")
}

#[test]
fn the_graph_opens_peers() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let workers = workers_on_eight_topics().await;
        let server = Server::of(&workers[0]);
        browser.open(&server).await;
        browser.open_graph().await;
        let mesh = server.json("/p2p/gossipsub/mesh").await;
        let peers: std::collections::BTreeSet<_> = mesh
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|topic| topic["peers"].as_array().unwrap())
            .map(ToString::to_string)
            .collect();
        let summary = browser.text("graph-summary").await;
        assert_eq!(summary, format!("8 topics and {0} of {0} peers in their meshes are drawn.", peers.len()));
        // An arrow key selects a peer, and Enter opens it.
        let graph = browser.client.find(Locator::Id("graph")).await.unwrap();
        graph.send_keys(&format!("{}{}", char::from(Key::Right), char::from(Key::Enter))).await.unwrap();
        browser.until("return document.getElementById('peer').open").await;
        let title = browser.text("peer-title").await;
        let label = graph.attr("aria-label").await.unwrap().unwrap();
        assert!(label.contains(&format!("{title},")), "{label} {title}");
        browser.run("document.getElementById('peer').close()").await;
        // A click on the position of a peer opens it. Which peers are in the meshes depends on who subscribed first.
        let node = browser.run(&of_graph("graph.drawn().nodes.at(-1)")).await;
        let (position, title) =
            (&node["position"], format!("Peer {}", node["peer"]["name"].as_str().unwrap()));
        let click = format!(
            "const box = document.getElementById('graph').getBoundingClientRect(); document.getElementById('graph')\
             .dispatchEvent(new MouseEvent('click', {{ clientX: box.left + {}, clientY: box.top + {} }}))",
            position[0], position[1]
        );
        browser.run(&click).await;
        let is_open =
            "document.getElementById('peer').open && document.getElementById('peer-title').textContent";
        browser.until(&format!("return {is_open} === '{title}'")).await;
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
        receive(&worker, 1, P2pMessage::IWant { message_ids: ids });
        worker.settle().await;
        worker.tick().await;
        let served = worker.clone();
        // Mounted below a path prefix, and requested without the trailing slash.
        let server = Server::serving(move || {
            actix_web::web::scope("/x").service(http::scope(served.clone(), String::new))
        });
        browser.client.goto(&format!("http://{}/x", server.address)).await.unwrap();
        browser.until("return document.querySelectorAll('#topics tr').length === 4").await;
        browser.run("document.querySelector('#peers a').click()").await;
        browser.until("return document.querySelectorAll('#peer-decisions li').length > 0 && document.querySelectorAll('#events li').length > 0").await;
        for topic in hostile {
            let quoted = serde_json::to_string(topic).unwrap();
            let listed = format!(
                "return [...document.querySelectorAll('#topics a')].some(one => one.title === {quoted}) \
                && document.querySelector('#peer-decisions').textContent.includes({quoted})"
            );
            assert_eq!(browser.run(&listed).await, json!(true), "{topic}");
        }
        let beginning = serde_json::to_string("</td><script").unwrap();
        for place in ["#topics", "#events", "#reasons"] {
            let displayed = browser
                .run(&format!("return document.querySelector('{place}').textContent.includes({beginning})"))
                .await;
            assert_eq!(displayed, json!(true), "{place}");
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
