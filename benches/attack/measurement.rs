//! The results of an attack on one implementation, and the medians over its runs.

use testkit::wire::plan::{Implementation, name};

use super::{
    attacker::Outcome,
    attacks::Attack,
    honest::{Newcomers, Window},
    plan::Timing,
    run,
};

/// The results of one run.
pub struct Measured {
    /// Before the attack; if the attackers came first, in a network without them.
    pub baseline: Window,
    pub attack: Window,
    pub memory: Memory,
    /// CPU seconds of the node a second of the attack.
    pub cpu: f64,
    pub newcomers: Newcomers,
    pub outcome: Outcome,
}

/// Live heap of the node in bytes; resident memory if the node is a program of its own.
#[derive(Clone, Copy)]
pub struct Memory {
    pub before: u64,
    /// The highest during and after the attack.
    pub peak: u64,
    /// Ten seconds after the attackers have left, or less if the heap is as before.
    pub after: u64,
    /// Of it, the bytes of seen ids and of the history; 0 if unknown.
    pub remembered: u64,
}

/// All runs of an attack on one implementation.
pub struct Cell {
    pub attack: Attack,
    pub implementation: Implementation,
    pub runs: Vec<Measured>,
    pub failures: Vec<String>,
}

impl Cell {
    pub fn new(attack: Attack, implementation: Implementation) -> Self {
        Self { attack, implementation, runs: Vec::new(), failures: Vec::new() }
    }

    /// Makes one run, if the attack applies.
    pub fn measure(&mut self, timing: &Timing) {
        let (attack, implementation) = (name(self.attack), name(self.implementation));
        if let Some(reason) = self.attack.inapplicable(self.implementation) {
            eprintln!("{attack}, {implementation}: not run: {reason}");
            return;
        }
        eprintln!("{attack}, {implementation}: {} ...", self.attack.title());
        match run::run(self.attack, self.implementation, timing) {
            Ok(measured) => {
                eprintln!("    {}", measured.summary());
                self.runs.push(measured);
            }
            Err(error) => {
                eprintln!("    failed: {error}");
                self.failures.push(error);
            }
        }
    }

    /// The median over the runs. NaN without runs.
    pub fn median(&self, value: impl Fn(&Measured) -> f64) -> f64 {
        median(self.runs.iter().map(value).collect())
    }

    /// The medians of what the attackers counted.
    pub fn outcome(&self) -> Vec<(String, f64)> {
        let mut names: Vec<&String> = Vec::new();
        for (name, _) in self.runs.iter().flat_map(|run| &run.outcome.counts) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        // Some counts are left out if they are 0.
        let value = |measured: &Measured, name: &String| {
            measured.outcome.counts.iter().find(|(other, _)| other == name).map_or(0.0, |(_, value)| *value)
        };
        let medians =
            names.into_iter().map(|name| (name.clone(), self.median(|measured| value(measured, name))));
        medians.collect()
    }
}

impl Measured {
    fn summary(&self) -> String {
        let Memory { before, peak, after, remembered } = self.memory;
        let counts = self.outcome.counts.iter().map(|(name, value)| format!(", {name} {value}"));
        format!(
            "{} -> {}; heap {:.1} -> {:.1} -> {:.1} MB ({:.1} remembered); CPU {:.2}; newcomers {}/{} in {:.0} ms{}",
            text(&self.baseline),
            text(&self.attack),
            megabytes(before),
            megabytes(peak),
            megabytes(after),
            megabytes(remembered),
            self.cpu,
            self.newcomers.admitted,
            self.newcomers.tried,
            self.newcomers.latency.quantile(0.5),
            counts.collect::<String>(),
        )
    }
}

fn text(window: &Window) -> String {
    let quantile = |quantile| window.latency.quantile(quantile);
    format!("{:.1} %, {:.1}/{:.1} ms", window.percent(), quantile(0.5), quantile(0.99))
}

impl Window {
    pub fn percent(&self) -> f64 {
        100.0 * self.delivered as f64 / self.expected as f64
    }
}

pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The middle value, or the mean of the two middle ones. NaN counts as higher than all others.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => values[count / 2 - 1].midpoint(values[count / 2]),
    }
}
