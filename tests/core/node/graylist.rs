//! What follows from a low score: the graylist, the disconnection at a heartbeat, and the penalty of a violation of the
//! protocol. And the refusal of own messages, from which nothing follows.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    ConnectionInfo, FullMessage, P2pOutput,
    limits::LimitsConfig,
    protocol::{
        AddPeer, Event, GraftOutcome, IDontWantOutcome, IHaveOutcome, IWantOutcome, PruneOutcome,
        ReceiveOutcome, RemovePeer, SubscribeOutcome, UnsubscribeOutcome, ValidationMode,
    },
};

use super::setup::{Fixture, SECOND, SELF, Setup, TOPIC, full};

const LOW: u32 = 0;
const OTHER_TOPIC: u32 = 1;

fn graylist(limits: &mut LimitsConfig<u32>) {
    limits.extensions.graylist_threshold = Some(-1000.0);
    limits.extensions.disconnect_threshold = None;
}

/// Three peers are connected and subscribed, and one of them has a score of -1001.
fn with_low_score(change: fn(&mut LimitsConfig<u32>)) -> Fixture {
    let mut fixture = Setup::new().limits(change).connected(0..3).subscribed().joined().start();
    fixture.prune(LOW, Duration::ZERO);
    fixture.publish(1);
    fixture.heartbeat();
    fixture.set_application_score(LOW, -100.1);
    fixture.node.drain();
    fixture
}

#[test]
fn nothing_of_a_graylisted_peer_is_handled() {
    let mut fixture = with_low_score(graylist);
    let (before, now) = (format!("{:?}", fixture.view()), fixture.now());
    let node = &mut fixture.node;
    assert_eq!(node.subscribe(&LOW, &OTHER_TOPIC, now), SubscribeOutcome::Graylisted);
    assert_eq!(node.unsubscribe(&LOW, &TOPIC, now), UnsubscribeOutcome::Graylisted);
    assert_eq!(node.graft(&LOW, &TOPIC, now), GraftOutcome::Graylisted);
    assert_eq!(node.graft(&LOW, &OTHER_TOPIC, now), GraftOutcome::Graylisted);
    assert_eq!(node.prune(&LOW, &TOPIC, vec![9.into()], SECOND, now), PruneOutcome::Graylisted);
    assert_eq!(node.ihave(&LOW, &TOPIC, vec![9], now), IHaveOutcome::Graylisted);
    assert_eq!(node.iwant(&LOW, vec![1], now), IWantOutcome::Graylisted);
    assert_eq!(node.idontwant(&LOW, vec![9], now), IDontWantOutcome::Graylisted);
    for mode in [ValidationMode::Sequential, ValidationMode::Batched] {
        let outcome = node.receive_message(&LOW, Arc::new(full(2)), mode, now);
        assert_eq!(outcome, ReceiveOutcome::Graylisted);
    }
    let drained = node.drain();
    assert_eq!((drained.p2p, drained.app), (vec![], vec![]));
    assert_eq!(format!("{:?}", fixture.view()), before);

    // Other peers are handled, and so is the peer itself once its score has recovered.
    assert_eq!(fixture.deliver(1, 2), ReceiveOutcome::Route { to: vec![2] });
    fixture.set_application_score(LOW, -100.0);
    assert_eq!(fixture.deliver(LOW, 3), ReceiveOutcome::Route { to: vec![1, 2] });
}

#[test]
fn a_graylisted_peer_disconnects_and_returns_to_the_graylist() {
    let mut fixture = with_low_score(graylist);
    let now = fixture.now();
    assert_eq!(fixture.node.remove_peer(&LOW, now), RemovePeer::Removing);
    assert_eq!(fixture.deliver(LOW, 2), ReceiveOutcome::Graylisted);
    assert_eq!(fixture.node.add_peer(&LOW, &ConnectionInfo::inbound(), now), AddPeer::Added);
    assert_eq!(fixture.deliver(LOW, 2), ReceiveOutcome::Graylisted);
}

#[test]
fn a_direct_peer_is_neither_graylisted_nor_disconnected() {
    let mut fixture = with_low_score(|limits| {
        graylist(limits);
        limits.extensions.disconnect_threshold = Some(-1000.0);
    });
    let now = fixture.now();
    fixture.node.remove_peer(&LOW, now);
    fixture.connect(LOW, ConnectionInfo::inbound().direct());
    assert_eq!(fixture.deliver(LOW, 2), ReceiveOutcome::Route { to: vec![1, 2] });
    fixture.node.drain();
    fixture.heartbeat();
    assert!(!fixture.node.drain().p2p.iter().any(|output| matches!(output, P2pOutput::Kick { .. })));
}

#[test]
fn without_a_threshold_no_score_is_low_enough_for_the_graylist() {
    let mut fixture = with_low_score(|limits| {
        (limits.extensions.graylist_threshold, limits.extensions.disconnect_threshold) = (None, None);
    });
    fixture.set_application_score(LOW, -1e12);
    assert_eq!(fixture.deliver(LOW, 2), ReceiveOutcome::Route { to: vec![1, 2] });
    fixture.node.drain();
    fixture.heartbeat();
    let drained = fixture.node.drain();
    let disconnects =
        |output: &P2pOutput<_>| matches!(output, P2pOutput::Kick { .. } | P2pOutput::Disconnect { .. });
    assert!(!drained.p2p.iter().any(disconnects), "{:?}", drained.p2p);
}

