//! Tests of connections: which one is written, and where the items of a lost one go.

use ::libp2p::StreamProtocol;

use super::*;
use crate::libp2p::{
    codec::{encode::Kind, limits::WireLimits},
    connection::{lanes::tests::item, queue_limits::QueueLimits},
};

const V1_2: ProtocolId =
    ProtocolId { protocol: StreamProtocol::new("/meshsub/1.2.0"), version: ProtocolVersion::V1_2 };
const CONNECTED: Change = Change::Connected(GOSSIPSUB);
const GOSSIPSUB: Written = Written { dialled: true, remote_address: None, floodsub: false };
const FLOODSUB: Written = Written { floodsub: true, ..GOSSIPSUB };
const DISCONNECTED: Change = Change::Disconnected { lost: LaneCounts::NONE };
const MOVED: Change = Change::Moved(NOTHING);
const NOTHING: Push = Push {
    dropped: LaneCounts::NONE,
    over_memory: LaneCounts::NONE,
    superseded: LaneCounts::NONE,
    unsupported: LaneCounts::NONE,
    overflowed: false,
};

fn queue() -> Arc<SendQueue> {
    Arc::new(SendQueue::new(QueueLimits::default(), &Arc::default(), None))
}

#[test]
fn a_peer_connects_once_and_disconnects_with_its_last_connection() {
    let (mut connections, peer) = (Connections::default(), PeerId::random());
    let [one, two] = [1, 2].map(ConnectionId::new_unchecked);
    connections.add(peer, one, true, None);
    assert!(!connections.is_connected(&peer));
    let change = connections.gossipsub_established(&peer, one, V1_2, queue());
    assert_eq!(change, CONNECTED);
    connections.add(peer, two, false, None);
    assert_eq!(connections.gossipsub_established(&peer, two, V1_2, queue()), MOVED);
    assert_eq!(connections.remove(&peer, one), Change::None);
    assert_eq!(connections.remove(&peer, two), DISCONNECTED);
    assert!(connections.is_empty());
}

#[test]
fn a_peer_without_gossipsub_is_not_connected() {
    let (mut connections, peer) = (Connections::default(), PeerId::random());
    let one = ConnectionId::new_unchecked(1);
    connections.add(peer, one, true, None);
    assert_eq!(connections.gossipsub_lost(&peer, one), Change::None);
    let change = connections.gossipsub_established(&peer, one, V1_2, queue());
    assert_eq!(change, CONNECTED);
    assert_eq!(connections.gossipsub_lost(&peer, one), DISCONNECTED);
    assert_eq!(connections.remove(&peer, one), Change::None);
    assert!(connections.is_empty());
}

/// Two connections to a peer, and their queues.
fn two() -> (Connections, PeerId, [ConnectionId; 2], [Arc<SendQueue>; 2]) {
    let (mut connections, peer) = (Connections::default(), PeerId::random());
    let ids = [1, 2].map(ConnectionId::new_unchecked);
    ids.iter().for_each(|id| connections.add(peer, *id, true, None));
    (connections, peer, ids, [queue(), queue()])
}

fn tags(queue: &SendQueue) -> Vec<u8> {
    queue.take_all().iter().map(|item| item.fragment.bytes[0]).collect()
}

#[test]
fn the_connection_that_is_written_decides_whether_a_peer_speaks_floodsub() {
    for (first, second) in [(FLOODSUB, GOSSIPSUB), (GOSSIPSUB, FLOODSUB)] {
        let (mut connections, peer, ids, queues) = two();
        let protocol = |written: Written| if written.floodsub { ProtocolId::FLOODSUB } else { V1_2 };
        let [one, two] = queues.clone();
        let change = connections.gossipsub_established(&peer, ids[0], protocol(first), one);
        assert_eq!(change, Change::Connected(first));
        connections.send(&peer, item(Kind::Message, Lane::Publish, 1));
        let change = connections.gossipsub_established(&peer, ids[1], protocol(second), two);
        assert_eq!(change, Change::Replaced(second, NOTHING));
        connections.send(&peer, item(Kind::Message, Lane::Publish, 2));
        assert_eq!(connections.remove(&peer, ids[1]), Change::Replaced(first, NOTHING));
        assert_eq!(tags(&queues[0]), [1, 2]);
        assert_eq!(connections.remove(&peer, ids[0]), DISCONNECTED);
    }
}

#[test]
fn the_end_of_an_older_connection_with_the_other_protocol_changes_nothing() {
    let (mut connections, peer, [one, two], [first, second]) = two();
    connections.gossipsub_established(&peer, two, V1_2, second);
    assert_eq!(connections.gossipsub_established(&peer, one, ProtocolId::FLOODSUB, first), Change::None);
    assert_eq!(connections.remove(&peer, one), Change::None);
}

#[test]
fn control_that_floodsub_does_not_know_is_counted_when_items_move() {
    let (mut connections, peer, [one, two], [first, second]) = two();
    connections.gossipsub_established(&peer, one, V1_2, first);
    connections.send(&peer, item(Kind::Graft, Lane::Control, 1));
    connections.send(&peer, item(Kind::Subscription, Lane::Control, 2));
    let change = connections.gossipsub_established(&peer, two, ProtocolId::FLOODSUB, second.clone());
    let mut unsupported = LaneCounts::NONE;
    unsupported.add(Lane::Control, 1);
    assert_eq!(change, Change::Replaced(FLOODSUB, Push { unsupported, ..NOTHING }));
    assert_eq!(tags(&second), [2]);
}

