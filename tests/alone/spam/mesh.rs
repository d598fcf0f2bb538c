//! These tests attack with GRAFT and PRUNE.

use std::time::Duration;

use actix_gossipsub::{P2pInput, PxPeer};

use super::support::*;

#[test]
fn a_graft_on_a_topic_that_we_are_not_in_is_refused_and_soon_forgotten() {
    with_attacker(
        |limits| limits.bounds.max_idle_topics = 100,
        async |scenario| {
            let cost = scenario.attack(100_000, |number| graft(ATTACKER, NOT_JOINED + number)).await;
            assert_eq!(scenario.outputs, OutputCounts { prunes: 100_000, ..OutputCounts::default() });
            let (before, after) = (cost.before.footprint, cost.after.footprint);
            let idle = scenario.limits().bounds.max_idle_topics;
            assert_eq!(after.topics - before.topics, idle);
            assert_eq!(after.backoffs - before.backoffs, idle);
            assert_eq!((after.subscriptions, after.mesh), (before.subscriptions, before.mesh));
            assert!(cost.bytes() <= idle * (TOPIC + ENTRY) + scenario.allowance(), "{} bytes", cost.bytes());
            // The backoffs end, and two heartbeats and the cleanup's interval later they are forgotten.
            let ticks =
                scenario.limits().prune_backoff.as_secs() + 2 + scenario.limits().backoff_cleanup_ticks;
            scenario.pass_heartbeats(ticks as usize).await;
            assert_eq!(scenario.usage().await.footprint.topics, before.topics);
        },
    );
}

#[test]
fn a_graft_during_backoff_is_refused_and_costs_the_peer() {
    with_attacker(
        |_| {},
        async |scenario| {
            scenario.send(graft(ATTACKER, ATTACKED));
            assert!(scenario.view().await.mesh[&ATTACKED].contains(&ATTACKER));
            scenario.send(prune(ATTACKER, ATTACKED, Vec::new(), scenario.limits().prune_backoff));
            let cost = scenario.attack(20_000, |_| graft(ATTACKER, ATTACKED)).await;
            let view = scenario.view().await;
            assert!(!view.mesh[&ATTACKED].contains(&ATTACKER));
            assert_eq!(scenario.outputs.prunes, 20_000);
            // Each came at once: two faults.
            assert!(view.scores[&ATTACKER].behaviour_penalty >= 40_000.0);
            assert!(view.scores[&ATTACKER].score < scenario.limits().gossip_threshold);
            scenario.assert_nothing_kept(&cost);
            assert!(!scenario.is_answered().await);
            // When the backoff is over the score is what keeps it out.
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
fn a_prune_with_a_huge_backoff_binds_for_a_while_only() {
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
            // It binds us too: the mesh lacks a peer, and a heartbeat does not graft this one.
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
fn of_offered_peers_a_few_are_looked_at_and_fewer_taken() {
    const OFFERED: u64 = 500_000;
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
            let taken = scenario.limits().peers_to_px;
            scenario.send(graft(ATTACKER, ATTACKED));
            let backoff = Duration::from_secs(1);
            let cost = scenario.attack(1, |_| prune(ATTACKER, ATTACKED, px(0, OFFERED), backoff)).await;
            let outputs = scenario.outputs;
            assert_eq!((outputs.connects, outputs.forgets), (taken, bounds.max_px_per_prune - taken));
            let list = OFFERED as usize * size_of::<PxPeer<u64>>();
            assert!(cost.peak <= 3 * list + scenario.allowance(), "{} for {list}", cost.peak);
            assert_eq!(cost.after.footprint.unreachable, 0);
            // Who is in no mesh any more is not listened to.
            let cost =
                scenario.attack(20_000, |number| prune(ATTACKER, ATTACKED, px(number, 100), backoff)).await;
            assert_eq!(scenario.outputs.connects, taken);
            assert_eq!(cost.after.footprint, cost.before.footprint);
            // The queue keeps the room that its longest moment took: each input has that many outputs.
            let queue = bounds.max_input_items * bounds.max_px_per_prune * OUTPUT;
            assert!(cost.peak <= queue + scenario.allowance(), "{} of {queue} bytes", cost.peak);
        },
    );
}

#[test]
fn what_peers_cause_to_be_said_is_bounded_though_nobody_reads() {
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
                // Refusing the attacker is as good.
                let _ = scenario.worker.p2p_input(attack(number));
                if number % 100 == 99 {
                    scenario.settle().await;
                }
            }
            let bytes = scenario.usage().await.bytes.saturating_sub(before.bytes);
            // The stream full, and what follows from the inputs that were taken before.
            let bounds = &scenario.limits().bounds;
            let bound = bounds.max_output_items + bounds.max_input_items * bounds.max_px_per_prune;
            assert!(scenario.p2p.len() <= bound, "{} outputs wait, {bytes} bytes", scenario.p2p.len());
            assert!(bytes <= bound * OUTPUT + scenario.allowance(), "{bytes} bytes");
            scenario.unread = false;
            scenario.settle().await;
        },
    );
}
