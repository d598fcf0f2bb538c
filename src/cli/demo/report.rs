//! The output of the demonstration: a progress bar on a terminal, lines of text elsewhere, or JSON; at the end a table
//! by topic. Scripts and tests parse the JSON: its events and fields are stable.

use std::{
    fmt::{self, Write},
    io::{IsTerminal, stderr},
    sync::Arc,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{
    Arguments,
    checks::Check,
    deliveries::{DeliveryLog, MissingDelivery, Totals},
    network::DemoNetwork,
    publisher,
};
use crate::cli::{
    Failure,
    output::{Printer, json},
};

/// The table lists all topics up to this number. If there are more, it lists half as many, the worst ones.
const MAX_ROWS: usize = 20;
/// Missing deliveries that the failure lists.
const MAX_LISTED: usize = 10;

/// Prints the progress of the demonstration.
pub struct Report {
    printer: Printer,
    arguments: Arguments,
    log: Arc<DeliveryLog>,
    /// The progress bar, if standard error is a terminal.
    bar: Option<ProgressBar>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Started {
        nodes: usize,
        topics: usize,
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
        checks: &'a [Check],
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
    fn new(time: Duration, totals: &Totals, mesh_degree: f64) -> Self {
        let latency = |percent| millis(totals.latency.percentile(percent));
        Self {
            t_ms: millis(time),
            published: totals.published,
            expected: totals.expected,
            delivered: totals.delivered,
            missing: totals.missing(),
            duplicates: totals.duplicates,
            p50_ms: latency(50.0),
            p90_ms: latency(90.0),
            p99_ms: latency(99.0),
            max_ms: millis(totals.latency.max()),
            mesh_degree: (mesh_degree * 100.0).round() / 100.0,
        }
    }
}

impl Report {
    pub fn new(printer: Printer, arguments: Arguments, log: Arc<DeliveryLog>) -> Self {
        let bar = (!arguments.json && stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(100));
            bar.set_message(format!("{} nodes form their meshes", arguments.nodes));
            bar.tick();
            bar
        });
        Self { printer, arguments, log, bar }
    }

    /// Prints the URLs of the first node.
    pub fn serving(&self, network: &DemoNetwork) {
        if !self.arguments.json {
            let url = network.url();
            self.text(format!("the first node: page at {url}, metrics at {url}metrics"));
        }
    }

    /// Prints the network once its meshes have formed.
    pub fn started(&self, network: &DemoNetwork) {
        let Arguments { nodes, topics, rate, seconds, seed, json: as_json, .. } = self.arguments;
        if let Some(bar) = &self.bar {
            // Each message is delivered at all nodes but the one that published it.
            bar.set_length(self.arguments.messages() * (nodes as u64 - 1));
            bar.set_style(bar_style());
            bar.set_message("publishing");
        }
        let (connections, formed_ms) = (network.connections(), millis(network.formation_time));
        if as_json {
            let line = Line::Started { nodes, topics, rate, seconds, seed, connections, formed_ms };
            return self.printer.line(|| json(&line));
        }
        let formed = network.formation_time.as_secs_f64();
        self.text(format!(
            "{nodes} nodes over TCP, {connections} connections, {topics} topics joined by all nodes; meshes of \
             {:.1} peers formed in {formed:.1} s; {rate} messages per second for {seconds} s",
            network.mean_mesh_degree()
        ));
    }

    /// Prints a line or updates the progress bar.
    pub fn progress(&self, network: &DemoNetwork) {
        let (totals, time) = (self.log.totals(), self.log.elapsed());
        let numbers = Numbers::new(time, &totals, network.mean_mesh_degree());
        if self.arguments.json {
            return self.printer.line(|| json(&Line::Progress(numbers)));
        }
        let Numbers { published, expected, delivered, p50_ms, p99_ms, mesh_degree, .. } = numbers;
        let line = format!(
            "published {published}, delivered {delivered} of {expected}, p50 {p50_ms:.2} ms, \
             p99 {p99_ms:.2} ms, mesh {mesh_degree:.1}"
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(delivered);
                bar.set_message(line);
            }
            None => self.text(line),
        }
    }

    /// Prints the summary.
    pub fn summary(&self, summary: &Summary) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if !self.arguments.json {
            return self.printer.last_line(summary.to_string());
        }
        let numbers = Numbers::new(self.log.elapsed(), &summary.totals, summary.mesh_degree);
        self.printer.last_line(json(&Line::Summary {
            numbers,
            checks: &summary.checks,
            ok: summary.is_ok(),
        }));
    }

    /// Prints a line above the progress bar.
    fn text(&self, text: String) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => self.printer.line(|| text),
        }
    }
}

