//! These tests exchange IDONTWANT with official peers and check that neither side sends a message to a peer that
//! declined it with IDONTWANT.

use std::sync::atomic::{AtomicBool, Ordering};

use actix_gossipsub::{P2pMessage, Validity};
use libp2p::{
    PeerId,
    gossipsub::{MessageAcceptance, MessageId, Version},
};

use super::{
    Shown, Signing,
    ours::{Ours, Passed, Setup},
    theirs::{self, Theirs},
    wait,
};

/// Beyond anybody's threshold.
const LARGE: usize = 10_000;

fn large() -> Vec<u8> {
    vec![7; LARGE]
}

/// A node that heeds what it is told for long.
fn setup() -> Setup {
    let mut setup = Setup::new(Signing::Strict);
    setup.limits.extensions.idontwant_ticks = 10_000;
    setup
}

/// Whether `peer` said, or was told, such a thing.
fn passed(ours: &Ours, such: impl Fn(&Passed) -> bool) -> Option<()> {
    ours.passed().iter().any(such).then_some(())
}

fn declines(message: &P2pMessage<super::ours::Net>, id: &str) -> bool {
    matches!(message, P2pMessage::IDontWant { message_ids } if message_ids.iter().any(|one| one.to_string() == id))
}

fn is(message: &P2pMessage<super::ours::Net>, id: &str) -> bool {
    matches!(message, P2pMessage::FullMessage(full) if full.message_id.to_string() == id)
}

fn heard(ours: &Ours, from: PeerId, id: &str) -> bool {
    passed(ours, |one| matches!(one, Passed::Heard(peer, message) if *peer == from && is(message, id)))
        .is_some()
}

async fn meshed_with_each_other(ours: &Ours, one: &Theirs, other: &Theirs) {
    wait::until("the mesh of the other two", ours, &[one, other], async || {
        let meshed = one.mesh().await.contains(&other.peer) && other.mesh().await.contains(&one.peer);
        meshed.then_some(())
    })
    .await;
}

/// An official peer judges a message late, and by then was told by us that we don't want it, or was not. Whether it
/// sends it to us.
async fn is_sent_to_us(announced: bool) -> bool {
    let mut setup = setup();
    // What is not decided is not forwarded: both have it from its publisher alone.
    setup.network = |builder| {
        let late = |data: &[u8]| if data.len() >= LARGE { Validity::Unknown } else { Validity::Valid };
        builder.validator(move |delivery| late(delivery.message.message.data()))
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
    let has = |peer: &Theirs, message: &Shown| peer.got().contains(message).then_some(());
    wait::until("the message", &ours, &[&near, &publisher], async || {
        has(&near, &published)?;
        heard(&ours, publisher.peer, id).then_some(())
    })
    .await;
    if announced {
        wait::until("our idontwant", &ours, &[&near], async || {
            passed(
                &ours,
                |one| matches!(one, Passed::Spoke(to, said) if *to == near.peer && declines(said, id)),
            )
        })
        .await;
    }
    // What we say next is heard after it.
    let marker = ours.publish(vec![b"ours".to_vec()]).remove(0);
    wait::until("what we said after it", &ours, &[&near], async || has(&near, &marker)).await;

    let (message, source) = (MessageId(hex::decode(id).expect("hexadecimal")), publisher.peer);
    let accepted = near.ask(move |swarm| {
        let accept = MessageAcceptance::Accept;
        swarm.behaviour_mut().report_message_validation_result(&message, &source, accept)
    });
    assert!(accepted.await, "it was waiting for the verdict");
    // What it says next is heard after it.
    let marker = near.publish(vec![b"near".to_vec()]).await.remove(0);
    wait::until("what it said after it", &ours, &[&near], async || {
        ours.got().contains(&marker).then_some(())
    })
    .await;
    let sent = heard(&ours, near.peer, id);
    ours.stop().await;
    sent
}

#[actix_rt::test]
async fn they_do_not_send_what_we_do_not_want() {
    assert!(!is_sent_to_us(true).await);
}

#[actix_rt::test]
async fn they_send_what_we_did_not_decline() {
    assert!(is_sent_to_us(false).await);
}

/// The verdict on large messages is still to come.
static UNDECIDED: AtomicBool = AtomicBool::new(true);

#[actix_rt::test]
async fn we_do_not_send_what_they_do_not_want() {
    let mut setup = setup();
    setup.network = |builder| {
        builder.validator(|delivery| {
            let late = delivery.message.message.data().len() >= LARGE && UNDECIDED.load(Ordering::Relaxed);
            if late { Validity::Unknown } else { Validity::Valid }
        })
    };
    let ours = Ours::start_with(setup).await;
    let config = theirs::config(Signing::Strict);
    let mut old = theirs::config(Signing::Strict);
    old.protocol_id("/meshsub/1.1.0", Version::V1_1);
    let publisher = Theirs::start("publisher", Signing::Strict, &config).await;
    let near = Theirs::start("near", Signing::Strict, &config).await;
    // It knows no IDONTWANT, and only us.
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
    wait::until("the message, and that one has it", &ours, &all, async || {
        heard(&ours, publisher.peer, id).then_some(())?;
        passed(
            &ours,
            |one| matches!(one, Passed::Heard(from, said) if *from == near.peer && declines(said, id)),
        )
    })
    .await;
    UNDECIDED.store(false, Ordering::Relaxed);
    wait::until("the message where we alone bring it", &ours, &all, async || {
        old.got().contains(&published).then_some(())
    })
    .await;
    let sent = |peer: PeerId| {
        passed(&ours, |one| matches!(one, Passed::Spoke(to, message) if *to == peer && is(message, id)))
            .is_some()
    };
    assert!(sent(old.peer), "it goes to those who want it");
    assert!(!sent(near.peer), "and not to who does not");
    assert!(near.got().contains(&published));
    // Ours was told to all, and written only to those who know the word: the others are still there.
    assert_eq!(ours.knows(&old.peer).await, Some(true));
    assert_eq!(ours.trouble(), [""; 0]);
    ours.stop().await;
}
