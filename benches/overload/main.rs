//! Measures the throughput of honest peers while one peer floods, and while each validation of one topic takes 5 ms. The
//! phases of one run are interleaved and compared as ratios, so that other load on the machine affects all of them.
//! `cargo bench --bench overload`

mod load;

use std::time::Duration;

use actix_gossipsub::{Limits, LimitsConfig};
use load::{ExtraLoad, HONEST_PEERS, Schedule};

/// The flooder sends 20 times as many messages as an honest peer.
const SCHEDULE: Schedule =
    Schedule { phase: Duration::from_secs(3), rounds: 3, tick: Duration::from_millis(1), flood: 20, slow: 1 };

fn main() {
    println!(
        "{} rounds of {:?} a phase; {HONEST_PEERS} honest peers on as many topics",
        SCHEDULE.rounds, SCHEDULE.phase
    );
    let limits = Limits::try_from(LimitsConfig::tezos_dal()).expect("a preset");
    let results = actix::System::new().block_on(load::measure(limits, &SCHEDULE));
    let base = results[0].per_second();
    println!("| load | honest messages/s | ratio | refused | heartbeats skipped |");
    println!("|---|---|---|---|---|");
    for (result, load) in results.iter().zip(ExtraLoad::ALL) {
        let (rate, ratio) = (result.per_second(), result.per_second() / base);
        println!("| {} | {rate:.0} | {ratio:.3} | {} | {} |", name(load), result.refused, result.skipped);
    }
}

fn name(load: ExtraLoad) -> &'static str {
    match load {
        ExtraLoad::None => "none",
        ExtraLoad::Flood => "one peer floods, 20 times an honest one",
        ExtraLoad::SlowTopic => "one topic's verdicts take 5 ms",
        ExtraLoad::Both => "both",
    }
}
