//! Attacks by which a peer loses its score, and what the node does about it.

use std::time::Duration;

use testkit::wire::{clock::now, content::Content};
use tokio::time::{Instant, interval, sleep, sleep_until, timeout_at};

use super::{
    Attacked, Attackers, Outcome,
    flood::{Flood, flood},
    observer::Observer,
    peer::{Identity, Peer, Reading},
    rpc::{Rpc, length_prefix, message},
};
use crate::plan::{ATTACKER, Group, TOPIC};

/// Until a score that has changed is looked at in a heartbeat.
const TWO_HEARTBEATS: Duration = Duration::from_millis(2_500);

fn content(number: u64) -> Content {
    Content { publisher: ATTACKER, number, published: now() }
}

/// 2,000 forged messages, then 20 valid ones, which another peer in the mesh sees or not.
pub async fn messages_at_a_low_score(attackers: &Attackers) -> Attacked {
    const FORGED: u64 = 2_000;
    const VALID: u64 = 20;
    let observer = Observer::connect(attackers, &Identity::new(Group::Attacker, 0), TOPIC).await?;
    let identity = Identity::new(Group::Attacker, 1);
    let mut attacker = Observer::connect(attackers, &identity, TOPIC).await?;
    attackers.begin();
    let end = Instant::now() + attackers.duration;
    for first in (1..=FORGED).step_by(100) {
        let numbers = first..first + 100;
        let forged = numbers.map(|number| message(&identity.key, TOPIC, content(number), 100, true));
        let rpc = forged.fold(Rpc::default(), |rpc, message| rpc.message(&message.bytes));
        let _ = timeout_at(end, attackers.write(&mut attacker.peer, &rpc.frame())).await;
    }
    sleep(TWO_HEARTBEATS).await;
    let numbers = FORGED + 1..=FORGED + VALID;
    let valid: Vec<_> =
        numbers.map(|number| message(&identity.key, TOPIC, content(number), 100, false)).collect();
    for message in &valid {
        let frame = Rpc::default().message(&message.bytes).frame();
        let _ = timeout_at(end, attackers.write(&mut attacker.peer, &frame)).await;
    }
    sleep_until(end).await;
    let forwarded = observer.observed().copies(valid.iter().map(|message| &message.id));
    let outcome = Outcome::default()
        .count("valid messages", VALID as usize)
        .count("of them forwarded", forwarded)
        .count("disconnected at the end", usize::from(!attacker.peer.is_open()));
    Ok((outcome, vec![observer.peer, attacker.peer]))
}

/// 100 RPCs of 100 GRAFTs, spread over the attack.
pub async fn grafts_during_backoff(attackers: &Attackers) -> Attacked {
    const RPCS: u32 = 100;
    let mut attacker = Observer::connect(attackers, &Identity::new(Group::Attacker, 0), TOPIC).await?;
    attackers.begin();
    let end = Instant::now() + attackers.duration;
    attackers.write(&mut attacker.peer, &Rpc::default().prune(TOPIC).frame()).await;
    let frame = (0..100).fold(Rpc::default(), |rpc, _| rpc.graft(TOPIC)).frame();
    let mut times = interval(attackers.duration / (RPCS + 10));
    let mut sent = 0;
    for _ in 0..RPCS {
        times.tick().await;
        if timeout_at(end, attackers.write(&mut attacker.peer, &frame)).await != Ok(true) {
            break;
        }
        sent += 100_usize;
    }
    sleep_until(end).await;
    let outcome = Outcome::default()
        .count("GRAFTs", sent)
        .count("PRUNEs", attacker.observed().prunes)
        .count("disconnected at the end", usize::from(!attacker.peer.is_open()));
    Ok((outcome, vec![attacker.peer]))
}

/// Each peer opens four streams a second, with a frame of garbage on each, and then connects anew: the fifth stream is
/// one too many for rust-libp2p.
pub async fn garbage(attackers: &Attackers) -> Attacked {
    const PEERS: usize = 20;
    let garbage = [length_prefix(100), vec![0xff; 100]].concat();
    let hello = Rpc::default().subscribe(TOPIC).frame();
    let identities = Identity::first(Group::Attacker, PEERS);
    let mut peers = attackers.connect(&identities, &Reading::All, &hello).await?;
    attackers.begin();
    let end = Instant::now() + attackers.duration;
    let mut times = interval(Duration::from_secs(1));
    let (mut streams, mut refused) = (0_usize, 0_usize);
    while Instant::now() < end {
        times.tick().await;
        for (peer, identity) in peers.iter_mut().zip(&identities) {
            for _ in 0..3 {
                let open = attackers.write(peer, &garbage).await && peer.reopen().await.is_ok();
                streams += usize::from(open);
            }
            match Peer::connect(&attackers.victim, identity, Reading::All).await {
                Ok(connected) => *peer = connected,
                Err(_) => refused += 1,
            }
        }
    }
    let outcome = Outcome::default().count("streams", streams).count("refused connections", refused);
    Ok((outcome, peers))
}

/// Each peer announces 1,000 messages a second and sends none.
pub async fn broken_promises(attackers: &Attackers) -> Attacked {
    const PEERS: usize = 9;
    let identity = Identity::new(Group::Attacker, PEERS);
    let mut observer = Observer::connect(attackers, &identity, TOPIC).await?;
    let announce = |peer: usize, number: u64| {
        let ids: Vec<_> =
            (0..100).map(|entry| format!("{peer:016}{number:020}{entry:010}").into_bytes()).collect();
        Rpc::default().ihave(TOPIC, &ids).frame()
    };
    let settings = Flood {
        peers: PEERS,
        per_second: 10,
        reading: Reading::All,
        hello: Rpc::default().subscribe(TOPIC).frame(),
    };
    let observing = async {
        let mut times = interval(Duration::from_millis(100));
        let (begin, mut last, mut ids) = (Instant::now(), Duration::ZERO, 0);
        // It ends a little before the others, which end the attack.
        for number in 0..attackers.duration.as_millis() as u64 / 100 - 2 {
            times.tick().await;
            attackers.write(&mut observer.peer, &announce(PEERS, number)).await;
            let wanted = observer.observed().wanted_ids;
            if wanted > ids {
                (ids, last) = (wanted, begin.elapsed());
            }
        }
        (ids, last)
    };
    let (flooded, (ids, last)) = futures::join!(flood(attackers, settings, announce), observing);
    let (outcome, mut peers) = flooded?;
    peers.push(observer.peer);
    Ok((outcome.count("ids requested of one peer", ids).count("last request after s", last.as_secs()), peers))
}
