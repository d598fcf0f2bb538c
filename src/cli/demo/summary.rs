//! What came of the demonstration: a table and a verdict. It counts nothing itself.

use std::{
    fmt::{self, Write},
    time::Duration,
};

use super::{
    feed,
    network::Demonstration,
    tally::{Missing, Sums, Tally},
};
use crate::cli::Failure;

/// Topics that the table shows; of more, those that did worst.
const MAX_ROWS: usize = 20;
/// Missing deliveries that are named.
const MAX_MISSING: usize = 10;

/// The end's numbers.
pub struct Summary {
    pub total: Sums,
    pub mesh_degree: f64,
    rows: Vec<Row>,
    left_out: usize,
    missing: Vec<Missing>,
}

struct Row {
    topic: usize,
    sums: Sums,
    mesh_degree: f64,
}

impl Summary {
    pub fn new(tally: &Tally, nodes: &Demonstration, topics: usize) -> Self {
        let row = |topic| Row { topic, sums: tally.sums(topic), mesh_degree: nodes.mesh_degree(topic) };
        let mut rows: Vec<_> = (0..topics).map(row).collect();
        let worst = |row: &Row| (row.sums.missing(), row.sums.duplicates, row.sums.latency.percentile(99.0));
        if topics > MAX_ROWS {
            rows.sort_by_key(|row| std::cmp::Reverse(worst(row)));
            rows.truncate(MAX_ROWS / 2);
        }
        Self {
            total: tally.total(),
            mesh_degree: nodes.mean_mesh_degree(),
            left_out: topics - rows.len(),
            rows,
            missing: tally.missing(MAX_MISSING),
        }
    }

    /// Whether every subscriber got every message exactly once.
    pub fn is_complete(&self) -> bool {
        self.total.missing() == 0 && self.total.duplicates == 0 && self.total.published > 0
    }

    /// A failure that says what is missing.
    pub fn verdict(&self) -> Result<(), Failure> {
        if self.is_complete() {
            return Ok(());
        }
        if self.total.published == 0 {
            return Err(Failure::Incomplete("nothing was published: it was ended before it began".into()));
        }
        let (missing, duplicates) = (self.total.missing(), self.total.duplicates);
        let mut text = format!("{missing} deliveries are missing and {duplicates} were made once too often");
        for Missing { topic, message, node } in &self.missing {
            // Writing to a string can't fail.
            let _ = write!(text, "\n  {} message {message} at node {node}", feed::topic(*topic));
        }
        let unnamed = missing.saturating_sub(self.missing.len() as u64);
        if unnamed > 0 {
            let _ = write!(text, "\n  and {unnamed} more");
        }
        text.push_str("\na machine that is too slow is a reason: try a lower --rate or fewer --nodes");
        Err(Failure::Incomplete(text))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<10}{:>10}{:>10}{:>10}{:>9}{:>11}{:>9}{:>9}{:>9}{:>9}{:>7}",
            "topic",
            "published",
            "expected",
            "delivered",
            "missing",
            "duplicates",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "max ms",
            "mesh"
        )?;
        for row in &self.rows {
            write_row(f, feed::topic(row.topic).as_str(), &row.sums, row.mesh_degree)?;
        }
        if self.left_out > 0 {
            writeln!(f, "and {} topics that did better", self.left_out)?;
        }
        write_row(f, "all", &self.total, self.mesh_degree)?;
        if self.is_complete() {
            write!(f, "Every subscriber got every message exactly once.")
        } else {
            write!(f, "NOT every subscriber got every message exactly once.")
        }
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, sums: &Sums, mesh_degree: f64) -> fmt::Result {
    let latency = |percent| millis(sums.latency.percentile(percent));
    writeln!(
        f,
        "{name:<10}{:>10}{:>10}{:>10}{:>9}{:>11}{:>9.2}{:>9.2}{:>9.2}{:>9.2}{mesh_degree:>7.1}",
        sums.published,
        sums.expected,
        sums.delivered,
        sums.missing(),
        sums.duplicates,
        latency(50.0),
        latency(90.0),
        latency(99.0),
        millis(sums.latency.max()),
    )
}

/// Milliseconds, to the microsecond.
pub fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
