//! These tests check IHAVE, IWANT, and the message history that answers them.

use std::collections::BTreeSet;

use actix_gossipsub::{
    ConnectionInfo, P2pMessage, P2pOutput,
    protocol::{IHaveOutcome, IWantAnswer},
};

use super::setup::{BOTH, Fixture, MANY, Setup, TOPIC};

fn many_joined() -> Fixture {
    Setup::new().connected(MANY).subscribed().joined().start()
}

/// A fixture with peer 99 connected, outside the mesh.
/// What is offered twice is requested twice.
fn with_peer_99(setup: Setup) -> Fixture {
    let setup = setup.limits(|limits| limits.extensions.iwant_from_one_peer = false);
    let mut fixture = setup.joined().start();
    fixture.connect(99, ConnectionInfo::inbound());
    fixture
}

fn is_message(answer: &IWantAnswer<super::setup::Plain>) -> bool {
    matches!(answer, IWantAnswer::Message(_))
}

/// The ids that are requested.
#[track_caller]
fn requested(outcome: IHaveOutcome<super::setup::Plain>) -> Vec<u32> {
    let IHaveOutcome::Requested { mut ids } = outcome else { panic!("{outcome:?}") };
    ids.sort_unstable();
    ids
}

#[test]
fn iwant_is_answered_from_the_history() {
    let mut fixture = many_joined();
    fixture.publish(3);
    let answer = fixture.iwant(7, 3);
    assert!(matches!(answer, IWantAnswer::Message(message) if message.message_id == 3));
}

#[test]
fn iwant_is_answered_for_history_length_heartbeats() {
    let setup = Setup::new().limits(|limits| limits.max_gossip_retransmission = 100);
    let mut fixture = setup.connected(MANY).subscribed().joined().start();
    fixture.publish(3);
    let length = fixture.limits.history_length;
    for tick in 1..=2 * length {
        fixture.heartbeat();
        assert_eq!(is_message(&fixture.iwant(7, 3)), tick < length, "after {tick} heartbeats");
    }
    assert_eq!(fixture.iwant(7, 3), IWantAnswer::NotFound);
}

#[test]
fn iwant_of_an_unknown_id_is_not_found() {
    assert_eq!(many_joined().iwant(7, 99), IWantAnswer::NotFound);
}

#[test]
fn iwant_is_answered_up_to_the_retransmission_limit() {
    let mut fixture = with_peer_99(Setup::new());
    fixture.publish(0);
    let most = fixture.limits.max_gossip_retransmission;
    for _ in 0..most {
        assert!(is_message(&fixture.iwant(99, 0)));
    }
    for _ in most..2 * most + 10 {
        assert_eq!(fixture.iwant(99, 0), IWantAnswer::TooManyRequests);
    }
}

#[test]
fn a_peer_is_sent_requested_messages_up_to_a_number_of_bytes_in_a_heartbeat() {
    for (limit, answered) in [(0, 5), (1, 1), (usize::MAX, 5)] {
        let setup = Setup::new().limits(|limits| limits.extensions.max_iwant_bytes_per_heartbeat = limit);
        let mut fixture = with_peer_99(setup.connected(MANY).subscribed());
        (0..5).for_each(|id| drop(fixture.publish(id)));
        let request = |fixture: &mut Fixture, peer: u32| -> Vec<_> {
            (0..5).map(|id| fixture.iwant(peer, id)).collect()
        };
        for round in 0..2 {
            for peer in [7, 99] {
                let answers = request(&mut fixture, peer);
                let sent = answers.iter().filter(|answer| is_message(answer)).count();
                assert_eq!(sent, answered, "limit {limit}, peer {peer}, round {round}");
                let others = answers.iter().filter(|answer| !is_message(answer));
                assert!(others.into_iter().all(|answer| *answer == IWantAnswer::TooManyBytes), "{answers:?}");
            }
            fixture.heartbeat();
        }
    }
}

/// Requests that get no answer for want of quota do not count: otherwise the peer would never be sent the message.
#[test]
fn a_request_beyond_the_bytes_of_a_heartbeat_may_be_repeated() {
    let setup = Setup::new().limits(|limits| limits.extensions.max_iwant_bytes_per_heartbeat = 1);
    let mut fixture = with_peer_99(setup.connected(MANY).subscribed());
    (0..2).for_each(|id| drop(fixture.publish(id)));
    assert!(is_message(&fixture.iwant(99, 0)));
    for _ in 0..10 {
        assert_eq!(fixture.iwant(99, 1), IWantAnswer::TooManyBytes);
    }
    fixture.heartbeat();
    assert!(is_message(&fixture.iwant(99, 1)));
}

