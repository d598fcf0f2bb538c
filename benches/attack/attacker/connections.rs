//! Attacks by connections.

use std::{collections::VecDeque, time::Duration};

use futures::{StreamExt, stream};
use testkit::wire::tcp;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

use super::{
    Attacked, Attackers, CONCURRENT_DIALS, Outcome,
    peer::{Identity, Peer, Reading},
    rpc::Rpc,
};
use crate::plan::{Group, TOPIC, address};

pub async fn none(attackers: &Attackers) -> Attacked {
    attackers.begin();
    sleep(attackers.duration).await;
    Ok((Outcome::default(), Vec::new()))
}

/// The Sybils stay in the mesh and forward nothing.
pub async fn silent_mesh(attackers: &Attackers, sybils: usize) -> Attacked {
    let hello = Rpc::default().subscribe(TOPIC).graft(TOPIC).frame();
    let peers = attackers.connect(&Identity::first(Group::Attacker, sybils), &Reading::All, &hello).await?;
    // Until the mesh is theirs.
    sleep(Duration::from_secs(2)).await;
    attackers.begin();
    // The coordinator ends the attack, since the honest peers only come now.
    sleep(attackers.duration).await;
    Ok((Outcome::default(), peers))
}

/// Silent connections. At most 5,000 at a time, so that this process has enough file descriptors.
pub async fn silent_tcp(attackers: &Attackers) -> Attacked {
    const PER_TICK: usize = 9;
    const MOST: usize = 5_000;
    let target = tcp::socket_address(&attackers.victim).expect("the node listens on TCP");
    let source = address(Group::Attacker, 0);
    // The first must succeed.
    tcp::connect(source, target).await.map_err(|error| format!("an attacker can't connect: {error}"))?;
    attackers.begin();
    let end = Instant::now() + attackers.duration;
    let mut times = interval(Duration::from_millis(10));
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open = VecDeque::new();
    let (mut connected, mut failed) = (0_usize, 0_usize);
    while Instant::now() < end {
        times.tick().await;
        let connecting = (0..PER_TICK).map(|_| timeout(Duration::from_secs(1), tcp::connect(source, target)));
        for result in futures::future::join_all(connecting).await {
            match result {
                Ok(Ok(stream)) => {
                    connected += 1;
                    open.push_back(stream);
                }
                _ => failed += 1,
            }
        }
        while open.len() > MOST {
            open.pop_front();
        }
    }
    let outcome = Outcome::default().count("connections", connected).count("failed", failed);
    Ok((outcome, Vec::new()))
}

/// Peers that subscribe, as many as the node lets in.
pub async fn one_address(attackers: &Attackers) -> Attacked {
    const PEERS: usize = 1_100;
    let hello = Rpc::default().subscribe(TOPIC).frame();
    let connecting = stream::iter(0..PEERS).map(async |_| {
        let identity = Identity { source: address(Group::Attacker, 0), ..Identity::new(Group::Attacker, 0) };
        let mut peer = Peer::connect(&attackers.victim, &identity, Reading::All).await.ok()?;
        peer.write(&hello).await.ok()?;
        Some(peer)
    });
    let peers: Vec<_> =
        connecting.buffer_unordered(CONCURRENT_DIALS).filter_map(async |peer| peer).collect().await;
    if peers.is_empty() {
        return Err("no attacker can connect".to_owned());
    }
    attackers.begin();
    sleep(attackers.duration).await;
    let open = peers.iter().filter(|peer| peer.is_open()).count();
    Ok((Outcome::default().count("connections at the end", open), peers))
}

pub async fn mass_disconnection(attackers: &Attackers) -> Attacked {
    const PEERS: usize = 500;
    let peers = attackers.connect_subscribed(PEERS).await?;
    attackers.begin();
    let end = Instant::now() + attackers.duration;
    sleep(Duration::from_secs(1)).await;
    drop(peers);
    sleep_until(end).await;
    Ok((Outcome::default(), Vec::new()))
}
