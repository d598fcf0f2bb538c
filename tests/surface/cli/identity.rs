//! The identity of a node: its key file, and where its peer id appears.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;

use super::{
    get,
    process::{Process, finish, run},
};

/// A path without a file.
fn absent(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&path);
    path.to_str().unwrap().to_owned()
}

/// A key of a type that is not made here.
fn rsa_key() -> String {
    let path = absent("rsa.key");
    fs::write(&path, include_str!("rsa.pem")).unwrap();
    set_mode(&path, 0o600);
    path
}

#[cfg(unix)]
fn set_mode(path: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(unix)]
fn mode(path: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn described(path: &str) -> Value {
    let out = run(&["key", "show", path, "--json"]);
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    serde_json::from_str(&out.stdout).unwrap()
}

#[test]
fn a_node_keeps_its_identity_and_its_key_is_for_its_owner_alone() {
    let path = absent("node.key");
    let start = || {
        let mut node = Process::start(&["node", "--json", "--topic", "t", "--key", &path]);
        let peer = node.until("listening", 1)[0]["peer_id"].clone();
        node.terminate();
        peer
    };
    let first = start();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(start(), first);
    assert_eq!(described(&path)["peer_id"], first);
    let without_key = ["node", "--json", "--topic", "t"];
    let mut node = Process::start(&without_key);
    assert_ne!(node.until("listening", 1)[0]["peer_id"], first);
    node.terminate();
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let path = absent("open.key");
    assert_eq!(run(&["key", "new", &path]).code, Some(0));
    set_mode(&path, 0o640);
    for command in [&["key", "show", &path][..], &["node", "--topic", "t", "--seconds", "0", "--key", &path]]
    {
        let out = run(command);
        assert_eq!(out.code, Some(2), "{}", out.stdout);
        assert!(out.stderr.contains("others may read or write this secret (mode 640)"), "{}", out.stderr);
    }
}

/// To open a pipe would wait for ever.
#[cfg(unix)]
#[test]
fn a_key_is_a_regular_file_of_this_user() {
    let path = absent("pipe.key");
    assert!(Command::new("mkfifo").args(["-m", "600", &path]).status().unwrap().success());
    for path in [path.as_str(), env!("CARGO_TARGET_TMPDIR")] {
        let out = run(&["key", "show", path]);
        assert_eq!(out.code, Some(2), "{}", out.stdout);
        assert!(out.stderr.contains("not a regular file"), "{}", out.stderr);
    }
}

#[test]
fn wrong_key_files_are_explained() {
    let path = absent("wrong.key");
    fs::write(&path, "not a key\n").unwrap();
    set_mode(&path, 0o600);
    let out = run(&["key", "show", &path]);
    assert_eq!(out.code, Some(2));
    assert!(out.stderr.contains("wrong.key: not a private key"), "{}", out.stderr);
    let out = run(&["key", "new", &path]);
    assert_eq!(out.code, Some(2));
    assert!(out.stderr.contains("there is a file already"), "{}", out.stderr);
    let out = run(&["key", "new", &absent("new.rsa"), "--type", "rsa"]);
    assert_eq!(out.code, Some(2));
    assert!(out.stderr.contains("openssl genpkey -algorithm RSA"), "{}", out.stderr);
}

/// A file that can't be written fails as one on a full disk does.
#[test]
fn a_failed_first_start_leaves_no_part_of_a_key_and_is_tried_again() {
    let dir = PathBuf::from(absent("unwritten"));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir(&dir).unwrap();
    let key = dir.join("key");
    let limited = r#"ulimit -f 0; trap "" XFSZ; exec "$0" key new "$1""#;
    let binary = env!("CARGO_BIN_EXE_actix-gossipsub");
    let out = finish(Command::new("sh").args(["-c", limited, binary]).arg(&key));
    assert_eq!(out.code, Some(1), "{} {}", out.stdout, out.stderr);
    assert!(out.stderr.contains("can't be written"), "{}", out.stderr);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    assert_eq!(run(&["key", "new", key.to_str().unwrap()]).code, Some(0));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
}

#[test]
fn nodes_that_make_one_key_at_once_have_one_identity() {
    let path = absent("shared.key");
    let nodes: Vec<_> =
        (0..4).map(|_| Process::start(&["node", "--json", "--topic", "t", "--key", &path])).collect();
    let peers = nodes.into_iter().map(|mut node| node.until("listening", 1)[0]["peer_id"].clone());
    let peers: Vec<_> = peers.collect();
    let expected = described(&path)["peer_id"].clone();
    assert!(peers.iter().all(|peer| *peer == expected), "{peers:?}, {expected}");
}

/// Peers of all four types connect, under the ids that follow from their keys.
#[test]
fn keys_of_all_four_types_are_identities() {
    let mut listener = Process::start(&["node", "--json", "--topic", "t"]);
    let address = listener.until("listening", 1)[0]["addr"].as_str().unwrap().to_owned();
    for (number, kind) in ["ed25519", "secp256k1", "ecdsa", "rsa"].into_iter().enumerate() {
        let path = if kind == "rsa" { rsa_key() } else { absent(&format!("{kind}.key")) };
        let flags = ["--key", &path, "--key-type", kind, "--dial", &address];
        let mut dialler = Process::start(&[&["node", "--json", "--topic", "t"], &flags[..]].concat());
        dialler.until("connected", 1);
        let connected = listener.until("connected", number + 1);
        let peer = connected.iter().rfind(|line| line["event"] == "connected").unwrap()["peer"].clone();
        assert_eq!(described(&path), serde_json::json!({ "peer_id": peer, "type": kind }));
        dialler.terminate();
    }
    listener.terminate();
}

#[test]
fn the_api_names_the_node_its_addresses_and_its_peers() {
    let mut node = Process::start(&["node", "--json", "--topic", "t", "--http", "127.0.0.1:0"]);
    let lines = node.until("serving", 1);
    let of = |event: &str| lines.iter().find(|line| line["event"] == event).unwrap().clone();
    let (listening, url) = (of("listening"), of("serving")["url"].as_str().unwrap().to_owned());
    let text = |field: &str| listening[field].as_str().unwrap().to_owned();
    let full = format!("{}/p2p/{}", text("addr"), text("peer_id"));
    let (status, identity) = get(&url, "/p2p/identity", None);
    assert!(status.contains("200"), "{status} {identity}");
    let identity: Value = serde_json::from_str(&identity).unwrap();
    assert_eq!(identity, serde_json::json!({ "peer_id": text("peer_id"), "addresses": [full] }));
    let dialler = Process::start(&["node", "--json", "--topic", "t", "--dial", &full]);
    let connected = node.until("connected", 1);
    let peer = connected.iter().find(|line| line["event"] == "connected").unwrap()["peer"].clone();
    let details = || -> Value {
        let (status, details) = get(&url, &format!("/p2p/peers/{}", peer.as_str().unwrap()), None);
        assert!(status.contains("200"), "{status} {details}");
        serde_json::from_str(&details).unwrap()
    };
    // Identify reports the agent after the connection.
    while details()["agent"].is_null() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let details = details();
    assert!(details["agent"].as_str().unwrap().starts_with("actix-gossipsub/"), "{details}");
    assert!(details["address"].as_str().unwrap().starts_with("/ip4/127.0.0.1/tcp/"), "{details}");
    assert_eq!((&details["protocol"], &details["blocked_until"]), (&"/meshsub/1.2.0".into(), &Value::Null));
    assert!(get(&url, "/p2p/peers/x", None).0.contains("400"));
    dialler.terminate();
    node.terminate();
}
