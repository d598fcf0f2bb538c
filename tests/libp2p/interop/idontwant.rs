//! These tests exchange IDONTWANT with official peers and check that neither side sends a message to a peer that
//! declined it with IDONTWANT.

use std::sync::atomic::{AtomicBool, Ordering};

use actix_gossipsub::{P2pMessage, Validity};
use libp2p::{
    PeerId,
    gossipsub::{MessageAcceptance, MessageId, Version},
};

use super::{
    IdAndData, Signing,
    ours::{Ours, Setup, Traffic},
    theirs::{self, Theirs},
    wait,
};

/// A message size in bytes above the IDONTWANT thresholds of both implementations.
const LARGE: usize = 10_000;

fn large() -> Vec<u8> {
    vec![7; LARGE]
}

/// A node that keeps received IDONTWANTs for a long time.
fn setup() -> Setup {
    let mut setup = Setup::new(Signing::Strict);
    setup.limits.extensions.idontwant_ticks = 10_000;
    setup
}

/// `Some` if an entry of the traffic satisfies `filter`.
fn has_traffic(ours: &Ours, filter: impl Fn(&Traffic) -> bool) -> Option<()> {
    ours.traffic().iter().any(filter).then_some(())
}

fn is_idontwant(message: &P2pMessage<super::ours::Net>, id: &str) -> bool {
    matches!(message, P2pMessage::IDontWant { message_ids } if message_ids.iter().any(|one| one.to_string() == id))
}

fn is_full_message(message: &P2pMessage<super::ours::Net>, id: &str) -> bool {
    matches!(message, P2pMessage::FullMessage(full) if full.message_id.to_string() == id)
}

fn has_received(ours: &Ours, from: PeerId, id: &str) -> bool {
    has_traffic(ours, |one| matches!(one, Traffic::Received(peer, message) if *peer == from && is_full_message(message, id)))
        .is_some()
}

async fn meshed_with_each_other(ours: &Ours, one: &Theirs, other: &Theirs) {
    wait::until("the official peers are in each other's mesh", ours, &[one, other], async || {
        let meshed = one.mesh().await.contains(&other.peer) && other.mesh().await.contains(&one.peer);
        meshed.then_some(())
    })
    .await;
}

/// An official peer validates a message late. If `announced`, our node sends it IDONTWANT before that. Returns whether the
/// official peer sends the message to our node.
async fn is_sent_to_us(announced: bool) -> bool {
    let mut setup = setup();
    // Our node does not forward a message of unknown validity: both receive it only from its publisher.
    setup.network = |builder| {
        let validity = |data: &[u8]| if data.len() >= LARGE { Validity::Unknown } else { Validity::Valid };
        builder.validator(move |delivery| validity(delivery.message.message.data()))
    };
    if !announced {
        setup.limits.extensions.idontwant_message_size = 0;
    }
    let ours = Ours::start_with(setup).await;
    let mut slow = theirs::config(Signing::Strict);
    slow.validate_messages();
    let near = Theirs::start("near", Signing::Strict, &slow).await;
    let publisher = Theirs::start("publisher", Signing::Strict, &theirs::config(Signing::Strict)).await;
    ours.dial(&near.address).await;
    ours.dial(&publisher.address).await;
    publisher.dial(&near.address).await;
    wait::meshed(&ours, &[&near, &publisher]).await;
    meshed_with_each_other(&ours, &publisher, &near).await;

    let published = publisher.publish(vec![large()]).await.remove(0);
    let id = published.0.as_str();
    let has = |peer: &Theirs, message: &IdAndData| peer.delivered().contains(message).then_some(());
    wait::until("both have received the message", &ours, &[&near, &publisher], async || {
        has(&near, &published)?;
        has_received(&ours, publisher.peer, id).then_some(())
    })
    .await;
    if announced {
        wait::until("our node sends IDONTWANT", &ours, &[&near], async || {
            has_traffic(
                &ours,
                |one| matches!(one, Traffic::Sent(to, message) if *to == near.peer && is_idontwant(message, id)),
            )
        })
        .await;
    }
    // A later message of our node arrives after the IDONTWANT.
    let marker = ours.publish(vec![b"ours".to_vec()]).remove(0);
    wait::until("a message after the IDONTWANT", &ours, &[&near], async || has(&near, &marker)).await;

    let (message, source) = (MessageId(hex::decode(id).expect("hexadecimal")), publisher.peer);
    let accepted = near.with_swarm(move |swarm| {
        let accept = MessageAcceptance::Accept;
        swarm.behaviour_mut().report_message_validation_result(&message, &source, accept)
    });
    assert!(accepted.await, "the message is waiting for the verdict");
    // A later message of the official peer arrives after the forwarded one.
    let marker = near.publish(vec![b"near".to_vec()]).await.remove(0);
    wait::until("a message after the verdict", &ours, &[&near], async || {
        ours.delivered().contains(&marker).then_some(())
    })
    .await;
    let sent = has_received(&ours, near.peer, id);
    ours.stop().await;
    sent
}

