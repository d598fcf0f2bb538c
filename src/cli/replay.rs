//! `replay`: performs a recording on a node, without a network, and prints what each line caused.

mod display;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::PathBuf,
};

use actix_gossipsub::{
    libp2p::{Libp2pNetwork, SignaturePolicy},
    plain::PlainNetwork,
    protocol::Timestamp,
    recording::{Mistake, Recordable, Replay, Replayed},
};
use clap::Args;
use serde_json::{Value, json};

use super::Failure;

#[derive(Args)]
pub struct Arguments {
    /// The recording: what `node --trace` wrote; `-` reads standard input
    file: PathBuf,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Print the whole state at the end, as JSON. Times are nanoseconds since the start
    #[arg(long)]
    state: bool,
}

/// Replays a recording to its end.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let file = &arguments.file;
    let recording: Box<dyn BufRead> = if file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let opened = File::open(file).map_err(|error| Failure::Unreadable { file: file.clone(), error })?;
        Box::new(BufReader::new(opened))
    };
    let mut lines = Lines { lines: recording.lines(), number: 0 };
    let mut printer = Printer::new(BufWriter::new(io::stdout().lock()), arguments);
    let first = lines.next().unwrap_or_else(|| Err(mistake(1, "the recording is empty")));
    let replayed = first.map_err(EndReason::Mistake).and_then(|first| match network(&first).as_deref() {
        Some(PlainNetwork::NAME) => replay(|_| PlainNetwork::new(), &first, lines, &mut printer),
        _ => replay(libp2p, &first, lines, &mut printer),
    });
    match replayed.or_else(|reason| printer.flush_before(reason)) {
        Ok(()) => Ok(()),
        Err(EndReason::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(EndReason::Output(error)) => Err(Failure::Output(error)),
        Err(EndReason::Mistake(error)) => Err(Failure::Trace { file: file.clone(), error }),
    }
}

/// The kind of network in the first line of a recording.
fn network(first: &str) -> Option<String> {
    let line: Value = serde_json::from_str(first).ok()?;
    line["op"]["network"].as_str().map(str::to_owned)
}

/// The signatures of recorded messages were checked before they were recorded: the policy does not matter.
fn libp2p(persistent_points: Vec<libp2p::Multiaddr>) -> Libp2pNetwork {
    Libp2pNetwork::builder(SignaturePolicy::StrictNoSign).persistent_points(persistent_points).build()
}

fn replay<N: Recordable>(
    network: impl FnOnce(Vec<N::Point>) -> N,
    first: &str,
    lines: impl Iterator<Item = Result<String, Mistake>>,
    printer: &mut Printer<impl Write>,
) -> Result<(), EndReason> {
    let (mut replay, replayed) = Replay::start(network, first)?;
    printer.line(&replayed)?;
    for line in lines {
        printer.line(&replay.perform(&line?)?)?;
    }
    printer.end(&replay).map_err(EndReason::Output)
}

/// Why a replay stops early.
enum EndReason {
    Mistake(Mistake),
    Output(io::Error),
}

impl From<Mistake> for EndReason {
    fn from(mistake: Mistake) -> Self {
        Self::Mistake(mistake)
    }
}

impl From<io::Error> for EndReason {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// The lines of a file; an error knows its line.
struct Lines<R> {
    lines: io::Lines<R>,
    number: usize,
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<String, Mistake>;

    fn next(&mut self) -> Option<Self::Item> {
        self.number += 1;
        Some(self.lines.next()?.map_err(|error| mistake(self.number, error)))
    }
}

/// A mistake of a line as a whole.
fn mistake(line: usize, problem: impl ToString) -> Mistake {
    Mistake { line, path: "column 1".to_owned(), problem: problem.to_string() }
}

struct Printer<'a, W> {
    out: W,
    arguments: &'a Arguments,
    lines: usize,
    time: Timestamp,
    /// How often each outcome occurred, by the kind of its input.
    outcomes: BTreeMap<String, BTreeMap<String, u64>>,
}

impl<'a, W: Write> Printer<'a, W> {
    fn new(out: W, arguments: &'a Arguments) -> Self {
        Self { out, arguments, lines: 0, time: Timestamp::ZERO, outcomes: BTreeMap::new() }
    }

    fn line(&mut self, replayed: &Replayed) -> io::Result<()> {
        (self.lines, self.time) = (replayed.line, replayed.time);
        if let Some((kind, outcome)) = display::outcome_of_input(replayed) {
            *self.outcomes.entry(kind.to_owned()).or_default().entry(outcome.to_owned()).or_default() += 1;
        }
        if self.arguments.json {
            self.print(&json!(replayed))
        } else {
            display::write(&mut self.out, replayed)
        }
    }

    fn end<N: Recordable>(&mut self, replay: &Replay<N>) -> io::Result<()> {
        if self.arguments.state {
            self.print(&json!(replay.view()))?;
        }
        let Self { lines, time, outcomes, .. } = self;
        let (time, lost) = (time.as_duration(), replay.lost());
        if self.arguments.json {
            let time = time.as_nanos() as f64 / 1e6;
            let summary = json!({ "lines": lines, "time": time, "lost": lost, "outcomes": outcomes });
            self.print(&json!({ "summary": summary }))?;
        } else {
            writeln!(self.out, "\n{lines} lines, {:.3} s", time.as_secs_f64())?;
            display::write_summary(&mut self.out, outcomes, lost)?;
        }
        self.out.flush()
    }

    /// Prints the lines before a mistake. If that fails too, the mistake is what is reported.
    fn flush_before(&mut self, reason: EndReason) -> Result<(), EndReason> {
        if matches!(reason, EndReason::Mistake(_)) {
            let _ = self.out.flush();
        }
        Err(reason)
    }

    fn print(&mut self, value: &Value) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        writeln!(self.out)
    }
}
