//! Attacks on the node's memory.

use std::time::Duration;

use testkit::wire::{clock::now, content::Content, plan::Implementation};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::{
    Attacked, Attackers, Outcome,
    flood::{Flood, flood},
    peer::{Identity, Reading},
    rpc::{Rpc, length_prefix, message},
};
use crate::plan::{ATTACKER, BULK_TOPIC, Group, TOPIC};

/// GRAFTs in an RPC: as many as the 16 KiB of control that rust-libp2p reads have room for.
const GRAFTS: u64 = 15;
/// The length of an unknown topic's name.
const LONG_NAME: usize = 1_000;

/// 60 MB/s in all.
pub async fn grafts_of_slow_readers(attackers: &Attackers) -> Attacked {
    grafts(attackers, 60, 66, Reading::Slowly(20_000)).await
}

pub async fn grafts_of_readers(attackers: &Attackers) -> Attacked {
    grafts(attackers, 100, 40, Reading::All).await
}

async fn grafts(attackers: &Attackers, peers: usize, per_second: u32, reading: Reading) -> Attacked {
    let hello = Rpc::default().subscribe(TOPIC).frame();
    flood(attackers, Flood { peers, per_second, reading, hello }, |peer, number| {
        let names = (0..GRAFTS).map(|graft| format!("{peer}/{number}/{graft}/{:x<LONG_NAME$}", ""));
        names.fold(Rpc::default(), |rpc, name| rpc.graft(&name[..LONG_NAME])).frame()
    })
    .await
}

/// A peer publishes the messages, and all others request all of them.
pub async fn requests_without_reading(attackers: &Attackers) -> Attacked {
    const PEERS: usize = 200;
    const MESSAGES: u64 = 120;
    const SIZE: usize = 55_000;
    let hello = Rpc::default().subscribe(TOPIC).frame();
    let mut peers =
        attackers.connect(&Identity::first(Group::Attacker, PEERS), &Reading::Nothing, &hello).await?;
    let publisher = Identity::new(Group::Attacker, PEERS);
    let mut publishing = attackers.connect_one(&publisher, Reading::All, &hello).await?;
    attackers.begin();
    let end = Instant::now() + attackers.duration;
    let mut ids = Vec::new();
    for number in 1..=MESSAGES {
        let content = Content { publisher: ATTACKER, number, published: now() };
        let message = message(&publisher.key, BULK_TOPIC, content, SIZE, false);
        attackers.write(&mut publishing, &Rpc::default().message(&message.bytes).frame()).await;
        ids.push(message.id);
    }
    // Until the node has handled the last message.
    sleep(Duration::from_millis(500)).await;
    let request = Rpc::default().iwant(&ids).frame();
    for peer in &mut peers {
        let _ = timeout_at(end, attackers.write(peer, &request)).await;
    }
    sleep_until(end).await;
    let closed = peers.iter().filter(|peer| !peer.is_open()).count();
    peers.push(publishing);
    Ok((Outcome::default().count("disconnected at the end", closed), peers))
}

/// The names of topics have 50 bytes, and an RPC has 100 subscriptions.
pub async fn subscriptions(attackers: &Attackers) -> Attacked {
    const PEERS: usize = 100;
    const RPCS: usize = 11;
    let mut peers = attackers.connect_subscribed(PEERS).await?;
    attackers.begin();
    let end = Instant::now() + attackers.duration;
    for number in 0..RPCS {
        for (index, peer) in peers.iter_mut().enumerate() {
            let names = (0..100).map(|topic| format!("{:.<50}", format!("{index}/{number}/{topic}")));
            let rpc = names.fold(Rpc::default(), |rpc, name| rpc.subscribe(&name));
            let _ = timeout_at(end, attackers.write(peer, &rpc.frame())).await;
        }
    }
    sleep_until(end).await;
    Ok((Outcome::default(), peers))
}

/// The largest frame is that of the implementation: 1 MiB here, 64 KiB in rust-libp2p.
pub async fn unfinished_frames(attackers: &Attackers) -> Attacked {
    const PEERS: usize = 200;
    let size = match attackers.implementation {
        Implementation::ActixGossipsub => 1 << 20,
        Implementation::RustLibp2p => 57_000,
    };
    let mut peers = attackers.connect_subscribed(PEERS).await?;
    attackers.begin();
    let end = Instant::now() + attackers.duration;
    let frame = [length_prefix(size), vec![0; size - 1]].concat();
    let writes = peers.iter_mut().map(|peer| timeout_at(end, attackers.write(peer, &frame)));
    futures::future::join_all(writes).await;
    sleep_until(end).await;
    Ok((Outcome::default(), peers))
}