/// What a heartbeat does about peer 0, whose score is -1001.
fn heartbeat_outputs(fixture: &mut Fixture) -> Vec<String> {
    fixture.node.drain();
    fixture.heartbeat();
    let drained = fixture.node.drain();
    let outputs = drained.p2p.iter().filter(|output| !matches!(output, P2pOutput::OutMessage { .. }));
    let outputs = outputs.map(ToString::to_string);
    let events = drained.events.iter().map(|event| match event {
        Event::LowScore { peer, score, ban_duration } => format!("low score {peer} {score} {ban_duration:?}"),
        other => format!("{other:?}"),
    });
    outputs.chain(events).collect()
}

#[test]
fn a_heartbeat_bans_a_peer_below_the_disconnect_threshold_until_it_is_gone() {
    let mut fixture = with_low_score(|limits| {
        limits.extensions.disconnect_threshold = Some(-1000.0);
        limits.extensions.ban_duration = 30 * SECOND;
    });
    for _ in 0..2 {
        let expected = ["kick 0 for 30s", "low score 0 -1001 30s"];
        assert_eq!(heartbeat_outputs(&mut fixture), expected);
    }
    let now = fixture.now();
    fixture.node.remove_peer(&LOW, now);
    assert_eq!(heartbeat_outputs(&mut fixture), [""; 0]);
    // The score is retained.
    fixture.connect(LOW, ConnectionInfo::inbound());
    assert_eq!(heartbeat_outputs(&mut fixture).len(), 2);
    fixture.set_application_score(LOW, -100.0);
    assert_eq!(heartbeat_outputs(&mut fixture), [""; 0]);
}

#[test]
fn without_a_ban_duration_the_peer_is_only_disconnected() {
    let mut fixture = with_low_score(|limits| {
        limits.extensions.disconnect_threshold = Some(-1000.0);
        limits.extensions.ban_duration = Duration::ZERO;
    });
    assert_eq!(heartbeat_outputs(&mut fixture), ["disconnect 0", "low score 0 -1001 0ns"]);
}

#[test]
fn a_protocol_violation_counts_to_p7_and_is_an_event_once_an_interval() {
    let mut fixture = Setup::new().connected(0..2).start();
    for _ in 0..3 {
        let now = fixture.now();
        fixture.node.report_protocol_violation(&0, now);
        // No score is made for a peer that is not connected.
        fixture.node.report_protocol_violation(&7, now);
    }
    let view = fixture.view();
    assert_eq!((view.scores[&0].behaviour_penalty, view.scores[&1].behaviour_penalty), (9.0, 0.0));
    assert!(!view.scores.contains_key(&7));
    let events = fixture.node.drain().events;
    assert_eq!(events, [Event::ProtocolViolation { peer: 0 }]);
}

#[test]
fn an_own_message_that_returns_after_the_seen_time_is_refused_without_a_penalty() {
    for (source, refuse) in [(SELF, true), (SELF, false), (2, true)] {
        let setup = Setup::new().limits(|limits| {
            limits.seen_history_length = 3;
            limits.extensions.refuse_own_messages = refuse;
        });
        let mut fixture = setup.connected(0..2).subscribed().joined().start();
        fixture.set_source(source);
        fixture.publish(1);
        assert_eq!(fixture.deliver(0, 1), ReceiveOutcome::AlreadyReceived);
        (0..4).for_each(|_| assert_eq!(fixture.next_heartbeat(), 0));
        let before = fixture.score(0);
        fixture.node.drain();
        let outcome = fixture.deliver(0, 1);
        if source == SELF && refuse {
            assert_eq!(outcome, ReceiveOutcome::OwnMessage);
            let drained = fixture.node.drain();
            assert_eq!((drained.p2p, drained.app), (vec![], vec![]));
            assert_eq!(fixture.score(0), before);
        } else {
            assert_eq!(outcome, ReceiveOutcome::Route { to: vec![1] });
        }
    }
}

#[test]
fn a_forged_message_costs_its_sender_on_every_topic() {
    let mut fixture = Setup::new().connected(0..2).subscribed().joined().start();
    let send = |fixture: &mut Fixture, topic| {
        let message = Arc::new(FullMessage { topic, ..full(7) });
        let now = fixture.now();
        fixture.node.receive_message(&0, message, ValidationMode::Sequential, now)
    };
    assert_eq!(send(&mut fixture, OTHER_TOPIC), ReceiveOutcome::NotSubscribed);
    assert_eq!(fixture.view().scores[&0].behaviour_penalty, 0.0);
    fixture.make_all_messages_violations();
    // Of a topic that is not joined the peer is charged by P7, of a joined one by P4.
    assert_eq!(send(&mut fixture, OTHER_TOPIC), ReceiveOutcome::NotSubscribed);
    assert_eq!(fixture.view().scores[&0].behaviour_penalty, 3.0);
    assert_eq!(send(&mut fixture, TOPIC), ReceiveOutcome::Invalid);
    let score = fixture.view().scores[&0].clone();
    assert_eq!((score.behaviour_penalty, score.topics[&TOPIC].invalid), (3.0, 1.0));
    fixture.leave();
    assert_eq!(send(&mut fixture, TOPIC), ReceiveOutcome::NotSubscribed);
    assert_eq!(fixture.view().scores[&0].behaviour_penalty, 6.0);
}
