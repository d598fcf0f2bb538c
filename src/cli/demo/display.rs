//! What is shown while the demonstration runs, and at its end: a live line on a terminal, plain lines
//! elsewhere, or JSON. It decides nothing.

use std::{
    io::{IsTerminal, stderr},
    sync::Arc,
    time::Duration,
};

use indicatif::ProgressBar;
use serde::Serialize;

use super::{
    Arguments,
    network::Demonstration,
    summary::{Summary, millis},
    tally::{Sums, Tally},
};
use crate::cli::{printer::Printer, report::json};

/// Where the demonstration is watched.
pub struct Display {
    printer: Printer,
    arguments: Arguments,
    tally: Arc<Tally>,
    /// On a terminal.
    bar: Option<ProgressBar>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
    Started {
        nodes: u64,
        topics: u64,
        rate: u64,
        seconds: u64,
        seed: u64,
        connections: usize,
        formed_ms: f64,
    },
    Progress(Numbers),
    Summary {
        #[serde(flatten)]
        numbers: Numbers,
        ok: bool,
    },
}

#[derive(Serialize)]
struct Numbers {
    t_ms: f64,
    published: u64,
    expected: u64,
    delivered: u64,
    missing: u64,
    duplicates: u64,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    mesh_degree: f64,
}

impl Numbers {
    fn new(time: Duration, sums: &Sums, mesh_degree: f64) -> Self {
        let latency = |percent| millis(sums.latency.percentile(percent));
        Self {
            t_ms: millis(time),
            published: sums.published,
            expected: sums.expected,
            delivered: sums.delivered,
            missing: sums.missing(),
            duplicates: sums.duplicates,
            p50_ms: latency(50.0),
            p90_ms: latency(90.0),
            p99_ms: latency(99.0),
            max_ms: millis(sums.latency.max()),
            mesh_degree: (mesh_degree * 100.0).round() / 100.0,
        }
    }
}

impl Display {
    /// Says that the nodes are about to start.
    pub fn new(printer: Printer, arguments: Arguments, tally: Arc<Tally>) -> Self {
        let bar = (!arguments.json && stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(100));
            bar.set_message(format!("{} nodes form their meshes", arguments.nodes));
            bar
        });
        Self { printer, arguments, tally, bar }
    }

    /// The nodes are up, and one can be looked at.
    pub async fn serving(&self, nodes: &Demonstration) {
        if !self.arguments.json {
            let url = nodes.url();
            self.text(format!("the first node: page at {url}, metrics at {url}metrics")).await;
        }
    }

    /// The meshes have formed.
    pub async fn started(&self, nodes: &Demonstration) {
        let Arguments { nodes: count, topics, rate, seconds, seed, json: as_json, .. } = self.arguments;
        let (connections, formed_ms) = (nodes.links(), millis(nodes.forming));
        if as_json {
            let line = Line::Started { nodes: count, topics, rate, seconds, seed, connections, formed_ms };
            return self.printer.line(json(&line)).await;
        }
        let formed = nodes.forming.as_secs_f64();
        self.text(format!(
            "{count} nodes over TCP, {connections} connections, {topics} topics joined by all; meshes of \
             {:.1} peers formed in {formed:.1} s; {rate} messages a second for {seconds} s",
            nodes.mean_mesh_degree()
        ))
        .await;
    }

    /// The live line.
    pub async fn progress(&self, nodes: &Demonstration) {
        let (total, time) = (self.tally.total(), self.tally.elapsed());
        let numbers = Numbers::new(time, &total, nodes.mean_mesh_degree());
        if self.arguments.json {
            return self.printer.line(json(&Line::Progress(numbers))).await;
        }
        let Numbers { published, expected, delivered, p50_ms, p99_ms, mesh_degree, .. } = numbers;
        let line = format!(
            "published {published}, delivered {delivered} of {expected}, p50 {p50_ms:.2} ms, \
             p99 {p99_ms:.2} ms, mesh {mesh_degree:.1}"
        );
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None => self.text(line).await,
        }
    }

    /// The end.
    pub async fn summary(&self, summary: &Summary) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if !self.arguments.json {
            return self.printer.line(summary.to_string()).await;
        }
        let numbers = Numbers::new(self.tally.elapsed(), &summary.total, summary.mesh_degree);
        self.printer.line(json(&Line::Summary { numbers, ok: summary.is_complete() })).await;
    }

    /// A line that stays, above the live line.
    async fn text(&self, text: String) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => self.printer.line(text).await,
        }
    }
}
