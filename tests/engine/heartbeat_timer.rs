//! The timer of the heartbeat, on a clock that jumps to the next timer.

use std::time::Duration;

use actix_gossipsub::{Worker, plain::PlainNetwork};

use crate::support::*;

#[test]
fn the_first_heartbeat_comes_an_interval_after_the_initial_delay() {
    for (delay, expected) in [(60, [0, 1, 2]), (0, [60, 61, 62])] {
        run(async move {
            tokio::time::pause();
            let limits = changed(|limits| {
                limits.extensions.heartbeat_initial_delay = Duration::from_secs(delay);
            });
            let builder = Worker::builder(PlainNetwork::new(), limits).arbiters(0);
            let engine = start(builder, &["a"]);
            tokio::time::sleep(Duration::from_millis(60_500)).await;
            for expected in expected {
                assert_eq!(engine.worker.last_heartbeat().tick, expected, "with a delay of {delay} s");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            engine.worker.shutdown().await;
        });
    }
}
