//! Measures the throughput of honest peers while one peer floods, and while each validation of one topic takes 5 ms. The
//! phases of one run are interleaved and compared as ratios, so that other load on the machine affects all of them.
//! `cargo bench --bench overload`

mod load;

use std::time::Duration;

use actix_gossipsub::{Limits, LimitsConfig};
use load::{HONEST_PEERS, Load, Pace};

/// The flooder sends 20 times what an honest peer does.
const PACE: Pace =
    Pace { phase: Duration::from_secs(3), rounds: 3, tick: Duration::from_millis(1), flood: 20, slow: 1 };

fn main() {
    println!(
        "{} rounds of {:?} a phase; {HONEST_PEERS} honest peers on as many topics",
        PACE.rounds, PACE.phase
    );
    let limits = Limits::try_from(LimitsConfig::tezos_dal()).expect("a preset");
    let rows = actix::System::new().block_on(load::measure(limits, &PACE));
    let base = rows[0].per_second();
    println!("| load | honest messages/s | ratio | refused | heartbeats skipped |");
    println!("|---|---|---|---|---|");
    for (row, load) in rows.iter().zip(Load::ALL) {
        let (rate, ratio) = (row.per_second(), row.per_second() / base);
        println!("| {} | {rate:.0} | {ratio:.3} | {} | {} |", name(load), row.refused, row.skipped);
    }
}

fn name(load: Load) -> &'static str {
    match load {
        Load::None => "none",
        Load::Flood => "one peer floods, 20 times an honest one",
        Load::SlowTopic => "one topic's verdicts take 5 ms",
        Load::Both => "both",
    }
}
