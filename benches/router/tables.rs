//! This module makes the tables of `benches/results` from the JSON lines of a run. A table has one row a (workload,
//! topics, peers) and one column an engine.

use std::fmt::Write;

use clap::ValueEnum;

use super::{
    matrix::{Engine, Variant, name},
    report::{Line, rounded},
};

/// The text of one cell of a table.
type CellText = fn(&Line) -> Option<String>;

/// Title, variant, whether the baseline has a column, and the text of the cells.
const TABLES: [(&str, Variant, bool, CellText); 7] = [
    ("Time: ns an input (x baseline)", Variant::Plain, true, time),
    ("Throughput: inputs/s / forwards/s, in thousands", Variant::Plain, true, throughput),
    ("Instructions an input", Variant::Plain, true, |line| integer(line.instructions_per_input)),
    ("Heartbeat: CPU ms / longest delay of a message in ms", Variant::Plain, false, heartbeat),
    ("Memory: bytes a topic / a (topic, peer)", Variant::Plain, false, memory),
    ("Time with a validation of 5 µs a message: ns an input (x baseline)", Variant::Validator, true, time),
    ("Time with bodies of 2 KiB: ns an input (x baseline)", Variant::Payload, true, time),
];

/// All tables that have a value.
pub fn tables(lines: &[Line]) -> String {
    let mut text = String::new();
    for (title, variant, with_baseline, cell) in TABLES {
        let lines: Vec<_> = lines.iter().filter(|line| line.variant == variant).collect();
        if lines.iter().any(|line| cell(line).is_some()) {
            let engines = Engine::value_variants().iter().copied();
            let engines = engines.filter(|engine| with_baseline || *engine != Engine::Baseline).collect();
            table(&mut text, title, engines, &lines, cell);
        }
    }
    text
}

fn table(text: &mut String, title: &str, engines: Vec<Engine>, lines: &[&Line], cell: CellText) {
    let names: Vec<_> = engines.iter().map(|engine| name(*engine)).collect();
    let separators = "---|".repeat(3 + names.len());
    let head = format!("\n{title}\n\n| workload | topics | peers | {} |\n|{separators}\n", names.join(" | "));
    text.push_str(&head);
    let key = |line: &Line| (line.workload, line.topics, line.peers);
    let mut rows: Vec<_> = lines.iter().map(|line| key(line)).collect();
    rows.sort();
    rows.dedup();
    for row in rows {
        let cell_of = |engine: &Engine| {
            let line = lines.iter().find(|line| key(line) == row && line.engine == *engine);
            line.and_then(|line| cell(line)).unwrap_or_default()
        };
        let cells: Vec<_> = engines.iter().map(cell_of).collect();
        let (workload, topics, peers) = row;
        // Writing to a string can't fail.
        let _ = writeln!(text, "| {} | {topics} | {peers} | {} |", name(workload), cells.join(" | "));
    }
}

fn time(line: &Line) -> Option<String> {
    let nanos = integer(line.ns_per_input)?;
    if line.engine == Engine::Baseline {
        return Some(nanos);
    }
    Some(format!("{nanos} ({})", rounded(line.ratio_to_baseline, 1)))
}

fn throughput(line: &Line) -> Option<String> {
    Some(format!("{:.0} / {:.0}", line.inputs_per_s? / 1e3, line.forwards_per_s? / 1e3))
}

fn heartbeat(line: &Line) -> Option<String> {
    let delay = line.heartbeat_max_delay_ms?;
    Some(format!("{} / {delay:.1}", rounded(line.heartbeat_cpu_ms, 1)))
}

fn memory(line: &Line) -> Option<String> {
    let per_peer = line.bytes_per_topic_peer?;
    Some(format!("{} / {per_peer:.0}", rounded(line.bytes_per_topic, 0)))
}

fn integer(value: Option<f64>) -> Option<String> {
    value.map(|value| format!("{value:.0}"))
}
