//! These tests check what the application changes while a node runs: thresholds and degrees, direct peers, blocked peers,
//! and which subscriptions are accepted.

use std::{collections::BTreeSet, time::Duration};

use actix_gossipsub::{
    ConnectionInfo, Origin, P2pMessage, P2pOutput,
    limits::{LimitsConfig, TopicScoreLimits},
    protocol::{GraftOutcome, IHaveOutcome, ReceiveOutcome, SubscribeOutcome},
};

use super::setup::{Fixture, MANY, Plain, SECOND, Setup, TOPIC, full};

/// The outputs since the last call, without messages to peers.
fn requests(fixture: &mut Fixture) -> Vec<String> {
    let outputs = fixture.node.drain().p2p.into_iter();
    outputs.filter(|it| !matches!(it, P2pOutput::OutMessage { .. })).map(|it| it.to_string()).collect()
}

fn pruned(outputs: &[P2pOutput<Plain>]) -> Vec<u32> {
    let pruned = |output: &P2pOutput<Plain>| match output {
        P2pOutput::OutMessage { to_peer, message: P2pMessage::Prune { topic: TOPIC, px, backoff } } => {
            assert!(px.is_empty() && *backoff > Duration::ZERO);
            Some(*to_peer)
        }
        _ => None,
    };
    outputs.iter().filter_map(pruned).collect()
}

/// Peers that deliver nothing keep their scores.
fn without_deficits(topic: &mut TopicScoreLimits) {
    (topic.mesh_message_deliveries_weight, topic.mesh_failure_penalty_weight) = (0.0, 0.0);
}

// === Limits ===

#[test]
fn new_thresholds_apply_to_the_next_input() {
    let mut fixture = Setup::new().connected(0..2).subscribed().joined().start();
    fixture.set_application_score(0, -1.0);
    assert!(matches!(fixture.ihave(0, 0..1), IHaveOutcome::LowScore { .. }));
    fixture.change_limits(|limits| limits.gossip_threshold = -100.0).unwrap();
    assert!(matches!(fixture.ihave(0, 0..1), IHaveOutcome::Requested { .. }));
    fixture
        .change_limits(|limits| {
            (limits.gossip_threshold, limits.publish_threshold) = (-5.0, -5.0);
            (limits.graylist_threshold, limits.disconnect_threshold) = (Some(-9.0), None);
        })
        .unwrap();
    assert_eq!(fixture.deliver(0, 1), ReceiveOutcome::Graylisted);
    fixture.change_limits(|limits| limits.graylist_threshold = None).unwrap();
    assert_eq!(fixture.deliver(0, 1), ReceiveOutcome::Route { to: vec![1] });
}

#[test]
fn new_limits_that_violate_a_rule_change_nothing_and_name_all_violations() {
    let mut fixture = Setup::new().connected(0..2).subscribed().joined().start();
    fixture.deliver(0, 1);
    let before = (fixture.node.limits().clone(), format!("{:?}", fixture.view()));
    let error = fixture
        .change_limits(|limits| {
            limits.degree_low = 100;
            limits.graylist_threshold = Some(1.0);
            limits.score.decay_zero = f64::NAN;
            limits.gossip_threshold = -50.0;
        })
        .unwrap_err();
    let violations: Vec<_> = error.0.iter().map(ToString::to_string).collect();
    assert_eq!(
        violations,
        [
            "degree_low = 100: must be at most degree_optimal (6)",
            "score.decay_zero = NaN: must be a finite number, at least 0",
            "extensions.graylist_threshold = 1.0: must be a finite number, at most 0",
        ]
    );
    assert_eq!((fixture.node.limits().clone(), format!("{:?}", fixture.view())), before);
}

#[test]
fn a_mesh_adapts_to_new_degrees_at_the_next_heartbeat() {
    let mut fixture = Setup::new().connected(MANY).subscribed().joined().start();
    fixture.next_heartbeat();
    assert_eq!(fixture.mesh().len(), 6);
    fixture
        .change_limits(|limits| {
            (limits.degree_optimal, limits.degree_low, limits.degree_high) = (12, 10, 14);
        })
        .unwrap();
    assert_eq!(fixture.mesh().len(), 6);
    fixture.next_heartbeat();
    assert_eq!(fixture.mesh().len(), 12);
    fixture
        .change_limits(|limits| {
            (limits.degree_score, limits.degree_out) = (1, 1);
            (limits.degree_optimal, limits.degree_low, limits.degree_high) = (4, 3, 5);
        })
        .unwrap();
    fixture.next_heartbeat();
    assert_eq!(fixture.mesh().len(), 4);
}