#[test]
fn an_unseen_id_in_ihave_is_requested() {
    assert_eq!(requested(many_joined().ihave(7, 99..100)), [99]);
}

#[test]
fn a_seen_id_in_ihave_is_not_requested() {
    let mut fixture = many_joined();
    fixture.publish(0);
    assert_eq!(requested(fixture.ihave(7, 0..1)), [] as [u32; 0]);
}

#[test]
fn ihave_on_a_topic_not_joined_is_ignored() {
    let mut fixture = Setup::new().connected(MANY).subscribed().start();
    assert_eq!(fixture.ihave(7, 0..1), IHaveOutcome::TopicNotTracked);
}

#[test]
fn ihaves_of_a_peer_are_limited_per_heartbeat() {
    let mut fixture = with_peer_99(Setup::new());
    let max = fixture.limits.max_recv_ihave_per_heartbeat;
    assert_eq!(max, 10);
    for id in 0..max {
        assert_eq!(requested(fixture.ihave(99, id..id + 1)), [id]);
    }
    for count in max + 1..=2 * max + 1 {
        assert_eq!(fixture.ihave(99, 0..1), IHaveOutcome::TooManyIHaves { count, max });
    }
    fixture.heartbeat();
    for id in 0..max {
        assert_eq!(requested(fixture.ihave(99, id..id + 1)), [id]);
    }
}

#[test]
fn ids_requested_from_a_peer_are_limited_per_heartbeat() {
    let mut fixture = with_peer_99(Setup::new().limits(|limits| {
        limits.max_sent_iwant_per_heartbeat = 10;
        limits.max_recv_ihave_per_heartbeat = 999;
    }));
    assert_eq!(requested(fixture.ihave(99, 0..8)), Vec::from_iter(0..8));
    let two = requested(fixture.ihave(99, 0..12));
    assert!(two.len() == 2 && two.iter().all(|id| *id < 12), "{two:?}");
    assert_eq!(fixture.ihave(99, 0..20), IHaveOutcome::TooManyIWants { count: 10, max: 10 });
    fixture.heartbeat();
    assert_eq!(requested(fixture.ihave(99, 0..20)).len(), 10);
}

/// As in `test_message_cache.ml`: six batches of ten messages, with a heartbeat between each two.
#[test]
fn gossip_has_the_latest_heartbeats_of_the_history_in_order() {
    let batch = |number: u32| number * 10..(number + 1) * 10;
    let mut fixture = Setup::new().limits(|limits| limits.seen_history_length = 99).joined().start();
    let gossip_ids = |fixture: &Fixture| fixture.view().gossip[&TOPIC].clone();
    for number in 0..6 {
        if number > 0 {
            fixture.heartbeat();
        }
        batch(number).for_each(|id| drop(fixture.publish(id)));
        let first = number.saturating_sub(2);
        assert_eq!(
            gossip_ids(&fixture),
            Vec::from_iter(first * 10..(number + 1) * 10),
            "after batch {number}"
        );
    }
    assert!(batch(0).all(|id| fixture.iwant(1, id) == IWantAnswer::NotFound));
    assert!((10..60).all(|id| is_message(&fixture.iwant(1, id))));
}

/// The peers to which a heartbeat sends IHAVE.
fn ihave_receivers(fixture: &mut Fixture) -> Vec<u32> {
    drop(fixture.node.drain());
    fixture.heartbeat();
    let ihave = |output| match output {
        P2pOutput::OutMessage { to_peer, message: P2pMessage::IHave { .. } } => Some(to_peer),
        _ => None,
    };
    fixture.node.drain().p2p.into_iter().filter_map(ihave).collect()
}

