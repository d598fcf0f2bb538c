//! These tests run the binary as its user does: they pass arguments, and check the printed lines and exit codes.

mod admin;
mod config;
mod data_dir;
mod demo;
mod identity;
mod long_running;
mod operation;
mod output;
mod pipes;
mod process;
#[cfg(unix)]
mod service;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use process::{Process, Unread, run};
use serde_json::Value;

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

// --- check-config ---

#[test]
fn every_file_in_config_is_ok() {
    let config = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config");
    let files = fs::read_dir(config).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    assert!(!files.is_empty());
    for file in files {
        let out = run(&["check-config", file.to_str().unwrap()]);
        assert_eq!((out.code, out.stdout.as_str()), (Some(0), "ok\n"), "{file:?}: {}", out.stderr);
    }
}

#[test]
fn all_violations_of_a_file_are_listed() {
    let text = "degree_low = 9\nheartbeat_interval = \"0s\"\n[bounds]\nmax_input_items = 0\n";
    let out = run(&["check-config", file("broken.toml", text).to_str().unwrap()]);
    assert_eq!(out.code, Some(2));
    for field_value_and_rule in [
        "degree_low = 9: must be at most degree_optimal (6)",
        "heartbeat_interval = 0s: must be greater than 0",
        "bounds.max_input_items = 0: must be greater than 0",
    ] {
        assert!(out.stderr.contains(field_value_and_rule), "{}", out.stderr);
    }
}

#[test]
fn the_position_of_an_error_is_reported() {
    let out =
        run(&["check-config", file("misspelt.toml", "do_px = true\n\ndegree_lov = 4\n").to_str().unwrap()]);
    assert_eq!(out.code, Some(2));
    let expected = "misspelt.toml: line 3, column 1: unknown field `degree_lov`: did you mean `degree_low`?\n  |\n\
                    3 | degree_lov = 4\n  | ^^^^^^^^^^\n";
    assert!(out.stderr.contains(expected), "{}", out.stderr);

    let out = run(&["check-config", "no/such/file.toml"]);
    assert_eq!(out.code, Some(2));
    assert!(out.stderr.contains("no/such/file.toml: can't be read"), "{}", out.stderr);
}

// --- node ---

