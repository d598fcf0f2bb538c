//! These tests check IDONTWANT on the wire. It is sent only to peers whose protocol version supports it, and it removes
//! the declined messages from the sender's queue.

use std::collections::BTreeMap;

use actix_gossipsub::{
    DropReason, P2pInput,
    libp2p::{BehaviourConfig, Event, LaneCounts, MessageId},
    protocol::{Lane, OutputBatch},
};
use futures::StreamExt;
use libp2p::{PeerId, StreamProtocol};

use super::{support::*, topic};

/// Two of ours that know each other; the second offers these protocols.
async fn pair(protocols: &[&'static str]) -> (Ours, Net, Ours) {
    let protocols = protocols.iter().map(|id| StreamProtocol::new(id)).collect();
    let (mut alice, network) = ours(BehaviourConfig::default());
    let (mut bob, _) = ours(BehaviourConfig::default().with(|c| c.protocols = protocols));
    let address = listen(&mut bob).await;
    alice.dial(address).unwrap();
    meet(&mut alice, &mut bob, 1).await;
    (alice, network, bob)
}

fn decline(ids: Vec<MessageId>) -> NetMessage {
    NetMessage::IDontWant { message_ids: ids }
}

fn dropped(event: Event, why: DropReason) -> Option<LaneCounts> {
    match event {
        Event::Dropped { reason, lanes, .. } if reason == why => Some(lanes),
        _ => None,
    }
}

/// Both directions are open: something was heard.
async fn greet(alice: &mut Ours, bob: &mut Ours) {
    hail(alice, bob).await;
    hail(bob, alice).await;
}

async fn hail(speaker: &mut Ours, listener: &mut Ours) {
    let (from, to) = (*speaker.local_peer_id(), *listener.local_peer_id());
    say(speaker, to, NetMessage::subscribe(topic()));
    until(listener, speaker, |event| inputs(event).iter().any(|input| is_from(input, from)).then_some(()))
        .await;
}

fn is_from(input: &Input, peer: PeerId) -> bool {
    matches!(input, P2pInput::InMessage { from_peer, .. } if *from_peer == peer)
}

#[tokio::test]
async fn it_is_said_over_1_2_and_dropped_over_1_1() {
    for (protocols, known) in
        [(&["/meshsub/1.2.0", "/meshsub/1.1.0"][..], true), (&["/meshsub/1.1.0"][..], false)]
    {
        let (mut alice, _, mut bob) = pair(protocols).await;
        greet(&mut alice, &mut bob).await;
        let (a, b) = (*alice.local_peer_id(), *bob.local_peer_id());
        let said = decline(vec![vec![1; 40].into(), vec![2; 40].into()]);
        say(&mut alice, b, said.clone());
        if known {
            let heard = until(&mut bob, &mut alice, |event| inputs(event).pop()).await;
            assert_eq!(heard, P2pInput::InMessage { from_peer: a, message: said });
        } else {
            let lanes = until(&mut alice, &mut bob, |event| dropped(event, DropReason::Unsupported)).await;
            assert_eq!((lanes.of(Lane::Gossip), lanes.total()), (1, 1));
        }
    }
}

#[tokio::test]
async fn a_peer_of_1_1_that_says_it_is_heard() {
    let (mut alice, _, mut bob) = pair(&["/meshsub/1.2.0", "/meshsub/1.1.0"]).await;
    greet(&mut alice, &mut bob).await;
    let a = *alice.local_peer_id();
    say(&mut bob, a, decline(vec![vec![9].into()]));
    let heard = until(&mut alice, &mut bob, |event| inputs(event).pop()).await;
    assert!(matches!(heard, P2pInput::InMessage { message: NetMessage::IDontWant { .. }, .. }), "{heard:?}");
}

/// Far more than a peer that reads nothing can be written.
const MESSAGES: usize = 200;

#[tokio::test]
async fn what_waits_for_who_does_not_want_it_is_taken_back() {
    let (mut alice, network, mut bob) = pair(&["/meshsub/1.2.0"]).await;
    greet(&mut alice, &mut bob).await;
    let (a, b) = (*alice.local_peer_id(), *bob.local_peer_id());
    let message = |n: usize| std::sync::Arc::new(network.message(topic(), vec![n as u8; 20_000]).unwrap());
    let (published, forwarded, answered) = (message(1), message(2), message(3));
    // Bob is not looked after meanwhile: he reads a little, and says one word.
    let fill: Vec<_> = (0..MESSAGES).map(message).collect();
    let rest: Vec<_> = [&published, &forwarded, &answered].map(|one| one.message_id.clone()).into();
    let mut emit = |message, lane| {
        alice.behaviour_mut().gossipsub.emit(OutputBatch::Broadcast { to: vec![b], message, lane });
    };
    fill.into_iter().for_each(|message| emit(message, Lane::Publish));
    emit(published, Lane::Publish);
    emit(forwarded, Lane::Forward);
    emit(answered.clone(), Lane::Answer);
    say(&mut bob, a, decline(rest));
    let mut lanes = BTreeMap::new();
    let work = async {
        while lanes.values().sum::<u64>() < 2 {
            if let Some(event) = gossipsub_event(alice.select_next_some().await)
                && let Some(taken) = dropped(event, DropReason::IDontWant)
            {
                taken.iter().for_each(|(lane, count)| *lanes.entry(lane.name()).or_default() += count);
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), work)
        .await
        .expect("it is told what is taken back");
    assert_eq!((lanes["publish"], lanes["forward"], lanes["iwant_response"]), (1, 1, 0));
    // All others come, and what was asked for.
    let mut heard = Vec::new();
    until(&mut bob, &mut alice, |event| {
        heard.extend(inputs(event));
        (heard.len() > MESSAGES).then_some(())
    })
    .await;
    let last = P2pInput::InMessage { from_peer: a, message: NetMessage::FullMessage(answered) };
    assert_eq!((heard.len(), heard.last()), (MESSAGES + 1, Some(&last)));
}
