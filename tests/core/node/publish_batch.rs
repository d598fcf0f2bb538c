//! Messages that are published together.

use std::collections::BTreeSet;

use actix_gossipsub::{
    FullMessage, P2pMessage, P2pOutput,
    protocol::{OutputBatch, PublishOutcome},
};

use super::setup::*;

fn of_topic(topic: u32, id: u32) -> FullMessage<Plain> {
    FullMessage { topic, ..full(id) }
}

/// The copies that a node sends, in order: recipient, topic and message.
fn copies(fixture: &mut Fixture) -> Vec<(u32, u32, u32)> {
    let copy = |output| match output {
        P2pOutput::OutMessage { to_peer, message: P2pMessage::FullMessage(full) } => {
            Some((to_peer, full.topic, full.message_id))
        }
        _ => None,
    };
    fixture.node.drain().p2p.into_iter().filter_map(copy).collect()
}

fn start() -> Fixture {
    let mut fixture = Setup::new().connected(0..4).subscribed().joined().start();
    let (other, now) = (1, fixture.now());
    for peer in 2..4 {
        fixture.node.subscribe(&peer, &other, now);
    }
    fixture.node.join(&other, now);
    fixture.node.drain();
    fixture
}

#[test]
fn each_message_of_a_batch_goes_to_one_peer_before_any_goes_to_a_second_one() {
    let mut fixture = start();
    let now = fixture.now();
    // The ids 20 and 21 belong to the other topic, to which two of the four peers are subscribed.
    let messages: Vec<_> = (10..14).map(full).chain((20..22).map(|id| of_topic(1, id))).collect();
    let outcomes = fixture.node.publish_batch(messages.clone(), now);
    assert_eq!(outcomes[0], PublishOutcome::Published { to: vec![0, 1, 2, 3] });
    assert_eq!(outcomes[5], PublishOutcome::Published { to: vec![2, 3] });
    let sent = copies(&mut fixture);
    assert_eq!(sent.len(), 4 * 4 + 2 * 2);
    let (first, further) = sent.split_at(messages.len());
    let distinct: BTreeSet<_> = first.iter().map(|(_, _, id)| *id).collect();
    assert_eq!(distinct.len(), messages.len(), "{first:?}");
    // The first copies are spread over the peers, and no copy is sent twice.
    let of = |peer: u32| first.iter().filter(|(to, ..)| *to == peer).count();
    assert_eq!([0, 1, 2, 3].map(of), [1, 1, 2, 2]);
    let all: BTreeSet<_> = sent.iter().collect();
    assert_eq!(all.len(), sent.len());
    assert_eq!(further.len(), 14);

    // What was published in a batch is published.
    assert_eq!(fixture.node.publish(full(10), now), PublishOutcome::AlreadyPublished);
}

#[test]
fn one_by_one_all_copies_of_a_message_leave_before_the_next_message() {
    let mut fixture = start();
    for id in 10..14 {
        fixture.publish(id);
    }
    let ids: Vec<_> = copies(&mut fixture).into_iter().map(|(_, _, id)| id).collect();
    assert!(ids.is_sorted(), "{ids:?}");
}

#[test]
fn a_batch_becomes_two_outputs_for_each_message_at_most() {
    let mut fixture = start();
    let now = fixture.now();
    fixture.node.publish_batch((10..13).map(full), now);
    let counts: Vec<_> = fixture.node.drain_batches().map(|batch: OutputBatch<_>| batch.count()).collect();
    assert_eq!(counts, [1, 1, 1, 3, 3, 3]);
    // A message with a single recipient is one output, and one without is none.
    let mut alone = Setup::new().connected(0..1).subscribed().joined().start();
    alone.node.drain();
    let now = alone.now();
    alone.node.publish_batch([full(1), of_topic(9, 2), full(3)], now);
    let counts: Vec<_> = alone.node.drain_batches().map(|batch: OutputBatch<_>| batch.count()).collect();
    assert_eq!(counts, [1, 1]);
}
