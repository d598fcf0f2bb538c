//! These tests check that a peer whose GRAFT implies its SUBSCRIBE is treated as a new subscriber.

use actix_gossipsub::{
    P2pMessage, P2pOutput,
    protocol::{GraftOutcome, SubscribeOutcome},
};

use super::setup::{Setup, TOPIC};

/// The peers that are offered messages by IHAVE, with the ids.
fn offers(fixture: &mut super::setup::Fixture) -> Vec<(u32, Vec<u32>)> {
    let offer = |output| match output {
        P2pOutput::OutMessage { to_peer, message: P2pMessage::IHave { message_ids, .. } } => {
            Some((to_peer, message_ids))
        }
        _ => None,
    };
    fixture.node.drain().p2p.into_iter().filter_map(offer).collect()
}

/// The GRAFT of a peer may arrive before its SUBSCRIBE, or without one. No heartbeat gossips to the mesh.
#[test]
fn a_peer_that_grafts_before_it_subscribes_is_offered_what_was_published_to_few() {
    for (enabled, offered) in [(true, vec![(0, vec![9])]), (false, vec![])] {
        let setup = Setup::new().limits(|limits| limits.extensions.publish_reaches_degree_optimal = enabled);
        let mut fixture = setup.connected(0..2).joined().start();
        fixture.publish(9);
        assert_eq!(offers(&mut fixture), []);
        assert_eq!(fixture.graft(0), GraftOutcome::Grafted);
        assert_eq!(offers(&mut fixture), offered);
        // Its SUBSCRIBE is nothing new.
        let now = fixture.now();
        assert_eq!(fixture.node.subscribe(&0, &TOPIC, now), SubscribeOutcome::Subscribed);
        assert_eq!(offers(&mut fixture), []);
    }
}
