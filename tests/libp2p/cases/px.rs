//! Peer exchange: the peers that a PRUNE recommends.

use std::panic::panic_any;

use libp2p::{
    Multiaddr,
    core::{PeerRecord, SignedEnvelope},
    identity::Keypair,
};

use crate::cases::{
    TOPIC, cases,
    peer::{Options, Peer},
    target::{Kind, Setup},
    trial::{NoMeans, trial},
    wire::{Prune, Rpc},
};

cases! {
    "30" a_prune_recommends_peers_with_their_signed_records Differs(
        "a recommended peer",
        "it recommends none by default, and never with a record",
    );
    "G12" peers_that_a_peer_of_low_score_recommends_are_not_dialled Agrees;
    "G13" recommended_peers_are_dialled_by_valid_records_and_within_the_limit Differs(
        "a recommended peer is dialled",
        "it reads no signed records, and knows no address of a recommended peer",
    );
}

/// A PRUNE that recommends peers, with their records in the format of the specification.
fn recommend(peers: Vec<(Vec<u8>, Vec<u8>)>) -> Rpc {
    let prune = Prune { topic: Some(TOPIC.into()), peers, backoff: Some(60) };
    Rpc { prune: vec![prune], ..Rpc::default() }
}

fn record(key: &Keypair, addresses: &[&Multiaddr]) -> Vec<u8> {
    let addresses = addresses.iter().map(|address| (*address).clone()).collect();
    PeerRecord::new_interop(key, addresses)
        .expect("the key signs")
        .into_signed_envelope()
        .into_protobuf_encoding()
}

async fn peers_that_a_peer_of_low_score_recommends_are_not_dialled(kind: Kind) {
    if kind == Kind::Program {
        panic_any(NoMeans("to set AcceptPXThreshold"));
    }
    trial(kind, Setup::default(), async |trial| {
        let (attacker, recommended) = (trial.in_mesh().await, Peer::start(Options::default()).await);
        let entry = (recommended.id.to_bytes(), record(&recommended.key, &[&recommended.address]));
        attacker.send(recommend(vec![entry]));
        trial.handled(&attacker).await;
        trial.heartbeats(5).await;
        assert!(!recommended.is_connected());
    })
    .await;
}

/// The limit is PrunePeers, 16.
async fn recommended_peers_are_dialled_by_valid_records_and_within_the_limit(kind: Kind) {
    trial(kind, Setup { accept_px: 0.0, honest: false, ..Setup::default() }, async |trial| {
        let attacker = trial.in_mesh().await;
        let (trap, other) = (Peer::start(Options::default()).await, Keypair::generate_ed25519());
        let mut entries = Vec::new();
        for _ in 0..20 {
            // The record of another peer, a record with a wrong signature, and one that is none.
            let peer = || Keypair::generate_ed25519();
            let forged = |mut record: Vec<u8>| {
                *record.last_mut().unwrap() ^= 1;
                record
            };
            let id = |key: &Keypair| key.public().to_peer_id().to_bytes();
            let (first, second, third) = (peer(), peer(), peer());
            entries.push((id(&first), record(&other, &[&trap.address])));
            entries.push((id(&second), forged(record(&second, &[&trap.address]))));
            entries.push((id(&third), b"no record".to_vec()));
        }
        let mut recommended = Vec::new();
        for _ in 0..20 {
            let peer = Peer::start(Options::default()).await;
            entries.push((peer.id.to_bytes(), record(&peer.key, &[&peer.address])));
            recommended.push(peer);
        }
        // Those with good records come first for half of the attackers, and last for the others.
        attacker.send(recommend(entries.clone()));
        let second = trial.in_mesh().await;
        entries.reverse();
        second.send(recommend(entries));
        let dialled = || recommended.iter().filter(|peer| peer.is_connected()).count();
        trial.wait("a recommended peer is dialled", async || dialled() > 0).await;
        trial.handled(&attacker).await;
        trial.handled(&second).await;
        trial.heartbeats(5).await;
        assert!(!trap.is_connected());
        assert!(dialled() <= 16, "{} peers dialled for one PRUNE", dialled());
    })
    .await;
}

/// The first step of a star whose leaves connect among each other: the target leaves the topic, and names its other peer.
async fn a_prune_recommends_peers_with_their_signed_records(kind: Kind) {
    trial(kind, Setup { px: true, honest: false, ..Setup::default() }, async |trial| {
        let options = || Options { record: true, ..Options::default() };
        let peers = [trial.peer(options()).await, trial.peer(options()).await];
        for peer in &peers {
            trial.enter_mesh(peer).await;
        }
        // Identify has brought the records.
        trial.heartbeats(3).await;
        trial.join(TOPIC, false).await;
        let rpc = peers[0].until("PRUNE", |rpc| !rpc.prune.is_empty()).await;
        let recommended = rpc.prune[0].peers.iter().find(|(peer, _)| *peer == peers[1].id.to_bytes());
        let (_, record) = recommended.expect("a recommended peer");
        let envelope = || SignedEnvelope::from_protobuf_encoding(record).expect("a record");
        let standard = PeerRecord::from_signed_envelope_interop(envelope());
        let record = standard.or_else(|_| PeerRecord::from_signed_envelope(envelope())).expect("a record");
        assert_eq!(record.peer_id(), peers[1].id);
    })
    .await;
}
