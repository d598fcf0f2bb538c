//! The tables of `benches/README.md`, from the lines of a run: one row a place, one column an engine. Measures
//! nothing.

use std::fmt::Write;

use super::{
    report::{Line, shown},
    selection::{Engine, Variant, Word},
};

/// What a table shows of a line.
type Cell = fn(&Line) -> Option<String>;

/// Each with its title, the variant it is about, and whether the floor has a column.
const TABLES: [(&str, Variant, bool, Cell); 7] = [
    ("Time: ns an input (x floor)", Variant::Plain, true, time),
    ("Throughput: inputs/s / forwards/s, in thousands", Variant::Plain, true, throughput),
    ("Instructions an input", Variant::Plain, true, |line| whole(line.instructions_per_input)),
    ("Heartbeat: CPU ms / longest wait of a message in ms", Variant::Plain, false, heartbeat),
    ("Memory: bytes a topic / a (topic, peer)", Variant::Plain, false, memory),
    ("Time with a validator of 5 us a message: ns an input (x floor)", Variant::Validator, true, time),
    ("Time with bodies of 2 KiB: ns an input (x floor)", Variant::Payload, true, time),
];

/// All tables for which there are lines.
pub fn tables(lines: &[Line]) -> String {
    let mut text = String::new();
    for (title, variant, floor, cell) in TABLES {
        let lines: Vec<_> = lines.iter().filter(|line| line.variant == variant.word()).collect();
        if lines.iter().any(|line| cell(line).is_some()) {
            let engines = if floor { Engine::ALL } else { &Engine::ALL[1..] };
            table(&mut text, title, engines, &lines, cell);
        }
    }
    text
}

fn table(text: &mut String, title: &str, engines: &[Engine], lines: &[&Line], cell: Cell) {
    let names: Vec<_> = engines.iter().map(|engine| engine.word()).collect();
    let rules = "---|".repeat(3 + names.len());
    let head = format!("\n{title}\n\n| workload | topics | peers | {} |\n|{rules}\n", names.join(" | "));
    text.push_str(&head);
    let place = |line: &Line| (line.workload.clone(), line.topics, line.peers);
    let mut places: Vec<_> = lines.iter().map(|line| place(line)).collect();
    places.sort();
    places.dedup();
    for of in places {
        let cell_of = |engine: &Engine| {
            let line = lines.iter().find(|line| place(line) == of && line.engine == engine.word());
            line.and_then(|line| cell(line)).unwrap_or_default()
        };
        let cells: Vec<_> = engines.iter().map(cell_of).collect();
        let (workload, topics, peers) = of;
        // Writing to a string can't fail.
        let _ = writeln!(text, "| {workload} | {topics} | {peers} | {} |", cells.join(" | "));
    }
}

fn time(line: &Line) -> Option<String> {
    let nanos = whole(line.ns_per_input)?;
    if line.engine == Engine::Floor.word() {
        return Some(nanos);
    }
    Some(format!("{nanos} ({})", shown(line.ratio_to_floor, 1)))
}

fn throughput(line: &Line) -> Option<String> {
    Some(format!("{:.0} / {:.0}", line.inputs_per_s? / 1e3, line.forwards_per_s? / 1e3))
}

fn heartbeat(line: &Line) -> Option<String> {
    Some(format!("{} / {}", shown(line.heartbeat_cpu_ms, 1), shown(Some(line.heartbeat_max_wait_ms?), 1)))
}

fn memory(line: &Line) -> Option<String> {
    Some(format!("{} / {}", shown(line.bytes_per_topic, 0), shown(Some(line.bytes_per_topic_peer?), 0)))
}

fn whole(value: Option<f64>) -> Option<String> {
    value.map(|value| format!("{value:.0}"))
}
