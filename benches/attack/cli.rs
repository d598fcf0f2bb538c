//! The command line selects attacks, implementations and durations.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use testkit::wire::plan::Implementation;

use super::{attacks::Attack, plan::Timing};

/// Attacks a node of this crate and one of rust-libp2p's gossipsub, and measures what honest peers notice.
#[derive(Parser)]
pub struct Cli {
    /// Attacks; all by default
    #[arg(long = "only", value_enum, value_delimiter = ',')]
    only: Vec<Attack>,
    /// Implementations
    #[arg(long = "implementation", value_enum, value_delimiter = ',')]
    #[arg(default_values_t = Implementation::value_variants().to_vec())]
    pub implementations: Vec<Implementation>,
    /// Runs of each attack and implementation, of which the median counts; by default 3, or 1 with `--quick`
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// Short phases and one run: less than 20 minutes in all
    #[arg(long)]
    pub quick: bool,
    /// Write the table to benches/results/attack.md
    #[arg(long)]
    pub write: bool,
    /// Run one of the processes, controlled by standard input
    #[arg(value_enum, hide = true)]
    pub process: Option<Process>,
    /// Added by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// The processes of a run, beside the one that coordinates them.
#[derive(Clone, Copy, ValueEnum)]
pub enum Process {
    Victim,
    Honest,
    Attackers,
}

impl Cli {
    pub fn attacks(&self) -> Vec<Attack> {
        let all = Attack::value_variants();
        all.iter().copied().filter(|attack| self.only.is_empty() || self.only.contains(attack)).collect()
    }

    pub fn runs(&self) -> usize {
        self.runs.unwrap_or(if self.quick { 1 } else { 3 }) as usize
    }

    pub fn timing(&self, attack: Attack) -> Timing {
        let (baseline, seconds) = if self.quick { (3, 8) } else { (6, 20) };
        let seconds = seconds.max(attack.least_seconds());
        Timing { baseline: Duration::from_secs(baseline), attack: Duration::from_secs(seconds) }
    }
}
