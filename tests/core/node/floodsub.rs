//! Peers that speak floodsub, on [`Node`](actix_gossipsub::protocol::Node): they are sent every message and no control
//! messages, and are in no mesh.

use actix_gossipsub::{
    ConnectionInfo, FullMessage, LimitsConfig, P2pMessage, P2pOutput, PxPeer,
    protocol::{GraftOutcome, IHaveOutcome, PublishOutcome, ReceiveOutcome},
};

use super::setup::*;

/// The first peer that speaks floodsub.
const FLOODSUB: u32 = 100;

/// A node with `gossipsub` peers, and with `floodsub` others that speak floodsub. All are subscribed, and the topic is joined
/// after that.
fn start(setup: Setup, gossipsub: u32, floodsub: u32) -> Fixture {
    let mut fixture = setup.connected(0..gossipsub).subscribed().start();
    for peer in FLOODSUB..FLOODSUB + floodsub {
        fixture.connect(peer, ConnectionInfo::inbound().floodsub());
        fixture.subscribe(peer);
    }
    fixture.join();
    fixture
}

/// What was sent to peers that speak floodsub since the last call, without announcements and pings.
fn sent_to_floodsub(fixture: &mut Fixture) -> Vec<(u32, P2pMessage<Plain>)> {
    let outputs = fixture.node.drain().p2p.into_iter();
    let sent = outputs.filter_map(|output| match output {
        P2pOutput::OutMessage { to_peer, message } if to_peer >= FLOODSUB => Some((to_peer, message)),
        _ => None,
    });
    let is_announcement = |message: &P2pMessage<Plain>| {
        matches!(message, P2pMessage::Subscribe { .. } | P2pMessage::Unsubscribe { .. } | P2pMessage::Ping)
    };
    sent.filter(|(_, message)| !is_announcement(message)).collect()
}

/// The peers of this list that were sent a full message, each once.
fn receivers(sent: &[(u32, P2pMessage<Plain>)]) -> Vec<u32> {
    assert!(sent.iter().all(|(_, message)| matches!(message, P2pMessage::FullMessage(_))), "{sent:?}");
    sent.iter().map(|(peer, _)| *peer).collect()
}

#[test]
fn they_are_sent_every_message_once_and_not_those_that_they_sent() {
    for mode in BOTH {
        let mut fixture = start(Setup::new().validation_mode(mode), 3, 2);
        sent_to_floodsub(&mut fixture);
        assert_eq!(fixture.publish(1), [0, 1, 2, 100, 101]);
        assert_eq!(receivers(&sent_to_floodsub(&mut fixture)), [100, 101]);
        assert_eq!(fixture.deliver(0, 2), ReceiveOutcome::Route { to: vec![1, 2, 100, 101] });
        assert_eq!(receivers(&sent_to_floodsub(&mut fixture)), [100, 101]);
        assert_eq!(fixture.deliver(100, 3), ReceiveOutcome::Route { to: vec![0, 1, 2, 101] });
        assert_eq!(receivers(&sent_to_floodsub(&mut fixture)), [101]);
        assert_eq!(fixture.deliver(101, 3), ReceiveOutcome::AlreadyReceived);
        assert_eq!(receivers(&sent_to_floodsub(&mut fixture)), [0; 0]);
    }
}

#[test]
fn they_are_sent_own_messages_of_a_topic_that_is_not_joined_and_are_not_in_its_fanout() {
    let mut fixture = start(Setup::new(), 3, 2);
    fixture.leave();
    assert_eq!(fixture.publish(1), [0, 1, 2, 100, 101]);
    assert_eq!(fixture.fanout(), [0, 1, 2].into());
    // Without others there is no fanout.
    let mut fixture = start(Setup::new(), 0, 1);
    fixture.leave();
    assert_eq!(fixture.publish(1), [100]);
    assert!(fixture.fanout().is_empty());
}

#[test]
fn below_the_publish_threshold_they_are_sent_nothing_unless_they_are_direct() {
    let mut fixture = start(Setup::new().limits(|limits| limits.publish_threshold = -5.0), 1, 2);
    let now = fixture.now();
    fixture.set_application_score(100, -0.5);
    fixture.set_application_score(101, -1.0);
    assert_eq!(fixture.publish(1), [0, 100]);
    assert_eq!(fixture.deliver(0, 2), ReceiveOutcome::Route { to: vec![100] });
    fixture.node.set_direct(&101, true, now);
    assert_eq!(fixture.publish(3), [0, 100, 101]);
    fixture.node.set_direct(&100, true, now);
    sent_to_floodsub(&mut fixture);
    assert_eq!(fixture.publish(4), [0, 100, 101]);
    assert_eq!(receivers(&sent_to_floodsub(&mut fixture)), [100, 101]);
    fixture.node.set_direct(&101, false, now);
    assert_eq!(fixture.publish(5), [0, 100]);
}

