//! Peers that send RPCs at a fixed rate, and connect again when the node closes their connection.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use libp2p::Multiaddr;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout_at},
};

use super::{
    Attacked, Attackers, Counters, Outcome,
    peer::{Identity, Peer, Reading},
};
use crate::plan::Group;

/// The time before a peer connects again.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

pub struct Flood {
    pub peers: usize,
    /// The RPCs of one peer. A peer that is not read sends fewer.
    pub per_second: u32,
    pub reading: Reading,
    /// What each peer sends first.
    pub hello: Vec<u8>,
}

/// Makes the bytes of a peer's next RPCs. It is given the index of the peer and the number of the call.
pub trait MakeRpc: Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static {}

impl<F: Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static> MakeRpc for F {}

struct Flooder<F> {
    victim: Multiaddr,
    identity: Identity,
    index: usize,
    flood: Arc<Flood>,
    counters: Arc<Counters>,
    make: Arc<F>,
}

/// Connects all peers, and floods for the duration of the attack.
///
/// # Errors
/// A peer can't connect before the attack.
pub async fn flood(attackers: &Attackers, flood: Flood, make: impl MakeRpc) -> Attacked {
    let (flood, make) = (Arc::new(flood), Arc::new(make));
    let mut tasks = JoinSet::new();
    let identities = Identity::first(Group::Attacker, flood.peers);
    let peers = attackers.connect(&identities, &flood.reading, &flood.hello).await?;
    attackers.begin();
    let end = Instant::now() + attackers.duration;
    for (index, (peer, identity)) in peers.into_iter().zip(identities).enumerate() {
        let flooder = Flooder {
            victim: attackers.victim.clone(),
            identity,
            index,
            flood: Arc::clone(&flood),
            counters: Arc::clone(&attackers.counters),
            make: Arc::clone(&make),
        };
        tasks.spawn(flooder.run(peer, end));
    }
    let peers = tasks.join_all().await.into_iter().flatten().collect();
    Ok((Outcome::default(), peers))
}

impl<F: MakeRpc> Flooder<F> {
    /// Floods until the end. Returns the connection, if there is one.
    async fn run(self, peer: Peer, end: Instant) -> Option<Peer> {
        let mut peer = Some(peer);
        let mut number = 0;
        // A connection that the node does not read blocks its writer.
        let _ = timeout_at(end, self.send(&mut peer, &mut number)).await;
        peer
    }

    async fn send(&self, peer: &mut Option<Peer>, number: &mut u64) {
        let mut times = interval(Duration::from_secs(1) / self.flood.per_second);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            times.tick().await;
            let Some(open) = peer else {
                *peer = self.reconnect().await;
                continue;
            };
            let bytes = (self.make)(self.index, *number);
            *number += 1;
            if open.write(&bytes).await.is_ok() && open.is_open() {
                self.counters.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            } else {
                self.counters.closed.fetch_add(1, Ordering::Relaxed);
                *peer = None;
            }
        }
    }

    async fn reconnect(&self) -> Option<Peer> {
        sleep(RECONNECT_DELAY).await;
        let connected = Peer::connect(&self.victim, &self.identity, self.flood.reading.clone()).await;
        if connected.is_err() {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
        }
        let mut peer = connected.ok()?;
        peer.write(&self.flood.hello).await.ok()?;
        Some(peer)
    }
}
