//! The numbers as a table, side by side, or as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{
    account::Tally,
    plan::{NODES, Row, Side},
};

/// What a row came to on one side.
pub struct Cell {
    pub row: Row,
    pub side: Side,
    tally: Tally,
    pub failures: usize,
}

impl Cell {
    pub fn new(row: Row, side: Side) -> Self {
        Self { row, side, tally: Tally::default(), failures: 0 }
    }

    pub fn add(&mut self, tally: Tally) {
        self.tally.add(tally);
    }

    fn per_second(&self) -> f64 {
        self.tally.delivered as f64 / (self.tally.nanos as f64 / 1e9)
    }

    fn cpu_micros(&self) -> f64 {
        self.tally.cpu as f64 / 1e3 / self.tally.delivered as f64
    }

    fn bytes(&self) -> f64 {
        self.tally.bytes as f64 / self.tally.delivered as f64
    }

    /// Deliveries that were never made.
    fn lost(&self) -> u64 {
        (self.tally.published_in_all * (NODES as u64 - 1)).saturating_sub(self.tally.delivered_in_all)
    }

    pub fn json(&self) -> Value {
        let latency = &self.tally.latency;
        json!({
            "mode": self.row.mode.name(),
            "nodes": NODES,
            "topics": self.row.topics,
            "size": self.row.size,
            "load": self.row.load.to_string(),
            "side": self.side.name(),
            "delivered": self.tally.delivered,
            "delivered_per_second": self.per_second(),
            "p50_ms": latency.quantile(0.5),
            "p99_ms": latency.quantile(0.99),
            "p999_ms": latency.quantile(0.999),
            "cpu_us_per_delivery": self.cpu_micros(),
            "wire_bytes_per_delivery": self.bytes(),
            "lost": self.lost(),
            "failures": self.failures,
        })
    }
}

/// One line a row, both sides in each field.
pub fn table(cells: &[Cell], rounds: usize, seconds: u64) -> String {
    let mut out = format!("{NODES} nodes, {rounds} rounds of {seconds} s each; each field: ");
    let mut names: Vec<_> = cells.iter().map(|cell| cell.side.name()).collect();
    names.dedup();
    names.truncate(Side::ALL.len());
    let _ = writeln!(out, "{}", names.join(" / "));
    out.push_str(
        "| mode | topics | bytes | load | delivered/s | p50 ms | p99 ms | p99.9 ms | CPU us a delivery \
         | wire bytes a delivery | lost |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for sides in cells.chunk_by(|one, other| one.row == other.row) {
        let Row { mode, topics, size, load } = sides[0].row;
        let field = |digits: usize, value: &dyn Fn(&Cell) -> f64| {
            let values: Vec<_> = sides.iter().map(|cell| format!("{:.digits$}", value(cell))).collect();
            values.join(" / ")
        };
        let quantile = |part: f64| field(2, &|cell| cell.tally.latency.quantile(part));
        let (p50, p99, p999) = (quantile(0.5), quantile(0.99), quantile(0.999));
        let (rate, cpu) = (field(0, &Cell::per_second), field(1, &Cell::cpu_micros));
        let (bytes, lost) = (field(0, &Cell::bytes), field(0, &|cell| cell.lost() as f64));
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "| {} | {topics} | {size} | {load} | {rate} | {p50} | {p99} | {p999} | {cpu} | {bytes} | {lost} |",
            mode.name()
        );
    }
    for cell in cells.iter().filter(|cell| cell.failures > 0) {
        let _ = writeln!(out, "{} of {:?} did not finish {} times", cell.side, cell.row, cell.failures);
    }
    out
}
