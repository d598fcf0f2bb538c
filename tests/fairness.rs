//! One peer's backlog, or one topic's, delays no other: what honest peers keep of their throughput, as
//! ratios of phases of one run. They send far less than the engine can do: it is starvation that shows.

#[path = "support/overload.rs"]
mod overload;

use std::time::Duration;

use actix_gossipsub::{Limits, LimitsConfig};
use overload::{HONEST_PEERS, Load, Pace};

/// What may wait of all peers.
const ROOM: usize = 2048;
/// A peer's fair share of it.
const SHARE: u64 = ROOM as u64 / (HONEST_PEERS + 2);

/// The flooder wants 20 times its share, and more than the engine can do: it is at the door all the time.
/// The slow topic gets more than twice what one verdict after the other would allow.
const PACE: Pace = Pace {
    phase: Duration::from_millis(1300),
    rounds: 2,
    tick: Duration::from_millis(4),
    flood: 20 * SHARE,
    slow: 2,
};

#[test]
fn a_flooding_peer_and_a_slow_topic_cost_the_others_nothing() {
    let mut config = LimitsConfig::tezos_dal();
    config.bounds.max_input_items = ROOM;
    config.heartbeat_interval = Duration::from_millis(500);
    let limits = Limits::try_from(config).expect("a valid change");
    let rows = actix::System::new().block_on(overload::measure(limits, &PACE));
    for (row, load) in rows.iter().zip(Load::ALL) {
        let ratio = row.per_second() / rows[0].per_second();
        assert!(ratio >= 0.9, "{load:?}: honest peers keep {ratio:.3} of their throughput: {row:?}");
        assert!(row.refused > 0 || !load.floods(), "{load:?}: the flood found room for all: {row:?}");
        assert!(row.heartbeats > 0 && row.skipped == 0, "{load:?}: {row:?}");
    }
}
