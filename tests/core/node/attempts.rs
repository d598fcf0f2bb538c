//! What a publication or a message that is refused must not change.

use actix_gossipsub::{
    ConnectionInfo,
    protocol::{PublishOutcome, ReceiveOutcome, ValidationMode},
};

use super::setup::*;

/// Other limits than those of the reference: the fanout of a publication is chosen, and further recipients.
fn start(joined: bool) -> Fixture {
    let setup = Setup::new().limits(|limits| {
        limits.extensions.publish_reaches_degree_optimal = true;
        limits.extensions.idontwant_message_size = 1;
        limits.extensions.max_idontwant_per_heartbeat = 100;
        limits.extensions.idontwant_ticks = 3;
    });
    let setup = setup.connected(MANY).subscribed();
    let mut fixture = if joined { setup.joined().start() } else { setup.start() };
    fixture.connect(100, ConnectionInfo::inbound());
    fixture.set_message_size(10);
    fixture.idontwant(0, 0..1);
    fixture.node.drain();
    fixture
}

fn state(fixture: &Fixture) -> String {
    let mut view = fixture.view();
    // Their order is that of a hash map.
    view.cached.sort_by_key(|cached| cached.id);
    view.seen.sort_by_key(|seen| seen.id);
    format!("{view:?}")
}

#[test]
fn a_publication_that_reaches_too_few_peers_has_no_effect() {
    for joined in [false, true] {
        for has_fanout in [false, true] {
            let [mut tried, mut other] = [start(joined), start(joined)];
            let ttl = tried.limits.fanout_ttl;
            for fixture in [&mut tried, &mut other] {
                if has_fanout {
                    fixture.publish(7);
                }
                fixture.advance(ttl - SECOND);
            }
            for _ in 0..3 {
                let now = tried.now();
                let few = tried.node.publish_to_at_least(1_000, full(0), now);
                assert!(matches!(few, PublishOutcome::TooFewPeers { .. }), "{few:?}");
                assert_eq!(state(&tried), state(&other));
            }
            for fixture in [&mut tried, &mut other] {
                fixture.advance(2 * SECOND);
                fixture.heartbeat();
            }
            // An attempt does not keep the fanout.
            assert_eq!(state(&tried), state(&other));
            assert_eq!(tried.node.footprint(), other.node.footprint());
            assert!(joined || tried.fanout().is_empty());
            // And later random choices are the same.
            assert_eq!(tried.publish(1), other.publish(1));
            assert_eq!(tried.next_heartbeat(), other.next_heartbeat());
            assert_eq!(state(&tried), state(&other));
        }
    }
}

#[test]
fn a_message_that_is_too_large_is_refused_in_a_batch_that_the_caller_collects_too() {
    for mode in BOTH {
        let limits = |limits: &mut actix_gossipsub::limits::LimitsConfig<u32>| {
            limits.extensions.max_message_size = 10;
        };
        let setup = Setup::new().limits(limits).validation_mode(ValidationMode::Sequential);
        let mut fixture = setup.connected(0..2).subscribed().joined().start();
        fixture.set_message_size(11);
        let message = std::sync::Arc::new(full(1));
        let batch = vec![actix_gossipsub::Delivery::new(0, message)];
        let before = fixture.score(0);
        let now = fixture.now();
        let outcome = match mode {
            ValidationMode::Batched => fixture.node.apply_batch(batch, now).remove(0).1,
            _ => fixture.deliver(0, 1),
        };
        assert_eq!(outcome, ReceiveOutcome::TooLarge, "{mode:?}");
        assert!(fixture.score(0) < before, "it counts as an invalid message");
        assert!(!fixture.is_cached(1));
        fixture.set_message_size(10);
        assert_eq!(fixture.deliver(0, 2), ReceiveOutcome::Route { to: vec![1] });
    }
}
