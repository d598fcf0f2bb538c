//! The checks of the demonstration at its end, each with its result: deliveries, meshes, penalties, bounds.

use std::fmt;

use actix_gossipsub::{EngineStopped, Worker, libp2p::Libp2pNetwork, protocol::Footprint};
use serde::Serialize;

use super::{deliveries::Totals, network::DemoNetwork};

/// A check and its result.
#[derive(Serialize)]
pub struct Check {
    name: &'static str,
    pub ok: bool,
    /// What was checked, and the numbers.
    detail: String,
}

impl Check {
    /// Every subscriber received every message exactly once, and there was a message.
    pub fn deliveries(totals: &Totals) -> Self {
        let Totals { published, expected, delivered, duplicates, .. } = totals;
        Self {
            name: "deliveries",
            ok: totals.missing() == 0 && *duplicates == 0 && *published > 0,
            detail: format!(
                "every subscriber got every message exactly once: {published} messages, {delivered} of {expected} \
                 deliveries, {duplicates} duplicates"
            ),
        }
    }

    /// Every mesh has at least D_low peers, or all that are there, and at most D_high.
    pub fn meshes(network: &DemoNetwork) -> Self {
        let (meshes, outside) = (network.meshes(), network.meshes_outside_bounds());
        Self {
            name: "meshes",
            ok: outside == 0,
            detail: format!(
                "every mesh has at least D_low peers or all that its node has, and at most D_high: {outside} of {meshes} \
                 do not"
            ),
        }
    }

    /// No node lowered the score of another one.
    pub fn penalties(network: &DemoNetwork) -> Self {
        let penalties: u64 = network.workers().map(penalties).sum();
        Self {
            name: "penalties",
            ok: penalties == 0,
            detail: format!("no node lowered the score of another: {penalties} penalties"),
        }
    }

    /// Every map and cache of every engine is within its bound.
    pub async fn bounds(network: &DemoNetwork, topics: usize) -> Self {
        let (mut maps, mut above) = (0, Vec::new());
        for (node, worker) in network.workers().enumerate() {
            match maps_above_bounds(worker, topics).await {
                Ok((count, found)) => {
                    maps += count;
                    above.extend(found.into_iter().map(|map| format!("{map} of node {node}")));
                }
                Err(EngineStopped) => above.push(format!("node {node}, whose engine has stopped")),
            }
        }
        let detail =
            format!("every map of every engine is within its bound: {} of {maps} are not", above.len());
        let detail = if above.is_empty() { detail } else { format!("{detail} ({})", above.join(", ")) };
        Self { name: "bounds", ok: above.is_empty(), detail }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, ok, detail } = self;
        write!(f, "{:<7}{name:<11}{detail}", if *ok { "ok" } else { "FAILED" })
    }
}

fn penalties(worker: &Worker<Libp2pNetwork>) -> u64 {
    let counts = worker.event_counts().into_iter();
    counts.filter(|(name, ..)| *name == "PENALTY").map(|(.., count)| count).sum()
}

/// The number of maps, and the names of those that are above their bounds.
async fn maps_above_bounds(
    worker: &Worker<Libp2pNetwork>,
    topics: usize,
) -> Result<(usize, Vec<&'static str>), EngineStopped> {
    let footprint = worker.footprint().await?;
    let most = Footprint::at_most(&worker.limits(), footprint.connections, topics);
    let maps: Vec<_> = footprint.maps().zip(most.maps()).collect();
    let above = maps.iter().filter(|((_, entries), (_, most))| entries > most).map(|((name, _), _)| *name);
    Ok((maps.len(), above.collect()))
}
