//! These tests send messages that violate the signature policy. Such messages must be neither delivered nor forwarded,
//! and the connections of honest peers must stay up.

use actix_gossipsub::{P2pMessage, libp2p::SignatureError};
use futures::StreamExt;
use libp2p::{
    PeerId,
    gossipsub::{MessageAuthenticity, ValidationMode},
    identity::Keypair,
    swarm::SwarmEvent,
};

use super::{
    Shown, Signing, TOPIC,
    ours::{Ours, Passed},
    raw::{Raw, Reads, other},
    theirs::{self, Theirs},
    wait,
};

const BAD: usize = 10;
const GOOD: usize = 20;

fn data(who: &str, from: usize) -> Vec<Vec<u8>> {
    (from..from + GOOD).map(|n| format!("{who} {n}").into_bytes()).collect()
}

/// Two good peers that talk through us, before, while and after `misbehave` does its worst.
async fn undisturbed(
    signing: Signing,
    misbehave: impl AsyncFnOnce(&Ours, &Theirs) -> PeerId,
) -> (Ours, PeerId) {
    let config = theirs::config(signing);
    let (left, right) =
        (Theirs::start("left", signing, &config).await, Theirs::start("right", signing, &config).await);
    let ours = Ours::start(signing).await;
    ours.dial(&left.address).await;
    right.dial(&ours.address).await;
    let both = [&left, &right];
    wait::meshed(&ours, &both).await;

    let (mut by_left, mut by_us) = (left.publish(data("left", 0)).await, ours.publish(data("ours", 0)));
    let bad = misbehave(&ours, &left).await;
    by_left.extend(left.publish(data("left", GOOD)).await);
    by_us.extend(ours.publish(data("ours", GOOD)));
    wait::until("the bad messages", &ours, &both, async || {
        (ours.worker.stats().count_recv_invalid_app_messages >= BAD as u64).then_some(())
    })
    .await;
    by_left.extend(left.publish(data("left", 2 * GOOD)).await);
    wait::delivered(&ours, by_left.len(), &[(&left, by_us.len()), (&right, by_left.len() + by_us.len())])
        .await;
    wait::heartbeats(&ours, &both, 2).await;
    wait::assert_exactly("ours", &ours.got(), &[&by_left]);
    wait::assert_exactly("left", &left.got(), &[&by_us]);
    wait::assert_exactly("right", &right.got(), &[&by_left, &by_us]);
    assert_contained(&ours, bad, &both, &[by_left, by_us].concat()).await;
    (ours, bad)
}

/// The bad peer alone is blamed, and nothing of its messages left us.
async fn assert_contained(ours: &Ours, bad: PeerId, good: &[&Theirs], published: &[Shown]) {
    let (score, mesh) = (ours.score(&bad).await, ours.mesh().await);
    assert!(score < 0.0, "the bad peer's score is {score}");
    assert!(!mesh.contains(&bad));
    for peer in good {
        assert!(ours.score(&peer.peer).await >= 0.0 && mesh.contains(&peer.peer));
    }
    for entry in ours.passed() {
        if let Passed::Spoke(_, P2pMessage::FullMessage(full)) = entry {
            let id = full.message_id.to_string();
            assert!(published.iter().any(|(good, _)| *good == id), "we sent {full}");
        }
    }
}

/// The signature errors of the messages from `peer`.
fn signature_errors(ours: &Ours, peer: PeerId) -> Vec<Option<SignatureError>> {
    let error = |entry| match entry {
        Passed::Heard(from, P2pMessage::FullMessage(full)) if from == peer => {
            Some(full.message.signature_error())
        }
        _ => None,
    };
    ours.passed().into_iter().filter_map(error).collect()
}

#[actix_rt::test]
async fn unsigned_messages_in_anothers_name_among_signed_ones() {
    let (ours, bad) = undisturbed(Signing::Strict, async |ours, left| {
        let mut config = theirs::config(Signing::Strict);
        config.validation_mode(ValidationMode::None);
        let author = MessageAuthenticity::Author(left.peer);
        publish_badly(ours, Theirs::start_with("bad", Keypair::generate_ed25519(), author, &config).await)
            .await
    })
    .await;
    assert_eq!(signature_errors(&ours, bad), [Some(SignatureError::MissingSignature); BAD]);
    ours.stop().await;
}

#[actix_rt::test]
async fn signed_messages_among_anonymous_ones() {
    let (ours, bad) = undisturbed(Signing::Anonymous, async |ours, _| {
        publish_badly(ours, Theirs::start("bad", Signing::Strict, &theirs::config(Signing::Strict)).await)
            .await
    })
    .await;
    assert_eq!(signature_errors(&ours, bad), [Some(SignatureError::UnexpectedSource); BAD]);
    ours.stop().await;
}

async fn publish_badly(ours: &Ours, bad: Theirs) -> PeerId {
    bad.dial(&ours.address).await;
    wait::until("its connection", ours, &[&bad], async || {
        let subscribed = bad.heard_of(ours.peer) == [true] && ours.knows(&bad.peer).await == Some(true);
        subscribed.then_some(())
    })
    .await;
    bad.publish((0..BAD).map(|n| format!("bad {n}").into_bytes()).collect()).await;
    let peer = bad.peer;
    // It stays until the test's system ends.
    actix_rt::spawn(async move {
        std::future::pending::<()>().await;
        drop(bad);
    });
    peer
}

/// The official peer can't be made to sign wrongly: bytes written by hand.
#[actix_rt::test]
async fn messages_altered_after_they_were_signed() {
    let (ours, bad) = undisturbed(Signing::Strict, async |ours, left| {
        let mut raw = other(|_| Raw::new(Reads::All));
        let (peer, us) = (*raw.local_peer_id(), ours.peer);
        raw.dial(ours.address.clone()).unwrap();
        let mut frames = frame(&subscription());
        (0..BAD).for_each(|n| frames.extend(frame(&altered(left.peer, n as u64))));
        actix_rt::spawn(async move {
            loop {
                if let SwarmEvent::ConnectionEstablished { .. } = raw.select_next_some().await {
                    raw.behaviour_mut().write(us, frames.clone(), 1_000);
                }
            }
        });
        peer
    })
    .await;
    assert_eq!(signature_errors(&ours, bad), [Some(SignatureError::BadSignature); BAD]);
    ours.stop().await;
}

fn frame(rpc: &[u8]) -> Vec<u8> {
    [&varint(rpc.len()), rpc].concat()
}

fn subscription() -> Vec<u8> {
    let entry = [&[8, 1][..], &field(2, TOPIC.as_bytes())].concat();
    field(1, &entry)
}

/// An RPC with one message that says to be from `source` and is signed by somebody else over other data.
fn altered(source: PeerId, seqno: u64) -> Vec<u8> {
    let fields = |data: &[u8]| {
        let (source, seqno) = (field(1, &source.to_bytes()), field(3, &seqno.to_be_bytes()));
        [source, field(2, data), seqno, field(4, TOPIC.as_bytes())].concat()
    };
    let signed = [b"libp2p-pubsub:".to_vec(), fields(b"good")].concat();
    let signature = Keypair::generate_ed25519().sign(&signed).unwrap();
    field(2, &[fields(b"evil"), field(5, &signature)].concat())
}

/// A field of bytes in protobuf.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &varint(bytes.len()), bytes].concat()
}

fn varint(mut n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}