/// Topic, id and hash of each message with this event.
fn messages(lines: &[Value], event: &str) -> Vec<(String, String, String)> {
    let text = |line: &Value, field: &str| line[field].as_str().unwrap().to_owned();
    let found = lines.iter().filter(|line| line["event"] == event);
    found.map(|line| (text(line, "topic"), text(line, "id"), text(line, "data_sha256"))).collect()
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

/// Runs two nodes until the second has received all messages of the first. Returns the printed lines of both.
fn two_nodes(options: &[&str], count: usize) -> (Vec<Value>, Vec<Value>) {
    let common = ["node", "--json", "--heartbeat-ms", "100", "--topic", "a", "--topic", "b"];
    let mut receiver = Process::start(&[&common[..], options].concat());
    let address = receiver.until("listening", 1).last().unwrap()["addr"].as_str().unwrap().to_owned();
    let publishing = ["--dial", &address, "--publish", "5", "--settle-ms", "500", "--interval-ms", "10"];
    let mut publisher = Process::start(&[&common[..], &publishing, options].concat());
    receiver.until("message", count);
    publisher.until("published", count);
    let published = publisher.terminate();
    let received = receiver.terminate();
    (published, received)
}

#[test]
fn two_nodes_exchange_messages_exactly_once() {
    let (published, received) = two_nodes(&["--size", "100"], 10);
    let sent = sorted(messages(&published, "published"));
    assert_eq!(sent.len(), 10);
    assert_eq!(sorted(messages(&received, "message")), sent);
    assert_eq!(sent.iter().map(|(_, id, _)| id).collect::<BTreeSet<_>>().len(), 10);

    let publisher = &published[0]["peer_id"];
    let of = |event: &'static str| received.iter().filter(move |line| line["event"] == event);
    assert!(of("message").all(|line| line["from"] == *publisher && line["len"] == 100));
    assert!(of("connected").all(|line| line["peer"] == *publisher));
    let subscribed: BTreeSet<_> = of("subscribed").map(|line| line["topic"].as_str().unwrap()).collect();
    assert_eq!(subscribed, BTreeSet::from(["a", "b"]));
    assert_eq!(of("disconnected").count(), 1);

    let (first, last) = (published.last().unwrap(), received.last().unwrap());
    assert_eq!((&first["event"], &last["event"]), (&"summary".into(), &"summary".into()));
    assert_eq!((&first["published"], &first["received"]), (&10.into(), &0.into()));
    assert_eq!((&last["published"], &last["received"]), (&0.into(), &10.into()));
    let mesh: BTreeMap<String, Vec<String>> = serde_json::from_value(first["mesh"].clone()).unwrap();
    let receiver = received[0]["peer_id"].as_str().unwrap().to_owned();
    let both = [("a", &receiver), ("b", &receiver)];
    assert_eq!(mesh, both.map(|(topic, peer)| (topic.to_owned(), vec![peer.clone()])).into());
}

#[test]
fn unsigned_messages_have_no_source() {
    let (published, received) = two_nodes(&["--signing", "none"], 10);
    assert_eq!(sorted(messages(&received, "message")), sorted(messages(&published, "published")));
    assert!(received.iter().filter(|line| line["event"] == "message").all(|line| line["from"].is_null()));
}

#[test]
fn a_peer_that_starts_later_is_dialled_again() {
    let address = format!("/ip4/127.0.0.1/tcp/{}", process::free_port());
    let mut dialler =
        Process::start(&["node", "--json", "--topic", "t", "--heartbeat-ms", "100", "--dial", &address]);
    dialler.until("listening", 1);
    let mut listener = Process::start(&["node", "--json", "--topic", "t", "--listen", &address]);
    dialler.until("connected", 1);
    listener.until("connected", 1);
    listener.terminate();
    dialler.until("disconnected", 1);
    dialler.terminate();
}

#[test]
fn a_closed_pipe_ends_the_node() {
    let mut node = Process::start(&["node", "--json", "--topic", "t"]);
    let address = node.until("listening", 1)[0]["addr"].as_str().unwrap().to_owned();
    node.close_pipe();
    // The messages make the node print lines. The pipe is closed after the first line, which the node notices at the next.
    let publishing = ["--publish", "1000", "--settle-ms", "0"];
    let mut other =
        Process::start(&[&["node", "--json", "--topic", "t", "--dial", &address], &publishing[..]].concat());
    assert_eq!(node.code(), Some(0));
    other.until("connected", 1);
    other.terminate();
}

/// A pipe has room for 64 KiB, which the log exceeds at once and the printed messages after some 200.
#[test]
fn a_node_whose_output_and_log_nobody_reads_forwards_every_message() {
    let address = format!("/ip4/127.0.0.1/tcp/{}", process::free_port());
    let common = ["node", "--json", "--topic", "t", "--heartbeat-ms", "100"];
    let unread =
        Unread::start(&[&common[..], &["--listen", &address]].concat(), "actix_gossipsub=trace,libp2p=debug");
    let dialling = [&common[..], &["--dial", &address]].concat();
    let mut receiver = Process::start(&dialling);
    receiver.until("subscribed", 1);
    let publishing = ["--publish", "1000", "--settle-ms", "1000", "--interval-ms", "2"];
    let mut publisher = Process::start(&[&dialling[..], &publishing].concat());
    receiver.until("message", 1_000);
    publisher.until("published", 1_000);
    let (published, received) = (publisher.terminate(), receiver.terminate());
    assert_eq!(sorted(messages(&received, "message")), sorted(messages(&published, "published")));
    assert_eq!(unread.terminate(), Some(0));
}

#[test]
fn invalid_arguments_are_explained() {
    let cases: [(&[&str], &str); 6] = [
        (&["demo", "--nodes", "1"], "1 is not in 2..=128"),
        (&["demo", "--rate", "0"], "0 is not in 1..=100000"),
        (
            &["demo", "--nodes", "100", "--rate", "100000", "--seconds", "86400"],
            "lower --nodes, --rate or --seconds",
        ),
        (&["node", "--topic", "t", "--dial", "localhost:4001"], "write it like /ip4/127.0.0.1/tcp/4001"),
        (&["node"], "--topic <TOPIC>"),
        (&["node", "--topic", "t", "--listen", "/dns4/example/http"], "choose another address with --listen"),
    ];
    for (arguments, advice) in cases {
        let out = run(arguments);
        assert!(out.code.is_some_and(|code| code > 0), "{arguments:?}");
        assert!(out.stderr.contains(advice), "{arguments:?}: {}", out.stderr);
    }
}

// --- replay ---

/// The output of a replay. Asserts that a second run prints the same.
fn replayed(arguments: &[&str]) -> String {
    let first = run(&[&["replay"], arguments].concat());
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let second = run(&[&["replay"], arguments].concat());
    assert_eq!(first.stdout, second.stdout);
    first.stdout
}

#[test]
fn a_recording_of_a_node_is_replayed_with_the_same_outcomes() {
    let files = ["receiver", "publisher"].map(|name| file(&format!("{name}.trace.jsonl"), ""));
    let [receiver_file, publisher_file] = files.each_ref().map(|file| file.to_str().unwrap());
    let common = ["node", "--json", "--heartbeat-ms", "100", "--topic", "a", "--topic", "b", "--trace"];
    let mut receiver = Process::start(&[&common[..], &[receiver_file]].concat());
    let address = receiver.until("listening", 1).last().unwrap()["addr"].as_str().unwrap().to_owned();
    let publishing = ["--dial", &address, "--publish", "5", "--settle-ms", "500", "--interval-ms", "10"];
    let mut publisher = Process::start(&[&common[..], &[publisher_file], &publishing].concat());
    receiver.until("message", 10);
    publisher.until("published", 10);
    let published = publisher.terminate();
    let received = receiver.terminate();

    for (file, events, (kind, outcome)) in [
        (receiver_file, received, ("message", "routed")),
        (publisher_file, published, ("publish_message", "published")),
    ] {
        let printed = replayed(&[file, "--json"]);
        let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (summary, lines) = lines.split_last().unwrap();
        let outcomes = &summary["summary"]["outcomes"][kind];
        assert_eq!((&outcomes[outcome], &summary["summary"]["lost"]), (&10.into(), &0.into()), "{summary}");
        // The node printed the messages that the replay delivers.
        let delivered = lines.iter().flat_map(|line| line["app"].as_array().unwrap());
        let delivered = delivered.map(|full| full["message_id"].as_str().unwrap().to_owned());
        let printed_ids = messages(&events, "message").into_iter().map(|(_, id, _)| id);
        assert_eq!(sorted(delivered.collect()), sorted(printed_ids.collect()));
        let text = replayed(&[file]);
        assert!(text.contains(&format!("10 {kind}: {outcome}\n")), "{text}");
        assert!(text.ends_with("Nothing is missing in the recording.\n"), "{text}");
    }
}

#[test]
fn a_trace_that_can_t_be_replayed_is_explained() {
    let broken = file("broken.trace.jsonl", "{\"op\":{\"op\":\"make\"}}\n");
    let out = run(&["replay", broken.to_str().unwrap()]);
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.contains("broken.trace.jsonl: line 1: op: missing field `limits`"), "{}", out.stderr);
    let out = run(&["replay", file("empty.trace.jsonl", "").to_str().unwrap()]);
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.contains("line 1: column 1: the recording is empty"), "{}", out.stderr);
    let out = run(&["node", "--topic", "t", "--trace", "no/such/folder/file"]);
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.contains("no/such/folder/file: the recording can't be written"), "{}", out.stderr);
}

