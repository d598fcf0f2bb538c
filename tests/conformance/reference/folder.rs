//! This module finds and reads the trace files, and separates automaton traces from worker traces.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

/// The environment variable that names another folder of traces of the same form.
pub const VARIABLE: &str = "ACTIX_GOSSIPSUB_TRACES";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Automaton,
    Worker,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Automaton, Self::Worker];

    pub fn name(self) -> &'static str {
        match self {
            Self::Automaton => "automaton",
            Self::Worker => "worker",
        }
    }

    /// The kind of a trace: the first line of a worker trace names its own peer.
    fn of(lines: &str) -> Result<Self, String> {
        let first = lines.lines().next().ok_or("it is empty")?;
        let first: Value = serde_json::from_str(first).map_err(|error| error.to_string())?;
        Ok(if first["op"].get("self").is_some() { Self::Worker } else { Self::Automaton })
    }
}

pub struct Trace {
    pub name: String,
    pub lines: String,
}

/// The folder to replay, and whether it is the folder of the repository.
pub fn to_replay() -> (PathBuf, bool) {
    match std::env::var_os(VARIABLE) {
        Some(other) => (other.into(), false),
        None => (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces"), true),
    }
}

/// The traces of a kind, by name. An error if there is none of any kind.
pub fn traces(root: &Path, kind: Kind) -> Result<Vec<Trace>, String> {
    let mut found = Vec::new();
    let mut count = 0;
    for folder in Kind::ALL {
        let files = files(&root.join(folder.name()))?;
        count += files.len();
        if folder == kind {
            for file in files {
                found.push(read(&file)?);
            }
        }
    }
    for file in files(root)? {
        count += 1;
        let trace = read(&file)?;
        if Kind::of(&trace.lines).map_err(|error| format!("{}: {error}", file.display()))? == kind {
            found.push(trace);
        }
    }
    if count == 0 { Err(format!("no trace in {}", root.display())) } else { Ok(found) }
}

/// The trace files of a folder, without those of its subfolders; none if there is no such folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error| format!("{}: {error}", folder.display());
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.to_string_lossy();
        if name.ends_with(".jsonl") || name.ends_with(".jsonl.gz") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<Trace, String> {
    let failed = |error| format!("{}: {error}", file.display());
    let bytes = fs::read(file).map_err(failed)?;
    let mut lines = String::new();
    if file.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(&bytes[..]).read_to_string(&mut lines).map_err(failed)?;
    } else {
        (&bytes[..]).read_to_string(&mut lines).map_err(failed)?;
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let name = name.trim_end_matches(".gz").trim_end_matches(".jsonl").to_owned();
    Ok(Trace { name, lines })
}
