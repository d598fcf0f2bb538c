//! The guard of the message path: counts the instructions an input of `Node`, of the engine and of the floor, and
//! those of a heartbeat, and compares them with those recorded in `guard.toml`. Looks at no clock.

use std::{collections::BTreeMap, fs, path::PathBuf};

use super::instructions::{Cell, Counted, NoCount, count};

/// So much more than recorded is allowed.
const TOLERANCE: f64 = 0.05;

const HEAD: &str = "\
# Instructions an input of the message path, and of a heartbeat a topic, counted by callgrind:
# `cargo bench --bench router -- --guard` fails when one is exceeded by more than 5 %. Written by `cargo bench --bench router -- --record`.
# The floor is no code of ours: where it differs, so do compiler, libc or processor, and the others by as much.
";

/// What the others are measured by.
const FLOOR: &str = "floor";

/// The recorded cells of workload W: name, engine, topics, peers, what is counted.
const CELLS: [(&str, &str, usize, usize, Counted); 6] = [
    (FLOOR, "floor", 10, 50, Counted::Messages),
    ("w_base", "node", 10, 50, Counted::Messages),
    ("w_1000", "node", 1000, 50, Counted::Messages),
    ("w_200_peers", "node", 10, 200, Counted::Messages),
    ("w_base_engine", "engine_1", 10, 50, Counted::Messages),
    ("heartbeat_topic", "node", 1000, 50, Counted::Heartbeat),
];

/// Why the guard does not let pass.
#[derive(Debug, thiserror::Error)]
pub enum Alarm {
    #[error(transparent)]
    NoCount(#[from] NoCount),
    #[error("{0}: {1}")]
    Record(PathBuf, String),
    #[error("{0}")]
    Exceeded(String),
}

fn path() -> PathBuf {
    // Beside this file, whichever package builds it: cargo runs a bench where it compiled it.
    PathBuf::from(file!()).with_file_name("guard.toml")
}

/// Counts and compares.
///
/// # Errors
/// A field is exceeded, or there is nothing to compare.
pub fn guard() -> Result<(), Alarm> {
    let complain = |error: String| Alarm::Record(path(), error);
    let record = fs::read_to_string(path()).map_err(|error| complain(error.to_string()))?;
    let record: BTreeMap<String, f64> =
        toml::from_str(&record).map_err(|error| complain(error.to_string()))?;
    let recorded =
        |field: &str| record.get(field).copied().ok_or_else(|| complain(format!("no field {field}")));
    let scale = measure(FLOOR)? / recorded(FLOOR)?;
    println!("{FLOOR}: {scale:.3} times the recorded; so is what is expected of the others");
    let mut exceeded = Vec::new();
    for (field, ..) in CELLS.into_iter().filter(|(field, ..)| *field != FLOOR) {
        let recorded = recorded(field)? * scale;
        let measured = measure(field)?;
        let change = measured / recorded - 1.0;
        let report =
            format!("{field}: expected {recorded:.0}, measured {measured:.0} ({:+.1} %)", change * 100.0);
        println!("{report}");
        if change > TOLERANCE {
            exceeded.push(report);
        } else if change < -TOLERANCE {
            println!("    so much less should be recorded, lest it creep back: --record");
        }
    }
    if exceeded.is_empty() { Ok(()) } else { Err(Alarm::Exceeded(exceeded.join("\n"))) }
}

/// Writes what is measured now into the record.
///
/// # Errors
/// It can't be counted or written.
pub fn record() -> Result<(), Alarm> {
    let mut text = HEAD.to_owned();
    for (field, ..) in CELLS {
        let line = format!("{field} = {:.1}\n", measure(field)?);
        print!("{line}");
        text.push_str(&line);
    }
    fs::write(path(), text).map_err(|error| Alarm::Record(path(), error.to_string()))
}

fn measure(field: &str) -> Result<f64, NoCount> {
    let cell = CELLS.into_iter().find(|(name, ..)| *name == field);
    let (_, engine, topics, peers, counted) = cell.expect("a field of the table above");
    let (workload, engine) = ("W".to_owned(), engine.to_owned());
    count(&Cell { workload, engine, topics, peers, payload: None, counted })
}
