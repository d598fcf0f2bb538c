//! Topics that the application relays, on [`Node`](actix_gossipsub::protocol::Node).

use actix_gossipsub::{
    P2pMessage, P2pOutput,
    protocol::{JoinOutcome, LeaveOutcome, ReceiveOutcome, ValidationMode},
};

use super::setup::*;

/// What was sent to peer 0, and the ids of the delivered messages, since the last call.
fn drain(fixture: &mut Fixture) -> (Vec<&'static str>, Vec<u32>) {
    let outputs = fixture.node.drain();
    let sent = outputs.p2p.into_iter().filter_map(|output| match output {
        P2pOutput::OutMessage { to_peer: 0, message } => Some(match message {
            P2pMessage::Subscribe { .. } => "subscribe",
            P2pMessage::Unsubscribe { .. } => "unsubscribe",
            P2pMessage::Graft { .. } => "graft",
            P2pMessage::Prune { .. } => "prune",
            P2pMessage::FullMessage(_) => "message",
            _ => "another",
        }),
        _ => None,
    });
    (sent.collect(), outputs.app.iter().map(|message| message.message_id).collect())
}

fn start(mode: ValidationMode) -> Fixture {
    let mut fixture = Setup::new().validation_mode(mode).connected(0..2).subscribed().start();
    let relayed = fixture.node.relay(&TOPIC, fixture.now());
    assert_eq!(relayed, JoinOutcome::Joined { to_graft: vec![0, 1] });
    assert_eq!(drain(&mut fixture), (vec!["subscribe", "graft"], vec![]));
    fixture
}

#[test]
fn the_messages_of_a_relayed_topic_are_validated_and_forwarded_and_not_delivered() {
    for mode in BOTH {
        let mut fixture = start(mode);
        assert_eq!(fixture.deliver(1, 1), ReceiveOutcome::Route { to: vec![0] });
        assert_eq!(drain(&mut fixture), (vec!["message"], vec![]));
        assert_eq!(fixture.deliver(0, 1), ReceiveOutcome::AlreadyReceived);
        assert_eq!(fixture.validations(), 1);
        fixture.make_all_messages_invalid();
        assert_eq!(fixture.deliver(1, 2), ReceiveOutcome::Invalid);
        assert_eq!(drain(&mut fixture), (vec![], vec![]));
    }
}

#[test]
fn a_topic_that_is_joined_too_is_delivered_and_stays_in_the_mesh_until_neither_remains() {
    for mode in BOTH {
        for joins_first in [false, true] {
            let mut fixture = Setup::new().validation_mode(mode).connected(0..2).subscribed().start();
            let now = fixture.now();
            let both = if joins_first {
                [fixture.node.join(&TOPIC, now), fixture.node.relay(&TOPIC, now)]
            } else {
                [fixture.node.relay(&TOPIC, now), fixture.node.join(&TOPIC, now)]
            };
            assert_eq!(both, [vec![0, 1], vec![]].map(|to_graft| JoinOutcome::Joined { to_graft }));
            assert_eq!(drain(&mut fixture).0, ["subscribe", "graft"]);
            fixture.deliver(1, 1);
            assert_eq!(drain(&mut fixture), (vec!["message"], vec![1]));

            // Neither is counted.
            assert_eq!(fixture.node.relay(&TOPIC, now), JoinOutcome::AlreadyJoined);
            assert_eq!(fixture.node.join(&TOPIC, now), JoinOutcome::AlreadyJoined);
            let nothing = LeaveOutcome::Left { to_prune: vec![], no_px: vec![] };
            assert_eq!(fixture.node.leave(&TOPIC, now), nothing);
            assert_eq!(fixture.node.leave(&TOPIC, now), LeaveOutcome::NotJoined);
            fixture.deliver(1, 2);
            assert_eq!(drain(&mut fixture), (vec!["message"], vec![]));
            let all = LeaveOutcome::Left { to_prune: vec![0, 1], no_px: vec![] };
            assert_eq!(fixture.node.stop_relay(&TOPIC, now), all);
            assert_eq!(drain(&mut fixture).0, ["prune", "unsubscribe"]);
            assert_eq!(fixture.node.stop_relay(&TOPIC, now), LeaveOutcome::NotJoined);
        }
    }
}

#[test]
fn a_topic_that_is_relayed_no_more_stays_joined() {
    for mode in BOTH {
        let mut fixture = start(mode);
        fixture.join();
        let now = fixture.now();
        let nothing = LeaveOutcome::Left { to_prune: vec![], no_px: vec![] };
        assert_eq!(fixture.node.stop_relay(&TOPIC, now), nothing);
        fixture.deliver(1, 1);
        assert_eq!(drain(&mut fixture), (vec!["message"], vec![1]));
    }
}
