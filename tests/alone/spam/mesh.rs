//! These tests attack with GRAFT and PRUNE.

use std::time::Duration;

use actix_gossipsub::{P2pInput, PxPeer};

use super::support::*;

/// B12.
#[test]
fn grafts_on_topics_that_are_not_joined_are_ignored() {
    with_attacker(
        |_| {},
        async |scenario| {
            let cost = scenario.attack(100_000, |number| graft(ATTACKER, NOT_JOINED + number)).await;
            assert_eq!(scenario.outputs, OutputCounts::default());
            scenario.assert_nothing_kept(&cost);
        },
    );
}

#[test]
fn a_graft_on_a_topic_that_is_not_joined_is_refused_and_expires_as_in_the_reference() {
    with_attacker(
        |limits| {
            limits.bounds.max_idle_topics = 100;
            limits.extensions.ignore_unknown_grafts = false;
        },
        async |scenario| {
            let cost = scenario.attack(100_000, |number| graft(ATTACKER, NOT_JOINED + number)).await;
            assert_eq!(scenario.outputs, OutputCounts { prunes: 100_000, ..OutputCounts::default() });
            let (before, after) = (cost.before.footprint, cost.after.footprint);
            let idle = scenario.limits().bounds.max_idle_topics;
            assert_eq!(after.topics - before.topics, idle);
            assert_eq!(after.backoffs - before.backoffs, idle);
            assert_eq!((after.subscriptions, after.mesh), (before.subscriptions, before.mesh));
            assert!(cost.bytes() <= idle * (TOPIC + ENTRY) + scenario.allowance(), "{} bytes", cost.bytes());
            // Backoffs are removed two heartbeats and one cleanup interval after their end.
            let ticks =
                scenario.limits().prune_backoff.as_secs() + 2 + scenario.limits().backoff_cleanup_ticks;
            scenario.pass_heartbeats(ticks as usize).await;
            assert_eq!(scenario.usage().await.footprint.topics, before.topics);
        },
    );
}

#[test]
fn a_graft_during_backoff_is_refused_and_lowers_the_score() {
    with_attacker(
        |_| {},
        async |scenario| {
            scenario.send(graft(ATTACKER, ATTACKED));
            assert!(scenario.view().await.mesh[&ATTACKED].contains(&ATTACKER));
            scenario.send(prune(ATTACKER, ATTACKED, Vec::new(), scenario.limits().prune_backoff));
            let cost = scenario.attack(20_000, |_| graft(ATTACKER, ATTACKED)).await;
            let view = scenario.view().await;
            assert!(!view.mesh[&ATTACKED].contains(&ATTACKER));
            assert_eq!(scenario.outputs.prunes, 1, "one in a heartbeat");
            // Each graft comes within the flood threshold, which adds 2 to P7.
            assert!(view.scores[&ATTACKER].behaviour_penalty >= 40_000.0);
            assert!(view.scores[&ATTACKER].score < scenario.limits().gossip_threshold);
            scenario.assert_nothing_kept(&cost);
            assert!(!scenario.is_answered().await);
            // After the backoff the graft is refused because of the score.
            scenario.pass_heartbeats(scenario.limits().prune_backoff.as_secs() as usize + 1).await;
            scenario.send(graft(ATTACKER, ATTACKED));
            scenario.send(P2pInput::connected(ATTACKER + 1));
            scenario.send(graft(ATTACKER + 1, ATTACKED));
            let view = scenario.view().await;
            assert!(!view.mesh[&ATTACKED].contains(&ATTACKER));
            assert!(view.mesh[&ATTACKED].contains(&(ATTACKER + 1)));
        },
    );
}

