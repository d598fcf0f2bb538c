//! The command `demo`: its output, its checks, and its exit code.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::process::{Texts, binary, finish, run};

#[test]
fn the_demonstration_delivers_everything_once() {
    let out = run(&["demo", "--nodes", "4", "--topics", "3", "--rate", "40", "--seconds", "3", "--json"]);
    assert_eq!(out.code, Some(0), "{}{}", out.stdout, out.stderr);
    let lines: Vec<Value> = out.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (first, last) = (lines.first().unwrap(), lines.last().unwrap());
    assert_eq!((&first["event"], &first["nodes"]), (&"started".into(), &4.into()));
    assert!(lines[1..lines.len() - 1].iter().all(|line| line["event"] == "progress"));
    let expected = [
        ("event", Value::from("summary")),
        ("published", 120.into()),
        ("expected", 360.into()),
        ("delivered", 360.into()),
        ("missing", 0.into()),
        ("duplicates", 0.into()),
        ("ok", true.into()),
    ];
    for (field, value) in expected {
        assert_eq!(last[field], value, "{field}");
    }
    let checks: Vec<_> = last["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    assert_eq!(checks, ["deliveries", "meshes", "penalties", "bounds"]);
    assert!(last["checks"].as_array().unwrap().iter().all(|check| check["ok"] == true), "{last}");
    // All four nodes are connected, and each is in the mesh of each other node.
    assert_eq!(last["mesh_degree"], 3.0);
}

#[test]
fn the_demonstration_prints_a_table() {
    let out = run(&["demo", "--nodes", "2", "--topics", "1", "--rate", "5", "--seconds", "1"]);
    assert_eq!(out.code, Some(0), "{}{}", out.stdout, out.stderr);
    assert!(out.stdout.contains("demo/000"), "{}", out.stdout);
    for check in ["deliveries", "meshes", "penalties", "bounds"] {
        let line =
            out.stdout.lines().find(|line| line.trim_start().starts_with("ok") && line.contains(check));
        assert!(line.is_some(), "{check}: {}", out.stdout);
    }
    assert!(out.stdout.contains("every subscriber got every message exactly once: 5 messages, 5 of 5"));
    assert!(out.stdout.ends_with("All 4 checks passed.\n"), "{}", out.stdout);
    // Neither a progress bar nor colours where there is no terminal.
    assert!(!out.stdout.contains('\u{1b}') && !out.stderr.contains('\u{1b}'), "{}", out.stderr);
    assert!(!out.stderr.contains('\r'), "{}", out.stderr);
}

#[test]
fn the_demonstration_prints_its_url() {
    let few = ["--nodes", "2", "--topics", "1", "--rate", "2", "--seconds", "1", "--http", "127.0.0.1:0"];
    let out = run(&[&["demo"], &few[..]].concat());
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    let first = out.stdout.lines().next().unwrap_or_default();
    assert!(first.starts_with("the first node: page at http://127.0.0.1:"), "{first}");
    let out = run(&[&["demo", "--json"], &few[..]].concat());
    assert!(!out.stdout.contains("http://"), "{}", out.stdout);
}

#[test]
fn a_demonstration_whose_check_fails_ends_with_an_error() {
    // Ended while its meshes form, it has published nothing.
    let flags = ["demo", "--nodes", "20", "--topics", "100", "--http", "127.0.0.1:0"];
    let mut demo = Texts::spawn(binary(&flags).stdout(Stdio::piped()));
    demo.until("the first node: page at");
    let (code, lines) = demo.terminate();
    assert_eq!(code, Some(1), "{lines:?}");
    let has = |part: &str| lines.iter().any(|line| line.contains(part));
    assert!(has("FAILED deliveries") && has("of 4 checks FAILED."), "{lines:?}");
    assert!(has("error: no message was published"), "{lines:?}");
}

/// `script` gives the command a terminal.
#[test]
fn a_terminal_has_a_progress_bar() {
    let command = format!(
        "{} demo --nodes 2 --topics 1 --rate 10 --seconds 2 --http 127.0.0.1:0",
        env!("CARGO_BIN_EXE_actix-gossipsub")
    );
    let out = finish(Command::new("script").args(["-qec", &command, "/dev/null"]).env("TERM", "xterm"));
    assert_eq!(out.code, Some(0), "{}", out.stdout);
    assert!(out.stdout.contains('█') && out.stdout.contains("100 %"), "{}", out.stdout);
    assert!(out.stdout.contains("All 4 checks passed."), "{}", out.stdout);
}
