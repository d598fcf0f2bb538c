//! This module replays traces line by line and collects the differences. It stops a trace at its first difference,
//! because later lines depend on it. A panic or a missing answer is a failure too.

use std::{fmt::Write as _, io::Write as _, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;

use super::{
    canonical::differences,
    driver::Driver,
    folder::{self, Kind, Trace},
    ops::{Line, Step},
    rules::ANSWER,
};

/// The time limit of a trace, which takes a few seconds.
const TIMEOUT: Duration = Duration::from_secs(300);
const MAX_REPORTED: usize = 20;

#[derive(Default)]
pub struct Report {
    pub traces: usize,
    /// The compared lines, failing ones included.
    pub lines: usize,
    pub failures: Vec<String>,
}

/// Replays all traces of a kind.
///
/// # Panics
/// If any differs, or none was found.
pub async fn conformance<D: Driver>(kind: Kind, engine: &str) {
    let (root, own) = folder::to_replay();
    let traces = folder::traces(&root, kind).unwrap_or_else(|error| panic!("{error}"));
    let report = replay::<D>(&traces).await;
    let mut line = format!("conformance: {} traces on {engine}: {} traces, ", kind.name(), report.traces);
    let _ = write!(line, "{} lines compared, {} traces differ", report.lines, report.failures.len());
    if traces.is_empty() {
        line.push_str(" (0 traces of this kind)");
    }
    print(&line);
    assert!(report.failures.is_empty(), "{}", describe(&report));
    if own {
        let expected = if kind == Kind::Automaton { 137 } else { 114 };
        assert_eq!(report.traces, expected, "traces in the repository");
    }
}

pub async fn replay<D: Driver>(traces: &[Trace]) -> Report {
    let mut report = Report { traces: traces.len(), ..Report::default() };
    for trace in traces {
        let mut line = 0;
        let run = AssertUnwindSafe(replay_one::<D>(trace, &mut line)).catch_unwind();
        let failure = match tokio::time::timeout(TIMEOUT, run).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(failure))) => Some(failure),
            Ok(Err(panic)) => Some(format!("panic: {}", message_of(&*panic))),
            Err(_) => Some("no answer".to_owned()),
        };
        report.lines += line;
        report.failures.extend(failure.map(|failure| format!("{}:{line}: {failure}", trace.name)));
    }
    report
}

/// `line` is the number of the last line that was begun.
async fn replay_one<D: Driver>(trace: &Trace, line: &mut usize) -> Result<(), String> {
    let mut driver: Option<D> = None;
    for text in trace.lines.lines() {
        *line += 1;
        let Line { op, expect } = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let step = Step::parse(&op)?;
        let answer = match (&mut driver, step) {
            (Some(driver), step) => driver.perform(step).await,
            (None, Step::Op(make)) => D::start(make).await.map(|(started, answer)| {
                driver = Some(started);
                answer
            }),
            (None, Step::Setting(_)) => Err("the first op is not `make`".to_owned()),
        };
        let answer = answer.map_err(|error| format!("{op}\n    {error}"))?;
        let differences = differences(&ANSWER, &expect, &answer);
        if !differences.is_empty() {
            return Err(format!("{op}\n    {}", differences.join("\n    ")));
        }
    }
    driver.ok_or("it is empty")?.stop().await
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("the panic has no message")
}

fn describe(report: &Report) -> String {
    let mut text = format!("{} of {} traces differ:", report.failures.len(), report.traces);
    for failure in report.failures.iter().take(MAX_REPORTED) {
        let _ = write!(text, "\n  {}", failure.chars().take(4000).collect::<String>());
    }
    text
}

/// Prints a line also when the test passes: libtest captures only the output of the print macros.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
