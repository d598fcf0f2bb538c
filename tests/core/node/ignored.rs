//! These tests check messages that their validation ignores (`Validity::Outdated`): their copies are dropped unasked until
//! the application publishes them.

use actix_gossipsub::protocol::{IHaveOutcome, PublishOutcome, ReceiveOutcome};

use super::setup::{BOTH, Fixture, MANY, SECOND, Setup, TOPIC, assert_score, full};

const FLOODING: u32 = 1;
const HONEST: u32 = 0;

fn requested(fixture: &mut Fixture, peer: u32) -> Vec<u32> {
    match fixture.ihave(peer, 7..8) {
        IHaveOutcome::Requested { ids } => ids,
        other => panic!("{other:?}"),
    }
}

/// Before, each copy was validated: a free load for an attacker.
#[test]
fn copies_of_an_ignored_message_are_not_validated_forwarded_or_requested() {
    for validation_mode in BOTH {
        let setup = Setup::new().limits(|limits| limits.seen_history_length = 2);
        let mut fixture =
            setup.validation_mode(validation_mode).connected(MANY).subscribed().joined().start();
        fixture.make_all_messages_outdated();
        assert_eq!(fixture.deliver(1, 7), ReceiveOutcome::Outdated);
        fixture.node.drain();
        for peer in MANY {
            assert_eq!(fixture.deliver(peer, 7), ReceiveOutcome::AlreadyReceived);
            assert_score(&fixture, peer, 0.0);
            assert!(requested(&mut fixture, peer).is_empty());
        }
        assert_eq!(fixture.validations(), 1);
        let outputs = fixture.node.drain();
        assert!(outputs.p2p.is_empty() && outputs.app.is_empty(), "{outputs:?}");
        // It is remembered as long as any other message.
        fixture.next_heartbeat();
        assert_eq!(fixture.deliver(2, 7), ReceiveOutcome::AlreadyReceived);
        fixture.next_heartbeat();
        assert_eq!(requested(&mut fixture, 1), [7]);
        assert_eq!(fixture.deliver(2, 7), ReceiveOutcome::Outdated);
        assert_eq!(fixture.validations(), 2);
    }
}

#[test]
fn without_the_extension_each_copy_is_validated() {
    let setup = Setup::new().limits(|limits| limits.extensions.remember_ignored = false);
    let mut fixture = setup.connected(MANY).subscribed().joined().start();
    fixture.make_all_messages_outdated();
    for peer in 0..3 {
        assert_eq!(fixture.deliver(peer, 7), ReceiveOutcome::Outdated);
    }
    assert_eq!((fixture.validations(), fixture.node.footprint().seen), (3, 0));
    assert!(requested(&mut fixture, 1).is_empty(), "its id is remembered for invalid_memory_ticks");
}

/// Case 33 (go#719).
#[test]
fn an_ignored_message_is_sent_when_the_application_publishes_it() {
    for validation_mode in BOTH {
        let setup = Setup::new().validation_mode(validation_mode);
        let mut fixture = setup.connected(MANY).subscribed().joined().start();
        fixture.make_all_messages_outdated();
        fixture.deliver(1, 7);
        fixture.advance(SECOND);
        assert!(!fixture.publish(7).is_empty());
        assert!(fixture.is_cached(7));
        // From now on it is as any other publication.
        let again = fixture.node.publish(full(7), fixture.now());
        assert_eq!(again, PublishOutcome::AlreadyPublished);
        assert_eq!(fixture.deliver(2, 7), ReceiveOutcome::AlreadyReceived);
        assert_eq!(fixture.validations(), 1);
        let view = fixture.view();
        assert_eq!(view.seen[0].first_seen, fixture.now());
    }
}

/// A copy of an ignored message is no delivery (P2, P3), within the window of P3 neither.
#[test]
fn deliveries_of_an_ignored_message_are_not_credited() {
    let mut fixture = Setup::new().connected(0..3).subscribed().joined().start();
    fixture.make_all_messages_outdated();
    (0..3).for_each(|peer| drop(fixture.deliver(peer, 7)));
    fixture.next_heartbeat();
    for (peer, score) in fixture.view().scores {
        let counters = &score.topics[&TOPIC];
        assert_eq!((counters.first, counters.delivered), (0.0, 0.0), "{peer}");
    }
}

/// The memory of ignored messages is that of the seen cache, and each peer pays for those that it delivers.
#[test]
fn many_ignored_messages_of_one_peer_do_not_evict_the_ids_of_others() {
    const MAX: usize = 200;
    let setup = Setup::new().limits(|limits| limits.bounds.max_seen_per_topic = MAX);
    let mut fixture = setup.connected(0..2).subscribed().joined().start();
    for id in 0..50 {
        assert!(matches!(fixture.deliver(HONEST, id), ReceiveOutcome::Route { .. }));
    }
    fixture.make_all_messages_outdated();
    for id in 1000..5000 {
        assert_eq!(fixture.deliver(FLOODING, id), ReceiveOutcome::Outdated);
    }
    assert!((MAX / 2..=MAX).contains(&fixture.node.footprint().seen));
    for id in 0..50 {
        assert_eq!(fixture.deliver(FLOODING, id), ReceiveOutcome::AlreadyReceived);
    }
    // The oldest ids of the flooding peer are unknown again.
    assert_eq!(fixture.deliver(FLOODING, 4999), ReceiveOutcome::AlreadyReceived);
    assert_eq!(fixture.deliver(FLOODING, 1000), ReceiveOutcome::Outdated);
}

#[test]
fn the_bytes_of_ignored_messages_are_bounded() {
    let bytes = 64 * 1024;
    let setup = Setup::new().limits(|limits| limits.bounds.max_seen_bytes = bytes);
    let mut fixture = setup.connected(0..2).subscribed().joined().start();
    fixture.make_all_messages_outdated();
    (0..10_000).for_each(|id| drop(fixture.deliver(FLOODING, id)));
    let footprint = fixture.node.footprint();
    assert!((bytes / 4..=bytes).contains(&footprint.seen_bytes), "{footprint:?}");
}
