//! This module prints the results as JSON, or as a table with the implementations side by side.

use std::fmt::Write;

use serde_json::{Value, json};
use testkit::wire::plan::{Implementation, NODES, Row, name};

use super::stats::Totals;

/// The result of a row for one implementation.
pub struct Cell {
    pub row: Row,
    pub implementation: Implementation,
    totals: Totals,
    /// Networks that did not finish.
    pub failures: usize,
}

impl Cell {
    pub fn new(row: Row, implementation: Implementation) -> Self {
        Self { row, implementation, totals: Totals::default(), failures: 0 }
    }

    pub fn add(&mut self, totals: Totals) {
        self.totals.add_network(totals);
    }

    fn per_second(&self) -> f64 {
        self.totals.delivered as f64 / (self.totals.nanos as f64 / 1e9)
    }

    fn cpu_micros(&self) -> f64 {
        self.totals.cpu as f64 / 1e3 / self.totals.delivered as f64
    }

    fn bytes(&self) -> f64 {
        self.totals.bytes as f64 / self.totals.delivered as f64
    }

    /// Missing deliveries.
    fn lost(&self) -> u64 {
        (self.totals.all_published * (NODES as u64 - 1)).saturating_sub(self.totals.all_delivered)
    }

    pub fn json(&self) -> Value {
        let latency = &self.totals.latency;
        json!({
            "mode": name(self.row.mode),
            "nodes": NODES,
            "topics": self.row.topics,
            "size": self.row.size,
            "load": self.row.load.to_string(),
            "implementation": name(self.implementation),
            "delivered": self.totals.delivered,
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

/// One line a row, with the values of all implementations in each field.
pub fn table(cells: &[Cell], rounds: u32, seconds: u64) -> String {
    let mut out = format!("{NODES} nodes, {rounds} rounds of {seconds} s each; each field: ");
    let mut names: Vec<_> = cells.iter().map(|cell| name(cell.implementation)).collect();
    names.truncate(cells.iter().take_while(|cell| cell.row == cells[0].row).count());
    let _ = writeln!(out, "{}", names.join(" / "));
    out.push_str(
        "| mode | topics | bytes | load | delivered/s | p50 ms | p99 ms | p99.9 ms | CPU us a delivery \
         | wire bytes a delivery | lost |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in cells.chunk_by(|one, other| one.row == other.row) {
        let Row { mode, topics, size, load } = row[0].row;
        let field = |digits: usize, value: &dyn Fn(&Cell) -> f64| {
            let values: Vec<_> = row.iter().map(|cell| format!("{:.digits$}", value(cell))).collect();
            values.join(" / ")
        };
        let quantile = |quantile: f64| field(2, &|cell| cell.totals.latency.quantile(quantile));
        let (p50, p99, p999) = (quantile(0.5), quantile(0.99), quantile(0.999));
        let (rate, cpu) = (field(0, &Cell::per_second), field(1, &Cell::cpu_micros));
        let (bytes, lost) = (field(0, &Cell::bytes), field(0, &|cell| cell.lost() as f64));
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "| {} | {topics} | {size} | {load} | {rate} | {p50} | {p99} | {p999} | {cpu} | {bytes} | {lost} |",
            name(mode)
        );
    }
    for cell in cells.iter().filter(|cell| cell.failures > 0) {
        let _ = writeln!(
            out,
            "{} did not finish {} times: {:?}",
            name(cell.implementation),
            cell.failures,
            cell.row
        );
    }
    out
}
