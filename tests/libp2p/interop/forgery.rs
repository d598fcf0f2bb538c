//! These tests send messages that violate the signature policy. Such messages must be neither delivered nor forwarded,
//! and the connections of honest peers must stay up.

use actix_gossipsub::{P2pMessage, libp2p::SignatureError};
use libp2p::{
    PeerId,
    gossipsub::{MessageAuthenticity, ValidationMode},
    identity::Keypair,
};

use super::{
    IdAndData, Signing,
    ours::{Ours, Setup, Traffic},
    raw_message::{RawMessage, send_raw},
    theirs::{self, Theirs},
    wait,
};

const BAD_MESSAGES: usize = 10;
const GOOD_MESSAGES: usize = 20;

fn data(sender: &str, from: usize) -> Vec<Vec<u8>> {
    (from..from + GOOD_MESSAGES).map(|n| format!("{sender} {n}").into_bytes()).collect()
}

/// Two honest peers exchange messages through our node before, while and after `misbehave` runs. Returns our node and
/// the misbehaving peer.
async fn with_misbehaving_peer(
    signing: Signing,
    misbehave: impl AsyncFnOnce(&Ours, &Theirs) -> PeerId,
) -> (Ours, PeerId) {
    let config = theirs::config(signing);
    let (left, right) =
        (Theirs::start("left", signing, &config).await, Theirs::start("right", signing, &config).await);
    let mut setup = Setup::new(signing);
    // All messages are checked, however low the score of their sender is.
    let extensions = &mut setup.limits.extensions;
    (extensions.graylist_threshold, extensions.disconnect_threshold) = (None, None);
    let ours = Ours::start_with(setup).await;
    ours.dial(&left.address).await;
    right.dial(&ours.address).await;
    let both = [&left, &right];
    wait::meshed(&ours, &both).await;

    let (mut from_left, mut from_us) = (left.publish(data("left", 0)).await, ours.publish(data("ours", 0)));
    let bad = misbehave(&ours, &left).await;
    from_left.extend(left.publish(data("left", GOOD_MESSAGES)).await);
    from_us.extend(ours.publish(data("ours", GOOD_MESSAGES)));
    wait::until("our node counts the invalid messages", &ours, &both, async || {
        (ours.worker.stats().count_recv_invalid_app_messages >= BAD_MESSAGES as u64).then_some(())
    })
    .await;
    from_left.extend(left.publish(data("left", 2 * GOOD_MESSAGES)).await);
    wait::delivered(
        &ours,
        from_left.len(),
        &[(&left, from_us.len()), (&right, from_left.len() + from_us.len())],
    )
    .await;
    wait::heartbeats(&ours, &both, 2).await;
    wait::assert_exactly("ours", &ours.delivered(), &[&from_left]);
    wait::assert_exactly("left", &left.delivered(), &[&from_us]);
    wait::assert_exactly("right", &right.delivered(), &[&from_left, &from_us]);
    assert_only_bad_peer_penalised(&ours, bad, &both, &[from_left, from_us].concat()).await;
    (ours, bad)
}

/// Only the bad peer has a negative score, and our node sent none of its messages.
async fn assert_only_bad_peer_penalised(ours: &Ours, bad: PeerId, good: &[&Theirs], published: &[IdAndData]) {
    let (score, mesh) = (ours.score(&bad).await, ours.mesh().await);
    assert!(score < 0.0, "the bad peer's score is {score}");
    assert!(!mesh.contains(&bad));
    for peer in good {
        assert!(ours.score(&peer.peer).await >= 0.0 && mesh.contains(&peer.peer));
    }
    for entry in ours.traffic() {
        if let Traffic::Sent(_, P2pMessage::FullMessage(full)) = entry {
            let id = full.message_id.to_string();
            assert!(published.iter().any(|(good, _)| *good == id), "we sent {full}");
        }
    }
}

/// The signature errors of the messages from `peer`.
fn signature_errors(ours: &Ours, peer: PeerId) -> Vec<Option<SignatureError>> {
    let error = |entry| match entry {
        Traffic::Received(from, P2pMessage::FullMessage(full)) if from == peer => {
            Some(full.message.signature_error())
        }
        _ => None,
    };
    ours.traffic().into_iter().filter_map(error).collect()
}

#[actix_rt::test]
async fn unsigned_messages_in_the_name_of_another_peer_are_invalid() {
    let (ours, bad) = with_misbehaving_peer(Signing::Strict, async |ours, left| {
        let mut config = theirs::config(Signing::Strict);
        config.validation_mode(ValidationMode::None);
        let author = MessageAuthenticity::Author(left.peer);
        publish_bad_messages(
            ours,
            Theirs::start_with("bad", Keypair::generate_ed25519(), author, &config).await,
        )
        .await
    })
    .await;
    assert_eq!(signature_errors(&ours, bad), [Some(SignatureError::MissingSignature); BAD_MESSAGES]);
    ours.stop().await;
}

#[actix_rt::test]
async fn signed_messages_are_invalid_on_an_anonymous_network() {
    let (ours, bad) = with_misbehaving_peer(Signing::Anonymous, async |ours, _| {
        publish_bad_messages(
            ours,
            Theirs::start("bad", Signing::Strict, &theirs::config(Signing::Strict)).await,
        )
        .await
    })
    .await;
    assert_eq!(signature_errors(&ours, bad), [Some(SignatureError::UnexpectedSource); BAD_MESSAGES]);
    ours.stop().await;
}

async fn publish_bad_messages(ours: &Ours, bad: Theirs) -> PeerId {
    bad.dial(&ours.address).await;
    wait::until("the bad peer is connected and subscribed", ours, &[&bad], async || {
        let subscribed =
            bad.subscriptions_of(ours.peer) == [true] && ours.knows(&bad.peer).await == Some(true);
        subscribed.then_some(())
    })
    .await;
    bad.publish((0..BAD_MESSAGES).map(|n| format!("bad {n}").into_bytes()).collect()).await;
    let peer = bad.peer;
    // The bad peer runs until the actix system of the test ends.
    actix_rt::spawn(async move {
        std::future::pending::<()>().await;
        drop(bad);
    });
    peer
}

/// The official implementation cannot create wrong signatures, so the test encodes the messages itself.
#[actix_rt::test]
async fn messages_altered_after_signing_are_invalid() {
    let (ours, bad) = with_misbehaving_peer(Signing::Strict, async |ours, left| {
        let messages: Vec<_> = (0..BAD_MESSAGES).map(|n| altered(left.peer, n as u64)).collect();
        send_raw(&messages, &[&ours.address])
    })
    .await;
    assert_eq!(signature_errors(&ours, bad), [Some(SignatureError::BadSignature); BAD_MESSAGES]);
    ours.stop().await;
}

/// A message from `source`, with a signature of another key over other data.
fn altered(source: PeerId, seqno: u64) -> RawMessage {
    let signed = RawMessage::signed(&Keypair::generate_ed25519(), seqno, b"good");
    RawMessage { from: Some(source), data: b"evil".to_vec(), ..signed }
}
