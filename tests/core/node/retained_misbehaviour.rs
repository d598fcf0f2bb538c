//! These tests check that a peer with a positive score does not lose its misbehaviour (P7) by connecting again.

use actix_gossipsub::ConnectionInfo;

use super::setup::{Setup, TOPIC};

#[test]
fn a_peer_with_a_positive_score_keeps_its_misbehaviour_and_nothing_else_when_it_returns() {
    for (retain, kept) in [(true, 2.0), (false, 0.0)] {
        let setup = Setup::new().limits(|limits| {
            limits.extensions.slow_peer_penalty = 1.0;
            limits.extensions.retain_misbehaviour = retain;
            limits.score.behaviour_penalty_threshold = 6.0;
        });
        let mut fixture = setup.connected(0..2).subscribed().joined().start();
        for peer in [0, 1] {
            fixture.deliver(peer, 10 + peer);
            fixture.set_application_score(peer, 5.0);
        }
        for _ in 0..2 {
            fixture.node.report_slow_peer(&0);
        }
        assert!([0, 1].iter().all(|peer| fixture.score(*peer) > 0.0));
        for peer in [0, 1] {
            fixture.node.remove_peer(&peer, fixture.now());
        }
        assert_eq!(
            fixture.view().scores.keys().copied().collect::<Vec<_>>(),
            if retain { vec![0] } else { vec![] }
        );
        for peer in [0, 1] {
            fixture.connect(peer, ConnectionInfo::inbound());
        }
        let scores = fixture.view().scores;
        assert_eq!([0, 1].map(|peer| scores[&peer].behaviour_penalty), [kept, 0.0]);
        assert_eq!([0, 1].map(|peer| scores[&peer].score), [0.0, 0.0]);
        assert!(scores.values().all(|score| !score.topics.contains_key(&TOPIC)));
    }
}
