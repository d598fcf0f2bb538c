//! The layout of the page with a busy node, in both colour schemes: texts do not overlap, and all is as wide as the page, down to
//! 360 pixels.

use actix_gossipsub::{AppInput, ConnectionInfo, P2pInput};
use serde_json::{Value, json};

use super::workers_on_eight_topics;
use crate::http::{
    browser::Browser,
    support::{Engine, Server, graft, limits, manual, message, run, start_alone, subscribed},
};

/// An engine with 400 topics with long names and 60 peers. Some topics have too few peers or none, some peers a negative score.
pub async fn busy() -> Engine {
    let names: Vec<_> = (0..400)
        .map(|n| {
            format!(
                "/eth2/6a95a1a967855d676d48be69883b2712{:08x}/beacon_attestation_{n}/ssz_snappy",
                n * 7_919
            )
        })
        .collect();
    let topics: Vec<_> = names.iter().map(String::as_str).collect();
    let limits = limits(|config| {
        config.max_topics_per_peer = 1_000;
        config.score.app_specific_weight = 1.0;
    });
    let worker = start_alone(manual(limits).message_events(64), &topics);
    for number in 0..60_u64 {
        let info =
            if number.is_multiple_of(3) { ConnectionInfo::outbound() } else { ConnectionInfo::inbound() };
        // As long as a peer id that is a number can be.
        let peer = u64::MAX - number;
        worker.p2p_input(P2pInput::NewConnection { peer, info }).unwrap();
        for (index, topic) in topics.iter().enumerate() {
            let subscribes = match index {
                17 | 230 => false,
                90..=95 => number.is_multiple_of(16),
                _ => (index as u64 + number).is_multiple_of(6),
            };
            if subscribes {
                subscribed(&worker, peer, topic);
            }
        }
        worker.settle().await;
        let score = if number.is_multiple_of(9) { -250.5 } else { 3.75 };
        worker.app_input(AppInput::SetApplicationScore { peer, score }).unwrap();
    }
    worker.settle().await;
    worker.tick().await;
    for number in 0..40_u64 {
        message(&worker, u64::MAX - number % 60, &names[number as usize], number);
        graft(&worker, u64::MAX - number % 60, &names[number as usize]);
    }
    worker.settle().await;
    worker.tick().await;
    worker
}

/// Elements that are wider than the page, and pairs of texts that overlap. Texts of an open dialog overlap those below it, and
/// are compared with each other.
const WRONG: &str = r"
    const root = document.querySelector('dialog[open]') ?? document.body;
    const visible = one => one.checkVisibility() && one.getClientRects().length > 0;
    const leaves = [...root.querySelectorAll('*')].filter(one => visible(one) && (one.matches('canvas, svg, input') ||
        [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim() !== '')));
    const name = one => one.tagName + (one.id ? '#' + one.id : '') + ' ' + one.textContent.slice(0, 30);
    const wide = leaves.filter(one => { const box = one.getBoundingClientRect(); return box.right > innerWidth + .5 || box.left < -.5; });
    const wrong = wide.map(one => 'beyond the page: ' + name(one));
    if (document.documentElement.scrollWidth > innerWidth) wrong.push(`the page is ${document.documentElement.scrollWidth} pixels wide`);
    const boxes = leaves.flatMap(one => {
        const range = document.createRange();
        const texts = one.matches('canvas, svg, input') ? [one] : [...one.childNodes].filter(node => node.nodeType === 3 && node.textContent.trim() !== '')
            .map(node => { range.selectNode(node); return range.cloneRange(); });
        return texts.flatMap(text => [...text.getClientRects()].map(box => ({ one, box })));
    });
    for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
        const [a, b] = [boxes[i], boxes[j]];
        if (a.one === b.one) continue;
        const across = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
        const down = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
        // Lines of text touch, and may overlap by a part of a pixel.
        if (across > 1 && down > 3) wrong.push(`overlap: ${name(a.one)} and ${name(b.one)}`);
    }
    return wrong;";

