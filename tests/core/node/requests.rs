//! These tests check that a message is requested from one peer at a time, and from another one if it does not come.

use std::collections::{BTreeMap, BTreeSet};

use actix_gossipsub::{
    ConnectionInfo, P2pInput, P2pMessage, P2pOutput,
    protocol::{IHaveOutcome, ReceiveOutcome},
};
use proptest::prelude::*;

use super::setup::{Fixture, SECOND, Setup};

/// The follow-up time, in heartbeats of one second.
const FOLLOWUP: u32 = 3;

fn joined(peers: u32) -> Fixture {
    let setup = Setup::new().limits(|limits| {
        limits.extensions.iwant_followup_time = SECOND * FOLLOWUP;
        limits.extensions.iwant_from_one_peer = true;
    });
    let mut fixture = setup.connected(0..peers).subscribed().joined().start();
    fixture.node.drain();
    fixture
}

/// The ids that the peer is asked for at once when it offers these.
fn requested(fixture: &mut Fixture, peer: u32, ids: std::ops::Range<u32>) -> BTreeSet<u32> {
    match fixture.ihave(peer, ids) {
        IHaveOutcome::Requested { ids } => ids.into_iter().collect(),
        other => panic!("{other:?}"),
    }
}

/// The IWANTs that were sent, by peer.
fn sent(fixture: &mut Fixture) -> BTreeMap<u32, BTreeSet<u32>> {
    let mut sent: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for output in fixture.node.drain().p2p {
        if let P2pOutput::OutMessage { to_peer, message: P2pMessage::IWant { message_ids } } = output {
            sent.entry(to_peer).or_default().extend(message_ids);
        }
    }
    sent
}

fn heartbeats(fixture: &mut Fixture, count: u32) {
    for _ in 0..count {
        fixture.next_heartbeat();
    }
}

#[test]
fn a_message_is_requested_from_one_of_those_that_offer_it() {
    let mut fixture = joined(25);
    assert_eq!(requested(&mut fixture, 1, 7..9), [7, 8].into());
    assert_eq!(requested(&mut fixture, 2, 7..10), [9].into(), "7 and 8 are requested");
    assert_eq!(requested(&mut fixture, 1, 7..9), [].into(), "the same peer is not asked twice");
    sent(&mut fixture);
    // They come from anyone.
    for id in [7, 9] {
        assert!(matches!(fixture.deliver(3, id), ReceiveOutcome::Route { .. }));
    }
    heartbeats(&mut fixture, FOLLOWUP);
    assert_eq!(sent(&mut fixture), [(2, [8].into())].into());
    assert_eq!(fixture.node.footprint().requested, 1);
}

#[test]
fn without_the_extension_each_peer_that_offers_a_message_is_asked() {
    for (one_peer, followup) in [(false, SECOND), (true, std::time::Duration::ZERO)] {
        let setup = Setup::new().limits(|limits| {
            limits.extensions.iwant_followup_time = followup;
            limits.extensions.iwant_from_one_peer = one_peer;
        });
        let mut fixture = setup.connected(0..25).subscribed().joined().start();
        assert_eq!(requested(&mut fixture, 1, 7..9), [7, 8].into());
        assert_eq!(requested(&mut fixture, 2, 7..9), [7, 8].into());
        assert_eq!(fixture.node.footprint().requested, 0);
    }
}

#[test]
fn an_offer_after_the_follow_up_time_is_requested_at_once() {
    let mut fixture = joined(25);
    requested(&mut fixture, 1, 7..8);
    fixture.advance(SECOND * FOLLOWUP);
    assert_eq!(requested(&mut fixture, 2, 7..8), [7].into());
}

#[test]
fn what_a_disconnected_peer_was_asked_for_is_requested_at_the_next_heartbeat() {
    let mut fixture = joined(25);
    requested(&mut fixture, 1, 7..8);
    requested(&mut fixture, 2, 7..8);
    sent(&mut fixture);
    let now = fixture.now();
    fixture.node.p2p_input(P2pInput::Disconnection { peer: 1 }, now);
    fixture.heartbeat();
    assert_eq!(sent(&mut fixture), [(2, [7].into())].into());
}

#[test]
fn a_peer_below_the_gossip_threshold_is_not_asked_later() {
    let mut fixture = joined(25);
    for peer in [1, 2, 3] {
        requested(&mut fixture, peer, 7..8);
    }
    sent(&mut fixture);
    fixture.set_application_score(2, -1000.0);
    heartbeats(&mut fixture, FOLLOWUP);
    assert_eq!(sent(&mut fixture), [(3, [7].into())].into());
}

#[test]
fn a_bootstrap_peer_is_not_asked_later() {
    let mut fixture = joined(25);
    fixture.connect(30, ConnectionInfo::inbound().bootstrap());
    for peer in [1, 30] {
        requested(&mut fixture, peer, 7..8);
    }
    sent(&mut fixture);
    heartbeats(&mut fixture, FOLLOWUP);
    assert_eq!(sent(&mut fixture), BTreeMap::new());
    assert_eq!(fixture.node.footprint().promises, 0);
}

#[test]
fn requests_end_when_the_topic_is_left() {
    let mut fixture = joined(25);
    requested(&mut fixture, 1, 7..9);
    assert_eq!(fixture.node.footprint().requested, 2);
    fixture.leave();
    assert_eq!(fixture.node.footprint().requested, 0);
}

#[test]
fn beyond_the_limit_each_peer_that_offers_a_message_is_asked() {
    let mut fixture = joined(25);
    let max = fixture.limits.bounds.max_promises_per_topic as u32 / 4;
    fixture.limits.max_sent_iwant_per_heartbeat = 10 * max;
    requested(&mut fixture, 1, 0..max + 1);
    assert_eq!(fixture.node.footprint().requested, max as usize);
    assert_eq!(requested(&mut fixture, 2, 0..max + 1).len(), 1);
}

proptest! {
    /// Of `offerers` peers that offer a message, `silent` do not send it. At most four further offerers are remembered.
    #[test]
    fn a_message_is_requested_once_more_than_there_are_silent_peers(
        offerers in 1u32..6,
        silent in proptest::collection::btree_set(0u32..6, 0..6),
    ) {
        let mut fixture = joined(25);
        let mut asked = Vec::new();
        for peer in 0..offerers {
            if !requested(&mut fixture, peer, 7..8).is_empty() {
                asked.push(peer);
            }
        }
        sent(&mut fixture);
        let mut received = false;
        for _ in 0..offerers {
            let last = *asked.last().expect("the first offer is requested");
            if !silent.contains(&last) {
                received = matches!(fixture.deliver(last, 7), ReceiveOutcome::Route { .. });
                break;
            }
            heartbeats(&mut fixture, FOLLOWUP);
            asked.extend(sent(&mut fixture).into_keys());
        }
        let unique: BTreeSet<_> = asked.iter().collect();
        prop_assert_eq!(unique.len(), asked.len(), "a peer is asked twice: {:?}", asked);
        let honest = (0..offerers).any(|peer| !silent.contains(&peer));
        prop_assert_eq!(received, honest, "{:?}", asked);
        let unanswered = asked.iter().filter(|peer| silent.contains(peer)).count();
        prop_assert_eq!(asked.len(), unanswered + usize::from(received));
        heartbeats(&mut fixture, FOLLOWUP);
        prop_assert_eq!(sent(&mut fixture), BTreeMap::new());
        prop_assert_eq!(fixture.node.footprint().requested, 0);
    }
}
