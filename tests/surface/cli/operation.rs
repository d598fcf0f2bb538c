//! The start of a node, its connections, its output and its log.

use std::{fs::OpenOptions, io::Write, net::TcpStream, process::Stdio};

use serde_json::Value;

use super::process::{Process, Texts, binary, free_port, run};

/// A node that prints text.
fn node(flags: &[&str]) -> Texts {
    Texts::spawn(
        binary(&[&["node", "--topic", "t", "--heartbeat-ms", "100"], flags].concat()).stdout(Stdio::piped()),
    )
}

fn tcp(port: u16) -> String {
    format!("/ip4/127.0.0.1/tcp/{port}")
}

#[test]
fn a_second_node_on_a_port_fails_and_names_the_address() {
    let mut first = Process::start(&["node", "--json", "--topic", "t", "--listen", &tcp(free_port())]);
    let address = first.until("listening", 1)[0]["addr"].as_str().unwrap().to_owned();
    let out = run(&["node", "--topic", "t", "--listen", &address, "--seconds", "1"]);
    assert_eq!(out.code, Some(1), "{}", out.stdout);
    assert!(out.stderr.contains(&format!("error: {address}: Address already in use")), "{}", out.stderr);
    first.terminate();
}

#[test]
fn an_unreachable_peer_is_reported_with_its_address_and_the_cause() {
    let address = tcp(free_port());
    let mut dialler = node(&["--dial", &address]);
    dialler.until(&format!(
        "can't connect to {address}: Connection refused (os error 111); it is dialled again"
    ));
    assert_eq!(dialler.terminate().0, Some(0));
}

#[test]
fn an_address_that_this_binary_can_t_dial_is_reported() {
    let address = format!("{}/ws", tcp(free_port()));
    let mut dialler = node(&["--dial", &address]);
    dialler.until(&format!("can't connect to {address}: this binary can't dial such an address"));
    assert_eq!(dialler.terminate().0, Some(0));
}

#[test]
fn another_peer_than_the_dialled_one_is_reported() {
    let mut listener = Process::start(&["node", "--json", "--topic", "t"]);
    let address = listener.until("listening", 1)[0]["addr"].as_str().unwrap().to_owned();
    let other = "12D3KooWFWM8o2AQN2JU2heS3GksRcJts7nvcoFdsR372Asos2EM";
    let mut dialler = node(&["--dial", &format!("{address}/p2p/{other}")]);
    dialler.until("there is another peer at this address");
    dialler.terminate();
    listener.terminate();
}

#[test]
fn a_node_that_dials_itself_reports_it_and_runs() {
    let address = tcp(free_port());
    let mut own = node(&["--listen", &address, "--dial", &address]);
    own.until(&format!("{address} is not dialled: it is this node itself"));
    own.until("listening on");
    assert_eq!(own.terminate().0, Some(0));
    // Under another name the node notices it when it reaches itself.
    let port = free_port();
    let other_name = format!("/ip4/127.0.0.2/tcp/{port}");
    let mut own = node(&["--listen", &format!("/ip4/0.0.0.0/tcp/{port}"), "--dial", &other_name]);
    own.until(&format!("can't connect to {other_name}: this is the node itself"));
    assert_eq!(own.terminate().0, Some(0));
}

#[test]
fn a_failed_handshake_of_a_peer_is_logged() {
    let port = free_port();
    let mut listener = node(&["--listen", &tcp(port)]);
    listener.until("listening on");
    let mut dialler = TcpStream::connect(("127.0.0.1", port)).unwrap();
    dialler.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let line = listener.until("the handshake with a peer that dialled us failed");
    assert!(line.contains("WARN") && line.contains("cause="), "{line}");
    listener.terminate();
}

