//! Reads a trace line by line and performs it on a [`Node`](crate::protocol::Node). Judges nothing: a recorded
//! expectation is handed on beside the answer.

use std::io::{self, BufRead};

use serde_json::Value;

#[cfg(feature = "libp2p")]
use super::values::Libp2p;
use super::{
    automaton::Automaton,
    engine::Driver,
    fields::Mistake,
    node_engine::NodeEngine,
    op::{Line, Step},
    values::{Plain, Reference},
    worker::WorkerDriver,
};
use crate::protocol::Timestamp;

/// A line that was performed.
#[derive(Clone, Debug)]
pub struct Performed {
    /// Its number, from 1.
    pub line: usize,
    /// When, in the trace's time.
    pub time: Timestamp,
    /// What was done.
    pub op: Value,
    /// What became of each input in it, as the automaton's traces have it (FORMAT.md, 4).
    pub outcomes: Vec<Value>,
    /// What it caused, as this kind of trace has it.
    pub answer: Value,
    /// What the trace says that it causes.
    pub expected: Option<Value>,
}

/// A trace that was performed to its end.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How many lines it has.
    pub lines: usize,
    /// Its last time.
    pub time: Timestamp,
    /// How many inputs it says that it lacks: from there on the replay is not what happened.
    pub lost: u64,
    /// The whole state (FORMAT.md, 6, with detail).
    pub state: Value,
}

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A line can't be read.
    #[error("line {line}: {mistake}")]
    Mistake {
        /// Which.
        line: usize,
        /// What is wrong in it.
        mistake: Mistake,
    },
    /// A line can't be performed.
    #[error("line {line}: {problem}")]
    Impossible {
        /// Which.
        line: usize,
        /// Why.
        problem: String,
    },
    /// The trace can't be read.
    #[error("line {line}: {error}")]
    Unreadable {
        /// Which.
        line: usize,
        /// Why.
        error: io::Error,
    },
    /// Who is shown the lines takes no more.
    #[error(transparent)]
    Shown(io::Error),
}

/// Performs a trace of any kind, and shows each line.
///
/// # Errors
/// A line can't be read or performed, or `show` fails. The lines before it were shown.
pub async fn replay(
    trace: impl BufRead,
    show: impl FnMut(Performed) -> io::Result<()>,
) -> Result<Ended, ReplayError> {
    let mut lines = Lines { trace, number: 0, text: String::new() };
    let Some(first) = lines.next()? else {
        return Err(ReplayError::Impossible { line: 1, problem: "the trace is empty".to_owned() });
    };
    let (is_worker, network) = (first.op.get("self").is_some(), first.op.get("network").cloned());
    match network.as_ref().and_then(Value::as_str) {
        None if is_worker => perform::<WorkerDriver<NodeEngine<Reference, true>>>(first, lines, show).await,
        None => perform::<Automaton<Reference>>(first, lines, show).await,
        Some("plain") => perform::<WorkerDriver<NodeEngine<Plain, true>>>(first, lines, show).await,
        #[cfg(feature = "libp2p")]
        Some("libp2p") => perform::<WorkerDriver<NodeEngine<Libp2p, true>>>(first, lines, show).await,
        Some(other) => {
            let mistake = Mistake::new("op.network", format!("`{other}` is not known here"));
            Err(ReplayError::Mistake { line: 1, mistake })
        }
    }
}

async fn perform<D: Driver>(
    first: Line,
    mut lines: Lines<impl BufRead>,
    mut show: impl FnMut(Performed) -> io::Result<()>,
) -> Result<Ended, ReplayError> {
    let impossible = |line| move |problem| ReplayError::Impossible { line, problem };
    let Step::Op(make) = step::<D>(&first, lines.number)? else {
        return Err(impossible(1)("the first op is not `make`".to_owned()));
    };
    let (mut driver, answer) = D::start(make).await.map_err(impossible(1))?;
    let (mut line, mut answer) = (first, answer);
    loop {
        let Line { op, expect: expected } = line;
        let (time, outcomes) = (driver.now(), driver.outcomes());
        show(Performed { line: lines.number, time, op, outcomes, answer, expected })
            .map_err(ReplayError::Shown)?;
        let Some(next) = lines.next()? else { break };
        answer = driver.perform(step::<D>(&next, lines.number)?).await.map_err(impossible(lines.number))?;
        line = next;
    }
    let state = driver.state().await.map_err(impossible(lines.number))?;
    let ended = Ended { lines: lines.number, time: driver.now(), lost: driver.lost(), state };
    driver.stop().await.map_err(impossible(lines.number))?;
    Ok(ended)
}

fn step<D: Driver>(line: &Line, number: usize) -> Result<Step<D::Values, D::Op>, ReplayError> {
    Step::parse(&line.op).map_err(|mistake| ReplayError::Mistake { line: number, mistake })
}

/// The lines of a trace, one at a time.
struct Lines<R> {
    trace: R,
    number: usize,
    text: String,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<Line>, ReplayError> {
        self.text.clear();
        let line = self.number + 1;
        let read = self.trace.read_line(&mut self.text);
        if read.map_err(|error| ReplayError::Unreadable { line, error })? == 0 {
            return Ok(None);
        }
        self.number = line;
        Line::read(self.text.trim_end()).map(Some).map_err(|mistake| ReplayError::Mistake { line, mistake })
    }
}
