//! The guard detects slow-downs: it counts the instructions of an input and of a heartbeat, and compares them with
//! `guard.toml`. Counts are scaled by that of the baseline, which changes only with the toolchain or the processor.

use std::{collections::BTreeMap, fs, io, path::PathBuf, thread};

use super::{
    instructions::{Cell, CountError, Phase},
    matrix::{Engine, Workload},
    topology::Enabled,
};

/// The increase that fails the guard, as a part of the recorded count.
const TOLERANCE: f64 = 0.05;

const HEADER: &str = "\
# Workload W, instructions an input (`heartbeat_per_topic`: a topic), counted by callgrind. Written by
# `cargo bench --bench router -- --record`. `-- --guard` fails if a count exceeds its record by more than 5 %.
# The baseline has no code of the engine. If it differs, the toolchain or the processor does; the guard scales the
# other records by it.
";

const BASELINE: &str = "baseline";

/// The increase by [`Enabled::Defences`], and by 200 peers in place of 50, that fails the guard, as a part of the count without.
const COMPARED_TOLERANCE: f64 = 0.08;

/// Names and cells of the record.
fn cells() -> [(&'static str, Cell); 10] {
    let messages = |engine, topics, peers| Cell::new(Workload::W, engine, topics, peers);
    let with = |enabled, engine| Cell { enabled, ..messages(engine, 10, 50) };
    [
        (BASELINE, messages(Engine::Baseline, 10, 50)),
        ("node_10_topics", messages(Engine::Node, 10, 50)),
        ("node_1000_topics", messages(Engine::Node, 1000, 50)),
        ("node_200_peers", messages(Engine::Node, 10, 200)),
        ("engine_10_topics", messages(Engine::Engine1, 10, 50)),
        ("engine_200_peers", messages(Engine::Engine1, 10, 200)),
        ("node_defences", with(Enabled::Defences, Engine::Node)),
        ("engine_defences", with(Enabled::Defences, Engine::Engine1)),
        ("engine_default", with(Enabled::Default, Engine::Engine1)),
        ("heartbeat_per_topic", Cell { phase: Phase::Heartbeat, ..messages(Engine::Node, 1000, 50) }),
    ]
}

/// The errors of the guard.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    #[error(transparent)]
    Count(#[from] CountError),
    #[error("router/guard.toml: {0}")]
    Io(#[from] io::Error),
    #[error("router/guard.toml: {0}")]
    Record(#[from] toml::de::Error),
    #[error("router/guard.toml: there is no `{0}`")]
    NotRecorded(&'static str),
    #[error("more instructions than recorded: {0}")]
    Exceeded(String),
}

/// The file next to this one: cargo runs a bench in the folder that the compiler's paths are relative to.
fn path() -> PathBuf {
    PathBuf::from(file!()).with_file_name("guard.toml")
}

/// Counts the cells and compares them with the record.
///
/// # Errors
/// A count exceeds its record, or there is no count or no record.
pub fn guard() -> Result<(), GuardError> {
    let record: BTreeMap<String, f64> = toml::from_str(&fs::read_to_string(path())?)?;
    let recorded = |name| record.get(name).copied().ok_or(GuardError::NotRecorded(name));
    let (mut scale, mut exceeded) = (1.0, Vec::new());
    let counts = counts()?;
    for &(name, count) in &counts {
        let expected = recorded(name)? * scale;
        let change = count / expected - 1.0;
        println!("{name}: expected {expected:.0}, counted {count:.0} ({:+.1} %)", change * 100.0);
        if name == BASELINE {
            scale = count / expected;
            println!("    the records below are scaled by {scale:.3}");
        } else if change > TOLERANCE {
            exceeded.push(name);
        } else if change < -TOLERANCE {
            println!("    record the improvement with --record, so that it is guarded");
        }
    }
    let count_of = |name| counts.iter().find(|(other, _)| *other == name).map(|(_, count)| *count);
    for (with, without) in [
        ("node_defences", "node_10_topics"),
        ("engine_defences", "engine_10_topics"),
        ("engine_200_peers", "engine_10_topics"),
    ] {
        let counted = |name| count_of(name).ok_or(GuardError::NotRecorded(name));
        let increase = counted(with)? / counted(without)? - 1.0;
        println!("{with}: {:+.1} % compared with {without}", increase * 100.0);
        if increase > COMPARED_TOLERANCE {
            exceeded.push(with);
        }
    }
    if exceeded.is_empty() { Ok(()) } else { Err(GuardError::Exceeded(exceeded.join(", "))) }
}

/// Counts the cells and writes the record.
///
/// # Errors
/// There is no count, or the file can't be written.
pub fn record() -> Result<(), GuardError> {
    let lines = counts()?.into_iter().map(|(name, count)| format!("{name} = {count:.1}\n"));
    let record = HEADER.to_owned() + &lines.collect::<String>();
    print!("{record}");
    Ok(fs::write(path(), record)?)
}

/// Counts all cells at the same time, each in its own process.
fn counts() -> Result<Vec<(&'static str, f64)>, CountError> {
    thread::scope(|scope| {
        let running = cells().map(|(name, cell)| (name, scope.spawn(move || cell.count())));
        let count = |(name, running): (_, thread::ScopedJoinHandle<'_, _>)| {
            Ok((name, running.join().expect("counting does not panic")?))
        };
        running.into_iter().map(count).collect()
    })
}
