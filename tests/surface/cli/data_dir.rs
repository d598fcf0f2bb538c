//! The data directory of a node: its files, their modes, and what happens to those that can't be used.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use libp2p::PeerId;
use serde_json::Value;

use super::{
    long_running::{absent, until},
    process::{Process, Texts, binary, run},
};

fn flags(dir: &Path) -> [&str; 5] {
    ["node", "--topic", "t", "--data-dir", dir.to_str().unwrap()]
}

fn start(dir: &Path) -> (Process, String) {
    let mut node = Process::start(&[&flags(dir)[..], &["--json"]].concat());
    let peer = node.until("listening", 1)[0]["peer_id"].as_str().unwrap().to_owned();
    (node, peer)
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_data_directory_is_made_for_its_owner_alone_and_has_the_identity() {
    let dir = absent("made/here");
    let (node, peer) = start(&dir);
    node.terminate();
    let modes = ["", "key", "peers.json", "backoffs.json", "lock"].map(|name| mode(&dir.join(name)));
    assert_eq!(modes, [0o700, 0o600, 0o600, 0o600, 0o600]);
    let (node, same) = start(&dir);
    assert_eq!(same, peer);
    node.terminate();
    // A key of its own is used in place of that of the directory.
    let key = absent("other.key");
    let _ = fs::remove_file(&key);
    let other = ["--key", key.to_str().unwrap(), "--seconds", "0", "--json"];
    let out = run(&[&flags(&dir)[..], &other].concat());
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    assert!(key.exists() && !out.stdout.contains(&peer), "{}", out.stdout);
    // The backoffs are those of another peer.
    assert!(out.stderr.contains("backoffs.json: has the backoffs of"), "{}", out.stderr);
}

#[test]
fn one_process_at_a_time_uses_a_data_directory() {
    let dir = absent("locked");
    let (first, _) = start(&dir);
    let out = run(&[&flags(&dir)[..], &["--seconds", "0"]].concat());
    assert_eq!(out.code, Some(1), "{}", out.stdout);
    assert!(out.stderr.contains("another process uses this data directory"), "{}", out.stderr);
    // The lock of a killed process is free.
    drop(first);
    let out = run(&[&flags(&dir)[..], &["--seconds", "0"]].concat());
    assert_eq!(out.code, Some(0), "{}", out.stderr);
}

#[cfg(unix)]
#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = absent("writable");
    fs::create_dir_all(&dir).unwrap();
    for mode in [0o770, 0o702] {
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
        let out = run(&[&flags(&dir)[..], &["--seconds", "0"]].concat());
        assert_eq!(out.code, Some(2), "{}", out.stdout);
        let expected = format!("others may write to this data directory (mode {mode:o})");
        assert!(out.stderr.contains(&expected), "{}", out.stderr);
    }
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn what_a_link_names_is_not_overwritten() {
    let dir = absent("linked");
    let (node, _) = start(&dir);
    node.terminate();
    let other = dir.with_extension("other");
    fs::write(&other, "of another program").unwrap();
    std::os::unix::fs::symlink(&other, dir.join("peers.json.new")).unwrap();
    fs::remove_file(dir.join("peers.json")).unwrap();
    let (node, _) = start(&dir);
    node.terminate();
    assert_eq!(fs::read_to_string(&other).unwrap(), "of another program");
    assert!(fs::symlink_metadata(dir.join("peers.json")).unwrap().is_file());
}

#[test]
fn a_directory_that_can_t_be_used_is_an_error_with_advice() {
    let file = absent("a-file");
    let _ = fs::remove_file(&file);
    fs::write(&file, "").unwrap();
    let out = run(&[&flags(&file.join("below"))[..], &["--seconds", "0"]].concat());
    assert_eq!(out.code, Some(2), "{}", out.stdout);
    assert!(out.stderr.contains("can't be used as a data directory"), "{}", out.stderr);
    assert!(out.stderr.contains("check the path and its permissions"), "{}", out.stderr);
}

#[test]
fn files_that_can_t_be_used_are_set_aside_and_the_node_starts() {
    let dir = absent("damaged");
    let (node, peer) = start(&dir);
    node.terminate();
    for (name, content, problem) in [
        ("peers.json", "{\"version\":1,\"content\":{\"pe", "is damaged, or of another program"),
        ("peers.json", "[1]", "is damaged, or of another program"),
        ("peers.json", "{\"version\":9,\"content\":{}}", "is of version 9, and this binary reads version 1"),
        ("backoffs.json", "\u{0}\u{0}", "is damaged, or of another program"),
        ("backoffs.json", &" ".repeat((16 << 20) + 1), "has more than 16777216 bytes"),
    ] {
        fs::write(dir.join(name), content).unwrap();
        let mut node = Texts::spawn(binary(&flags(&dir)).stdout(Stdio::piped()));
        let line = node.until(&format!("{name}: {problem}"));
        assert!(line.contains(&format!("it was renamed to {}", dir.display())), "{line}");
        assert!(node.until("listening on").contains(&peer));
        assert_eq!(node.terminate().0, Some(0));
        assert_eq!(fs::read_to_string(dir.join(format!("{name}.unusable"))).unwrap(), content);
        // The node has written a good one.
        let written: Value = serde_json::from_str(&fs::read_to_string(dir.join(name)).unwrap()).unwrap();
        assert_eq!(written["version"], 1);
    }
}

#[test]
fn known_peers_are_stored_while_the_node_runs_and_dialled_at_its_next_start() {
    let dir = absent("peers");
    let mut listener = Process::start(&["node", "--json", "--topic", "t"]);
    let lines = listener.until("listening", 1);
    let text = |field: &str| lines[0][field].as_str().unwrap().to_owned();
    let (address, peer) = (text("addr"), text("peer_id"));
    let mut first = Process::start(&[&flags(&dir)[..], &["--json", "--dial", &address]].concat());
    first.until("connected", 1);
    let stored = until("the peer is stored", || {
        let text = fs::read_to_string(dir.join("peers.json")).ok()?;
        serde_json::from_str::<Value>(&text).ok().filter(|stored| stored["content"]["peers"][0].is_object())
    });
    let expected = serde_json::json!({ "peer": peer, "addresses": [address] });
    assert_eq!(stored["content"]["peers"], serde_json::json!([expected]));
    drop(first);
    let (mut second, _) = start(&dir);
    let connected = second.until("connected", 1).last().unwrap()["peer"].clone();
    assert_eq!(connected, peer.as_str());
    second.terminate();
    listener.terminate();
}

/// The second attempt needs no further change of the peers.
#[test]
fn peers_that_could_not_be_stored_are_stored_later() {
    let dir = absent("later");
    fs::create_dir_all(dir.join("peers.json.new")).unwrap();
    let mut listener = Process::start(&["node", "--json", "--topic", "t"]);
    let address = listener.until("listening", 1)[0]["addr"].as_str().unwrap().to_owned();
    let mut node =
        Texts::spawn(binary(&[&flags(&dir)[..], &["--dial", &address]].concat()).stdout(Stdio::piped()));
    node.until("the state of the node can't be stored");
    fs::remove_dir(dir.join("peers.json.new")).unwrap();
    until("the peer is stored", || {
        let text = fs::read_to_string(dir.join("peers.json")).ok()?;
        serde_json::from_str::<Value>(&text).ok().filter(|stored| stored["content"]["peers"][0].is_object())
    });
    assert_eq!(node.terminate().0, Some(0));
    listener.terminate();
}

/// The peers of the file accept connections, and say nothing.
#[test]
fn a_few_known_peers_are_dialled_at_a_time() {
    let dir = absent("many");
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
    let (accepted, connections) = (Arc::<AtomicUsize>::default(), Mutex::new(Vec::new()));
    let count = Arc::clone(&accepted);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            connections.lock().unwrap().push(connection.unwrap());
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let peers: Vec<_> = (0..60)
        .map(|_| serde_json::json!({ "peer": PeerId::random().to_string(), "addresses": [address] }))
        .collect();
    fs::create_dir_all(&dir).unwrap();
    let file = serde_json::json!({ "version": 1, "content": { "peers": peers } });
    fs::write(dir.join("peers.json"), file.to_string()).unwrap();
    let (node, _) = start(&dir);
    until("the first peers are dialled", || (accepted.load(Ordering::Relaxed) == 16).then_some(()));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(accepted.load(Ordering::Relaxed), 16);
    node.terminate();
}
