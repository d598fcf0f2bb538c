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

/// Two connected swarms of this crate; the second supports only these protocols.
async fn pair(protocols: &[&'static str]) -> (Ours, Net, Ours) {
    let protocols = protocols.iter().map(|id| StreamProtocol::new(id).into()).collect();
    let (mut alice, network) = ours(BehaviourConfig::default());
    let (mut bob, _) = ours(BehaviourConfig::default().with(|c| c.protocols = protocols));
    let address = listen(&mut bob).await;
    alice.dial(address).unwrap();
    meet(&mut alice, &mut bob, 1).await;
    (alice, network, bob)
}

fn idontwant(ids: Vec<MessageId>) -> NetMessage {
    NetMessage::IDontWant { message_ids: ids }
}

fn dropped(event: Event, expected: DropReason) -> Option<LaneCounts> {
    match event {
        Event::Dropped { reason, lanes, .. } if reason == expected => Some(lanes),
        _ => None,
    }
}

/// Exchanges a message in each direction, after which both streams are open.
async fn open_streams(alice: &mut Ours, bob: &mut Ours) {
    send_and_receive(alice, bob).await;
    send_and_receive(bob, alice).await;
}

async fn send_and_receive(sender: &mut Ours, receiver: &mut Ours) {
    let (from, to) = (*sender.local_peer_id(), *receiver.local_peer_id());
    send_message(sender, to, NetMessage::subscribe(topic()));
    until(receiver, sender, |event| inputs(event).iter().any(|input| is_from(input, from)).then_some(()))
        .await;
}

fn is_from(input: &Input, peer: PeerId) -> bool {
    matches!(input, P2pInput::InMessage { from_peer, .. } if *from_peer == peer)
}

#[tokio::test]
async fn idontwant_is_sent_over_1_2_and_dropped_over_1_1() {
    for (protocols, is_supported) in
        [(&["/meshsub/1.2.0", "/meshsub/1.1.0"][..], true), (&["/meshsub/1.1.0"][..], false)]
    {
        let (mut alice, _, mut bob) = pair(protocols).await;
        open_streams(&mut alice, &mut bob).await;
        let (a, b) = (*alice.local_peer_id(), *bob.local_peer_id());
        let sent = idontwant(vec![vec![1; 40].into()]);
        send_message(&mut alice, b, sent.clone());
        if is_supported {
            let received = until(&mut bob, &mut alice, |event| inputs(event).pop()).await;
            assert_eq!(received, P2pInput::InMessage { from_peer: a, message: sent });
        } else {
            let lanes = until(&mut alice, &mut bob, |event| dropped(event, DropReason::Unsupported)).await;
            assert_eq!((lanes.of(Lane::Gossip), lanes.total()), (1, 1));
        }
    }
}

#[tokio::test]
async fn idontwant_from_a_peer_of_1_1_is_received() {
    let (mut alice, _, mut bob) = pair(&["/meshsub/1.2.0", "/meshsub/1.1.0"]).await;
    open_streams(&mut alice, &mut bob).await;
    let a = *alice.local_peer_id();
    send_message(&mut bob, a, idontwant(vec![vec![9].into()]));
    let received = until(&mut alice, &mut bob, |event| inputs(event).pop()).await;
    assert!(
        matches!(received, P2pInput::InMessage { message: NetMessage::IDontWant { .. }, .. }),
        "{received:?}"
    );
}

/// More messages than can be written to a peer that does not read.
const MESSAGES: usize = 200;

#[tokio::test]
async fn idontwant_removes_queued_messages_of_all_lanes_but_answers() {
    let (mut alice, network, mut bob) = pair(&["/meshsub/1.2.0"]).await;
    open_streams(&mut alice, &mut bob).await;
    let (a, b) = (*alice.local_peer_id(), *bob.local_peer_id());
    let message = |n: usize| std::sync::Arc::new(network.message(topic(), vec![n as u8; 20_000]).unwrap());
    let (published, forwarded, answered) = (message(1), message(2), message(3));
    // Bob's swarm does not run while the messages are queued.
    let fill: Vec<_> = (0..MESSAGES).map(message).collect();
    let rest: Vec<_> = [&published, &forwarded, &answered].map(|one| one.message_id.clone()).into();
    let mut emit = |message, lane| {
        alice.behaviour_mut().gossipsub.emit(OutputBatch::Broadcast {
            to: vec![b],
            message,
            lane,
            sent_first: false,
        });
    };
    fill.into_iter().for_each(|message| emit(message, Lane::Publish));
    emit(published, Lane::Publish);
    emit(forwarded, Lane::Forward);
    emit(answered.clone(), Lane::Answer);
    send_message(&mut bob, a, idontwant(rest));
    let mut lanes = BTreeMap::new();
    let work = async {
        while lanes.values().sum::<u64>() < 2 {
            if let Some(event) = gossipsub_event(alice.select_next_some().await)
                && let Some(removed) = dropped(event, DropReason::IDontWant)
            {
                removed.iter().for_each(|(lane, count)| *lanes.entry(lane.name()).or_default() += count);
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), work)
        .await
        .expect("the removed messages are reported");
    assert_eq!((lanes["publish"], lanes["forward"], lanes["iwant_response"]), (1, 1, 0));
    // All other messages and the answer arrive.
    let mut received = Vec::new();
    until(&mut bob, &mut alice, |event| {
        received.extend(inputs(event));
        (received.len() > MESSAGES).then_some(())
    })
    .await;
    let last = P2pInput::InMessage { from_peer: a, message: NetMessage::FullMessage(answered) };
    assert_eq!((received.len(), received.last()), (MESSAGES + 1, Some(&last)));
}