#[test]
fn the_backoff_of_a_received_prune_is_bounded() {
    with_attacker(
        |limits| limits.degree_low = limits.degree_optimal,
        async |scenario| {
            scenario.send(graft(ATTACKER, ATTACKED));
            let before = scenario.usage().await.footprint;
            let cost =
                scenario.attack(20_000, |_| prune(ATTACKER, ATTACKED, Vec::new(), Duration::MAX)).await;
            let longest = scenario.limits().bounds.max_remote_backoff;
            let view = scenario.view().await;
            assert_eq!(view.backoff[&ATTACKED][&ATTACKER], view.time.after(longest));
            assert!(!view.mesh[&ATTACKED].contains(&ATTACKER));
            assert_eq!(cost.after.footprint.backoffs, before.backoffs + 1);
            assert_eq!(cost.after.footprint.mesh, before.mesh - 1);
            assert!(cost.bytes() <= scenario.allowance());
            // The backoff applies to us too: the mesh is too small, but a heartbeat does not graft this peer.
            scenario.pass_heartbeats(1).await;
            assert!(!scenario.view().await.mesh[&ATTACKED].contains(&ATTACKER));
            scenario.clock.advance(longest + 2 * scenario.limits().heartbeat_interval);
            scenario.pass_heartbeats(scenario.limits().backoff_cleanup_ticks as usize).await;
            assert_eq!(scenario.usage().await.footprint.backoffs, before.backoffs);
            scenario.send(graft(ATTACKER, ATTACKED));
            assert!(scenario.view().await.mesh[&ATTACKED].contains(&ATTACKER));
        },
    );
}

#[test]
fn peer_exchange_is_bounded_in_checked_and_in_dialled_peers() {
    const PX_PEERS: u64 = 500_000;
    with_attacker(
        |limits| {
            limits.accept_px_threshold = 0.0;
            limits.bounds.max_px_per_prune = 64;
        },
        async |scenario| {
            let px = |number: u64, count| {
                (0..count).map(|peer| PxPeer::new(1_000_000 + number * count + peer)).collect()
            };
            let bounds = scenario.limits().bounds.clone();
            let dialled = scenario.limits().peers_to_px;
            scenario.send(graft(ATTACKER, ATTACKED));
            let backoff = Duration::from_secs(1);
            let cost = scenario.attack(1, |_| prune(ATTACKER, ATTACKED, px(0, PX_PEERS), backoff)).await;
            let outputs = scenario.outputs;
            assert_eq!((outputs.connects, outputs.forgets), (dialled, bounds.max_px_per_prune - dialled));
            let list = PX_PEERS as usize * size_of::<PxPeer<u64>>();
            assert!(
                cost.peak <= 3 * list + scenario.allowance(),
                "a peak of {} bytes for a list of {list}",
                cost.peak
            );
            assert_eq!(cost.after.footprint.unreachable, 0);
            // The px of a peer outside the mesh is ignored.
            let cost =
                scenario.attack(20_000, |number| prune(ATTACKER, ATTACKED, px(number, 100), backoff)).await;
            assert_eq!(scenario.outputs.connects, dialled);
            assert_eq!(cost.after.footprint, cost.before.footprint);
            // The queue keeps its greatest capacity: each input causes `max_px_per_prune` outputs.
            let queue = bounds.max_input_items * bounds.max_px_per_prune * OUTPUT;
            assert!(
                cost.peak <= queue + scenario.allowance(),
                "a peak of {} bytes for a queue of {queue}",
                cost.peak
            );
        },
    );
}

#[test]
fn outputs_caused_by_peers_are_bounded_while_the_transport_does_not_read() {
    with_attacker(
        |limits| {
            limits.bounds.max_output_items = 1000;
            limits.bounds.max_px_per_prune = 100;
        },
        async |scenario| {
            scenario.unread = true;
            let px =
                |number: u64| (0..100).map(|peer| PxPeer::new(1_000_000 + number * 100 + peer)).collect();
            let attack = |number: u64| match number % 2 {
                0 => graft(ATTACKER, NOT_JOINED),
                _ => prune(ATTACKER, ATTACKED, px(number), Duration::from_secs(1)),
            };
            let before = scenario.usage().await;
            for number in 0..10_000 {
                // The input may be refused.
                let _ = scenario.worker.p2p_input(attack(number));
                if number % 100 == 99 {
                    scenario.settle().await;
                }
            }
            let bytes = scenario.usage().await.bytes.saturating_sub(before.bytes);
            // A full stream, and the outputs of the inputs that were accepted before it was full.
            let bounds = &scenario.limits().bounds;
            let bound = bounds.max_output_items + bounds.max_input_items * bounds.max_px_per_prune;
            assert!(scenario.p2p.len() <= bound, "{} outputs are queued, {bytes} bytes", scenario.p2p.len());
            assert!(bytes <= bound * OUTPUT + scenario.allowance(), "{bytes} bytes");
            scenario.unread = false;
            scenario.settle().await;
        },
    );
}
