//! This module waits until a condition is true. At the time limit it panics and prints the state that it found instead.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{IdAndData, ours::Ours, theirs::Theirs};

/// The time limit of every wait.
const DEADLINE: Duration = Duration::from_secs(30);
/// The time between two calls of the probe.
const POLL: Duration = Duration::from_millis(10);

/// Calls `probe` until it returns `Some`. Panics with the state of all nodes at the deadline. `what` names the condition.
pub async fn until<T>(
    what: &str,
    ours: &Ours,
    theirs: &[&Theirs],
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        match tokio::time::timeout(DEADLINE, probe()).await {
            Ok(Some(found)) => return found,
            Ok(None) if start.elapsed() < DEADLINE => tokio::time::sleep(POLL).await,
            _ => panic!("not true within {DEADLINE:?}: {what}\n{}", state(ours, theirs).await),
        }
    }
}

/// Waits until each of the nodes has the other in its mesh.
pub async fn both_meshed(one: &Ours, other: &Ours) {
    until("the nodes are in each other's mesh", one, &[], async || {
        let is_meshed = one.mesh().await.contains(&other.peer) && other.mesh().await.contains(&one.peer);
        is_meshed.then_some(())
    })
    .await;
}

/// Waits until our node and each of `theirs` are in each other's mesh.
pub async fn meshed(ours: &Ours, theirs: &[&Theirs]) {
    until("the nodes are in each other's mesh", ours, theirs, async || {
        let mesh = ours.mesh().await;
        for peer in theirs {
            let in_both = mesh.contains(&peer.peer) && peer.mesh().await.contains(&ours.peer);
            in_both.then_some(())?;
        }
        Some(())
    })
    .await;
}

/// Waits until our node delivered `here` messages and each of `theirs` the number next to it.
pub async fn delivered(ours: &Ours, here: usize, theirs: &[(&Theirs, usize)]) {
    let peers: Vec<&Theirs> = theirs.iter().map(|(peer, _)| *peer).collect();
    until("the messages are delivered", ours, &peers, async || {
        let there = theirs.iter().all(|(peer, count)| peer.delivered().len() >= *count);
        (there && ours.delivered().len() >= here).then_some(())
    })
    .await;
}

/// Waits for `ticks` more heartbeats of our node, in which wrong messages could arrive.
pub async fn heartbeats(ours: &Ours, theirs: &[&Theirs], ticks: u64) {
    let end = ours.view().await.heartbeat_ticks + ticks;
    until("our node ran the heartbeats", ours, theirs, async || {
        (ours.view().await.heartbeat_ticks >= end).then_some(())
    })
    .await;
}

/// Asserts that each of `expected`, and no other message, was delivered once with the same id and data.
pub fn assert_exactly(node: &str, delivered: &[IdAndData], expected: &[&[IdAndData]]) {
    let mut counts: BTreeMap<&IdAndData, (usize, usize)> = BTreeMap::new();
    delivered.iter().for_each(|message| counts.entry(message).or_default().0 += 1);
    expected.iter().copied().flatten().for_each(|message| counts.entry(message).or_default().1 += 1);
    let wrong: Vec<String> = counts
        .iter()
        .filter(|(_, (delivered, expected))| delivered != expected)
        .map(|((id, data), (delivered, expected))| {
            let start = String::from_utf8_lossy(&data[..data.len().min(20)]);
            format!("{id} ({} bytes, {start:?}): {delivered} times, not {expected}", data.len())
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{node} delivered {} messages, of them wrong:\n{}",
        delivered.len(),
        wrong.join("\n")
    );
}

async fn state(ours: &Ours, theirs: &[&Theirs]) -> String {
    let mut out = ours.state().await;
    for peer in theirs {
        out.push_str(&peer.state().await);
    }
    out
}
