//! These tests check what a node offers by IHAVE to peers that the transport did not send messages, because a queue was
//! full.

use std::collections::BTreeSet;

use actix_gossipsub::{
    AppInput, P2pMessage, P2pOutput,
    protocol::{IWantAnswer, IWantOutcome},
};

use super::setup::*;

const PEER: u32 = 1;
const AMPLE: usize = 1_000;

/// A node whose only mesh peer is [`PEER`].
fn with_mesh_peer(change: impl FnOnce(&mut actix_gossipsub::LimitsConfig<u32>)) -> Fixture {
    Setup::new().limits(change).connected(PEER..PEER + 1).subscribed().joined().start()
}

/// The ids that were offered to [`PEER`] since the last call, for each IHAVE its topic and ids.
fn offers(fixture: &mut Fixture) -> Vec<(u32, BTreeSet<u32>)> {
    let offer = |output| match output {
        P2pOutput::OutMessage { to_peer: PEER, message: P2pMessage::IHave { topic, message_ids } } => {
            Some((topic, message_ids.into_iter().collect()))
        }
        _ => None,
    };
    fixture.node.drain().p2p.into_iter().filter_map(offer).collect()
}

fn missed(fixture: &mut Fixture, ids: &[u32]) -> usize {
    fixture.node.report_missed(&PEER, &TOPIC, ids)
}

fn room(fixture: &mut Fixture, messages: usize) {
    fixture.node.report_room(&PEER, messages, fixture.now());
}

#[test]
fn what_a_mesh_peer_was_not_sent_is_offered_to_it_when_there_is_room() {
    let mut fixture = with_mesh_peer(|_| {});
    for id in 0..4 {
        assert_eq!(fixture.publish(id), [PEER]);
    }
    assert_eq!(missed(&mut fixture, &[0, 2]), 0);
    assert_eq!(missed(&mut fixture, &[2, 77]), 0);
    assert_eq!(fixture.node.footprint().missed, 3);
    fixture.heartbeat();
    assert_eq!(offers(&mut fixture), [], "the transport has no room yet");
    room(&mut fixture, AMPLE);
    // 77 is in no cache: the peer could not request it.
    assert_eq!(offers(&mut fixture), [(TOPIC, [0, 2].into())]);
    room(&mut fixture, AMPLE);
    fixture.heartbeat();
    assert_eq!(offers(&mut fixture), []);
    assert_eq!(fixture.node.footprint().missed, 0);
    let IWantOutcome::Answered { ids } = fixture.node.iwant(&PEER, vec![0], fixture.now()) else {
        panic!("the score is not low")
    };
    assert!(matches!(ids[&0], IWantAnswer::Message(_)));
}

#[test]
fn what_the_peer_sent_itself_and_what_has_expired_is_not_offered() {
    let mut fixture = with_mesh_peer(|limits| limits.history_length = 3);
    fixture.publish(0);
    fixture.deliver(PEER, 1);
    missed(&mut fixture, &[0, 1]);
    (0..3).for_each(|_| drop(fixture.heartbeat()));
    fixture.publish(2);
    missed(&mut fixture, &[2]);
    room(&mut fixture, AMPLE);
    assert_eq!(offers(&mut fixture), [(TOPIC, [2].into())]);
}

#[test]
fn as_much_is_offered_at_once_as_the_transport_has_room_for() {
    let mut fixture = with_mesh_peer(|_| {});
    (0..5).for_each(|id| drop(fixture.publish(id)));
    missed(&mut fixture, &[0, 1, 2, 3, 4]);
    room(&mut fixture, 2);
    assert_eq!(offers(&mut fixture), [(TOPIC, [0, 1].into())]);
    fixture.heartbeat();
    assert_eq!(offers(&mut fixture), [(TOPIC, [2, 3].into())]);
    missed(&mut fixture, &[2]);
    fixture.heartbeat();
    assert_eq!(offers(&mut fixture), []);
    room(&mut fixture, 2);
    assert_eq!(offers(&mut fixture), [(TOPIC, [2, 4].into())]);
}

#[test]
fn a_heartbeat_has_as_many_offers_as_a_peer_accepts() {
    let mut fixture = with_mesh_peer(|limits| {
        limits.max_recv_ihave_per_heartbeat = 2;
        limits.max_sent_iwant_per_heartbeat = 4;
    });
    let now = fixture.now();
    for topic in 1..4 {
        fixture.node.join(&topic, now);
        fixture.node.subscribe(&PEER, &topic, now);
        for id in 0..=topic {
            let message = actix_gossipsub::FullMessage { topic, message_id: 10 * topic + id, message: () };
            fixture.node.app_input(AppInput::Publish(message), now);
            fixture.node.report_missed(&PEER, &topic, &[10 * topic + id]);
        }
    }
    let topics = |offers: Vec<(u32, BTreeSet<u32>)>| -> Vec<_> {
        offers.into_iter().map(|(topic, ids)| (topic, ids.len())).collect()
    };
    room(&mut fixture, AMPLE);
    assert_eq!(topics(offers(&mut fixture)), [(3, 4)]);
    room(&mut fixture, AMPLE);
    assert_eq!(topics(offers(&mut fixture)), []);
    fixture.heartbeat();
    assert_eq!(topics(offers(&mut fixture)), [(2, 3), (1, 1)]);
    fixture.heartbeat();
    assert_eq!(topics(offers(&mut fixture)), [(1, 1)]);
    assert_eq!(fixture.node.footprint().missed, 0);
}

#[test]
fn the_oldest_missed_ids_give_way_and_a_disconnection_forgets_all() {
    let mut fixture = with_mesh_peer(|limits| limits.extensions.max_missed_ids_per_peer = 2);
    (0..4).for_each(|id| drop(fixture.publish(id)));
    assert_eq!(missed(&mut fixture, &[0, 1]), 0);
    assert_eq!(missed(&mut fixture, &[1, 2, 3]), 2);
    room(&mut fixture, AMPLE);
    assert_eq!(offers(&mut fixture), [(TOPIC, [2, 3].into())]);
    missed(&mut fixture, &[3]);
    let now = fixture.now();
    fixture.node.remove_peer(&PEER, now);
    assert_eq!(missed(&mut fixture, &[3]), 0);
    assert_eq!(fixture.node.footprint().missed, 0);
    fixture.connect(PEER, actix_gossipsub::ConnectionInfo::inbound());
    fixture.subscribe(PEER);
    room(&mut fixture, AMPLE);
    assert_eq!(offers(&mut fixture), []);
}

#[test]
fn without_the_extension_nothing_is_stored_or_offered() {
    let mut fixture = with_mesh_peer(|limits| limits.extensions.max_missed_ids_per_peer = 0);
    fixture.publish(0);
    missed(&mut fixture, &[0]);
    assert_eq!(fixture.node.footprint().missed, 0);
    room(&mut fixture, AMPLE);
    assert_eq!(offers(&mut fixture), []);
}