#[test]
fn they_are_grafted_by_no_way_and_do_not_count_for_the_mesh() {
    let grafting = |limits: &mut LimitsConfig<u32>| {
        limits.extensions.graft_on_subscribe = true;
        limits.opportunistic_graft_ticks = 1;
        limits.opportunistic_graft_threshold = 100.0;
    };
    let mut fixture = start(Setup::new().limits(grafting), 2, 12);
    for peer in FLOODSUB..FLOODSUB + 12 {
        fixture.set_application_score(peer, 1.0);
    }
    assert_eq!(fixture.mesh(), [0, 1].into());
    // The mesh is below D_low, and a heartbeat grafts outbound peers and better ones too.
    fixture.connect(FLOODSUB + 12, ConnectionInfo::outbound().floodsub());
    fixture.subscribe(FLOODSUB + 12);
    assert_eq!(fixture.next_heartbeat(), 0);
    // Those that speak gossipsub fill the mesh up to D.
    for peer in 2..8 {
        fixture.connect(peer, ConnectionInfo::inbound());
        fixture.subscribe(peer);
    }
    assert_eq!(fixture.mesh(), (0..6).collect());
    assert_eq!(receivers(&sent_to_floodsub(&mut fixture)), [0; 0]);
}

#[test]
fn their_grafts_and_ihaves_have_no_effect_and_no_answer() {
    let mut fixture = start(Setup::new(), 1, 1);
    sent_to_floodsub(&mut fixture);
    assert_eq!(fixture.graft(100), GraftOutcome::FloodsubPeer);
    assert_eq!(fixture.ihave(100, 1..5), IHaveOutcome::FloodsubPeer);
    assert!(fixture.view().iwant.is_empty() && fixture.view().backoff.is_empty());
    // The same on a topic that we have not joined.
    fixture.leave();
    assert_eq!(fixture.graft(100), GraftOutcome::FloodsubPeer);
    let now = fixture.now();
    assert_eq!(fixture.node.graft(&100, &7, now), GraftOutcome::FloodsubPeer);
    assert_eq!(fixture.node.ihave(&100, &7, vec![1], now), IHaveOutcome::FloodsubPeer);
    assert_eq!(receivers(&sent_to_floodsub(&mut fixture)), [0; 0]);
}

#[test]
fn they_are_sent_no_gossip_and_recommended_to_nobody() {
    let mut fixture = start(Setup::new().limits(|limits| limits.do_px = true), 20, 3);
    sent_to_floodsub(&mut fixture);
    fixture.publish(1);
    assert_eq!(receivers(&sent_to_floodsub(&mut fixture)), [100, 101, 102]);
    fixture.next_heartbeat();
    // A message that a full queue dropped is not offered either.
    let now = fixture.now();
    fixture.node.report_missed(&100, &TOPIC, &[1]);
    fixture.node.report_room(&100, 10, now);
    fixture.next_heartbeat();
    assert_eq!(receivers(&sent_to_floodsub(&mut fixture)), [0; 0]);
    fixture.leave();
    let outputs = fixture.node.drain().p2p.into_iter();
    let recommended: Vec<PxPeer<u32>> = outputs
        .filter_map(|output| match output {
            P2pOutput::OutMessage { message: P2pMessage::Prune { px, .. }, .. } => Some(px),
            _ => None,
        })
        .flatten()
        .collect();
    assert!(!recommended.is_empty() && recommended.iter().all(|px| px.peer < FLOODSUB), "{recommended:?}");
}

#[test]
fn a_publication_reaches_d_peers_beside_them() {
    let reaching = |limits: &mut LimitsConfig<u32>| {
        limits.extensions.publish_reaches_degree_optimal = true;
    };
    let mut fixture = Setup::new().limits(reaching).connected(0..2).subscribed().joined().start();
    // They subscribe after the join, so that none is in the mesh.
    for peer in 2..20 {
        fixture.connect(peer, ConnectionInfo::inbound());
        fixture.subscribe(peer);
    }
    for peer in FLOODSUB..FLOODSUB + 8 {
        fixture.connect(peer, ConnectionInfo::inbound().floodsub());
        fixture.subscribe(peer);
    }
    let sent = fixture.publish(1);
    let (floodsub, others): (Vec<u32>, Vec<u32>) = sent.into_iter().partition(|peer| *peer >= FLOODSUB);
    assert_eq!((others.len(), floodsub.len()), (fixture.limits.degree_optimal, 8));
}

#[test]
fn they_may_unsubscribe_disconnect_and_come_back_with_gossipsub() {
    let mut fixture = start(Setup::new(), 1, 3);
    let now = fixture.now();
    fixture.node.unsubscribe(&100, &TOPIC, now);
    fixture.node.remove_peer(&101, now);
    assert_eq!(fixture.publish(1), [0, 102]);
    fixture.subscribe(100);
    fixture.connect(101, ConnectionInfo::inbound());
    fixture.subscribe(101);
    assert_eq!(fixture.publish(2), [0, 100, 102]);
    assert_eq!(fixture.next_heartbeat(), 1);
    assert_eq!(fixture.mesh(), [0, 101].into());
    assert_eq!(fixture.publish(3), [0, 100, 101, 102]);
    // A topic that becomes active takes its subscribers from their connections.
    let now = fixture.now();
    fixture.node.subscribe(&100, &7, now);
    fixture.node.join(&7, now);
    let message = FullMessage { topic: 7, message_id: 9, message: () };
    let published = fixture.node.publish(message, now);
    assert_eq!(published, PublishOutcome::Published { to: vec![100] });
}

#[test]
fn a_view_has_them() {
    let fixture = start(Setup::new(), 1, 1);
    let floodsub: Vec<_> =
        fixture.view().connections.values().map(|connection| connection.floodsub).collect();
    assert_eq!(floodsub, [false, true]);
}