/// The final numbers of the demonstration. Its `Display` is the table.
pub struct Summary {
    totals: Totals,
    mesh_degree: f64,
    rows: Vec<Row>,
    /// Topics without a row.
    omitted: usize,
    missing: Vec<MissingDelivery>,
    checks: Vec<Check>,
}

struct Row {
    topic: usize,
    totals: Totals,
    mesh_degree: f64,
}

impl Summary {
    /// Takes the numbers, and checks the network.
    pub async fn new(log: &DeliveryLog, network: &DemoNetwork, topics: usize) -> Self {
        let totals = log.totals();
        let checks = vec![
            Check::deliveries(&totals),
            Check::meshes(network),
            Check::penalties(network),
            Check::bounds(network, topics).await,
        ];
        let row =
            |topic| Row { topic, totals: log.topic_totals(topic), mesh_degree: network.mesh_degree(topic) };
        let mut rows: Vec<_> = (0..topics).map(row).collect();
        if topics > MAX_ROWS {
            rows.sort_by_key(|Row { totals, .. }| {
                std::cmp::Reverse((totals.missing(), totals.duplicates, totals.latency.percentile(99.0)))
            });
            rows.truncate(MAX_ROWS / 2);
        }
        Self {
            totals,
            checks,
            mesh_degree: network.mean_mesh_degree(),
            omitted: topics - rows.len(),
            rows,
            missing: log.missing(MAX_LISTED),
        }
    }

    /// Whether all checks passed.
    fn is_ok(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }

    /// # Errors
    /// A check failed, such as that of the deliveries, or no message was published.
    pub fn check(&self) -> Result<(), Failure> {
        if self.is_ok() {
            return Ok(());
        }
        if self.totals.published == 0 {
            return Err(Failure::Incomplete(
                "no message was published before the demonstration was stopped".into(),
            ));
        }
        let (missing, duplicates) = (self.totals.missing(), self.totals.duplicates);
        if missing == 0 && duplicates == 0 {
            let failed = self.checks.iter().filter(|check| !check.ok).map(|check| format!("\n  {check}"));
            return Err(Failure::Incomplete(format!("a check failed{}", failed.collect::<String>())));
        }
        let mut text = format!("{missing} deliveries are missing and {duplicates} are duplicates");
        for MissingDelivery { topic, message, node } in &self.missing {
            // Writing to a string can't fail.
            let _ = write!(text, "\n  {} message {message} at node {node}", publisher::topic(*topic));
        }
        let unlisted = missing.saturating_sub(self.missing.len() as u64);
        if unlisted > 0 {
            let _ = write!(text, "\n  and {unlisted} more");
        }
        text.push_str("\nthe machine may be too slow: try a lower --rate or fewer --nodes");
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
            write_row(f, publisher::topic(row.topic).as_str(), &row.totals, row.mesh_degree)?;
        }
        if self.omitted > 0 {
            writeln!(f, "and {} topics with better numbers", self.omitted)?;
        }
        write_row(f, "all", &self.totals, self.mesh_degree)?;
        writeln!(f, "checked:")?;
        self.checks.iter().try_for_each(|check| writeln!(f, "  {check}"))?;
        let failed = self.checks.iter().filter(|check| !check.ok).count();
        match failed {
            0 => write!(f, "All {} checks passed.", self.checks.len()),
            _ => write!(f, "{failed} of {} checks FAILED.", self.checks.len()),
        }
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, totals: &Totals, mesh_degree: f64) -> fmt::Result {
    let latency = |percent| millis(totals.latency.percentile(percent));
    writeln!(
        f,
        "{name:<10}{:>10}{:>10}{:>10}{:>9}{:>11}{:>9.2}{:>9.2}{:>9.2}{:>9.2}{mesh_degree:>7.1}",
        totals.published,
        totals.expected,
        totals.delivered,
        totals.missing(),
        totals.duplicates,
        latency(50.0),
        latency(90.0),
        latency(99.0),
        millis(totals.latency.max()),
    )
}

/// Milliseconds, exact to the microsecond.
fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

fn bar_style() -> ProgressStyle {
    // It fails only for a malformed template.
    ProgressStyle::with_template("{elapsed_precise} {bar:20} {percent:>3} % {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