#[test]
fn every_limit_that_can_change_has_its_value_after_the_change() {
    let mut fixture = Setup::new().start();
    let new = LimitsConfig::default().runtime().with(|limits| {
        (limits.degree_optimal, limits.degree_low, limits.degree_high) = (9, 8, 10);
        (limits.degree_score, limits.degree_out, limits.degree_lazy) = (3, 1, 7);
        (limits.gossip_factor, limits.opportunistic_graft_peers) = (0.5, 5);
        (limits.idontwant_message_size, limits.max_message_size) = (11, 12);
        limits.validation_timeout = 13 * SECOND;
        limits.opportunistic_graft_threshold = 14.0;
        limits.topics.named.insert(1, Default::default());
        (limits.gossip_threshold, limits.publish_threshold) = (-15.0, -16.0);
        (limits.graylist_threshold, limits.disconnect_threshold) = (Some(-17.0), Some(-18.0));
        (limits.accept_px_threshold, limits.ban_duration) = (19.0, 20 * SECOND);
        limits.retain_duration = 21 * SECOND;
        limits.score.decay_zero = 0.22;
    });
    assert_ne!(fixture.node.limits().runtime(), new);
    fixture.node.set_limits(new.clone(), fixture.now()).unwrap();
    assert_eq!(fixture.node.limits().runtime(), new);
    // Nothing else has changed.
    let back = fixture.limits.runtime();
    fixture.node.set_limits(back, fixture.now()).unwrap();
    assert_eq!(fixture.node.limits().clone().into_config(), fixture.limits);
}

// === Direct peers ===

#[test]
fn a_mesh_peer_that_becomes_direct_leaves_the_mesh_and_is_sent_every_message() {
    let setup = Setup::new().limits(|limits| {
        (limits.extensions.graylist_threshold, limits.extensions.disconnect_threshold) =
            (Some(-1000.0), None);
    });
    let setup = setup.topic_score(without_deficits);
    let mut fixture = setup.connected(0..3).subscribed().joined().start();
    assert_eq!(fixture.mesh(), BTreeSet::from([0, 1, 2]));
    fixture.node.drain();
    let now = fixture.now();
    fixture.node.set_direct(&0, true, now);
    fixture.node.set_direct(&0, true, now);
    assert_eq!(pruned(&fixture.node.drain().p2p), [0]);
    assert_eq!(fixture.mesh(), BTreeSet::from([1, 2]));
    assert!(fixture.view().connections[&0].direct);
    assert_eq!(fixture.graft(0), GraftOutcome::DirectPeer);
    assert_eq!(fixture.publish(1), [0, 1, 2]);
    for _ in 0..100 {
        fixture.next_heartbeat();
    }
    assert_eq!(fixture.mesh(), BTreeSet::from([1, 2]));
    // It is not graylisted, as long as it is direct.
    fixture.set_application_score(0, -200.0);
    assert_eq!(fixture.deliver(0, 2), ReceiveOutcome::Route { to: vec![1, 2] });
    let now = fixture.now();
    fixture.node.set_direct(&0, false, now);
    assert_eq!(fixture.deliver(0, 3), ReceiveOutcome::Graylisted);
    fixture.set_application_score(0, 0.0);
    assert_eq!(fixture.publish(4), [1, 2]);
    for _ in 0..100 {
        fixture.next_heartbeat();
    }
    assert_eq!(fixture.publish(5).len(), 2 + usize::from(fixture.mesh().contains(&0)));
    assert!(!fixture.view().connections[&0].direct);
}

#[test]
fn a_peer_that_becomes_regular_is_grafted_after_the_backoff_of_its_prune() {
    let mut fixture =
        Setup::new().topic_score(without_deficits).connected(0..2).subscribed().joined().start();
    let now = fixture.now();
    fixture.node.set_direct(&0, true, now);
    fixture.node.set_direct(&0, false, now);
    fixture.next_heartbeat();
    assert_eq!(fixture.mesh(), BTreeSet::from([1]));
    let heartbeats = fixture.limits.prune_backoff.as_secs() + 2 * fixture.limits.backoff_cleanup_ticks;
    for _ in 0..heartbeats {
        fixture.next_heartbeat();
    }
    assert_eq!(fixture.mesh(), BTreeSet::from([0, 1]));
}

