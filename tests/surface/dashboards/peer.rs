//! This module runs a node as its operator does: it starts the binary with load and serves its metrics.

use std::{fs, path::PathBuf, process::Command};

use super::process::Process;

const TOPICS: [&str; 3] = ["blocks", "votes", "news"];

/// Limits with small meshes, so that many messages are gossiped. A mesh may have two peers, and keep them: with one, two
/// nodes would have each other on all topics from the start, and the third would have no mesh.
const PARAMETERS: &str = "degree_optimal = 1\ndegree_low = 1\ndegree_high = 2\ndegree_score = 0\ndegree_out = 0\n\
                          heartbeat_interval = \"250ms\"\n[extensions]\nprune_at_degree_high = false\n";

/// A running node.
pub struct Peer {
    pub process: Process,
    /// The address of the metrics for the configuration of Prometheus.
    pub http: String,
    /// The address at which the node listens.
    pub address: String,
}

impl Peer {
    /// Starts a node that dials `others`.
    pub fn start(others: &[Self]) -> Self {
        let parameters = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("small-meshes.toml");
        fs::write(&parameters, PARAMETERS).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_actix-gossipsub"));
        // The other nodes log warnings about a stopped node.
        command.env("RUST_LOG", "error").args(["node", "--json", "--http", "127.0.0.1:0"]);
        command.arg("--config").arg(&parameters);
        // The node publishes until the end of the test.
        command.args(["--publish", "1000000", "--interval-ms", "20", "--settle-ms", "0"]);
        command.args(TOPICS.iter().flat_map(|topic| ["--topic", topic]));
        command.args(others.iter().flat_map(|other| ["--dial", other.address.as_str()]));
        let process = Process::start(&mut command);
        let (mut http, mut address) = (None, None);
        while http.is_none() || address.is_none() {
            let line = process.line();
            let text = |key: &str| line[key].as_str().map(str::to_owned);
            match line["event"].as_str() {
                Some("serving") => http = text("url"),
                Some("listening") => address = text("addr"),
                _ => {}
            }
        }
        let http = http.expect("an address").trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { process, http, address: address.expect("an address") }
    }
}
