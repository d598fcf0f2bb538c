//! When a node publishes: at its turns of a fixed rate, or as fast as it hears of the others. It knows
//! nothing of whose node it is.

use std::time::Duration;

use super::{
    account::{Account, message, now},
    plan::{Load, NODES, Plan, WARMING},
};

/// A timer that is late by less is not the network's doing.
const GRAIN: u64 = 2_000_000;

/// Publishes from `start` on, by the clock of all nodes, until the measured time is over. `publish` is given
/// a topic's number and the content.
pub async fn run(plan: Plan, account: Account, start: u64, mut publish: impl AsyncFnMut(usize, Vec<u8>)) {
    let end = start + nanos(WARMING + plan.measured);
    let mut number = 0;
    wait_until(start).await;
    while let Some(due) = turn(&plan, &account, start, end, number).await {
        // Late for a reason: that counts.
        let late = now().saturating_sub(due) > GRAIN;
        let stamp = if late { due } else { now() };
        // Topics change with each message, and differ among the nodes.
        let topic = (number as usize + plan.index * plan.topics / NODES) % plan.topics;
        account.published();
        publish(topic, message(plan.index, number, stamp, plan.size)).await;
        number += 1;
    }
}

/// Waits for the next turn, and says when it was due; `None` when time is over.
async fn turn(plan: &Plan, account: &Account, start: u64, end: u64, number: u64) -> Option<u64> {
    match plan.load {
        Load::Fixed(rate) => {
            let turn = number * NODES as u64 + plan.index as u64;
            let due = start + turn * 1_000_000_000 / u64::from(rate);
            if due >= end {
                return None;
            }
            wait_until(due).await;
            Some(due)
        }
        Load::Saturation => {
            while now() < end && number >= account.slowest(plan.index) + Load::window(plan.size) {
                account.heard().await;
            }
            (now() < end).then(now)
        }
    }
}

pub async fn wait_until(moment: u64) {
    tokio::time::sleep(Duration::from_nanos(moment.saturating_sub(now()))).await;
}

pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
