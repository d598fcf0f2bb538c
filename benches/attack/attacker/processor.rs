//! Attacks on the node's CPU time. All RPCs are within the limits of rust-libp2p: a frame of 57 KB, 16 KiB of control
//! and 500 messages.

use testkit::wire::{clock::now, content::Content};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{
    Attacked, Attackers, Outcome,
    flood::{Flood, flood},
    peer::{Identity, Reading},
    rpc::{Rpc, message},
};
use crate::plan::{ATTACKER, BULK_TOPIC, Group, TOPIC};

fn hello() -> Vec<u8> {
    Rpc::default().subscribe(TOPIC).frame()
}

/// An id of 46 bytes that no message has.
fn unknown_id(peer: usize, number: u64, entry: u64) -> Vec<u8> {
    format!("{peer:016}{number:020}{entry:010}").into_bytes()
}

fn unknown_ids(peer: usize, number: u64, count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|entry| unknown_id(peer, number, entry)).collect()
}

/// 40 subscriptions, 20 copies of a known message and an IHAVE of 50 ids in an RPC; 6,000 RPCs a second in all.
pub async fn inputs(attackers: &Attackers) -> Attacked {
    let author = Identity::new(Group::Attacker, 0);
    let content = Content { publisher: ATTACKER, number: 1, published: now() };
    let known = message(&author.key, TOPIC, content, 100, false);
    let settings = Flood { peers: 600, per_second: 10, reading: Reading::All, hello: hello() };
    flood(attackers, settings, move |peer, number| {
        let mut rpc = Rpc::default();
        for topic in 0..40 {
            rpc = rpc.subscription(number % 2 == 0, &format!("{peer}/{topic}"));
        }
        for _ in 0..20 {
            rpc = rpc.message(&known.bytes);
        }
        rpc.ihave(TOPIC, &unknown_ids(peer, number, 50)).frame()
    })
    .await
}

/// 3.2 million empty frames a second in all, of one byte each.
pub async fn empty_rpcs(attackers: &Attackers) -> Attacked {
    let settings = Flood { peers: 100, per_second: 10, reading: Reading::All, hello: hello() };
    flood(attackers, settings, |_, _| vec![0; 3_200]).await
}

/// 15 KB of one kind in an RPC, 1,000 RPCs a second in all.
pub async fn control(attackers: &Attackers) -> Attacked {
    let settings = Flood { peers: 20, per_second: 50, reading: Reading::All, hello: hello() };
    flood(attackers, settings, |peer, number| {
        let ids = || unknown_ids(peer, number, 310);
        let rpc = Rpc::default();
        match number % 4 {
            0 => rpc.ihave(TOPIC, &ids()),
            1 => rpc.iwant(&ids()),
            2 => rpc.idontwant(&ids()),
            _ => (0..500).fold(rpc, |rpc, topic| rpc.prune(&format!("{peer}/{number}/{topic}"))),
        }
        .frame()
    })
    .await
}

/// 43 RPCs a second of 380 messages of 150 bytes: the frames are as large as rust-libp2p reads them.
pub async fn forged_messages(attackers: &Attackers) -> Attacked {
    const MESSAGES: u64 = 380;
    let author = Identity::new(Group::Attacker, 1).key;
    let settings = Flood { peers: 1, per_second: 43, reading: Reading::All, hello: hello() };
    flood(attackers, settings, move |_, number| {
        let numbers = number * MESSAGES..(number + 1) * MESSAGES;
        let contents = numbers.map(|number| Content { publisher: ATTACKER, number, published: 0 });
        let forged = contents.map(|content| message(&author, TOPIC, content, 0, true));
        forged.fold(Rpc::default(), |rpc, message| rpc.message(&message.bytes)).frame()
    })
    .await
}

/// 100,000 subscriptions and unsubscriptions a second, beyond the limit of topics.
pub async fn subscriptions(attackers: &Attackers) -> Attacked {
    let settings = Flood { peers: 20, per_second: 50, reading: Reading::All, hello: hello() };
    flood(attackers, settings, |peer, number| {
        // 30 RPCs subscribe to 3,000 topics, 30 others leave them.
        let (subscribe, first) = (number / 30 % 2 == 0, number % 30 * 100);
        let names = (first..first + 100).map(|topic| format!("{peer}/{topic}"));
        names.fold(Rpc::default(), |rpc, name| rpc.subscription(subscribe, &name)).frame()
    })
    .await
}

/// Two peers that read nothing are sent 1,000 messages a second, and send 28 RPCs a second of 300 IDONTWANTs.
pub async fn idontwants(attackers: &Attackers) -> Attacked {
    let settings = Flood {
        peers: 2,
        per_second: 14,
        reading: Reading::Nothing,
        hello: Rpc::default().subscribe(BULK_TOPIC).graft(BULK_TOPIC).frame(),
    };
    let author = Identity::new(Group::Attacker, settings.peers);
    let reading = Reading::All;
    let mut publisher = attackers.connect_one(&author, reading, &hello()).await?;
    let end = Instant::now() + attackers.duration;
    let counters = std::sync::Arc::clone(&attackers.counters);
    let mut publishing = JoinSet::new();
    publishing.spawn(async move {
        let mut times = tokio::time::interval(std::time::Duration::from_millis(20));
        for round in 0.. {
            times.tick().await;
            let contents = (round * 20..round * 20 + 20).map(|number| Content {
                publisher: ATTACKER,
                number,
                published: 0,
            });
            let messages = contents.map(|content| message(&author.key, BULK_TOPIC, content, 200, false));
            let bytes = messages.fold(Rpc::default(), |rpc, message| rpc.message(&message.bytes)).frame();
            match timeout_at(end, publisher.write(&bytes)).await {
                Ok(Ok(())) => {
                    counters.sent.fetch_add(bytes.len() as u64, std::sync::atomic::Ordering::Relaxed);
                }
                _ => return,
            }
        }
    });
    flood(attackers, settings, |peer, number| {
        let ids = unknown_ids(peer, number, 300);
        ids.chunks(1).fold(Rpc::default(), |rpc, id| rpc.idontwant(id)).frame()
    })
    .await
    .map(|(_, peers)| (Outcome::default(), peers))
}