/// v1.1 "adaptive gossip dissemination": each heartbeat gossips to max(D_lazy, factor * candidates) of the peers that get
/// no full messages, and after some heartbeats each of them was selected.
#[track_caller]
fn assert_gossip_reaches_all(fixture: &mut Fixture, excluded: &[u32]) {
    let (factor, least) = (fixture.limits.gossip_factor, fixture.limits.degree_lazy);
    let (mut candidates, mut reached) = (BTreeSet::new(), BTreeSet::new());
    for id in 0..100 {
        fixture.publish(id);
        let receivers = ihave_receivers(fixture);
        let mesh = fixture.mesh();
        candidates = MANY.filter(|peer| !mesh.contains(peer) && !excluded.contains(peer)).collect();
        let distinct: BTreeSet<_> = receivers.iter().copied().collect();
        assert!(distinct.is_subset(&candidates), "{receivers:?} of {candidates:?}");
        let count = least.max((factor * candidates.len() as f64) as usize).min(candidates.len());
        assert_eq!((receivers.len(), distinct.len()), (count, count), "of {candidates:?}");
        reached.extend(distinct);
    }
    // The probability that a peer is never selected in 100 heartbeats is below 10^-12.
    assert_eq!(reached, candidates);
}

/// A fixture in which peer 99 is direct.
fn with_a_direct_peer(factor: f64, lazy: usize) -> Fixture {
    let limits = |limits: &mut actix_gossipsub::limits::LimitsConfig<u32>| {
        (limits.gossip_factor, limits.degree_lazy) = (factor, lazy);
    };
    let mut fixture = Setup::new().limits(limits).connected(MANY).subscribed().start();
    fixture.connect(99, ConnectionInfo::inbound().direct());
    fixture.subscribe(99);
    fixture.join();
    fixture
}

#[test]
fn gossip_goes_to_a_fraction_of_the_peers_outside_the_mesh() {
    for (factor, lazy) in [(0.25, 6), (0.5, 3), (0.0, 25), (1.0, 0)] {
        assert_gossip_reaches_all(&mut with_a_direct_peer(factor, lazy), &[]);
    }
}

#[test]
fn gossip_skips_peers_below_the_gossip_threshold() {
    for (factor, lazy) in [(0.25, 6), (0.5, 3), (0.0, 25), (1.0, 0)] {
        let mut fixture = with_a_direct_peer(factor, lazy);
        fixture.set_application_score(7, -1.0);
        fixture.set_application_score(11, -2.0);
        assert_gossip_reaches_all(&mut fixture, &[7, 11]);
    }
}

#[test]
fn gossip_to_peers_that_disconnect_before_it_is_read_is_dropped() {
    let mut fixture = with_a_direct_peer(1.0, 0);
    fixture.publish(1);
    drop(fixture.node.drain());
    fixture.heartbeat();
    let mesh = fixture.mesh();
    let disconnected: BTreeSet<_> = MANY.filter(|peer| peer % 2 == 0).collect();
    for peer in &disconnected {
        fixture.node.remove_peer(peer, fixture.now());
    }
    let ihave = |output| match output {
        P2pOutput::OutMessage { to_peer, message: P2pMessage::IHave { .. } } => Some(to_peer),
        _ => None,
    };
    let receivers: BTreeSet<_> = fixture.node.drain().p2p.into_iter().filter_map(ihave).collect();
    let expected = MANY.filter(|peer| !mesh.contains(peer) && !disconnected.contains(peer));
    assert_eq!(receivers, expected.collect());
}

#[test]
fn a_message_that_was_rejected_is_not_requested_again() {
    for validation_mode in BOTH {
        for outdated in [false, true] {
            // An invalid message is remembered for some ticks, an outdated one as long as any message.
            let setup = Setup::new().limits(|limits| {
                limits.extensions.invalid_memory_ticks = 2;
                limits.extensions.iwant_from_one_peer = false;
                limits.seen_history_length = 2;
            });
            let mut fixture =
                setup.validation_mode(validation_mode).connected(MANY).subscribed().joined().start();
            if outdated {
                fixture.make_all_messages_outdated();
            } else {
                fixture.make_all_messages_invalid();
            }
            fixture.deliver(99, 7);
            let requested = |fixture: &mut Fixture| match fixture.ihave(1, 7..9) {
                IHaveOutcome::Requested { mut ids } => {
                    ids.sort_unstable();
                    ids
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(requested(&mut fixture), [8], "7 has a verdict");
            // Until the verdict is forgotten.
            fixture.heartbeat();
            fixture.heartbeat();
            assert_eq!(requested(&mut fixture), [7, 8]);
        }
    }
}
