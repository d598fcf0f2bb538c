//! This module waits until a condition is true. At the time limit it panics and prints the state that it found instead.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{Shown, ours::Ours, theirs::Theirs};

/// Beyond this, what did not happen won't.
const DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks.
const POLL: Duration = Duration::from_millis(10);

/// Looks until `probe` finds something; panics with everybody's state if it never does.
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
            _ => panic!("within {DEADLINE:?} not: {what}\n{}", state(ours, theirs).await),
        }
    }
}

/// Waits until we and each of `theirs` have each other in the mesh.
pub async fn meshed(ours: &Ours, theirs: &[&Theirs]) {
    until("the meshes", ours, theirs, async || {
        let mesh = ours.mesh().await;
        for peer in theirs {
            let known = mesh.contains(&peer.peer) && peer.mesh().await.contains(&ours.peer);
            known.then_some(())?;
        }
        Some(())
    })
    .await;
}

/// Waits until we got `here` messages and each of `theirs` the number beside it.
pub async fn delivered(ours: &Ours, here: usize, theirs: &[(&Theirs, usize)]) {
    let peers: Vec<&Theirs> = theirs.iter().map(|(peer, _)| *peer).collect();
    until("the deliveries", ours, &peers, async || {
        let there = theirs.iter().all(|(peer, count)| peer.got().len() >= *count);
        (there && ours.got().len() >= here).then_some(())
    })
    .await;
}

/// Waits for `ticks` more heartbeats of ours: time for what should not come to come.
pub async fn heartbeats(ours: &Ours, theirs: &[&Theirs], ticks: u64) {
    let end = ours.view().await.heartbeat_ticks + ticks;
    until("the heartbeats", ours, theirs, async || (ours.view().await.heartbeat_ticks >= end).then_some(()))
        .await;
}

/// Each of `expected` was delivered once, and nothing else was, as the same data under the same id.
pub fn assert_exactly(who: &str, got: &[Shown], expected: &[&[Shown]]) {
    let mut counts: BTreeMap<&Shown, (usize, usize)> = BTreeMap::new();
    got.iter().for_each(|message| counts.entry(message).or_default().0 += 1);
    expected.iter().copied().flatten().for_each(|message| counts.entry(message).or_default().1 += 1);
    let wrong: Vec<String> = counts
        .iter()
        .filter(|(_, (got, expected))| got != expected)
        .map(|((id, data), (got, expected))| {
            let start = String::from_utf8_lossy(&data[..data.len().min(20)]);
            format!("{id} ({} bytes, {start:?}): {got} times, not {expected}", data.len())
        })
        .collect();
    assert!(wrong.is_empty(), "{who} got, in {} messages:\n{}", got.len(), wrong.join("\n"));
}

async fn state(ours: &Ours, theirs: &[&Theirs]) -> String {
    let mut out = ours.state().await;
    for peer in theirs {
        out.push_str(&peer.state().await);
    }
    out
}
