//! These tests check which scores are retained after a disconnection, and what becomes of them (RetainScore).

use actix_gossipsub::ConnectionInfo;

use super::setup::{Fixture, SECOND, Setup, assert_score};

/// Weights of 1 or -1, decays by 0.5, and a score that is retained for 10 s.
fn setup() -> Setup {
    Setup::new()
        .topic_score(|topic| {
            topic.time_in_mesh_weight = 0.0;
            topic.mesh_message_deliveries_weight = 0.0;
            topic.mesh_failure_penalty_weight = 0.0;
            topic.invalid_message_deliveries_decay = 0.5;
        })
        .limits(|limits| {
            limits.score.app_specific_weight = 1.0;
            limits.score.behaviour_penalty_weight = -1.0;
            limits.score.behaviour_penalty_decay = 0.5;
            limits.extensions.slow_peer_penalty = 4.0;
            limits.retain_duration = 10 * SECOND;
        })
}

fn disconnect(fixture: &mut Fixture, peer: u32) {
    let now = fixture.now();
    fixture.node.remove_peer(&peer, now);
}

fn has_score(fixture: &Fixture, peer: u32) -> bool {
    fixture.view().scores.contains_key(&peer)
}

#[test]
fn a_score_is_retained_unless_it_is_positive() {
    let mut fixture = setup().connected(0..3).start();
    for (peer, score) in [(0, 0.5), (1, 0.0), (2, -1000.0)] {
        fixture.set_application_score(peer, score);
        disconnect(&mut fixture, peer);
    }
    assert_eq!([0, 1, 2].map(|peer| has_score(&fixture, peer)), [false, true, true]);
    assert_score(&fixture, 2, -1000.0);
    // Half of the time later it is as it was, also after a reconnection.
    fixture.advance(5 * SECOND);
    fixture.heartbeat();
    fixture.connect(2, ConnectionInfo::inbound());
    assert_score(&fixture, 2, -1000.0);
    disconnect(&mut fixture, 2);
    fixture.advance(10 * SECOND);
    fixture.heartbeat();
    assert_eq!([1, 2].map(|peer| has_score(&fixture, peer)), [false, false]);
    fixture.connect(2, ConnectionInfo::inbound());
    assert_score(&fixture, 2, 0.0);
}

/// What a peer delivered well is worth nothing after a disconnection, what it delivered badly stays.
#[test]
fn a_retained_score_has_lost_its_first_deliveries() {
    let mut fixture = setup().connected(0..1).subscribed().joined().start();
    fixture.deliver(0, 1);
    fixture.make_all_messages_invalid();
    (2..5).for_each(|id| drop(fixture.deliver(0, id)));
    assert_score(&fixture, 0, 1.0 - 9.0);
    disconnect(&mut fixture, 0);
    assert_score(&fixture, 0, -9.0);
}

/// P4 and P7 of a peer that is away for two decays, with this switch.
fn after_two_decays(retained_scores_decay: bool) -> (f64, f64) {
    let setup = setup().limits(|limits| limits.extensions.retained_scores_decay = retained_scores_decay);
    let mut fixture = setup.connected(0..2).subscribed().joined().start();
    fixture.make_all_messages_invalid();
    (0..2).for_each(|peer| (0..4).for_each(|id| drop(fixture.deliver(peer, 10 * peer + id))));
    (0..2).for_each(|peer| fixture.node.report_slow_peer(&peer));
    assert_score(&fixture, 0, -16.0 - 16.0);
    disconnect(&mut fixture, 0);
    for _ in 0..2 {
        fixture.next_heartbeat();
    }
    fixture.connect(0, ConnectionInfo::inbound());
    let scores = (fixture.score(0), fixture.score(1));
    // Once it is connected, it decays as any.
    fixture.next_heartbeat();
    assert_score(&fixture, 0, scores.0 / 4.0);
    scores
}

#[test]
fn a_retained_score_decays_as_in_the_reference_or_not_as_in_go_and_rust() {
    assert_eq!(after_two_decays(true), (-1.0 - 1.0, -1.0 - 1.0));
    assert_eq!(after_two_decays(false), (-16.0 - 16.0, -1.0 - 1.0));
}
