//! This module prints the result of one cell of the matrix, as a line of JSON or a row of a table.

use std::{error::Error, fs, path::Path};

use serde::{Deserialize, Serialize};

use super::matrix::{Engine, Variant, Workload, name};

/// The results of one cell. `None` (`null` in JSON) means not measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub workload: Workload,
    pub engine: Engine,
    pub topics: usize,
    pub peers: usize,
    pub variant: Variant,
    pub ns_per_input: Option<f64>,
    pub inputs_per_s: Option<f64>,
    pub forwards_per_s: Option<f64>,
    pub ratio_to_baseline: Option<f64>,
    /// The CPU time of all threads.
    pub cpu_ns_per_input: Option<f64>,
    pub instructions_per_input: Option<f64>,
    pub heartbeat_cpu_ms: Option<f64>,
    pub heartbeat_max_delay_ms: Option<f64>,
    pub bytes_per_topic: Option<f64>,
    pub bytes_per_topic_peer: Option<f64>,
    /// The name of the malloc.
    pub allocator: String,
}

impl Line {
    /// The header of the table.
    pub fn table_head() -> String {
        let columns = "| workload | topics | peers | variant | engine | ns/input | inputs/s | forwards/s \
                       | x baseline | instructions/input | heartbeat CPU ms | max delay ms | B/topic \
                       | B/(topic, peer) |";
        let separators = "|".to_owned() + &"---|".repeat(columns.matches('|').count() - 1);
        format!("{columns}\n{separators}")
    }

    pub fn table_row(&self) -> String {
        let Self { workload, topics, peers, variant, engine, .. } = self;
        let [workload, variant, engine] = [name(*workload), name(*variant), name(*engine)];
        let cells = [
            rounded(self.ns_per_input, 0),
            rounded(self.inputs_per_s, 0),
            rounded(self.forwards_per_s, 0),
            rounded(self.ratio_to_baseline, 2),
            rounded(self.instructions_per_input, 0),
            rounded(self.heartbeat_cpu_ms, 2),
            rounded(self.heartbeat_max_delay_ms, 2),
            rounded(self.bytes_per_topic, 0),
            rounded(self.bytes_per_topic_peer, 0),
        ];
        format!("| {workload} | {topics} | {peers} | {variant} | {engine} | {} |", cells.join(" | "))
    }
}

/// Reads the JSON lines of an earlier run.
///
/// # Errors
/// The file can't be read, or a line is not a [`Line`].
pub fn read(path: &Path) -> Result<Vec<Line>, Box<dyn Error>> {
    let with_path = |error: &dyn Error| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| with_path(&error))?;
    let line = |line: &str| serde_json::from_str(line).map_err(|error| with_path(&error).into());
    text.lines().map(line).collect()
}

/// The value with this number of decimals, or nothing.
pub fn rounded(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(String::new, |value| format!("{value:.decimals$}"))
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Table,
}

impl Form {
    pub fn print_head(self) {
        if self == Self::Table {
            println!("{}", Line::table_head());
        }
    }

    pub fn print(self, line: &Line) {
        match self {
            Self::Json => println!("{}", serde_json::to_string(line).expect("a line is plain data")),
            Self::Table => println!("{}", line.table_row()),
        }
    }
}
