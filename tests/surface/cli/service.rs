//! A node under a service manager: its messages to systemd, its readiness, and its status lines.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::{
    get,
    long_running::until,
    process::{Process, Texts, binary, free_port},
};

/// The messages to the service manager, each a list of assignments.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new() -> Self {
        // A path of a socket has at most 108 bytes.
        let path = std::env::temp_dir().join(format!("notify-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { socket, path }
    }

    /// Reads until a message has a line that begins so. Returns that line.
    fn until(&self, begin: &str) -> String {
        let mut buffer = [0; 4_096];
        loop {
            let length = self.socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no {begin}: {error}"));
            let text = std::str::from_utf8(&buffer[..length]).unwrap();
            if let Some(line) = text.lines().find(|line| line.starts_with(begin)) {
                return line.to_owned();
            }
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[test]
fn the_service_manager_gets_ready_status_watchdog_and_stopping() {
    let manager = Manager::new();
    let http = free_port();
    let address = format!("127.0.0.1:{http}");
    let flags = ["node", "--json", "--topic", "t", "--http", &address, "--status-interval", "1s"];
    let mut command = binary(&flags);
    command.env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "300000");
    let node = Process::spawn(&mut command);
    manager.until("READY=1");
    // It listens and serves by then.
    assert!(get(&format!("http://{address}/"), "/ready", None).0.contains("200"));
    manager.until("WATCHDOG=1");
    let status = manager.until("STATUS=0 peers, 1 topics");
    assert!(status.contains("(1 below D_low); lately: 0 messages accepted"), "{status}");
    manager.until("WATCHDOG=1");
    node.terminate();
    manager.until("STOPPING=1");
}

/// A stopped process writes nothing, so that the service manager ends it.
#[test]
fn a_node_that_hangs_sends_no_watchdog_messages() {
    let path = std::env::temp_dir().join(format!("hang-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    let manager = Manager { socket: UnixDatagram::bind(&path).unwrap(), path };
    let mut command = binary(&["node", "--json", "--topic", "t"]);
    command.env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "90000");
    let mut node = Process::spawn(&mut command);
    manager.socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    manager.until("WATCHDOG=1");
    let signal = |name: &str| Command::new("kill").args([name, &node.id().to_string()]).status().unwrap();
    assert!(signal("-STOP").success());
    // What was sent before is read.
    manager.socket.set_read_timeout(Some(Duration::from_millis(1_000))).unwrap();
    let mut buffer = [0; 4_096];
    while manager.socket.recv(&mut buffer).is_ok() {}
    assert!(manager.socket.recv(&mut buffer).is_err());
    assert!(signal("-CONT").success());
    manager.socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    manager.until("WATCHDOG=1");
    node.until("listening", 1);
    node.terminate();
}

fn serving(node: &mut Process) -> String {
    let lines = node.until("serving", 1);
    lines.iter().find(|line| line["event"] == "serving").unwrap()["url"].as_str().unwrap().to_owned()
}

#[test]
fn a_node_is_ready_when_it_listens_and_has_one_of_the_peers_that_it_was_given() {
    let address = format!("/ip4/127.0.0.1/tcp/{}", free_port());
    let common = ["node", "--json", "--topic", "t", "--heartbeat-ms", "100"];
    let mut node = Process::start(&[&common[..], &["--http", "127.0.0.1:0", "--dial", &address]].concat());
    let url = serving(&mut node);
    let ready = || {
        let (status, body) = get(&url, "/ready", None);
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    let (status, body) = ready();
    assert!(status.contains("503"), "{status} {body}");
    assert_eq!(body["ready"], false);
    let names = |body: &Value, wanted: &str| {
        let checks = body["checks"].as_array().unwrap().iter().filter(|check| check["status"] == wanted);
        checks.map(|check| check["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&body, "ko"), ["peers"]);
    assert_eq!(names(&body, "ok"), ["engine", "heartbeat", "listening"]);
    // It lives all the same.
    assert!(get(&url, "/health", None).0.contains("200"));
    let mut peer = Process::start(&[&common[..], &["--listen", &address]].concat());
    node.until("connected", 1);
    until("the node is ready", || ready().0.contains("200").then_some(()));
    peer.until("connected", 1);
    peer.terminate();
    until("the node is not ready without its peer", || ready().0.contains("503").then_some(()));
    node.terminate();
}

#[test]
fn a_node_that_waits_for_peers_is_ready_without_them() {
    let mut node = Process::start(&["node", "--json", "--topic", "t", "--http", "127.0.0.1:0"]);
    let url = serving(&mut node);
    let (status, body) = get(&url, "/ready", None);
    assert!(status.contains("200") && body.contains("it was given none to dial"), "{status} {body}");
    node.terminate();
}

/// A configuration for all nodes of a network may name each of them.
#[test]
fn a_node_that_was_given_only_itself_is_ready_without_peers() {
    let own = format!("/ip4/127.0.0.1/tcp/{}", free_port());
    let common = ["node", "--json", "--topic", "t", "--http", "127.0.0.1:0"];
    let mut node = Process::start(&[&common[..], &["--listen", &own, "--dial", &own]].concat());
    let (status, body) = get(&serving(&mut node), "/ready", None);
    assert!(status.contains("200") && body.contains("it was given none to dial"), "{status} {body}");
    node.terminate();
}

#[test]
fn status_lines_have_what_happened_since_the_last_one() {
    let common = ["node", "--topic", "t", "--heartbeat-ms", "100"];
    let flags = ["--status-interval", "1s", "--log-format", "json"];
    let mut node = Texts::spawn(binary(&[&common[..], &flags].concat()).stdout(Stdio::piped()));
    let address = node.until("listening on").split("listening on ").nth(1).unwrap().to_owned();
    let publishing =
        ["--json", "--dial", &address, "--publish", "3", "--settle-ms", "0", "--interval-ms", "1"];
    let mut peer = Process::start(&[&common[..], &publishing].concat());
    peer.until("published", 3);
    let line: Value = serde_json::from_str(&node.until("\"accepted\":3")).unwrap();
    assert_eq!((&line["level"], &line["message"]), (&"INFO".into(), &"status".into()));
    for (field, value) in [("topics", 1), ("below_d_low", 1), ("rejected", 0), ("refused", 0), ("dropped", 0)]
    {
        assert_eq!(line[field], value, "{field}: {line}");
    }
    node.until("\"peers\":1");
    peer.terminate();
    // The next line counts anew.
    node.until("\"peers\":0,\"topics\":1,\"below_d_low\":1,\"accepted\":0");
    node.until("topics with too few peers: t (0 in the mesh, 0 subscribed)");
    node.terminate();
}

#[test]
fn there_are_no_status_lines_if_none_are_wanted() {
    for interval in ["0", "0s"] {
        let node = binary(&["node", "--topic", "t", "--status-interval", interval, "--seconds", "2"])
            .output()
            .unwrap();
        assert_eq!(node.status.code(), Some(0));
        assert!(!String::from_utf8(node.stderr).unwrap().contains("status"));
    }
    let node = binary(&["node", "--topic", "t", "--status-interval", "10ms"]).output().unwrap();
    assert_eq!(node.status.code(), Some(2));
    let error = String::from_utf8(node.stderr).unwrap();
    assert!(
        error.contains("log.status_interval = 10ms: must be 0s (no status lines), or at least 1s"),
        "{error}"
    );
}

#[test]
fn the_unit_file_names_commands_that_this_binary_has() {
    let unit =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/actix-gossipsub.service")).unwrap();
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let arguments: Vec<_> = start.split_whitespace().skip(1).collect();
    let node = binary(&[&arguments[..], &["--help"]].concat()).output().unwrap();
    assert_eq!(node.status.code(), Some(0), "{start}");
    let help = String::from_utf8(node.stdout).unwrap();
    for flag in arguments.iter().filter(|argument| argument.starts_with("--")) {
        assert!(help.contains(*flag), "{flag}");
    }
    for setting in ["Type=notify", "WatchdogSec=", "Restart=on-failure", "RestartPreventExitStatus=2"] {
        assert!(unit.contains(setting), "{setting}");
    }
}
