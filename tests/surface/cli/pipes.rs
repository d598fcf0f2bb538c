//! `publish`, `subscribe` and `chat`.

use std::{
    io::Write,
    process::{Child, Stdio},
};

use serde_json::Value;

use super::process::{Process, Texts, Unread, binary, finish, free_port};

fn tcp(port: u16) -> String {
    format!("/ip4/127.0.0.1/tcp/{port}")
}

/// Starts `subscribe`, which ends after `count` messages.
fn subscribe(port: u16, flags: &[&str], count: &str) -> Child {
    let common = ["subscribe", "--topic", "t", "--heartbeat-ms", "100", "--count", count];
    let mut command = binary(&[&common[..], &["--listen", &tcp(port)], flags].concat());
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// Publishes `input` and waits for the end. Returns the exit code and standard error.
fn publish(port: u16, flags: &[&str], input: &[u8]) -> (Option<i32>, String) {
    let common = ["publish", "--topic", "t", "--heartbeat-ms", "100", "--wait", "30", "--dial", &tcp(port)];
    let mut command = binary(&[&common[..], flags].concat());
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let out = child.wait_with_output().unwrap();
    (out.status.code(), String::from_utf8(out.stderr).unwrap())
}

fn printed(subscriber: Child) -> Vec<u8> {
    let out = subscriber.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0));
    out.stdout
}

#[test]
fn lines_go_from_one_pipe_to_another() {
    let port = free_port();
    let subscriber = subscribe(port, &[], "3");
    let (code, error) = publish(port, &[], b"one\n\nthe third, without a line break");
    assert_eq!(code, Some(0), "{error}");
    let text = String::from_utf8(printed(subscriber)).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["", "one", "the third, without a line break"]);
}

#[test]
fn payloads_of_any_bytes_go_as_json_or_hex() {
    let port = free_port();
    let subscriber = subscribe(port, &["--format", "json"], "2");
    let (code, error) = publish(port, &["--format", "hex"], b"00ff\n7b7d\n");
    assert_eq!(code, Some(0), "{error}");
    let text = String::from_utf8(printed(subscriber)).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        lines.iter().all(|line| line["topic"] == "t" && line["from"].is_string() && line["time"].is_string())
    );
    assert!(lines.iter().any(|line| line["base64"] == "AP8="), "{text}");
    assert!(lines.iter().any(|line| line["data"] == "{}"), "{text}");

    // What `subscribe` prints is what `publish` reads.
    let port = free_port();
    let subscriber = subscribe(port, &["--format", "hex"], "2");
    let (code, error) = publish(port, &["--format", "json"], text.as_bytes());
    assert_eq!(code, Some(0), "{error}");
    let text = String::from_utf8(printed(subscriber)).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["00ff", "7b7d"]);
}

#[test]
fn what_nobody_takes_is_a_failure() {
    let flags = ["publish", "--topic", "t", "--wait", "0"];
    let out = finish(&mut binary(&flags));
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.contains("no peer subscribed to t within 0 s"), "{}", out.stderr);
    let port = free_port();
    let subscriber = subscribe(port, &[], "1");
    let (code, error) = publish(port, &["--format", "hex"], b"6f6b\nno digits\n");
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("standard input: "), "{error}");
    assert_eq!(printed(subscriber), b"ok\n");
}

#[test]
fn output_that_can_t_be_written_ends_subscribe() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let port = free_port();
    let common = ["subscribe", "--topic", "t", "--heartbeat-ms", "100", "--listen", &tcp(port)];
    let mut subscriber = Texts::spawn(binary(&common).stdout(full));
    let (code, error) = publish(port, &[], b"lost\n");
    assert_eq!(code, Some(0), "{error}");
    subscriber.until("can't write to standard output: No space left on device");
    assert_eq!(subscriber.terminate().0, Some(1));
}

/// A pipe has room for 64 KiB, and the command for 64 lines more.
#[test]
fn a_reader_that_does_not_read_does_not_keep_subscribe_from_its_end() {
    let port = free_port();
    let common = ["subscribe", "--topic", "t", "--heartbeat-ms", "100", "--listen", &tcp(port)];
    let unread = Unread::start(&common, "off");
    let line = [&[b'x'; 8_191][..], b"\n"].concat();
    let (code, error) = publish(port, &[], &line.repeat(100));
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(unread.terminate(), Some(1));
}

#[test]
fn a_chat_prints_sender_and_time_and_no_escapes() {
    let port = free_port();
    let mut first = Texts::spawn(
        binary(&["chat", "--topic", "t", "--heartbeat-ms", "100", "--listen", &tcp(port)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    );
    first.until("* others join with --dial ");
    let mut second = Process::start(&["node", "--json", "--topic", "t", "--dial", &tcp(port)]);
    let lines = second.until("listening", 1);
    let peer = lines[0]["peer_id"].as_str().unwrap().to_owned();
    let short = &peer[peer.len() - 8..];
    first.until(&format!("* {short} is here ({peer})"));
    second.terminate();
    first.until(&format!("* {short} is gone"));
    let (code, error) = publish(port, &[], b"hallo \x1b[2J\n");
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
    let port = free_port();
    let subscriber = subscribe(port, &[], "1");
    let mut chat = Texts::spawn(
        binary(&["chat", "--topic", "t", "--heartbeat-ms", "100", "--dial", &tcp(port)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    );
    chat.until(" is here ");
    // A line that is published before the subscription of the peer has arrived is offered to it later.
    chat.input().write_all(b"a line\n").unwrap();
    assert_eq!(printed(subscriber), b"a line\n");
    chat.terminate();
}