#[test]
fn nothing_overlaps_from_360_pixels_on() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let worker = busy().await;
        let server = Server::of(&worker);
        for (scheme, width, height) in [
            ("light", 1280, 1700),
            ("dark", 1280, 1700),
            ("light", 360, 4200),
            ("dark", 360, 4200),
            ("light", 800, 2400),
        ] {
            browser.prefer(scheme).await;
            browser.resize(width, height, 1.0).await;
            browser.open(&server).await;
            browser.until("return document.querySelectorAll('.spark').length >= 8").await;
            assert_eq!(browser.run(WRONG).await, json!([]), "{width} pixels");
            browser.picture(&format!("busy-{scheme}-{width}")).await;
            browser.run("document.querySelectorAll('details').forEach(one => { one.open = true; })").await;
            browser.open_graph().await;
            assert_eq!(browser.run(WRONG).await, json!([]), "{width} pixels, all open");
            browser.picture(&format!("open-{scheme}-{width}")).await;
            browser.run("document.querySelector('#peers a').click()").await;
            browser.until("return document.getElementById('peer').open").await;
            assert_eq!(browser.run(WRONG).await, json!([]), "{width} pixels, a peer");
            browser.picture(&format!("peer-{scheme}-{width}")).await;
            browser
                .run("document.getElementById('peer').close(); document.querySelector('#topics a').click()")
                .await;
            browser.until("return document.getElementById('topic').open").await;
            assert_eq!(browser.run(WRONG).await, json!([]), "{width} pixels, a topic");
        }
        assert_eq!(browser.errors().await, Vec::<String>::new());
        server.end().await;
        browser.end().await;
    });
}

/// Collects the opaque colours of the graph in `seen`, in the notation of the stylesheet.
const PIXELS: &str = "const graph = document.getElementById('graph'), \
    copy = Object.assign(document.createElement('canvas'), { width: graph.width, height: graph.height }), \
    pen = copy.getContext('2d', { willReadFrequently: true }), seen = new Set(); \
    pen.drawImage(graph, 0, 0); const pixels = pen.getImageData(0, 0, copy.width, copy.height).data; \
    const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim(); \
    for (let i = 0; i < pixels.length; i += 4) if (pixels[i + 3] === 255) \
    seen.add('#' + [...pixels.slice(i, i + 3)].map(part => part.toString(16).padStart(2, '0')).join(''));";

#[test]
fn both_colour_schemes_are_drawn() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let workers = workers_on_eight_topics().await;
        let server = Server::of(&workers[0]);
        browser.open(&server).await;
        browser.open_graph().await;
        let mut renderings: Vec<Value> = Vec::new();
        for scheme in ["light", "dark"] {
            browser.prefer(scheme).await;
            // The page redraws when the scheme changes.
            browser.until(&format!("{PIXELS} return seen.has(colour('--topic'))")).await;
            let rendering = browser
                .run(&format!(
                    "{PIXELS} return {{ back: getComputedStyle(document.body).backgroundColor, \
                     text: getComputedStyle(document.body).color, colours: [...seen].sort() }}"
                ))
                .await;
            // Two score colours, topics and labels.
            assert!(rendering["colours"].as_array().unwrap().len() >= 4, "{scheme}: {rendering}");
            renderings.push(rendering);
        }
        for part in ["back", "text", "colours"] {
            assert_ne!(renderings[0][part], renderings[1][part]);
        }
        assert_eq!(browser.errors().await, Vec::<String>::new());
        server.end().await;
        browser.end().await;
    });
}

/// A node of the demo, in which all nodes are in one process.
struct Demo(std::process::Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The pictures in `docs`: `GOSSIPSUB_SCREENSHOTS` names the folder.
#[test]
#[ignore = "draws the pictures of the documents, for 200 s"]
fn the_picture_of_the_documents() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let mut demo = std::process::Command::new(env!("CARGO_BIN_EXE_actix-gossipsub"));
        demo.args([
            "demo",
            "--seconds",
            "600",
            "--nodes",
            "8",
            "--topics",
            "20",
            "--rate",
            "20",
            "--json",
            "--http",
        ]);
        let _demo = Demo(demo.arg(free.to_string()).stdout(std::process::Stdio::null()).spawn().unwrap());
        while testkit::http::send("GET", &format!("http://{free}/health"), &[], None).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        browser.prefer("light").await;
        browser.resize(1100, 1200, 1.0).await;
        browser.client.goto(&format!("http://{free}/")).await.unwrap();
        // Until the axis of time is full.
        tokio::time::sleep(std::time::Duration::from_secs(185)).await;
        for scheme in ["light", "dark"] {
            browser.prefer(scheme).await;
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
            browser.picture(&format!("page-{scheme}")).await;
        }
        browser.end().await;
    });
}
