//! Peers that come and go, and such that never came.

use std::time::Duration;

use actix_gossipsub::P2pInput;

use super::support::*;

#[test]
fn peers_that_come_and_go_are_forgotten() {
    const A_SECOND: u64 = 5000;
    const SECONDS: u64 = 20;
    besieged(
        |limits| {
            limits.retain_duration = Duration::from_secs(2);
            limits.bounds.max_idle_topics = 100;
        },
        async |siege| {
            let before = siege.burden().await;
            let input = |number: u64| {
                let peer = 1_000_000 + number / 5;
                match number % 5 {
                    0 => P2pInput::connected(peer),
                    1 => subscribe(peer, NOT_JOINED + peer),
                    2 => graft(peer, if peer.is_multiple_of(2) { ATTACKED } else { NOT_JOINED + peer }),
                    3 => message(peer, ATTACKED, number, b"i"),
                    _ => P2pInput::Disconnection { peer },
                }
            };
            for second in 0..SECONDS {
                let from = second * 5 * A_SECOND;
                let toll = siege.attack(5 * A_SECOND as usize, |number| input(from + number)).await;
                let footprint = toll.after.footprint;
                assert_eq!(footprint.connections, before.footprint.connections);
                assert_eq!(footprint.subscriptions, before.footprint.subscriptions);
                assert_eq!(footprint.subscribers, before.footprint.subscribers);
                assert_eq!(footprint.mesh, before.footprint.mesh);
                // Scores for a while, lest who is bad come back as good.
                let remembered = (siege.limits().retain_duration.as_secs() + 1) * A_SECOND;
                assert!(footprint.scores - before.footprint.scores <= remembered as usize);
                assert!(footprint.topics <= before.footprint.topics + 100);
                assert!(toll.after.bytes - before.bytes <= remembered as usize * 3 * ENTRY + siege.slack());
                siege.pass(1).await;
            }
            siege.pass(siege.limits().seen_history_length).await;
            let after = siege.burden().await;
            assert_eq!(after.footprint.scores, before.footprint.scores);
            assert_eq!((after.footprint.topics, after.footprint.backoffs), (2, 0));
            assert!(after.bytes.saturating_sub(before.bytes) <= siege.slack());
        },
    );
}

#[test]
fn what_waited_for_a_reader_leaves_no_room_behind() {
    const COMES: usize = 60_000;
    const PEER: u64 = 1_000_000;
    besieged(
        |_| {},
        async |siege| {
            let before = siege.burden().await;
            siege.unread = true;
            for count in 1..=COMES {
                siege.say(P2pInput::connected(PEER));
                siege.say(P2pInput::Disconnection { peer: PEER });
                if count % 100 == 0 {
                    siege.rest().await;
                }
            }
            // Each time it is told of both topics.
            assert!(siege.p2p.len() >= 2 * COMES);
            siege.unread = false;
            siege.rest().await;
            let kept = siege.burden().await.bytes.saturating_sub(before.bytes);
            assert!(kept <= siege.slack(), "{kept} bytes kept, {} may be", siege.slack());
        },
    );
}

#[test]
fn a_bad_peer_that_comes_again_is_as_bad() {
    besieged(
        |_| {},
        async |siege| {
            let toll = siege.attack(1000, |number| message(ATTACKER, ATTACKED, number, b"i")).await;
            siege.assert_nothing_kept(&toll);
            let score = siege.score().await;
            for _ in 0..100 {
                siege.say(P2pInput::Disconnection { peer: ATTACKER });
                siege.say(P2pInput::connected(ATTACKER));
            }
            assert_eq!(siege.score().await, score);
            siege.say(graft(ATTACKER, ATTACKED));
            assert!(!siege.view().await.mesh[&ATTACKED].contains(&ATTACKER));
            assert!(!siege.is_answered().await);
        },
    );
}

#[test]
fn who_never_connected_is_given_no_memory() {
    besieged(
        |limits| limits.bounds.max_unconnected_peers = 50,
        async |siege| {
            let toll = siege
                .attack(100_000, |number| {
                    let stranger = 1_000_000 + number;
                    match number % 5 {
                        0 => subscribe(stranger, NOT_JOINED + number),
                        1 => graft(stranger, if number % 2 == 0 { ATTACKED } else { NOT_JOINED + number }),
                        2 => ihave(stranger, ATTACKED, vec![Id::new(ATTACKED, number)]),
                        3 => message(stranger, ATTACKED, number, b"i"),
                        _ => P2pInput::Disconnection { peer: stranger },
                    }
                })
                .await;
            let places = siege.limits().bounds.max_unconnected_peers + toll.before.footprint.connections;
            assert!(toll.after.footprint.heartbeat_quotas <= places);
            // Each place, and what was asked for by it.
            let kept = places * ENTRY + toll.remembered() + siege.slack();
            assert!(toll.bytes() <= kept, "{} bytes kept, {kept} may be", toll.bytes());
            siege.pass(siege.limits().extensions.invalid_memory_ticks).await;
            assert_eq!(siege.burden().await.footprint, toll.before.footprint);
        },
    );
}
