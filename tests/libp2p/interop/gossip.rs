//! These tests connect a node of this crate to an official peer while both are subscribed and outside each other's
//! mesh. All messages must arrive through IHAVE and IWANT.

use std::collections::BTreeSet;

use actix_gossipsub::{P2pMessage, PeerAction};
use libp2p::PeerId;

use super::{
    IdAndData, Signing,
    ours::{Ours, Setup, Traffic, topic},
    theirs::{self, Theirs},
    wait,
};

const MESSAGES: usize = 50;

/// Our node and the official peers `near` and `far`. The mesh of `near` is full with `far`, so it refuses our grafts, and
/// our node refuses its grafts.
async fn start_outside_mesh(signing: Signing) -> (Ours, Theirs, Theirs) {
    let mut config = theirs::config(signing);
    config.flood_publish(false).mesh_outbound_min(0).mesh_n_low(1).mesh_n(1).mesh_n_high(1);
    let far = Theirs::start("far", signing, &config).await;
    let near = Theirs::start("near", signing, &config).await;
    let mut setup = Setup::new(signing);
    // Otherwise our messages go to subscribers outside the mesh too.
    setup.limits.extensions.publish_reaches_degree_optimal = false;
    setup.network = |builder| builder.peer_filter(|_, action| !matches!(action, PeerAction::Graft));
    let ours = Ours::start_with(setup).await;
    far.dial(&near.address).await;
    wait::until("the official peers are in each other's mesh", &ours, &[&near, &far], async || {
        let meshed = near.mesh().await.contains(&far.peer) && far.mesh().await.contains(&near.peer);
        meshed.then_some(())
    })
    .await;
    // `near` accepts grafts into a full mesh from peers that it dialled, so our node dials.
    ours.dial(&near.address).await;
    wait::until(
        "our node and `near` are subscribed and outside each other's mesh",
        &ours,
        &[&near, &far],
        async || {
            let view = ours.view().await;
            let backed_off = view.backoff.get(&topic()).is_some_and(|peers| peers.contains_key(&near.peer));
            let no_mesh = view.mesh[&topic()].is_empty() && near.mesh().await == [far.peer].into();
            let subscribed = view.connections.get(&near.peer)?.topics.contains(&topic());
            (backed_off && no_mesh && subscribed && near.subscriptions_of(ours.peer) == [true]).then_some(())
        },
    )
    .await;
    (ours, near, far)
}

fn data(sender: &str) -> Vec<Vec<u8>> {
    (0..MESSAGES).map(|n| format!("{sender} {n}").into_bytes()).collect()
}

#[actix_rt::test]
async fn we_receive_messages_of_official_peers_through_iwant() {
    let (ours, near, far) = start_outside_mesh(Signing::Strict).await;
    // `near` answers from its own messages and from those that `far` forwarded to it.
    let (from_near, from_far) = (near.publish(data("near")).await, far.publish(data("far")).await);
    let all = [from_near.as_slice(), from_far.as_slice()];
    wait::delivered(&ours, 2 * MESSAGES, &[(&near, MESSAGES), (&far, MESSAGES)]).await;
    wait::heartbeats(&ours, &[&near, &far], 3).await;
    wait::assert_exactly("ours", &ours.delivered(), &all);

    let traffic = ours.traffic();
    assert_ordered(&traffic, near.peer, &all.concat(), Direction::Fetched);
    let stats = ours.worker.stats();
    assert!(stats.count_recv_ihaves >= 2 * MESSAGES as u64 && stats.count_sent_iwants > 0, "{stats:?}");
    assert_eq!(stats.count_recv_valid_app_messages, 2 * MESSAGES as u64, "{stats:?}");
    assert_eq!(stats.count_sent_app_messages, 0, "{stats:?}");
    assert!(ours.mesh().await.is_empty() && near.mesh().await == [far.peer].into());
    ours.stop().await;
}

#[actix_rt::test]
async fn official_peers_receive_our_messages_through_iwant() {
    let (ours, near, far) = start_outside_mesh(Signing::Anonymous).await;
    let from_us = ours.publish(data("ours"));
    wait::delivered(&ours, 0, &[(&near, MESSAGES), (&far, MESSAGES)]).await;
    wait::heartbeats(&ours, &[&near, &far], 3).await;
    wait::assert_exactly("near", &near.delivered(), &[&from_us]);
    wait::assert_exactly("far", &far.delivered(), &[&from_us]);

    let traffic = ours.traffic();
    assert_ordered(&traffic, near.peer, &from_us, Direction::Answered);
    let stats = ours.worker.stats();
    assert!(stats.count_sent_ihaves > 0, "{stats:?}");
    assert_eq!(stats.count_recv_iwants, MESSAGES as u64, "{stats:?}");
    assert_eq!(stats.count_sent_app_messages, stats.count_recv_iwants, "{stats:?}");
    assert!(ours.mesh().await.is_empty() && near.mesh().await == [far.peer].into());
    ours.stop().await;
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    /// The official peer sends IHAVE, our node IWANT, and the official peer the messages.
    Fetched,
    /// Our node sends IHAVE, the official peer IWANT, and our node the messages.
    Answered,
}

/// Asserts that each of `messages`, and no other full message, was sent after an IHAVE and an IWANT of it.
fn assert_ordered(traffic: &[Traffic], peer: PeerId, messages: &[IdAndData], direction: Direction) {
    let (mut ihave_ids, mut iwant_ids, mut sent) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for entry in traffic {
        let (message, ours) = match entry {
            Traffic::Received(from, message) if *from == peer => (message, false),
            Traffic::Sent(to, message) if *to == peer => (message, true),
            _ => continue,
        };
        let is_ihave_sender = ours == (direction == Direction::Answered);
        match message {
            P2pMessage::IHave { message_ids, .. } if is_ihave_sender => {
                ihave_ids.extend(message_ids.iter().map(ToString::to_string));
            }
            P2pMessage::IWant { message_ids } if !is_ihave_sender => {
                let ids: Vec<_> = message_ids.iter().map(ToString::to_string).collect();
                assert!(ids.iter().all(|id| ihave_ids.contains(id)), "an id was not in an IHAVE");
                iwant_ids.extend(ids);
            }
            P2pMessage::FullMessage(full) => {
                assert!(is_ihave_sender, "the other node sent a full message: {full}");
                let id = full.message_id.to_string();
                assert!(iwant_ids.contains(&id), "the message was sent without an IWANT: {full}");
                assert!(sent.insert(id), "the message was sent twice: {full}");
            }
            _ => {}
        }
    }
    assert_eq!(sent, messages.iter().map(|(id, _)| id.clone()).collect());
}
