//! `replay`: performs a recorded trace on a node and shows what came of each line. It starts no engine.

mod shown;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::PathBuf,
};

use actix_gossipsub::trace::{Ended, Performed, ReplayError, replay};
use clap::Args;
use serde_json::{Value, json};

use super::Failure;

#[derive(Args)]
pub struct Arguments {
    /// The trace: what `node --trace` wrote, or a file as those in tests/traces, unpacked; `-` reads standard
    /// input
    file: PathBuf,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Print the whole state at the end, as JSON
    #[arg(long)]
    state: bool,
}

/// Replays a trace to its end.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let file = arguments.file.clone();
    let trace: Box<dyn BufRead> = if file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let opened = File::open(&file).map_err(|error| Failure::Unreadable { file: file.clone(), error })?;
        Box::new(BufReader::new(opened))
    };
    let mut printer = Printer { out: BufWriter::new(io::stdout().lock()), outcomes: BTreeMap::new() };
    let ended = replay(trace, |performed| printer.line(&performed, arguments.json)).await;
    let printed = match ended {
        Ok(ended) => printer.end(&ended, &arguments),
        Err(ReplayError::Shown(error)) => Err(error),
        Err(error) => {
            // What came before it was shown; a reader that is gone is told nothing.
            let _ = printer.out.flush();
            return Err(Failure::Trace { file, error });
        }
    };
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        _ => Ok(()),
    }
}

struct Printer<W> {
    out: W,
    /// How often each came.
    outcomes: BTreeMap<String, u64>,
}

impl<W: Write> Printer<W> {
    fn line(&mut self, performed: &Performed, as_json: bool) -> io::Result<()> {
        for name in shown::names(performed) {
            *self.outcomes.entry(name.to_owned()).or_default() += 1;
        }
        if !as_json {
            return shown::write(&mut self.out, performed);
        }
        let Performed { line, time, op, outcomes, answer, .. } = performed;
        let time = shown::milliseconds(*time);
        self.print(&json!({ "line": line, "time": time, "op": op, "outcomes": outcomes, "answer": answer }))
    }

    fn end(mut self, ended: &Ended, arguments: &Arguments) -> io::Result<()> {
        let Ended { lines, time, lost, state } = ended;
        if arguments.state {
            self.print(state)?;
        }
        if arguments.json {
            let time = shown::milliseconds(*time);
            let summary = json!({ "lines": lines, "time": time, "lost": lost, "outcomes": self.outcomes });
            self.print(&json!({ "summary": summary }))?;
        } else {
            shown::write_summary(&mut self.out, ended, &self.outcomes)?;
        }
        self.out.flush()
    }

    fn print(&mut self, value: &Value) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        writeln!(self.out)
    }
}
