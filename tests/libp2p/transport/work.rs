//! These tests check what a connection may do at once, on which thread it does so, and what a copy of a message costs.

use std::{
    collections::HashSet,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use actix_gossipsub::libp2p::{
    BehaviourConfig, FrameDecoder, Libp2pNetwork, MessageId, SignaturePolicy, TransportConfig, fuzz, swarm,
};
use actix_gossipsub::{Network, P2pInput};
use futures::StreamExt;
use libp2p::{PeerId, Swarm, identity::Keypair};
use tokio::sync::watch;

use super::{support::*, topic};

/// Connects a raw peer to `node`. Returns it with the peer id of the node.
async fn raw_peer(node: &mut Ours) -> (Swarm<Raw>, PeerId) {
    let mut raw = other(|_| Raw::new(Reads::All));
    let listening = node.listeners().next().cloned();
    let address = match listening {
        Some(address) => address,
        None => listen(node).await,
    };
    raw.dial(address).unwrap();
    until(node, &mut raw, connected).await;
    (raw, *node.local_peer_id())
}

/// Lets a swarm run by itself.
fn run(mut swarm: Swarm<Raw>) {
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
}

/// The frames of these messages, as one frame.
fn one_frame(messages: &[NetMessage], network: &Net) -> Vec<u8> {
    let mut decoder = FrameDecoder::new(usize::MAX);
    decoder.extend(&fuzz::write(messages, network).unwrap());
    let mut rpc = Vec::new();
    while let Some(frame) = decoder.next_frame().unwrap() {
        // Encoded messages that follow each other are one message.
        rpc.extend_from_slice(frame);
    }
    let (mut length, mut frame) = (rpc.len(), Vec::new());
    while length > 127 {
        frame.push(length as u8 | 128);
        length >>= 7;
    }
    frame.push(length as u8);
    [frame, rpc].concat()
}

/// Closed until it is opened.
#[derive(Default)]
struct Latch(Mutex<bool>, Condvar);

impl Latch {
    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    /// Blocks the thread until the latch is open. Returns false after 15 s.
    fn wait(&self) -> bool {
        let open = self.0.lock().unwrap();
        let (open, _) = self.1.wait_timeout_while(open, Duration::from_secs(15), |open| !*open).unwrap();
        *open
    }
}

#[tokio::test]
async fn a_busy_connection_stops_neither_the_swarm_nor_another_connection() {
    let (latch, threads) = (Arc::new(Latch::default()), Arc::new(Mutex::new(HashSet::<ThreadId>::new())));
    let (busy, mut is_busy) = watch::channel(false);
    let (at_latch, ran_on) = (latch.clone(), threads.clone());
    let network = Libp2pNetwork::builder(SignaturePolicy::StrictNoSign).message_id(move |_, message| {
        ran_on.lock().unwrap().insert(thread::current().id());
        if message.data() == b"busy" {
            busy.send_replace(true);
            assert!(at_latch.wait(), "the message of the other connection was not delivered meanwhile");
        }
        message.data().into()
    });
    let network = network.build();
    let key = Keypair::generate_ed25519();
    let mut node = swarm(key, network.clone(), &TransportConfig::default()).unwrap();
    let author = Libp2pNetwork::builder(SignaturePolicy::StrictNoSign).build();
    let frame = |data: &[u8]| {
        let message = author.message(topic(), data).unwrap();
        fuzz::write(&[NetMessage::FullMessage(message.into())], &author).unwrap()
    };
    let (frames, us) = ([frame(b"free"), frame(b"busy")], *node.local_peer_id());
    let received = |event| match inputs(event).pop()? {
        P2pInput::InMessage { message: NetMessage::FullMessage(full), .. } => {
            Some(full.message.data().to_vec())
        }
        _ => None,
    };

    let (mut slow, _) = raw_peer(&mut node).await;
    slow.behaviour_mut().write(us, frames[1].clone(), 100);
    run(slow);
    tokio::time::timeout(Duration::from_secs(10), is_busy.wait_for(|busy| *busy)).await.unwrap().unwrap();
    // A whole connection is negotiated, and a message received, while the other one is busy.
    let (mut fast, _) = raw_peer(&mut node).await;
    fast.behaviour_mut().write(us, frames[0].clone(), 100);
    assert_eq!(until(&mut node, &mut fast, received).await, b"free");
    latch.open();
    assert_eq!(until(&mut node, &mut fast, received).await, b"busy");
    assert_eq!(network.transport_stats().hook_panics, 0);
    let threads = threads.lock().unwrap();
    assert_eq!(threads.len(), 2);
    assert!(!threads.contains(&thread::current().id()));
}

#[tokio::test]
async fn an_rpc_of_5000_subscriptions_and_an_ihave_of_5000_ids_are_accepted_and_what_is_more_is_ignored() {
    let (mut node, network) = ours(BehaviourConfig::default());
    let (mut raw, us) = raw_peer(&mut node).await;
    let subscribe = |number: usize| NetMessage::subscribe(format!("topic-{number}").into());
    let ids = (0..5_000u32).map(|number| [&number.to_be_bytes()[..], &[7; 36]].concat().into()).collect();
    let ihave = NetMessage::IHave { topic: topic(), message_ids: ids };
    let honest: Vec<_> = (0..5_000).map(subscribe).chain([ihave]).collect();
    // Beyond the limit of 20,000.
    let excessive: Vec<_> = (0..20_100).map(subscribe).collect();
    let mut bytes = one_frame(&honest, &network);
    bytes.extend(one_frame(&excessive, &network));
    bytes.extend(one_frame(&[subscribe(0)], &network));
    raw.behaviour_mut().write(us, bytes, 8_192);

    let mut received = Vec::new();
    let mut events = 0;
    until(&mut node, &mut raw, |event| {
        let part = inputs(event);
        assert!(part.len() <= 101, "a part of {} messages", part.len());
        events += 1;
        received.extend(part.into_iter().filter_map(|input| match input {
            P2pInput::InMessage { message, .. } => Some(message),
            _ => None,
        }));
        let last = received.len() > 25_000 && received.last() == Some(&subscribe(0));
        last.then_some(())
    })
    .await;
    assert!(events > 250);
    // The encoder splits the IHAVE.
    let is_ihave = |message: &NetMessage| matches!(message, NetMessage::IHave { .. });
    let (ihaves, subscriptions): (Vec<_>, Vec<_>) = received.into_iter().partition(is_ihave);
    let ids = |one: &NetMessage| match one {
        NetMessage::IHave { message_ids, .. } => message_ids.len(),
        _ => 0,
    };
    assert_eq!(ihaves.iter().map(ids).sum::<usize>(), 5_000);
    let expected: Vec<_> = (0..5_000).chain(0..20_000).chain([0]).map(subscribe).collect();
    assert!(subscriptions == expected);
    assert_eq!(network.transport_stats().ignored_entries, 100);
    assert_eq!(network.transport_stats().bad_rpcs, 0);
    assert!(node.is_connected(raw.local_peer_id()));
}

/// Lets three peers deliver the same message. Returns how many times its id was made, and the signatures that were verified.
async fn deliver_copies(policy: fn(&Keypair) -> SignaturePolicy) -> (usize, u64) {
    let made = Arc::<AtomicUsize>::default();
    let counted = made.clone();
    let network =
        Libp2pNetwork::builder(policy(&Keypair::generate_ed25519())).message_id(move |_, message| {
            counted.fetch_add(1, Ordering::Relaxed);
            MessageId::from(message.data())
        });
    let network = network.build();
    let key = Keypair::generate_ed25519();
    let author = Libp2pNetwork::builder(policy(&key)).build();
    let message = author.message(topic(), vec![7; 32 << 10]).unwrap();
    let frame = fuzz::write(&[NetMessage::FullMessage(message.into())], &author).unwrap();
    let mut node = swarm(key, network.clone(), &TransportConfig::default()).unwrap();
    let mut received = Vec::new();
    for _ in 0..3 {
        let (mut raw, us) = raw_peer(&mut node).await;
        raw.behaviour_mut().write(us, frame.clone(), 8_192);
        let message = until(&mut node, &mut raw, |event| match inputs(event).pop()? {
            P2pInput::InMessage { message: NetMessage::FullMessage(full), .. } => Some(full),
            _ => None,
        });
        received.push(message.await);
    }
    assert!(received.iter().all(|one| one == &received[0]) && received[0].message.data().len() == 32 << 10);
    let stats = network.transport_stats();
    // Nothing else is hashed: the digest of all fields is that of messages that break the policy.
    assert_eq!(stats.policy_violations, 0);
    (made.load(Ordering::Relaxed), stats.verified_signatures)
}

#[tokio::test]
async fn a_copy_of_a_signed_message_costs_neither_a_check_nor_an_id_and_of_an_anonymous_one_an_id() {
    let signed = |key: &Keypair| SignaturePolicy::StrictSign(Box::new(key.clone()));
    assert_eq!(deliver_copies(signed).await, (1, 1));
    assert_eq!(deliver_copies(|_| SignaturePolicy::StrictNoSign).await, (3, 0));
}
