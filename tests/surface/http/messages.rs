//! These tests publish messages over HTTP, and read the stream of messages and events.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_gossipsub::{
    FullMessage, P2pInput, Started,
    http::{self, MessageContents, Messages},
    metrics::with_buckets,
    plain::PlainNetwork,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::{
    admin::TestTransport,
    document::admin_document,
    schema::is_valid,
    support::{
        Engine, Server, TOKEN, guard, limits, manual, message, network, quiet, run, subscribed, until,
    },
};

/// Texts as contents. The ids are consecutive numbers, except that the text "same" always has id 0.
#[derive(Default)]
pub struct Texts(AtomicU64);

impl MessageContents<PlainNetwork> for Texts {
    fn message(&self, topic: String, content: Vec<u8>) -> Result<FullMessage<PlainNetwork>, String> {
        let text = String::from_utf8(content).map_err(|_| "a message is a text".to_owned())?;
        let number = if text == "same" { 0 } else { self.0.fetch_add(1, Ordering::Relaxed) + 1 };
        Ok(PlainNetwork::message(&topic, number, &text))
    }

    fn content<'a>(&self, full: &'a FullMessage<PlainNetwork>) -> Cow<'a, [u8]> {
        Cow::Borrowed(full.message.as_bytes())
    }

    fn max_content(&self, topic: &String) -> usize {
        if topic == "large" { 1_000 } else { 64 }
    }
}

fn admin(worker: &Engine, messages: &Messages<PlainNetwork>) -> Server {
    let (transport, messages) = (TestTransport::new(worker), messages.clone());
    Server::serving(move || {
        let scope = http::admin_scope(transport.worker.clone(), transport.clone(), guard());
        http::serve_messages(scope, messages.clone())
    })
}

/// Publishes a body, and returns status and JSON.
async fn publish(server: &Server, path: &str, kind: &str, body: &[u8]) -> (u16, Value) {
    let authorization = format!("Bearer {TOKEN}");
    let headers = [("content-type", kind), ("authorization", authorization.as_str())];
    let path = format!("/admin/p2p/gossipsub/topics/{path}");
    let answer = server.send_bytes("POST", &path, &headers, body.to_vec()).await;
    (answer.status.as_u16(), answer.json())
}

const OCTETS: &str = "application/octet-stream";
const JSON: &str = "application/json";