#[actix_rt::test]
async fn an_official_peer_does_not_send_a_message_after_our_idontwant() {
    assert!(!is_sent_to_us(true).await);
}

#[actix_rt::test]
async fn an_official_peer_sends_a_message_without_our_idontwant() {
    assert!(is_sent_to_us(false).await);
}

/// True while the verdict on large messages is unknown.
static UNDECIDED: AtomicBool = AtomicBool::new(true);

#[actix_rt::test]
async fn we_do_not_send_a_message_after_idontwant_of_an_official_peer() {
    let mut setup = setup();
    setup.network = |builder| {
        builder.validator(|delivery| {
            let is_undecided =
                delivery.message.message.data().len() >= LARGE && UNDECIDED.load(Ordering::Relaxed);
            if is_undecided { Validity::Unknown } else { Validity::Valid }
        })
    };
    let ours = Ours::start_with(setup).await;
    let config = theirs::config(Signing::Strict);
    let mut old = theirs::config(Signing::Strict);
    old.protocol_id("/meshsub/1.1.0", Version::V1_1);
    let publisher = Theirs::start("publisher", Signing::Strict, &config).await;
    let near = Theirs::start("near", Signing::Strict, &config).await;
    // `old` does not support IDONTWANT and is connected to our node only.
    let old = Theirs::start("old", Signing::Strict, &old).await;
    for peer in [&publisher, &near, &old] {
        ours.dial(&peer.address).await;
    }
    publisher.dial(&near.address).await;
    let all = [&publisher, &near, &old];
    wait::meshed(&ours, &all).await;
    meshed_with_each_other(&ours, &publisher, &near).await;

    let published = publisher.publish(vec![large()]).await.remove(0);
    let id = published.0.as_str();
    wait::until("our node has received the message, and IDONTWANT from `near`", &ours, &all, async || {
        has_received(&ours, publisher.peer, id).then_some(())?;
        has_traffic(
            &ours,
            |one| matches!(one, Traffic::Received(from, message) if *from == near.peer && is_idontwant(message, id)),
        )
    })
    .await;
    UNDECIDED.store(false, Ordering::Relaxed);
    wait::until("`old` has received the message from our node", &ours, &all, async || {
        old.delivered().contains(&published).then_some(())
    })
    .await;
    let sent = |peer: PeerId| {
        has_traffic(
            &ours,
            |one| matches!(one, Traffic::Sent(to, message) if *to == peer && is_full_message(message, id)),
        )
        .is_some()
    };
    assert!(sent(old.peer), "the message is sent to the peer without IDONTWANT");
    assert!(!sent(near.peer), "the message is not sent to the peer that sent IDONTWANT");
    assert!(near.delivered().contains(&published));
    // Our IDONTWANT is written only to peers that support it, so the connection to `old` stays up.
    assert_eq!(ours.knows(&old.peer).await, Some(true));
    assert_eq!(ours.errors(), [""; 0]);
    ours.stop().await;
}
