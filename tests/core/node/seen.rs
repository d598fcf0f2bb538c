//! These tests check which ids a full seen cache removes.

use actix_gossipsub::protocol::ReceiveOutcome;

use super::setup::{SECOND, Setup};

const HONEST: u32 = 0;
const FLOODING: u32 = 1;

/// D15. A peer that delivers more valid messages than the cache has room for loses its own oldest ids.
#[test]
fn many_messages_of_one_peer_do_not_evict_the_ids_of_others() {
    let mut fixture = Setup::new().connected(0..2).subscribed().joined().start();
    let max = fixture.limits.bounds.max_seen_per_topic as u32;
    let flood = 1000..271_000;
    assert!(flood.len() as u32 > max);
    (0..50).for_each(|id| assert!(matches!(fixture.deliver(HONEST, id), ReceiveOutcome::Route { .. })));
    for _ in 0..30 {
        fixture.next_heartbeat();
    }
    for id in flood.clone() {
        fixture.deliver(FLOODING, id);
        if id % 10_000 == 0 {
            fixture.advance(SECOND / 10);
            fixture.node.drain();
        }
    }
    let known =
        (0..50).filter(|id| fixture.deliver(FLOODING, *id) == ReceiveOutcome::AlreadyReceived).count();
    assert_eq!(known, 50, "of 50 messages that are 30 s old");
    let footprint = fixture.node.footprint();
    assert!(footprint.seen <= max as usize);
    // Its own ids are evicted from the oldest on.
    assert_eq!(fixture.deliver(FLOODING, flood.end - 1), ReceiveOutcome::AlreadyReceived);
    assert!(matches!(fixture.deliver(FLOODING, flood.start), ReceiveOutcome::Route { .. }));
}

/// The ids of a few peers fill the cache before others deliver anything.
#[test]
fn each_deliverer_gets_its_fair_share_of_a_full_cache() {
    const MAX: u32 = 1000;
    let limits = |limits: &mut actix_gossipsub::limits::LimitsConfig<u32>| {
        limits.bounds.max_seen_per_topic = MAX as usize;
    };
    let mut fixture = Setup::new().limits(limits).connected(0..10).subscribed().joined().start();
    (0..2 * MAX).for_each(|id| _ = fixture.deliver(id % 2, id));
    for peer in 2..10 {
        // Each has 7/8 of the average at least.
        (0..80).for_each(|n| _ = fixture.deliver(peer, 10_000 * peer + n));
    }
    assert!(fixture.node.footprint().seen <= MAX as usize);
    // The flood goes on.
    (3 * MAX..9 * MAX).for_each(|id| _ = fixture.deliver(id % 2, id));
    for peer in 2..10 {
        let known = (0..80).filter(|n| {
            let outcome = fixture.deliver(0, 10_000 * peer + n);
            outcome == ReceiveOutcome::AlreadyReceived
        });
        assert_eq!(known.count(), 80, "of peer {peer}");
    }
    let seen = fixture.node.footprint().seen;
    assert!(seen > MAX as usize - 20, "{seen} ids: room is used");
    // All ids expire, and their memory is returned.
    for _ in 0..=fixture.limits.seen_history_length {
        fixture.next_heartbeat();
    }
    let footprint = fixture.node.footprint();
    assert_eq!((footprint.seen, footprint.seen_bytes), (0, 0));
}