#[test]
fn names_of_peers_topics_stay_on_their_line() {
    let mut printing = node(&[]);
    let listening = printing.until("listening on");
    let address = listening.split("listening on ").nth(1).unwrap().to_owned();
    let name = "a\n2026-01-01T00:00:00.000Z connected to nobody \u{1b}[2J\u{202e}";
    let mut other = Process::start(&["node", "--json", "--topic", name, "--dial", &address]);
    let line = printing.until("subscribed to a");
    assert!(
        line.ends_with("subscribed to a\\n2026-01-01T00:00:00.000Z connected to nobody \\u{1b}[2J\\u{202e}"),
        "{line}"
    );
    other.until("connected", 1);
    other.terminate();
    let (_, lines) = printing.terminate();
    assert!(lines.iter().all(|line| !line.contains('\u{1b}')), "{lines:?}");
}

#[test]
fn a_full_disk_is_reported_once_and_does_not_end_the_node() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let port = free_port();
    let mut unheard = Texts::spawn(binary(&["node", "--topic", "t", "--listen", &tcp(port)]).stdout(full));
    unheard.until("can't write to standard output: No space left on device");
    for _ in 0..2 {
        let mut other = Process::start(&["node", "--json", "--topic", "t", "--dial", &tcp(port)]);
        other.until("subscribed", 1);
        other.terminate();
    }
    let (code, lines) = unheard.terminate();
    assert_eq!(code, Some(0));
    assert_eq!(lines.iter().filter(|line| line.contains("can't write")).count(), 1, "{lines:?}");
}

/// Checks the format of the time at the beginning of a line, such as `2026-12-01T01:10:25.960Z`.
fn time(line: &str) {
    let time = line.split(' ').next().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{line}");
}

#[test]
fn log_and_output_have_one_clock_and_no_escapes_in_a_file() {
    let address = tcp(free_port());
    let mut text = node(&["--dial", &address]);
    let (listening, warning) = (text.until("listening on"), text.until("can't connect"));
    assert!(!warning.contains('\u{1b}'), "{warning:?}");
    time(&listening);
    time(&warning);
    text.terminate();
    let mut json = Texts::spawn(binary(&["node", "--json", "--topic", "t"]).stdout(Stdio::piped()));
    let line: Value = serde_json::from_str(&json.until("listening")).unwrap();
    time(line["time"].as_str().unwrap());
    json.terminate();
}

#[test]
fn the_log_is_json_if_that_is_asked_for() {
    let address = tcp(free_port());
    let mut logging = node(&["--dial", &address, "--log-format", "json"]);
    let line: Value = serde_json::from_str(&logging.until("can't connect")).unwrap();
    assert_eq!(line["level"], "WARN");
    assert!(
        line["message"].as_str().unwrap().starts_with(&format!("can't connect to {address}: ")),
        "{line}"
    );
    time(line["timestamp"].as_str().unwrap());
    logging.terminate();
}

#[test]
fn the_filter_of_the_log_is_a_setting_and_a_wrong_one_an_error() {
    let address = tcp(free_port());
    let mut quiet = node(&["--dial", &address, "--log", "off"]);
    quiet.until("listening on");
    let (_, lines) = quiet.terminate();
    assert!(lines.iter().all(|line| !line.contains("can't connect")), "{lines:?}");
    let out = run(&["node", "--topic", "t", "--log", "warn,=,x=y"]);
    assert_eq!(out.code, Some(2));
    assert!(out.stderr.contains("log.filter = \"warn,=,x=y\""), "{}", out.stderr);
}

#[test]
fn version_and_help_have_what_an_operator_needs() {
    let version = run(&["--version"]).stdout;
    let begin = format!("actix-gossipsub {} (commit ", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&begin) && version.contains("features node"), "{version}");
    for command in [&["--help"][..], &["node", "--help"], &["subscribe", "--help"]] {
        let help = run(command).stdout;
        for part in ["Exit codes:", "  0  ended as asked", "  1  failed", "  2  wrong arguments"] {
            assert!(help.contains(part), "{command:?}: {help}");
        }
    }
}
