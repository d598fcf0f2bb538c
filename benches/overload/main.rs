//! The throughput that honest peers keep while one peer floods, and while the validation on one topic takes 5 ms a
//! message. The loads run in turn, phase by phase, so that each meets the same noise of the machine.

mod load;

use std::time::Duration;

use actix_gossipsub::{Limits, LimitsConfig};
use clap::Parser;
use load::{HONEST_PEERS, Load, Settings};

/// The flooding peer sends this number of messages for each one of an honest peer.
const FLOOD: u64 = 20;

/// Measures the throughput of honest peers under overload.
#[derive(Parser)]
struct Cli {
    /// Phases of each load
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of a phase
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Added by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let Cli { rounds, seconds, .. } = Cli::parse();
    let settings = Settings {
        phase: Duration::from_secs(seconds),
        rounds,
        tick: Duration::from_millis(1),
        flood: FLOOD,
        slow: 1,
    };
    println!(
        "{rounds} rounds of {seconds} s a phase; {HONEST_PEERS} honest peers, each on a topic of its own"
    );
    let limits = Limits::try_from(LimitsConfig::tezos_dal()).expect("a preset");
    let results = actix::System::new().block_on(load::measure(limits, &settings));
    let base = results[0].per_second();
    println!("| load | honest messages/s | ratio | refused | heartbeats skipped |");
    println!("|---|---|---|---|---|");
    for (result, load) in results.iter().zip(Load::ALL) {
        let (rate, ratio) = (result.per_second(), result.per_second() / base);
        println!("| {load} | {rate:.0} | {ratio:.3} | {} | {} |", result.refused, result.skipped);
    }
}