#[test]
fn a_message_is_published_with_a_typed_outcome() {
    run(async {
        let limits = limits(|config| config.extensions.max_message_size = 60);
        let workers = network(3, &["a"], &limits).await;
        for worker in &workers {
            worker.tick().await;
        }
        quiet(&workers).await;
        workers[0].app_input(actix_gossipsub::AppInput::Join("alone".to_owned())).unwrap();
        let messages = Messages::new(Texts::default());
        let server = admin(&workers[0], &messages);
        let id = |number: u64| json!({ "number": number, "topic": "a" });
        let sent = |number| (202, json!({ "message_id": id(number), "peers": 2 }));
        assert_eq!(publish(&server, "a/messages", OCTETS, b"one").await, sent(1));
        assert_eq!(publish(&server, "a/messages", JSON, br#"{"data":"two"}"#).await, sent(2));
        assert_eq!(publish(&server, "a/messages", JSON, br#"{"base64":"dGhyZWU="}"#).await, sent(3));
        let typed = "application/json; charset=utf-8";
        assert_eq!(publish(&server, "a/messages", typed, br#"{"hex":"666f7572"}"#).await, sent(4));
        // Padding may be incomplete or left out.
        for (number, text) in (5..).zip(["AA", "AA=", "AA==", "AAA", "AAA="]) {
            let body = json!({ "base64": text });
            assert!(
                is_valid(&admin_document(), &json!({ "$ref": "#/components/schemas/Content" }), &body),
                "{text}"
            );
            assert_eq!(publish(&server, "a/messages", JSON, body.to_string().as_bytes()).await, sent(number));
        }
        assert_eq!(publish(&server, "a/messages", OCTETS, b"same").await, sent(0));

        let cases: [(&str, &str, &[u8], u16, &str); 17] = [
            ("a/messages", OCTETS, b"same", 409, "duplicate"),
            ("elsewhere/messages", OCTETS, b"x", 409, "not_joined"),
            ("elsewhere/messages?unjoined", OCTETS, b"x", 409, "no_peers"),
            ("alone/messages", OCTETS, b"x", 409, "no_peers"),
            ("a/messages?min_peers=3", OCTETS, b"x", 409, "no_peers"),
            ("a/messages?min_peers=1001", OCTETS, b"x", 400, "bad_request"),
            ("a/messages?min_peers=few", OCTETS, b"x", 400, "bad_request"),
            ("a/messages", OCTETS, &[0xff], 409, "conflict"),
            // Larger than the limits of the engine, than a content, and than a body.
            ("a/messages", OCTETS, &[b'x'; 61], 413, "too_large"),
            (
                "a/messages",
                JSON,
                format!("{{\"data\":\"{}\"}}", "x".repeat(65)).leak().as_bytes(),
                413,
                "too_large",
            ),
            ("a/messages", OCTETS, &[b'x'; 65], 413, "too_large"),
            ("a/messages", "text/plain", b"x", 415, "unsupported_media_type"),
            ("a/messages", JSON, b"{", 400, "bad_request"),
            ("a/messages", JSON, br#"{"hex":"abc"}"#, 400, "bad_request"),
            ("a/messages", JSON, br#"{"base64":"*"}"#, 400, "bad_request"),
            ("a/messages", JSON, br#"{"base64":"AAA=="}"#, 400, "bad_request"),
            ("a/messages", JSON, br#"{"data":"x","hex":"00"}"#, 400, "bad_request"),
        ];
        for (path, kind, body, status, error) in cases {
            let (found, problem) = publish(&server, path, kind, body).await;
            assert_eq!((found, &problem["error"]), (status, &json!(error)), "{path} {kind}: {problem}");
        }
        assert_eq!(publish(&server, "alone/messages?min_peers=0", OCTETS, b"x").await.0, 202);
        assert_eq!(
            publish(&server, "elsewhere/messages?unjoined=true&min_peers=0", OCTETS, b"x").await.0,
            202
        );
        workers[0].shutdown().await;
        assert_eq!(publish(&server, "a/messages", OCTETS, b"x").await.1["error"], "stopped");
        server.end().await;
    });
}

#[test]
fn json_may_escape_each_character_of_a_content() {
    run(async {
        let workers = network(2, &["large"], &limits(|_| {})).await;
        let messages = Messages::new(Texts::default());
        let server = admin(&workers[0], &messages);
        let escaped = format!("{{\"data\":\"{}\"}}", "\\u0041".repeat(1_000));
        let (status, answer) = publish(&server, "large/messages?min_peers=0", JSON, escaped.as_bytes()).await;
        assert_eq!(status, 202, "{answer}");
        server.end().await;
    });
}

#[test]
fn a_scope_without_messages_has_none() {
    run(async {
        let worker = super::support::start_alone(manual(limits(|_| {})), &["a"]);
        let transport = TestTransport::new(&worker);
        let server =
            Server::serving(move || http::admin_scope(transport.worker.clone(), transport.clone(), guard()));
        assert_eq!(publish(&server, "a/messages", OCTETS, b"x").await.0, 404);
        assert_eq!(server.get("/admin/p2p/gossipsub/stream").await.status, 404);
        server.end().await;
    });
}

/// Sends the head of a request with the token.
async fn begin(server: &Server, method: &str, path: &str, further: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n{further}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    BufReader::new(stream)
}

async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    timeout(Duration::from_secs(60), stream.read_line(&mut line)).await.expect("a line within 60 s").unwrap();
    line.trim_end().to_owned()
}

#[test]
fn publications_that_do_not_arrive_are_bounded_in_number_and_time() {
    run(async {
        let workers = network(2, &["a"], &limits(|_| {})).await;
        let server = admin(&workers[0], &Messages::new(Texts::default()));
        let path = "/admin/p2p/gossipsub/topics/a/messages";
        let further = "content-type: application/octet-stream\r\ncontent-length: 5\r\n";
        let mut slow = Vec::new();
        for _ in 0..16 {
            slow.push(begin(&server, "POST", path, further).await);
        }
        until(async || publish(&server, "a/messages", OCTETS, b"x").await.1["error"] == "busy").await;
        assert_eq!(line(&mut slow[0]).await, "HTTP/1.1 408 Request Timeout");
        until(async || publish(&server, "a/messages", OCTETS, b"x").await.0 == 202).await;
        server.end().await;
    });
}

/// A reader of the stream.
struct Events(BufReader<TcpStream>);

impl Events {
    async fn open(server: &Server, query: &str) -> Self {
        let mut stream = begin(server, "GET", &format!("/admin/p2p/gossipsub/stream{query}"), "").await;
        assert_eq!(line(&mut stream).await, "HTTP/1.1 200 OK");
        let mut head = Vec::new();
        while !head.last().is_some_and(String::is_empty) {
            head.push(line(&mut stream).await);
        }
        assert!(head.contains(&"content-type: text/event-stream".to_owned()), "{head:?}");
        let mut events = Self(stream);
        // The first comment.
        while line(&mut events.0).await != ": keep-alive" {}
        events
    }

    /// The name and the data of the next event.
    async fn next(&mut self) -> (String, Value) {
        loop {
            let name = line(&mut self.0).await;
            if let Some(name) = name.strip_prefix("event: ") {
                let data = line(&mut self.0).await;
                let data = data.strip_prefix("data: ").expect("data follow");
                return (name.to_owned(), serde_json::from_str(data).expect("JSON"));
            }
        }
    }

    /// The data of the next event of this name.
    async fn until(&mut self, name: &str) -> Value {
        loop {
            let (found, data) = self.next().await;
            assert!(name == "end" || found != "end", "the stream has ended");
            if found == name {
                return data;
            }
        }
    }
}

/// An engine whose messages are delivered to readers.
fn start(topics: &[&str]) -> (Engine, Messages<PlainNetwork>, impl Fn() -> String + use<>) {
    let recorder = with_buckets(PrometheusBuilder::new()).build_recorder();
    let rendered = recorder.handle();
    let topics = topics.iter().map(|topic| (*topic).to_owned());
    let builder = manual(limits(|_| {})).recorder(Arc::new(recorder));
    let Started { worker, mut p2p, mut app } = builder.start(topics).expect("an actix system runs");
    let messages = Messages::new(Texts::default());
    let delivered = messages.clone();
    actix::spawn(async move { while p2p.recv().await.is_some() {} });
    actix::spawn(async move {
        while let Some(message) = app.recv().await {
            delivered.deliver(&message);
        }
    });
    worker.p2p_input(P2pInput::connected(7)).unwrap();
    (worker, messages, move || rendered.render())
}

#[test]
fn messages_and_events_are_streamed_until_the_engine_ends() {
    run(async {
        let (worker, messages, _) = start(&["a", "b"]);
        let server = admin(&worker, &messages);
        let mut all = Events::open(&server, "").await;
        let mut of_topic = Events::open(&server, "?topic=b").await;
        let mut only_messages = Events::open(&server, "?events=false").await;
        let mut only_events = Events::open(&server, "?messages=false").await;
        message(&worker, 7, "a", 1);
        message(&worker, 7, "b", 2);
        worker.settle().await;
        subscribed(&worker, 7, "a");
        worker.tick().await;
        let first = all.until("message").await;
        assert_eq!((&first["topic"], &first["data"]), (&json!("a"), &json!("content")));
        assert_eq!(first["id"], json!({ "number": 1, "topic": "a" }));
        assert!(first["from"].is_null() && first.get("base64").is_none(), "{first}");
        assert_eq!(all.until("message").await["topic"], "b");
        assert_eq!(all.until("engine").await["type"], "heartbeat");
        assert_eq!(of_topic.next().await.1["topic"], "b");
        assert_eq!(only_messages.next().await.1["topic"], "a");
        assert_eq!(only_messages.next().await.1["topic"], "b");
        let graft = loop {
            let data = only_events.until("decision").await;
            if data["type"] == "GRAFT" {
                break data;
            }
        };
        assert_eq!((&graft["peer"], &graft["topic"]), (&json!(7), &json!("a")));
        worker.shutdown().await;
        for mut stream in [all, of_topic, only_messages, only_events] {
            stream.until("end").await;
            while !line(&mut stream.0).await.starts_with('0') {}
        }
        assert_eq!(server.get("/admin/p2p/gossipsub/stream").await.status, 503);
        server.end().await;
    });
}

#[test]
fn the_streams_end_before_the_engine_when_the_application_ends_them() {
    run(async {
        let (worker, messages, _) = start(&["a"]);
        let server = admin(&worker, &messages);
        let mut all = Events::open(&server, "?events=false").await;
        let mut nothing = Events::open(&server, "?messages=false&events=false").await;
        messages.deliver(&PlainNetwork::message("a", 1, "last"));
        messages.end().await;
        assert_eq!(all.next().await.1["data"], "last");
        for stream in [&mut all, &mut nothing] {
            assert_eq!(stream.next().await.0, "end");
        }
        let refused = server.get("/admin/p2p/gossipsub/stream").await;
        assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (503, &json!("stopped")));
        messages.end().await;
        assert!(!worker.is_ended());
        server.end().await;
    });
}

#[test]
fn what_a_slow_reader_misses_is_reported_in_place_and_counted() {
    run(async {
        let (worker, messages, render) = start(&["a"]);
        let server = admin(&worker, &messages);
        let mut slow = Events::open(&server, "?events=false").await;
        let text = "x".repeat(16 << 10);
        // More than the buffers of the connection and 4 MiB.
        let total = 4_000;
        for number in 0..total {
            messages.deliver(&PlainNetwork::message("a", number, &text));
        }
        let (mut read, mut missed, mut next) = (0, 0, 0);
        while read + missed < total {
            let (name, data) = slow.next().await;
            if name == "message" {
                assert_eq!(data["id"]["number"], next, "in order, with the gap where it is reported");
                (read, next) = (read + 1, next + 1);
            } else {
                assert_eq!(name, "missed");
                let count = data["messages"].as_u64().unwrap();
                (missed, next) = (missed + count, next + count);
            }
        }
        assert!(read > 64 && missed > 0, "{read} {missed}");
        let series = format!("gossipsub_http_stream_dropped_total{{item=\"message\"}} {missed}\n");
        assert!(render().contains(&series), "{missed}: {}", render());
        // Nobody else is delayed, and the reader gets what follows.
        message(&worker, 7, "a", 9_999);
        assert_eq!(slow.until("message").await["id"]["number"], 9_999);
        server.end().await;
    });
}

#[test]
fn at_most_eight_readers_read_at_the_same_time() {
    run(async {
        let (worker, messages, _) = start(&["a"]);
        let server = admin(&worker, &messages);
        let mut readers = Vec::new();
        for _ in 0..8 {
            readers.push(Events::open(&server, "").await);
        }
        let refused = server.get("/admin/p2p/gossipsub/stream").await;
        assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (503, &json!("busy")));
        drop(readers.pop());
        // The server notices a closed connection at the next event.
        until(async || {
            worker.tick().await;
            let mut stream = begin(&server, "GET", "/admin/p2p/gossipsub/stream", "").await;
            line(&mut stream).await == "HTTP/1.1 200 OK"
        })
        .await;
        server.end().await;
    });
}