// --- HTTP server ---

/// The status and the body of a response.
fn get(url: &str, path: &str, host: Option<&str>) -> (String, String) {
    let url = url.strip_suffix('/').expect("a URL").to_owned() + path;
    let headers: Vec<_> = host.map(|host| ("host", host)).into_iter().collect();
    let answer = testkit::http::send_blocking("GET", &url, &headers, None).unwrap();
    (answer.status.to_string(), answer.text)
}

#[test]
fn a_node_serves_its_page_api_and_metrics() {
    let mut node = Process::start(&["node", "--json", "--topic", "a", "--http", "127.0.0.1:0"]);
    let lines = node.until("serving", 1);
    let url =
        lines.iter().find(|line| line["event"] == "serving").unwrap()["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let (status, page) = get(&url, "/", None);
    assert!(status.contains("200") && page.contains("<title>gossipsub</title>"), "{status}");
    let (status, topics) = get(&url, "/p2p/gossipsub/topics", None);
    assert!(status.contains("200") && topics.contains("[\"a\"]"), "{status} {topics}");
    let (status, scrape) = get(&url, "/metrics", None);
    assert!(status.contains("200") && scrape.contains("gossipsub_connections"), "{status} {scrape}");
    // A foreign host name is refused, because anyone can let it resolve to this address.
    assert!(get(&url, "/p2p/gossipsub/topics", Some("example.org")).0.contains("421"));
    assert!(get(&url, "/p2p/gossipsub/topics", Some("localhost:1")).0.contains("200"));
    // The admin scope is not served.
    assert!(get(&url, "/admin/p2p/connect", None).0.contains("404"));
    node.terminate();
}

#[test]
fn a_node_serves_nothing_without_the_option_http() {
    let mut node = Process::start(&["node", "--json", "--topic", "a"]);
    node.until("listening", 1);
    let lines = node.terminate();
    assert!(lines.iter().all(|line| line["event"] != "serving"), "{lines:?}");
}
