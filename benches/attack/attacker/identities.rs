//! Attacks by messages that are known already.

use std::time::Duration;

use testkit::wire::{clock::now, content::Content};
use tokio::time::{Instant, interval, sleep, timeout_at};

use super::{
    Attacked, Attackers, Outcome,
    observer::Observer,
    peer::{Identity, Reading},
    rpc::{Message, Rpc, message},
};
use crate::plan::{ATTACKER, BULK_TOPIC, Group, TOPIC};

/// Until the node has handled and forwarded what it was sent last.
const SETTLING_TIME: Duration = Duration::from_secs(3);

/// The node publishes twice a second. What it published in 5 s is sent back 8 s later, when its ids are forgotten.
pub async fn replayed_own_messages(attackers: &Attackers) -> Attacked {
    let observer = Observer::connect(attackers, &Identity::new(Group::Attacker, 0), TOPIC).await?;
    let hello = Rpc::default().subscribe(TOPIC).frame();
    let mut attacker =
        attackers.connect_one(&Identity::new(Group::Attacker, 1), Reading::All, &hello).await?;
    attackers.begin();
    sleep(Duration::from_secs(5)).await;
    // Honest peers publish on this topic too.
    let own = victim_id(attackers);
    let is_own = |id: &&Vec<u8>| id.starts_with(&own);
    let captured: Vec<Message> = observer
        .observed()
        .messages
        .iter()
        .filter(|(id, _)| is_own(id))
        .map(|(id, (bytes, _))| Message { id: id.clone(), bytes: bytes.clone() })
        .collect();
    if captured.is_empty() {
        return Err("the node published nothing".to_owned());
    }
    sleep(Duration::from_secs(8)).await;
    let (sent, forwarded) = replay(attackers, &mut attacker, &observer, &captured).await;
    let outcome =
        Outcome::default().count("own messages replayed", sent).count("of them taken as new", forwarded);
    Ok((outcome, vec![observer.peer, attacker]))
}

/// On a topic that the honest peers have not joined, since they would have to check all signatures: 50 messages of one
/// peer, 9,000 messages a second of another for 30 s, then the 50 again.
pub async fn evicted_ids(attackers: &Attackers) -> Attacked {
    const OLD: u64 = 50;
    const ROUNDS: u64 = 2_700;
    const BATCH: u64 = 100;
    let observer = Observer::connect(attackers, &Identity::new(Group::Attacker, 0), BULK_TOPIC).await?;
    let hello = Rpc::default().subscribe(BULK_TOPIC).frame();
    let honest = Identity::new(Group::Attacker, 1);
    let mut publisher = attackers.connect_one(&honest, Reading::All, &hello).await?;
    let identity = Identity::new(Group::Attacker, 2);
    let mut attacker = attackers.connect_one(&identity, Reading::All, &hello).await?;
    attackers.begin();
    let content = |number| Content { publisher: ATTACKER, number, published: now() };
    let old: Vec<_> =
        (1..=OLD).map(|number| message(&honest.key, BULK_TOPIC, content(number), 100, false)).collect();
    for message in &old {
        attackers.write(&mut publisher, &Rpc::default().message(&message.bytes).frame()).await;
    }
    let end = Instant::now() + Duration::from_secs(30);
    let mut times = interval(Duration::from_secs(30) / ROUNDS as u32);
    let mut valid = 0_usize;
    for round in 0..ROUNDS {
        times.tick().await;
        let numbers = round * BATCH..(round + 1) * BATCH;
        let messages =
            numbers.map(|number| message(&identity.key, BULK_TOPIC, content(number + 1), 24, false));
        let rpc = messages.fold(Rpc::default(), |rpc, message| rpc.message(&message.bytes));
        if timeout_at(end, attackers.write(&mut attacker, &rpc.frame())).await != Ok(true) {
            break;
        }
        valid += BATCH as usize;
    }
    // The flood has its own connection; the replay comes by another, which the node may read at once.
    let (sent, forwarded) = replay(attackers, &mut publisher, &observer, &old).await;
    let outcome = Outcome::default()
        .count("valid messages", valid)
        .count("old ones replayed", sent)
        .count("of them taken as new", forwarded);
    Ok((outcome, vec![observer.peer, publisher, attacker]))
}

/// Sends messages again and returns how many, and how many more copies the observer got.
async fn replay(
    attackers: &Attackers,
    attacker: &mut super::peer::Peer,
    observer: &Observer,
    messages: &[Message],
) -> (usize, usize) {
    sleep(SETTLING_TIME).await;
    let ids = || messages.iter().map(|message| &message.id);
    let before = observer.observed().copies(ids());
    for message in messages {
        attackers.write(attacker, &Rpc::default().message(&message.bytes).frame()).await;
    }
    sleep(SETTLING_TIME).await;
    (messages.len(), observer.observed().copies(ids()) - before)
}

fn victim_id(attackers: &Attackers) -> Vec<u8> {
    let peer = attackers.victim.iter().find_map(|part| match part {
        libp2p::multiaddr::Protocol::P2p(peer) => Some(peer.to_bytes()),
        _ => None,
    });
    peer.expect("the node's address names it")
}
