//! These tests attack with peers that connect and disconnect, and with peers that never connect.

use std::time::Duration;

use actix_gossipsub::P2pInput;

use super::support::*;

#[test]
fn short_connections_leave_only_scores_for_a_while() {
    const PEERS_PER_SECOND: u64 = 5000;
    const SECONDS: u64 = 20;
    with_attacker(
        |limits| {
            limits.retain_duration = Duration::from_secs(2);
            limits.bounds.max_idle_topics = 100;
        },
        async |scenario| {
            let before = scenario.usage().await;
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
                let from = second * 5 * PEERS_PER_SECOND;
                let cost =
                    scenario.attack(5 * PEERS_PER_SECOND as usize, |number| input(from + number)).await;
                let footprint = cost.after.footprint;
                assert_eq!(footprint.connections, before.footprint.connections);
                assert_eq!(footprint.subscriptions, before.footprint.subscriptions);
                assert_eq!(footprint.subscribers, before.footprint.subscribers);
                assert_eq!(footprint.mesh, before.footprint.mesh);
                // Scores are retained for a while, so that a bad peer does not regain a neutral score by reconnecting.
                let remembered = (scenario.limits().retain_duration.as_secs() + 1) * PEERS_PER_SECOND;
                assert!(footprint.scores - before.footprint.scores <= remembered as usize);
                assert!(footprint.topics <= before.footprint.topics + 100);
                assert!(
                    cost.after.bytes - before.bytes <= remembered as usize * 3 * ENTRY + scenario.allowance()
                );
                scenario.pass_heartbeats(1).await;
            }
            scenario.pass_heartbeats(scenario.limits().seen_history_length).await;
            let after = scenario.usage().await;
            assert_eq!(after.footprint.scores, before.footprint.scores);
            assert_eq!((after.footprint.topics, after.footprint.backoffs), (2, 0));
            assert!(after.bytes.saturating_sub(before.bytes) <= scenario.allowance());
        },
    );
}

#[test]
fn an_unread_output_queue_releases_its_memory_when_it_is_read() {
    const RECONNECTIONS: usize = 60_000;
    const PEER: u64 = 1_000_000;
    with_attacker(
        |_| {},
        async |scenario| {
            let before = scenario.usage().await;
            scenario.unread = true;
            for count in 1..=RECONNECTIONS {
                scenario.send(P2pInput::connected(PEER));
                scenario.send(P2pInput::Disconnection { peer: PEER });
                if count % 100 == 0 {
                    scenario.settle().await;
                }
            }
            // The announcement of both topics to each connection is one item.
            assert!(scenario.p2p.len() >= RECONNECTIONS);
            scenario.unread = false;
            scenario.settle().await;
            let kept = scenario.usage().await.bytes.saturating_sub(before.bytes);
            assert!(
                kept <= scenario.allowance(),
                "{kept} bytes kept, above the allowance of {}",
                scenario.allowance()
            );
        },
    );
}

#[test]
fn a_peer_keeps_its_negative_score_when_it_reconnects() {
    with_attacker(
        |_| {},
        async |scenario| {
            let cost = scenario.attack(1000, |number| message(ATTACKER, ATTACKED, number, b"i")).await;
            scenario.assert_nothing_kept(&cost);
            let score = scenario.score().await;
            for _ in 0..100 {
                scenario.send(P2pInput::Disconnection { peer: ATTACKER });
                scenario.send(P2pInput::connected(ATTACKER));
            }
            assert_eq!(scenario.score().await, score);
            scenario.send(graft(ATTACKER, ATTACKED));
            assert!(!scenario.view().await.mesh[&ATTACKED].contains(&ATTACKER));
            assert!(!scenario.is_answered().await);
        },
    );
}

#[test]
fn peers_that_never_connect_use_no_memory() {
    with_attacker(
        |limits| limits.bounds.max_unconnected_peers = 50,
        async |scenario| {
            let cost = scenario
                .attack(100_000, |number| {
                    let unconnected = 1_000_000 + number;
                    match number % 5 {
                        0 => subscribe(unconnected, NOT_JOINED + number),
                        1 => graft(unconnected, if number % 2 == 0 { ATTACKED } else { NOT_JOINED + number }),
                        2 => ihave(unconnected, ATTACKED, vec![Id::new(ATTACKED, number)]),
                        3 => message(unconnected, ATTACKED, number, b"i"),
                        _ => P2pInput::Disconnection { peer: unconnected },
                    }
                })
                .await;
            let quotas = scenario.limits().bounds.max_unconnected_peers + cost.before.footprint.connections;
            assert!(cost.after.footprint.heartbeat_quotas <= quotas);
            // The entries of the quotas, and the remembered ids of requests to these peers.
            let kept = quotas * ENTRY + cost.remembered() + scenario.allowance();
            assert!(cost.bytes() <= kept, "{} bytes kept, above the allowance of {kept}", cost.bytes());
            scenario.pass_heartbeats(scenario.limits().extensions.invalid_memory_ticks).await;
            assert_eq!(scenario.usage().await.footprint, cost.before.footprint);
        },
    );
}