#[test]
fn a_direct_peer_stays_direct_over_its_connections_and_topics() {
    let mut fixture = Setup::new().connected(0..2).subscribed().start();
    let now = fixture.now();
    fixture.node.set_direct(&0, true, now);
    // Its subscription of a passive topic is found when the topic becomes active.
    fixture.join();
    assert_eq!((fixture.mesh(), fixture.publish(1)), (BTreeSet::from([1]), vec![0, 1]));
    fixture.node.remove_peer(&0, now);
    fixture.connect(0, ConnectionInfo::inbound());
    fixture.subscribe(0);
    assert_eq!((fixture.graft(0), fixture.publish(2)), (GraftOutcome::DirectPeer, vec![0, 1]));
    // The application decides, whatever the p2p layer reports.
    fixture.node.set_direct(&0, false, now);
    fixture.node.remove_peer(&0, now);
    fixture.connect(0, ConnectionInfo::inbound().direct());
    assert!(!fixture.view().connections[&0].direct);
}

#[test]
fn a_direct_peer_is_dialled_at_once_and_whenever_it_is_lost() {
    let mut fixture = Setup::new().limits(|limits| limits.bounds.reconnect_interval_ticks = 3).start();
    let now = fixture.now();
    fixture.node.set_direct(&5, true, now);
    assert_eq!(requests(&mut fixture), ["connect to 5 (direct)"]);
    let dials = |fixture: &mut Fixture| {
        for _ in 0..6 {
            fixture.next_heartbeat();
        }
        requests(fixture)
    };
    assert_eq!(dials(&mut fixture), ["connect to 5 (direct)", "connect to 5 (direct)"]);
    fixture.connect(5, ConnectionInfo::outbound());
    assert_eq!(dials(&mut fixture), [""; 0]);
    let now = fixture.now();
    fixture.node.remove_peer(&5, now);
    assert_eq!(dials(&mut fixture).len(), 2);
    fixture.node.set_direct(&5, false, now);
    assert_eq!(dials(&mut fixture), [""; 0]);
    // A trusted peer is dialled once and not twice.
    fixture.connect(5, ConnectionInfo::outbound().trusted());
    fixture.node.set_direct(&5, true, now);
    fixture.node.remove_peer(&5, now);
    let connect = P2pOutput::<Plain>::Connect { peer: 5, origin: Origin::Trusted, record: None }.to_string();
    assert_eq!(dials(&mut fixture), [connect.clone(), connect]);
}

// === Blocked peers, and the filter of subscriptions ===

#[test]
fn blocked_and_admitted_peers_are_requests_to_the_p2p_layer() {
    let mut fixture = Setup::new().connected(0..1).start();
    requests(&mut fixture);
    fixture.node.block(0, 30 * SECOND);
    fixture.node.unblock(0);
    assert_eq!(requests(&mut fixture), ["kick 0 for 30s", "unblock 0"]);
}

#[test]
fn nothing_is_stored_of_a_subscription_that_the_application_refuses() {
    let mut fixture = Setup::new().connected(0..2).start();
    fixture.subscribe(0);
    fixture.refuse_subscriptions();
    let (before, now) = (fixture.node.footprint(), fixture.now());
    for topic in TOPIC..1000 {
        assert_eq!(fixture.node.subscribe(&1, &topic, now), SubscribeOutcome::Filtered);
    }
    assert_eq!(fixture.node.footprint(), before);
    // A subscription that is known stays, and a GRAFT implies one.
    assert_eq!(fixture.node.subscribe(&0, &TOPIC, now), SubscribeOutcome::Subscribed);
    fixture.join();
    assert_eq!(fixture.node.subscribe(&1, &TOPIC, now), SubscribeOutcome::Filtered);
    assert_eq!(fixture.graft(1), GraftOutcome::PeerFiltered);
    assert_eq!((fixture.topics_of(1), fixture.mesh()), (BTreeSet::new(), BTreeSet::from([0])));
    assert_eq!(fixture.node.publish(full(1), now).name(), "published");
}