#[test]
fn an_idontwant_that_the_newer_connection_does_not_know_is_counted() {
    let (mut connections, peer, [one, two], [first, second]) = two();
    first.set_version(ProtocolVersion::V1_2);
    connections.gossipsub_established(&peer, one, V1_2, first);
    connections.send(&peer, item(Kind::IDontWant, Lane::Control, 1));
    second.set_version(ProtocolVersion::V1_1);
    let change = connections.gossipsub_established(&peer, two, V1_2, second);
    let mut unsupported = LaneCounts::NONE;
    unsupported.add(Lane::Control, 1);
    assert_eq!(change, Change::Moved(Push { unsupported, ..NOTHING }));
}

#[test]
fn the_protocol_of_a_peer_is_that_of_the_connection_that_is_written() {
    let (mut connections, peer, ids, queues) = two();
    let v1_0 = ProtocolId::new("/meshsub/1.0.0", ProtocolVersion::V1_0).unwrap();
    for ((id, queue), protocol) in ids.iter().zip(queues).zip([v1_0.clone(), ProtocolId::FLOODSUB]) {
        connections.gossipsub_established(&peer, *id, protocol.clone(), queue);
        assert_eq!(connections.protocol(&peer), Some(&protocol));
    }
    connections.remove(&peer, ids[1]);
    assert_eq!(connections.protocol(&peer), Some(&v1_0));
}

#[test]
fn the_items_of_a_lost_connection_move_to_another() {
    let (mut connections, peer, [one, two], [first, second]) = two();
    connections.gossipsub_established(&peer, one, V1_2, first.clone());
    connections.gossipsub_established(&peer, two, V1_2, second);
    assert_eq!(connections.send(&peer, item(Kind::Graft, Lane::Control, 1)), Some(NOTHING));
    assert_eq!(connections.remove(&peer, two), Change::None);
    assert_eq!(tags(&first), [1]);
}

#[test]
fn what_is_queued_moves_to_a_newer_connection_and_all_that_follows_goes_there() {
    let (mut connections, peer, [one, two], [first, second]) = two();
    connections.gossipsub_established(&peer, one, V1_2, first.clone());
    connections.send(&peer, item(Kind::Graft, Lane::Control, 1));
    assert_eq!(connections.gossipsub_established(&peer, two, V1_2, second.clone()), MOVED);
    connections.send(&peer, item(Kind::Prune, Lane::Control, 2));
    assert_eq!((tags(&first), tags(&second)), (vec![], vec![1, 2]));
}

#[test]
fn an_older_connection_that_carries_gossipsub_later_changes_nothing() {
    let (mut connections, peer, [one, two], [first, second]) = two();
    connections.gossipsub_established(&peer, two, V1_2, second.clone());
    assert_eq!(connections.gossipsub_established(&peer, one, V1_2, first.clone()), Change::None);
    connections.send(&peer, item(Kind::Graft, Lane::Control, 1));
    assert_eq!((tags(&first), tags(&second)), (vec![], vec![1]));
}

/// A PRUNE of minutes ago would remove the peer from a mesh that it has entered since.
#[test]
fn control_that_an_older_connection_has_lost_is_not_sent_again() {
    let (mut connections, peer, [one, two], [first, second]) = two();
    connections.gossipsub_established(&peer, one, V1_2, first.clone());
    connections.send(&peer, item(Kind::Prune, Lane::Control, 1));
    connections.send(&peer, item(Kind::Message, Lane::Publish, 2));
    let (mut out, cx) = (Vec::new(), std::task::Context::from_waker(std::task::Waker::noop()));
    first.fill(&mut out, 1_000, &WireLimits::default(), &cx);
    connections.gossipsub_established(&peer, two, V1_2, second.clone());
    let mut superseded = LaneCounts::NONE;
    superseded.add(Lane::Control, 1);
    let expected = Change::Requeued(Push { superseded, ..NOTHING });
    assert_eq!(connections.remove(&peer, one), expected);
    assert_eq!(tags(&second), [2]);
}

#[test]
fn a_dropped_peer_disconnects_before_its_connections_close() {
    let (mut connections, peer) = (Connections::default(), PeerId::random());
    let [one, two] = [1, 2].map(ConnectionId::new_unchecked);
    for connection in [one, two] {
        connections.add(peer, connection, true, None);
        connections.gossipsub_established(&peer, connection, V1_2, queue());
    }
    connections.send(&peer, item(Kind::Graft, Lane::Control, 1));
    let Change::Disconnected { lost } = connections.drop_peer(&peer) else { panic!("it was connected") };
    assert_eq!((lost.total(), lost.of(Lane::Control)), (1, 1));
    assert!(!connections.is_connected(&peer) && !connections.carries_gossipsub(&peer, one));
    assert_eq!(connections.remove(&peer, one), Change::None);
    assert_eq!(connections.remove(&peer, two), Change::None);
    assert!(connections.is_empty());
}
