//! This module prints the results as a table in Markdown, with the implementations side by side.

use std::{fmt::Write, fs, thread::available_parallelism, time::SystemTime};

use humantime_serde::re::humantime;
use testkit::wire::plan::name;

use super::{
    cli::Cli,
    measurement::{Cell, Measured, megabytes},
};

/// The aims: the highest growth of the heap, and what may remain of it.
const MOST_GROWTH: u64 = 256_000_000;
const MOST_LEFT: u64 = 16 << 20;

const HEADER: &str = "| attack | delivered % | p50 ms | p99 ms | without: p50 ms | p99 ms | heap MB: before | peak \
    | after | remembered | CPU cores | newcomers | they wait ms | seen by the attackers | missed aims |\n\
    |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";

/// One line an attack, with the values of all implementations in each field.
pub fn table(cells: &[Cell], cli: &Cli) -> String {
    let mut out = String::new();
    let names: Vec<_> = cli.implementations.iter().map(|one| name(*one)).collect();
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "Median of {} runs{}; each field: {}. `x`: not run, for the reason below.\n",
        cli.runs(),
        if cli.quick { " of `--quick`" } else { "" },
        names.join(" / ")
    );
    out.push_str(HEADER);
    for row in cells.chunk_by(|one, other| one.attack == other.attack) {
        out.push_str(&line(row));
    }
    out.push('\n');
    for cell in cells {
        let (attack, implementation) = (name(cell.attack), name(cell.implementation));
        if let Some(reason) = cell.attack.inapplicable(cell.implementation) {
            let _ = writeln!(out, "* {attack}, {implementation}: not run: {reason}.");
        }
        for failure in &cell.failures {
            let _ = writeln!(out, "* {attack}, {implementation}: a run failed: {failure}.");
        }
    }
    out
}

fn line(row: &[Cell]) -> String {
    let field = |text: &dyn Fn(&Cell) -> String| {
        let texts = row.iter().map(|cell| if cell.runs.is_empty() { "x".to_owned() } else { text(cell) });
        texts.collect::<Vec<_>>().join(" / ")
    };
    let number = |digits: usize, value: &dyn Fn(&Measured) -> f64| {
        field(&|cell| {
            let median = cell.median(value);
            if median.is_nan() { "-".to_owned() } else { format!("{median:.digits$}") }
        })
    };
    let quantile = |quantile: f64| number(1, &move |run| run.attack.latency.quantile(quantile));
    let baseline = |quantile: f64| number(1, &move |run| run.baseline.latency.quantile(quantile));
    let memory = |bytes: fn(&Measured) -> u64| number(1, &move |run| megabytes(bytes(run)));
    let fields = [
        format!("{}: {}", name(row[0].attack), row[0].attack.title()),
        number(1, &|run| run.attack.percent()),
        quantile(0.5),
        quantile(0.99),
        baseline(0.5),
        baseline(0.99),
        memory(|run| run.memory.before),
        memory(|run| run.memory.peak),
        memory(|run| run.memory.after),
        memory(|run| run.memory.remembered),
        number(2, &|run| run.cpu),
        field(&newcomers),
        number(0, &|run| run.newcomers.latency.quantile(0.5)),
        field(&outcome),
        field(&missed_aims),
    ];
    format!("| {} |\n", fields.join(" | "))
}

/// Those of all runs.
fn newcomers(cell: &Cell) -> String {
    let sum = |count: fn(&Measured) -> u64| cell.runs.iter().map(count).sum::<u64>();
    format!("{} of {}", sum(|run| run.newcomers.admitted), sum(|run| run.newcomers.tried))
}

fn outcome(cell: &Cell) -> String {
    let counts = cell.outcome().into_iter();
    let texts: Vec<_> =
        counts
            .filter(|(_, value)| !value.is_nan())
            .map(|(name, value)| {
                if value.fract() == 0.0 { format!("{name} {value:.0}") } else { format!("{name} {value:.1}") }
            })
            .collect();
    texts.join(", ")
}

/// The missed aims of `benches/method.md`: delivery, p99, growth of the heap, and what remains of it.
fn missed_aims(cell: &Cell) -> String {
    let growth =
        |bytes: fn(&Measured) -> u64| cell.median(|run| bytes(run).saturating_sub(run.memory.before) as f64);
    let p99 = cell.median(|run| run.attack.latency.quantile(0.99));
    let calm = cell.median(|run| run.baseline.latency.quantile(0.99));
    let aims = [
        ("delivery", cell.median(|run| run.attack.percent()) >= 99.0),
        ("p99", p99 <= 2.0 * calm + 50.0),
        ("peak", growth(|run| run.memory.peak) <= MOST_GROWTH as f64),
        (
            "left over",
            growth(|run| run.memory.after.saturating_sub(run.memory.remembered)) <= MOST_LEFT as f64,
        ),
    ];
    let missed: Vec<_> = aims.iter().filter(|(_, met)| !met).map(|(aim, _)| *aim).collect();
    if missed.is_empty() { "-".to_owned() } else { missed.join(", ") }
}

/// Writes the table to its file among the results.
pub fn write(table: &str) {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    let cores = available_parallelism().map_or(1, usize::from);
    let text = format!(
        "# Results of the attack bench\n\n{now}, {cores} cores, {} {}. [How the benches measure](../method.md#attack) \
         explains the attacks and the columns.\n\n{table}",
        std::env::consts::OS,
        std::env::consts::ARCH,
    );
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results/attack.md");
    fs::write(file, text).expect("the directory of results is writable");
}
