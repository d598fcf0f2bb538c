//! This module decides when a node of either implementation publishes: at its share of a fixed rate, or as fast as the
//! messages of the other nodes arrive.
use testkit::wire::{
    clock::{nanos, now, wait_until},
    content::Content,
    plan::{Load, NODES, Plan, WARM_UP},
};

use super::stats::Stats;

/// Nanoseconds by which a timer may be late without the load being the cause.
const TIMER_TOLERANCE: u64 = 2_000_000;

/// Publishes from `start` on, by the clock of all nodes, until the measurement ends. `publish` takes the index of a
/// topic and the content.
pub async fn run(plan: Plan, stats: Stats, start: u64, mut publish: impl AsyncFnMut(usize, Vec<u8>)) {
    let end = start + nanos(WARM_UP + plan.measured);
    let mut number = 0;
    wait_until(start).await;
    while let Some(due) = next_time(&plan, &stats, start, end, number).await {
        // If the load makes the publisher late, its delay is part of the latency.
        let late = now().saturating_sub(due) > TIMER_TOLERANCE;
        let stamp = if late { due } else { now() };
        // The topic changes with each message. Each node begins with another topic.
        let topic = (number as usize + plan.index * plan.topics / NODES) % plan.topics;
        stats.record_publication();
        let content = Content { publisher: plan.index, number, published: stamp };
        publish(topic, content.encode(plan.size)).await;
        number += 1;
    }
}

/// Waits until message `number` is due, and returns that time. `None` after the end.
async fn next_time(plan: &Plan, stats: &Stats, start: u64, end: u64, number: u64) -> Option<u64> {
    match plan.load {
        Load::Fixed(rate) => {
            let position = number * NODES as u64 + plan.index as u64;
            let due = start + position * 1_000_000_000 / u64::from(rate);
            if due >= end {
                return None;
            }
            wait_until(due).await;
            Some(due)
        }
        Load::Saturation => {
            while now() < end && number >= stats.fewest_published(plan.index) + Load::window(plan.size) {
                stats.delivery().await;
            }
            (now() < end).then(now)
        }
    }
}
