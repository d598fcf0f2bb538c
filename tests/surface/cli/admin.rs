//! The admin scope of a node: its token, publication and the stream over HTTP, and the warnings about it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::Duration,
};

use serde_json::Value;
use testkit::http::{Answer, send_bytes};

use super::{
    file, get,
    process::{Process, run},
};

/// A path of a file that does not exist.
fn no_file(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&path);
    path
}

/// A node with an admin scope: the process, its URL and its address.
fn start(token: &str, further: &[&str]) -> (Process, String, String) {
    let common = ["node", "--json", "--topic", "t", "--heartbeat-ms", "100", "--http", "127.0.0.1:0"];
    let mut node = Process::start(&[&common[..], &["--admin-token-file", token], further].concat());
    let lines = node.until("serving", 1);
    let field = |event: &str, name: &str| {
        let line = lines.iter().find(|line| line["event"] == event).expect(event);
        line[name].as_str().unwrap().to_owned()
    };
    let (url, address) = (field("serving", "url"), field("listening", "addr"));
    (node, url, address)
}

/// Sends octets with a token.
fn post(url: &str, path: &str, token: &str, body: &[u8]) -> Answer {
    let (url, authorization) = (format!("{url}{path}"), format!("Bearer {token}"));
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/octet-stream")];
    let sending = send_bytes("POST", &url, &headers, body.to_vec());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(sending).unwrap()
}

#[test]
fn messages_are_published_and_streamed_over_http_with_the_token_of_a_new_file() {
    let path = no_file("admin.token");
    let (mut receiver, url, address) = start(path.to_str().unwrap(), &[]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let token = fs::read_to_string(&path).unwrap().trim().to_owned();
    assert_eq!(token.len(), 64);
    // The second node uses the token that is there.
    let (mut publisher, publisher_url, _) = start(path.to_str().unwrap(), &["--dial", &address]);
    assert_eq!(fs::read_to_string(&path).unwrap().trim(), token);
    publisher.until("subscribed", 1);

    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = "GET /admin/p2p/gossipsub/stream?topic=t HTTP/1.1\r\nhost: localhost\r\n";
    stream.write_all(format!("{head}authorization: Bearer {token}\r\n\r\n").as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "HTTP/1.1 200 OK");
    lines.find(|line| line == ": keep-alive").unwrap();

    let messages = "admin/p2p/gossipsub/topics/t/messages";
    let octets = [0xff, 0x00, b'\n'];
    for content in [&b"hello"[..], &octets] {
        let answer = post(&publisher_url, messages, &token, content);
        assert_eq!(answer.status, 202, "{}", answer.text);
        let published: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(published["peers"], 1);
        lines.find(|line| line == "event: message").unwrap();
        let data = lines.next().unwrap();
        let message: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!((&message["topic"], &message["id"]), (&"t".into(), &published["message_id"]));
        assert!(message["from"].as_str().unwrap().starts_with("12D3KooW"), "{message}");
        match content {
            b"hello" => assert_eq!(message["data"], "hello"),
            _ => assert_eq!(message["base64"], "/wAK"),
        }
    }
    // The application gets them too.
    receiver.until("message", 2);

    let large = post(&publisher_url, messages, &token, &vec![0; 70_000]);
    assert_eq!(large.status, 413, "{}", large.text);
    assert_eq!(post(&publisher_url, messages, "wrong", b"x").status, 401);
    assert!(get(&url, "/admin/p2p/peers/direct", None).0.contains("401"));
    publisher.terminate();
    // The stream ends with the node, and its last event is so named.
    receiver.terminate();
    let rest: Vec<_> = lines.collect();
    let last = rest.iter().rfind(|line| line.starts_with("event: "));
    assert_eq!(last.map(String::as_str), Some("event: end"), "{rest:?}");
    assert_eq!(rest.last().map(String::as_str), Some(""));
}

/// Peers would end the stream of a node that sends them the name.
#[test]
fn a_topic_whose_name_can_t_be_sent_is_not_joined() {
    let path = no_file("names.token");
    let (node, url, _) = start(path.to_str().unwrap(), &[]);
    let authorization = format!("Bearer {}", fs::read_to_string(&path).unwrap().trim());
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let join = |length: usize| {
        let body = serde_json::json!({ "topic": "x".repeat(length) }).to_string().into_bytes();
        let url = format!("{url}admin/p2p/gossipsub/topics");
        runtime.block_on(send_bytes("POST", &url, &headers, body)).unwrap()
    };
    assert_eq!(join(1_024).status, 200);
    let refused = join(1_025);
    assert_eq!(refused.status, 409, "{}", refused.text);
    let problem: Value = serde_json::from_str(&refused.text).unwrap();
    let message = "a topic's name has 1 to 1024 bytes, this one has 1025";
    assert_eq!((&problem["error"], &problem["message"]), (&"conflict".into(), &message.into()));
    node.terminate();
}

#[test]
fn a_token_that_others_can_read_or_that_is_short_is_refused() {
    let open = file("open.token", &"a".repeat(64));
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let short = file("short.token", "secret\n");
    fs::set_permissions(&short, fs::Permissions::from_mode(0o600)).unwrap();
    for (path, expected) in [
        (open, "others may read or write this secret (mode 644)"),
        (short, "a token has 32 to 1024 characters"),
        (PathBuf::from("no/such/folder/token"), "no/such/folder/token: can't be written"),
    ] {
        let arguments = ["node", "--topic", "t", "--http", "127.0.0.1:0", "--admin-token-file"];
        let out = run(&[&arguments[..], &[path.to_str().unwrap()]].concat());
        assert_eq!(out.code, Some(2), "{}", out.stderr);
        assert!(out.stderr.contains(expected), "{}", out.stderr);
    }
}

#[test]
fn an_admin_scope_that_is_unreachable_or_unencrypted_is_a_warning() {
    for (text, expected) in [
        ("[http]\nadmin_token_file = \"t\"\n", "http.listen is not: nothing is served"),
        (
            "[http]\nlisten = \"0.0.0.0:9898\"\nadmin_token_file = \"t\"\n",
            "http.listen is 0.0.0.0:9898: the token is sent without encryption",
        ),
    ] {
        let out = run(&["check-config", file("admin.toml", text).to_str().unwrap()]);
        assert_eq!(out.code, Some(0), "{}", out.stderr);
        assert!(out.stderr.contains(expected), "{}", out.stderr);
    }
}

#[test]
fn a_server_answers_to_the_host_names_that_it_is_given() {
    let serving = ["node", "--json", "--topic", "t", "--http", "127.0.0.1:0"];
    let mut node =
        Process::start(&[&serving[..], &["--set", "http.hosts=gossip.example.org,other"]].concat());
    let lines = node.until("serving", 1);
    let url =
        lines.iter().find(|line| line["event"] == "serving").unwrap()["url"].as_str().unwrap().to_owned();
    for (host, status) in [("gossip.example.org:80", "200"), ("other", "200"), ("example.org", "421")] {
        assert!(get(&url, "/p2p/gossipsub/topics", Some(host)).0.contains(status), "{host}");
    }
    node.terminate();
}
