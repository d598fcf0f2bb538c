//! `publish`, `subscribe` and `chat`.

use std::{
    io::Write,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::{
    long_running::until,
    process::{Process, Texts, Unread, binary, finish, free_port},
};

/// A running `subscribe`.
struct Subscriber {
    process: Texts,
    address: String,
}

impl Subscriber {
    /// Starts the command, which ends after `count` messages.
    fn start(flags: &[&str], count: &str) -> Self {
        let common = ["subscribe", "--topic", "t", "--heartbeat-ms", "100", "--count", count];
        Self::spawn(binary(&[&common[..], flags].concat()).stdout(Stdio::piped()))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut process = Texts::spawn(command);
        let listening = process.until("listening on /");
        let address = listening.rsplit(' ').next().unwrap().to_owned();
        Self { process, address }
    }

    /// Waits for the end. Returns the printed lines, sorted.
    fn printed(self) -> Vec<String> {
        let (code, mut lines) = self.process.finish();
        assert_eq!(code, Some(0), "{lines:?}");
        lines.retain(|line| !line.contains("listening on /"));
        lines.sort_unstable();
        lines
    }
}

/// Publishes `input` and waits for the end. Returns the exit code and standard error.
fn publish(address: &str, flags: &[&str], input: &[u8]) -> (Option<i32>, String) {
    let common = ["publish", "--topic", "t", "--heartbeat-ms", "100", "--wait", "30", "--dial", address];
    let mut command = binary(&[&common[..], flags].concat());
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let out = child.wait_with_output().unwrap();
    (out.status.code(), String::from_utf8(out.stderr).unwrap())
}

#[test]
fn lines_go_from_one_pipe_to_another() {
    let subscriber = Subscriber::start(&[], "3");
    let (code, error) = publish(&subscriber.address, &[], b"one\n\nthe third, without a line break");
    assert_eq!(code, Some(0), "{error}");
    // The address, and nothing else.
    let peer = error.trim_end().rsplit_once("/p2p/").expect("a peer id").1.parse::<libp2p::PeerId>();
    assert!(error.lines().count() == 1 && error.contains("listening on /") && peer.is_ok(), "{error}");
    assert_eq!(subscriber.printed(), ["", "one", "the third, without a line break"]);
}

#[test]
fn payloads_of_any_bytes_go_as_json_or_hex() {
    let subscriber = Subscriber::start(&["--format", "json"], "2");
    let (code, error) = publish(&subscriber.address, &["--format", "hex"], b"00ff\n7b7d\n");
    assert_eq!(code, Some(0), "{error}");
    let text = subscriber.printed().join("\n");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let is_complete =
        |line: &Value| line["topic"] == "t" && line["from"].is_string() && line["time"].is_string();
    assert!(lines.len() == 2 && lines.iter().all(is_complete), "{text}");
    assert!(lines.iter().any(|line| line["base64"] == "AP8="), "{text}");
    assert!(lines.iter().any(|line| line["data"] == "{}"), "{text}");

    // What `subscribe` prints is what `publish` reads.
    let subscriber = Subscriber::start(&["--format", "hex"], "2");
    let (code, error) = publish(&subscriber.address, &["--format", "json"], text.as_bytes());
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(subscriber.printed(), ["00ff", "7b7d"]);
}

/// The ids were computed with Python's `hashlib`: 20 bytes of the SHA-256 of `b'\1\0\0\0' + struct.pack('<Q', 1) + b't' + b'hello'`,
/// and the BLAKE2b-256 of `b'hello'`.
#[test]
fn a_preset_sets_the_ids_and_the_compression_of_its_network() {
    for (preset, id, is_anonymous) in [
        ("ethereum", "553e810861ad9f2b3bde628d88fa25f26f01d329", true),
        ("filecoin", "324dcf027dd4a30a932c441f365a25e86b173defa4b8e58948253471b81b72cf", false),
    ] {
        let subscriber = Subscriber::start(&["--preset", preset, "--format", "json"], "1");
        let (code, error) = publish(&subscriber.address, &["--preset", preset], b"hello");
        assert_eq!(code, Some(0), "{error}");
        // Besides it there is a warning: the presets have no score parameters for this topic.
        let printed = subscriber.printed();
        let line = printed.iter().find(|line| line.starts_with('{')).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["id"], &line["data"]), (&id.into(), &"hello".into()), "{preset}");
        assert_eq!(line["from"].is_null(), is_anonymous, "{preset}");
    }
}

#[test]
fn what_nobody_takes_is_a_failure() {
    let flags = ["publish", "--topic", "t", "--wait", "0"];
    let out = finish(&mut binary(&flags));
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.contains("no peer subscribed to t within 0 s"), "{}", out.stderr);
    let subscriber = Subscriber::start(&[], "1");
    let (code, error) = publish(&subscriber.address, &["--format", "hex"], b"6f6b\nno digits\n");
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("standard input: "), "{error}");
    assert_eq!(subscriber.printed(), ["ok"]);
}

