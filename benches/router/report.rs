//! A measured cell, as a line of JSON or of a table. Measures nothing.

use std::{error::Error, fs, path::Path};

use serde::{Deserialize, Serialize};

/// What was measured of one cell; what was not is `null`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub workload: String,
    pub engine: String,
    pub topics: usize,
    pub peers: usize,
    pub variant: String,
    pub ns_per_input: Option<f64>,
    pub inputs_per_s: Option<f64>,
    pub forwards_per_s: Option<f64>,
    pub ratio_to_floor: Option<f64>,
    /// Of all threads.
    pub cpu_ns_per_input: Option<f64>,
    pub instructions_per_input: Option<f64>,
    pub heartbeat_cpu_ms: Option<f64>,
    pub heartbeat_max_wait_ms: Option<f64>,
    pub bytes_per_topic: Option<f64>,
    pub bytes_per_topic_peer: Option<f64>,
    /// Whose malloc.
    pub allocator: String,
}

impl Line {
    /// What the table's columns are.
    pub fn table_head() -> String {
        let columns = "| workload | topics | peers | variant | engine | ns/input | inputs/s | forwards/s | x floor \
                       | instructions/input | heartbeat CPU ms | longest wait ms | B/topic | B/(topic, peer) |";
        let rules = "|".to_owned() + &"---|".repeat(columns.matches('|').count() - 1);
        format!("{columns}\n{rules}")
    }

    pub fn table_row(&self) -> String {
        let Self { workload, topics, peers, variant, engine, .. } = self;
        let cells = [
            shown(self.ns_per_input, 0),
            shown(self.inputs_per_s, 0),
            shown(self.forwards_per_s, 0),
            shown(self.ratio_to_floor, 2),
            shown(self.instructions_per_input, 0),
            shown(self.heartbeat_cpu_ms, 2),
            shown(self.heartbeat_max_wait_ms, 2),
            shown(self.bytes_per_topic, 0),
            shown(self.bytes_per_topic_peer, 0),
        ];
        format!("| {workload} | {topics} | {peers} | {variant} | {engine} | {} |", cells.join(" | "))
    }
}

/// The lines of an earlier run.
///
/// # Errors
/// The file can't be read, or it holds something else.
pub fn read(path: &Path) -> Result<Vec<Line>, Box<dyn Error>> {
    let complain = |error: &dyn Error| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| complain(&error))?;
    let line = |line: &str| serde_json::from_str(line).map_err(|error| complain(&error).into());
    text.lines().map(line).collect()
}

/// A cell of a table.
pub fn shown(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(String::new, |value| format!("{value:.decimals$}"))
}

/// How lines are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Table,
}

impl Form {
    pub fn begin(self) {
        if self == Self::Table {
            println!("{}", Line::table_head());
        }
    }

    pub fn show(self, line: &Line) {
        match self {
            Self::Json => println!("{}", serde_json::to_string(line).expect("a line is plain data")),
            Self::Table => println!("{}", line.table_row()),
        }
    }
}
