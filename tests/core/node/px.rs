//! These tests check peer exchange (v1.1): which PRUNEs recommend peers, and whose recommendations are accepted.

use std::{collections::BTreeSet, sync::Arc};

use actix_gossipsub::{
    ConnectionInfo, Origin, P2pMessage, P2pOutput, PxPeer,
    limits::LimitsConfig,
    protocol::{GraftOutcome, PruneOutcome},
};

use super::setup::*;

/// The peers that each PRUNE since the last call recommends, by its recipient.
fn recommended(fixture: &mut Fixture) -> Vec<(u32, BTreeSet<u32>)> {
    let outputs = fixture.node.drain().p2p;
    let prunes = outputs.into_iter().filter_map(|output| match output {
        P2pOutput::OutMessage { to_peer, message: P2pMessage::Prune { px, .. } } => {
            assert!(px.iter().all(|px| px.record.is_none()), "the engine knows no records");
            Some((to_peer, px.into_iter().map(|px| px.peer).collect()))
        }
        _ => None,
    });
    prunes.collect()
}

/// A node of the data availability layer of Tezos with 25 subscribers, 12 of which it has grafted or was grafted by.
fn tezos(change: impl FnOnce(&mut LimitsConfig<u32>)) -> Fixture {
    let setup = Setup::new().limits(|limits| {
        *limits = LimitsConfig::tezos_dal();
        change(limits);
    });
    let mut fixture = setup.connected(MANY).subscribed().joined().start();
    let mesh = fixture.mesh();
    MANY.filter(|peer| !mesh.contains(peer)).take(6).for_each(|peer| _ = fixture.graft(peer));
    assert_eq!(fixture.mesh().len(), 12);
    fixture.node.drain();
    fixture
}

#[test]
fn the_tezos_preset_recommends_peers_to_those_that_find_the_mesh_full() {
    let mut fixture = tezos(|_| {});
    let refused = MANY.clone().find(|peer| !fixture.mesh().contains(peer)).unwrap();
    assert_eq!(fixture.graft(refused), GraftOutcome::MeshFull);
    let prunes = recommended(&mut fixture);
    let [(peer, px)] = &prunes[..] else { panic!("{prunes:?}") };
    assert_eq!((*peer, px.len()), (refused, 16));
    assert!(!px.contains(&refused));
    // Within its backoff it gets no further recommendations.
    assert_eq!(fixture.graft(refused), GraftOutcome::BackedOff);
    assert_eq!(recommended(&mut fixture), [(refused, BTreeSet::new())]);
}

#[test]
fn the_tezos_preset_recommends_peers_to_those_that_an_oversubscribed_mesh_prunes() {
    let mut fixture = tezos(|_| {});
    // A full mesh still accepts peers that this node dialled.
    let outbound = 100..103;
    for peer in outbound {
        fixture.connect(peer, ConnectionInfo::outbound());
        fixture.subscribe(peer);
        assert_eq!(fixture.graft(peer), GraftOutcome::Grafted);
    }
    fixture.node.drain();
    let pruned = fixture.heartbeat().to_prune;
    let prunes = recommended(&mut fixture);
    assert_eq!((pruned.len(), prunes.len()), (15 - 6, 15 - 6));
    assert!(prunes.iter().all(|(peer, px)| px.len() == 16 && !px.contains(peer)), "{prunes:?}");
}

#[test]
fn a_peer_with_a_negative_score_gets_no_recommendations_and_is_in_none() {
    // A PRUNE has room for every other subscriber.
    let mut fixture = tezos(|limits| limits.peers_to_px = 1000);
    let bad = *fixture.mesh().first().unwrap();
    fixture.set_application_score(bad, -1.0);
    fixture.heartbeat();
    let prunes = recommended(&mut fixture);
    assert_eq!(prunes.iter().find(|(peer, _)| *peer == bad), Some(&(bad, BTreeSet::new())));
    fixture.advance(61 * SECOND);
    fixture.heartbeat();
    fixture.node.drain();
    assert_eq!(fixture.graft(bad), GraftOutcome::NegativeScore);
    assert_eq!(recommended(&mut fixture), [(bad, BTreeSet::new())]);
    fixture.leave();
    let prunes = recommended(&mut fixture);
    assert!(!prunes.is_empty());
    assert!(prunes.iter().all(|(_, px)| px.len() == 23 && !px.contains(&bad)), "{prunes:?}");
}

#[test]
fn without_do_px_no_prune_recommends_peers() {
    let mut fixture = tezos(|limits| limits.do_px = false);
    fixture.leave();
    let prunes = recommended(&mut fixture);
    assert_eq!(prunes.len(), 12);
    assert!(prunes.iter().all(|(_, px)| px.is_empty()), "{prunes:?}");
}

/// What the p2p layer gets of a PRUNE of the mesh peer 0 that recommends the peers 100 and 101, the first one with a record.
fn offered(accept_px: bool, score: f64) -> (PruneOutcome<Plain>, Vec<String>, usize) {
    let setup = Setup::new().limits(|limits| {
        limits.extensions.accept_px = accept_px;
        (limits.accept_px_threshold, limits.peers_to_px) = (5.0, 16);
        limits.score.app_specific_weight = 1.0;
    });
    let mut fixture = setup.connected(0..1).subscribed().joined().start();
    fixture.set_application_score(0, score);
    fixture.node.drain();
    let record: Arc<[u8]> = (*b"record").into();
    let px = vec![PxPeer::new(101), PxPeer::new(100).with_record(record), PxPeer::new(100)];
    let now = fixture.now();
    let outcome = fixture.node.prune(&0, &TOPIC, px, SECOND, now);
    let outputs = fixture.node.drain().p2p;
    let records = outputs.iter().filter(
        |output| matches!(output, P2pOutput::Connect { record: Some(record), .. } if **record == *b"record"),
    );
    let records = records.count();
    let from_peer = |output: &P2pOutput<Plain>| match output {
        P2pOutput::Connect { origin, .. } => *origin == Origin::Px(0),
        P2pOutput::Forget { origin, .. } => *origin == 0,
        _ => false,
    };
    let texts = outputs.iter().filter(|output| from_peer(output)).map(ToString::to_string).collect();
    (outcome, texts, records)
}

#[test]
fn a_record_leaves_the_engine_only_with_a_peer_that_is_accepted() {
    let (outcome, outputs, records) = offered(true, 5.0);
    assert_eq!(outcome, PruneOutcome::Px { peers: vec![100, 101] });
    assert_eq!(outputs, ["connect to 100 (px from 0, with its record)", "connect to 101 (px from 0)"]);
    assert_eq!(records, 1);
    let forgotten = ["forget 100 (px from 0)", "forget 101 (px from 0)"];
    let (outcome, outputs, records) = offered(true, 4.0);
    assert!(matches!(outcome, PruneOutcome::ScoreTooLow { .. }), "{outcome:?}");
    assert_eq!((outputs, records), (forgotten.map(str::to_owned).to_vec(), 0));
    let (outcome, outputs, records) = offered(false, 1000.0);
    assert_eq!(outcome, PruneOutcome::PxDisabled);
    assert_eq!((outputs, records), (forgotten.map(str::to_owned).to_vec(), 0));
}