/// The number of messages that a node has published, of which it serves the counters.
fn published(port: u16) -> Option<u64> {
    let url = format!("http://127.0.0.1:{port}/p2p/gossipsub/decisions");
    let answer = testkit::http::send_blocking("GET", &url, &[], None).ok()?;
    let counts: Vec<Value> = serde_json::from_str(&answer.text).ok()?;
    counts.iter().find(|one| one["type"] == "PUBLISH_MESSAGE").map_or(Some(0), |one| one["count"].as_u64())
}

/// Starts to publish lines to a subscriber that reads nothing any more, and waits until all of them are queued.
fn publish_to_one_that_stops(wait: &str) -> (Subscriber, Child) {
    let subscriber = Subscriber::start(&[], "1000");
    let (port, line) = (free_port(), [&[b'x'; 8_191][..], b"\n"].concat());
    let http = format!("127.0.0.1:{port}");
    let flags =
        ["publish", "--topic", "t", "--heartbeat-ms", "100", "--wait", wait, "--http", &http, "--dial"];
    let mut command = binary(&[&flags[..], &[&subscriber.address]].concat());
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"first\n").unwrap();
    let mut subscriber = subscriber;
    subscriber.process.until("first");
    subscriber.process.signal("STOP");
    // The window of a stream, of 256 KiB, does not grow while the subscriber reads nothing.
    input.write_all(&line.repeat(100)).unwrap();
    until("all lines are queued", || published(port).filter(|count| *count == 101));
    (subscriber, child)
}

/// The exit code, and the number of lines that were not published.
fn not_published(child: Child) -> (Option<i32>, u64, String) {
    let out = child.wait_with_output().unwrap();
    let error = String::from_utf8(out.stderr).unwrap();
    let line = error.lines().find_map(|line| line.strip_prefix("error: "));
    let count = line.and_then(|line| line.split_once(" lines were not published")?.0.parse().ok());
    (out.status.code(), count.unwrap_or(0), error)
}

#[test]
fn lines_whose_subscriber_is_killed_are_not_published() {
    let (subscriber, child) = publish_to_one_that_stops("60");
    drop(subscriber);
    let (code, count, error) = not_published(child);
    assert_eq!(code, Some(1), "{error}");
    assert!((1..100).contains(&count), "{error}");
}

#[test]
fn lines_that_a_subscriber_does_not_read_in_time_are_not_published() {
    let (subscriber, child) = publish_to_one_that_stops("5");
    let (code, count, error) = not_published(child);
    assert_eq!(code, Some(1), "{error}");
    assert!((1..100).contains(&count), "{error}");
    drop(subscriber);
}

#[test]
fn output_that_can_t_be_written_ends_subscribe() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let common = ["subscribe", "--topic", "t", "--heartbeat-ms", "100"];
    let mut subscriber = Subscriber::spawn(binary(&common).stdout(full));
    let (code, error) = publish(&subscriber.address, &[], b"lost\n");
    assert_eq!(code, Some(0), "{error}");
    subscriber.process.until("can't write to standard output: No space left on device");
    assert_eq!(subscriber.process.finish().0, Some(1));
}

/// A pipe has room for 64 KiB, and the command for 64 lines more.
#[test]
fn a_reader_that_does_not_read_does_not_keep_subscribe_from_its_end() {
    let address = format!("/ip4/127.0.0.1/tcp/{}", free_port());
    let unread =
        Unread::start(&["subscribe", "--topic", "t", "--heartbeat-ms", "100", "--listen", &address], "off");
    let line = [&[b'x'; 8_191][..], b"\n"].concat();
    let (code, error) = publish(&address, &[], &line.repeat(100));
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(unread.terminate(), Some(1));
}

fn chat(flags: &[&str]) -> Texts {
    let common = ["chat", "--topic", "t", "--heartbeat-ms", "100"];
    Texts::spawn(binary(&[&common[..], flags].concat()).stdin(Stdio::piped()).stdout(Stdio::piped()))
}

#[test]
fn a_chat_prints_sender_and_time_and_no_escapes() {
    let mut first = chat(&[]);
    let joining = first.until("* others join with --dial ");
    let address = joining.rsplit(' ').next().unwrap();
    let mut second = Process::start(&["node", "--json", "--topic", "t", "--dial", address]);
    let lines = second.until("listening", 1);
    let peer = lines[0]["peer_id"].as_str().unwrap().to_owned();
    let short = &peer[peer.len() - 8..];
    first.until(&format!("* {short} is here ({peer})"));
    second.terminate();
    first.until(&format!("* {short} is gone"));
    let (code, error) = publish(address, &[], b"hallo \x1b[2J\n");
    assert_eq!(code, Some(0), "{error}");
    let line = first.until("hallo");
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.len() == 20 && time.ends_with('Z'), "{line}");
    let (sender, text) = rest.split_once(": ").unwrap();
    assert_eq!((sender.len(), text), (8, "hallo \\u{1b}[2J"), "{line}");
    assert_eq!(first.terminate().0, Some(0));
}

#[test]
fn a_line_of_a_chat_is_a_message() {
    let subscriber = Subscriber::start(&[], "1");
    let mut chat = chat(&["--dial", &subscriber.address]);
    chat.until(" is here ");
    // A line that is published before the subscription of the peer has arrived is offered to it later.
    chat.input().write_all(b"a line\n").unwrap();
    assert_eq!(subscriber.printed(), ["a line"]);
    chat.terminate();
}
