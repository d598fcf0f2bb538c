//! These tests connect a node of this crate to an official peer while both are subscribed and outside each other's
//! mesh. All messages must arrive through IHAVE and IWANT.

use std::collections::BTreeSet;

use actix_gossipsub::{P2pMessage, PeerAction};
use libp2p::PeerId;

use super::{
    Shown, Signing,
    ours::{Ours, Passed, Setup, topic},
    theirs::{self, Theirs},
    wait,
};

const MESSAGES: usize = 50;

/// The official peer's mesh is full with another official peer: it refuses our grafts. We refuse its.
async fn scene(signing: Signing) -> (Ours, Theirs, Theirs) {
    let mut config = theirs::config(signing);
    config.flood_publish(false).mesh_outbound_min(0).mesh_n_low(1).mesh_n(1).mesh_n_high(1);
    let far = Theirs::start("far", signing, &config).await;
    let near = Theirs::start("near", signing, &config).await;
    let mut setup = Setup::new(signing);
    setup.network = |builder| builder.peer_filter(|_, action| !matches!(action, PeerAction::Graft));
    let ours = Ours::start_with(setup).await;
    far.dial(&near.address).await;
    wait::until("the mesh of the other two", &ours, &[&near, &far], async || {
        let meshed = near.mesh().await.contains(&far.peer) && far.mesh().await.contains(&near.peer);
        meshed.then_some(())
    })
    .await;
    // It takes grafts beyond its bound from those whom it dialled: so we dial.
    ours.dial(&near.address).await;
    wait::until("each out of the other's mesh, and knowing it", &ours, &[&near, &far], async || {
        let view = ours.view().await;
        let backed_off = view.backoff.get(&topic()).is_some_and(|peers| peers.contains_key(&near.peer));
        let apart = view.mesh[&topic()].is_empty() && near.mesh().await == [far.peer].into();
        let subscribed = view.connections.get(&near.peer)?.topics.contains(&topic());
        (backed_off && apart && subscribed && near.heard_of(ours.peer) == [true]).then_some(())
    })
    .await;
    (ours, near, far)
}

fn data(who: &str) -> Vec<Vec<u8>> {
    (0..MESSAGES).map(|n| format!("{who} {n}").into_bytes()).collect()
}

#[actix_rt::test]
async fn what_they_publish_we_fetch() {
    let (ours, near, far) = scene(Signing::Strict).await;
    // From its own history and from what was forwarded to it.
    let (by_near, by_far) = (near.publish(data("near")).await, far.publish(data("far")).await);
    let all = [by_near.as_slice(), by_far.as_slice()];
    wait::delivered(&ours, 2 * MESSAGES, &[(&near, MESSAGES), (&far, MESSAGES)]).await;
    wait::heartbeats(&ours, &[&near, &far], 3).await;
    wait::assert_exactly("ours", &ours.got(), &all);

    let passed = ours.passed();
    assert_ordered(&passed, near.peer, &all.concat(), Direction::Fetched);
    let stats = ours.worker.stats();
    assert!(stats.count_recv_ihaves >= 2 * MESSAGES as u64 && stats.count_sent_iwants > 0, "{stats:?}");
    assert_eq!(stats.count_recv_valid_app_messages, 2 * MESSAGES as u64, "{stats:?}");
    assert_eq!(stats.count_sent_app_messages, 0, "{stats:?}");
    assert!(ours.mesh().await.is_empty() && near.mesh().await == [far.peer].into());
    ours.stop().await;
}

#[actix_rt::test]
async fn what_we_publish_they_fetch() {
    let (ours, near, far) = scene(Signing::Anonymous).await;
    let by_us = ours.publish(data("ours"));
    wait::delivered(&ours, 0, &[(&near, MESSAGES), (&far, MESSAGES)]).await;
    wait::heartbeats(&ours, &[&near, &far], 3).await;
    wait::assert_exactly("near", &near.got(), &[&by_us]);
    wait::assert_exactly("far", &far.got(), &[&by_us]);

    let passed = ours.passed();
    assert_ordered(&passed, near.peer, &by_us, Direction::Answered);
    let stats = ours.worker.stats();
    assert!(stats.count_sent_ihaves > 0, "{stats:?}");
    assert_eq!(stats.count_recv_iwants, MESSAGES as u64, "{stats:?}");
    assert_eq!(stats.count_sent_app_messages, stats.count_recv_iwants, "{stats:?}");
    assert!(ours.mesh().await.is_empty() && near.mesh().await == [far.peer].into());
    ours.stop().await;
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    /// They offered, we asked, they sent.
    Fetched,
    /// We offered, they asked, we sent.
    Answered,
}

/// Each of `messages`, and no other full message, crossed after it was offered and then asked for.
fn assert_ordered(passed: &[Passed], peer: PeerId, messages: &[Shown], direction: Direction) {
    let (mut offered, mut asked, mut sent) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for entry in passed {
        let (message, ours) = match entry {
            Passed::Heard(from, message) if *from == peer => (message, false),
            Passed::Spoke(to, message) if *to == peer => (message, true),
            _ => continue,
        };
        let offers = ours == (direction == Direction::Answered);
        match message {
            P2pMessage::IHave { message_ids, .. } if offers => {
                offered.extend(message_ids.iter().map(ToString::to_string));
            }
            P2pMessage::IWant { message_ids } if !offers => {
                let ids: Vec<_> = message_ids.iter().map(ToString::to_string).collect();
                assert!(ids.iter().all(|id| offered.contains(id)), "asked for what was not offered");
                asked.extend(ids);
            }
            P2pMessage::FullMessage(full) => {
                assert!(offers, "a full message went the other way: {full}");
                let id = full.message_id.to_string();
                assert!(asked.contains(&id), "sent without being asked for: {full}");
                assert!(sent.insert(id), "sent twice: {full}");
            }
            _ => {}
        }
    }
    assert_eq!(sent, messages.iter().map(|(id, _)| id.clone()).collect());
}
