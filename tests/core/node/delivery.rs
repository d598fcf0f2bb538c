//! These tests publish and receive full messages.

use std::collections::BTreeSet;

use actix_gossipsub::{
    P2pMessage, P2pOutput,
    protocol::{ReceiveOutcome, ValidationMode},
};

use super::setup::{BOTH, Fixture, MANY, SECOND, Setup, assert_score};

#[test]
fn publishing_to_a_topic_not_joined_goes_to_d_peers() {
    let mut fixture = Setup::new().connected(MANY).subscribed().start();
    assert_eq!(fixture.publish(0).len(), fixture.limits.degree_optimal);
    assert!(fixture.is_cached(0));
}

#[test]
fn publishing_to_a_topic_not_joined_makes_a_fanout() {
    let mut fixture = Setup::new().connected(MANY).subscribed().start();
    fixture.leave();
    let to: BTreeSet<u32> = fixture.publish(0).into_iter().collect();
    assert_eq!((to.len(), &to), (fixture.limits.degree_optimal, &fixture.fanout()));
    assert!(fixture.is_cached(0));
}

#[test]
fn a_received_message_goes_to_the_mesh() {
    for validation_mode in BOTH {
        let mut fixture =
            Setup::new().validation_mode(validation_mode).connected(MANY).subscribed().joined().start();
        let ReceiveOutcome::Route { to } = fixture.deliver(99, 0) else { panic!("the message is routed") };
        assert_eq!(to.into_iter().collect::<BTreeSet<_>>(), fixture.mesh());
        assert!(fixture.is_cached(0));
    }
}

/// Its mesh peers sent an author its own message back.
#[test]
fn a_message_is_not_forwarded_to_its_author() {
    for skip_author in [true, false] {
        let setup = Setup::new().limits(|limits| limits.extensions.skip_author = skip_author);
        let mut fixture = setup.connected(0..3).subscribed().joined().start();
        fixture.set_source(1);
        fixture.node.drain();
        fixture.deliver(0, 7);
        let sent = fixture.node.drain().p2p.into_iter().filter_map(|output| match output {
            P2pOutput::OutMessage { to_peer, message: P2pMessage::FullMessage(_) } => Some(to_peer),
            _ => None,
        });
        assert_eq!(sent.collect::<Vec<_>>(), if skip_author { vec![2] } else { vec![1, 2] });
    }
}

#[test]
fn a_message_of_a_topic_not_joined_is_dropped() {
    for validation_mode in BOTH {
        let mut fixture = Setup::new().validation_mode(validation_mode).connected(MANY).subscribed().start();
        assert_eq!(fixture.deliver(0, 0), ReceiveOutcome::NotSubscribed);
        assert!(!fixture.is_cached(0));
    }
}

/// Parameters with P2 and P3 without decay, and P1 of 0.
fn counting_deliveries(validation_mode: ValidationMode) -> Fixture {
    let setup = Setup::new().validation_mode(validation_mode).topic_score(|topic| {
        topic.time_in_mesh_cap = 0.0;
        topic.first_message_deliveries_decay = 1.0;
        topic.mesh_message_deliveries_decay = 1.0;
        topic.mesh_message_deliveries_activation = SECOND;
        topic.mesh_message_deliveries_window = 2 * SECOND;
        topic.mesh_message_deliveries_threshold = 3.0;
    });
    setup.connected(MANY).subscribed().joined().start()
}

#[test]
fn a_duplicate_from_the_same_sender_does_not_count_as_delivered() {
    for validation_mode in BOTH {
        let mut fixture = counting_deliveries(validation_mode);
        let sender = *fixture.mesh().first().expect("the mesh is not empty");
        fixture.graft(sender);
        fixture.deliver(sender, 0);
        fixture.deliver(sender, 1);
        fixture.advance(2 * SECOND);
        fixture.heartbeat();
        assert!(fixture.mesh().contains(&sender));

        assert_eq!(fixture.deliver(sender, 0), ReceiveOutcome::AlreadyReceived);
        let (p2, p3) = (2.0, -1.0);
        assert_score(&fixture, sender, p2 + p3);
    }
}
