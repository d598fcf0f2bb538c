//! GRAFT and PRUNE.

use std::time::Duration;

use actix_gossipsub::{P2pInput, PxPeer};

use super::support::*;

#[test]
fn a_graft_on_a_topic_that_we_are_not_in_is_refused_and_soon_forgotten() {
    besieged(
        |limits| limits.bounds.max_idle_topics = 100,
        async |siege| {
            let toll = siege.attack(100_000, |number| graft(ATTACKER, NOT_JOINED + number)).await;
            assert_eq!(siege.heard, Heard { prunes: 100_000, ..Heard::default() });
            let (before, after) = (toll.before.footprint, toll.after.footprint);
            let idle = siege.limits().bounds.max_idle_topics;
            assert_eq!(after.topics - before.topics, idle);
            assert_eq!(after.backoffs - before.backoffs, idle);
            assert_eq!((after.subscriptions, after.mesh), (before.subscriptions, before.mesh));
            assert!(toll.bytes() <= idle * (TOPIC + ENTRY) + siege.slack(), "{} bytes", toll.bytes());
            // The backoffs end, and two heartbeats and the cleanup's interval later they are forgotten.
            let ticks = siege.limits().prune_backoff.as_secs() + 2 + siege.limits().backoff_cleanup_ticks;
            siege.pass(ticks as usize).await;
            assert_eq!(siege.burden().await.footprint.topics, before.topics);
        },
    );
}

#[test]
fn a_graft_during_backoff_is_refused_and_costs_the_peer() {
    besieged(
        |_| {},
        async |siege| {
            siege.say(graft(ATTACKER, ATTACKED));
            assert!(siege.view().await.mesh[&ATTACKED].contains(&ATTACKER));
            siege.say(prune(ATTACKER, ATTACKED, Vec::new(), siege.limits().prune_backoff));
            let toll = siege.attack(20_000, |_| graft(ATTACKER, ATTACKED)).await;
            let view = siege.view().await;
            assert!(!view.mesh[&ATTACKED].contains(&ATTACKER));
            assert_eq!(siege.heard.prunes, 20_000);
            // Each came at once: two faults.
            assert!(view.scores[&ATTACKER].behaviour_penalty >= 40_000.0);
            assert!(view.scores[&ATTACKER].score < siege.limits().gossip_threshold);
            siege.assert_nothing_kept(&toll);
            assert!(!siege.is_answered().await);
            // When the backoff is over the score is what keeps it out.
            siege.pass(siege.limits().prune_backoff.as_secs() as usize + 1).await;
            siege.say(graft(ATTACKER, ATTACKED));
            siege.say(P2pInput::connected(ATTACKER + 1));
            siege.say(graft(ATTACKER + 1, ATTACKED));
            let view = siege.view().await;
            assert!(!view.mesh[&ATTACKED].contains(&ATTACKER));
            assert!(view.mesh[&ATTACKED].contains(&(ATTACKER + 1)));
        },
    );
}

#[test]
fn a_prune_with_a_huge_backoff_binds_for_a_while_only() {
    besieged(
        |limits| limits.degree_low = limits.degree_optimal,
        async |siege| {
            siege.say(graft(ATTACKER, ATTACKED));
            let before = siege.burden().await.footprint;
            let toll = siege.attack(20_000, |_| prune(ATTACKER, ATTACKED, Vec::new(), Duration::MAX)).await;
            let longest = siege.limits().bounds.max_remote_backoff;
            let view = siege.view().await;
            assert_eq!(view.backoff[&ATTACKED][&ATTACKER], view.time.after(longest));
            assert!(!view.mesh[&ATTACKED].contains(&ATTACKER));
            assert_eq!(toll.after.footprint.backoffs, before.backoffs + 1);
            assert_eq!(toll.after.footprint.mesh, before.mesh - 1);
            assert!(toll.bytes() <= siege.slack());
            // It binds us too: the mesh lacks a peer, and a heartbeat does not graft this one.
            siege.pass(1).await;
            assert!(!siege.view().await.mesh[&ATTACKED].contains(&ATTACKER));
            siege.clock.advance(longest + 2 * siege.limits().heartbeat_interval);
            siege.pass(siege.limits().backoff_cleanup_ticks as usize).await;
            assert_eq!(siege.burden().await.footprint.backoffs, before.backoffs);
            siege.say(graft(ATTACKER, ATTACKED));
            assert!(siege.view().await.mesh[&ATTACKED].contains(&ATTACKER));
        },
    );
}

#[test]
fn of_offered_peers_a_few_are_looked_at_and_fewer_taken() {
    const OFFERED: u64 = 500_000;
    besieged(
        |limits| {
            limits.accept_px_threshold = 0.0;
            limits.bounds.max_px_per_prune = 64;
        },
        async |siege| {
            let px = |number: u64, count| {
                (0..count).map(|peer| PxPeer::new(1_000_000 + number * count + peer)).collect()
            };
            let bounds = siege.limits().bounds.clone();
            let taken = siege.limits().peers_to_px;
            siege.say(graft(ATTACKER, ATTACKED));
            let backoff = Duration::from_secs(1);
            let toll = siege.attack(1, |_| prune(ATTACKER, ATTACKED, px(0, OFFERED), backoff)).await;
            let heard = siege.heard;
            assert_eq!((heard.connects, heard.forgets), (taken, bounds.max_px_per_prune - taken));
            let list = OFFERED as usize * size_of::<PxPeer<u64>>();
            assert!(toll.peak <= 3 * list + siege.slack(), "{} for {list}", toll.peak);
            assert_eq!(toll.after.footprint.unreachable, 0);
            // Who is in no mesh any more is not listened to.
            let toll =
                siege.attack(20_000, |number| prune(ATTACKER, ATTACKED, px(number, 100), backoff)).await;
            assert_eq!(siege.heard.connects, taken);
            assert_eq!(toll.after.footprint, toll.before.footprint);
            // The queue keeps the room that its longest moment took: each input has that many outputs.
            let queue = bounds.max_input_items * bounds.max_px_per_prune * OUTPUT;
            assert!(toll.peak <= queue + siege.slack(), "{} of {queue} bytes", toll.peak);
        },
    );
}

#[test]
fn what_peers_cause_to_be_said_is_bounded_though_nobody_reads() {
    besieged(
        |limits| {
            limits.bounds.max_output_items = 1000;
            limits.bounds.max_px_per_prune = 100;
        },
        async |siege| {
            siege.unread = true;
            let px =
                |number: u64| (0..100).map(|peer| PxPeer::new(1_000_000 + number * 100 + peer)).collect();
            let attack = |number: u64| match number % 2 {
                0 => graft(ATTACKER, NOT_JOINED),
                _ => prune(ATTACKER, ATTACKED, px(number), Duration::from_secs(1)),
            };
            let before = siege.burden().await;
            for number in 0..10_000 {
                // Refusing the attacker is as good.
                let _ = siege.worker.p2p_input(attack(number));
                if number % 100 == 99 {
                    siege.rest().await;
                }
            }
            let bytes = siege.burden().await.bytes.saturating_sub(before.bytes);
            // The stream full, and what follows from the inputs that were taken before.
            let bounds = &siege.limits().bounds;
            let bound = bounds.max_output_items + bounds.max_input_items * bounds.max_px_per_prune;
            assert!(siege.p2p.len() <= bound, "{} outputs wait, {bytes} bytes", siege.p2p.len());
            assert!(bytes <= bound * OUTPUT + siege.slack(), "{bytes} bytes");
            siege.unread = false;
            siege.rest().await;
        },
    );
}
