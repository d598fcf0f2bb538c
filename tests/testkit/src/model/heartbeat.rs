//! What a heartbeat answers, against what it changed and said.

use std::collections::{BTreeMap, BTreeSet};

use actix_gossipsub::{
    P2pMessage, P2pOutput,
    limits::Limits,
    protocol::{HeartbeatOutcome, Timestamp},
};
use proptest::prelude::*;

use super::{
    Checked,
    driver::{Outcome, Step},
    limits::AMPLE,
    network::{Ids, Net},
    wrongs::rise_of_misbehaviour,
};

type ByPeer = BTreeMap<u32, BTreeSet<u8>>;

pub fn check<I: Ids>(limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
    let Outcome::Heartbeat(outcome) = &step.outcome else { return Ok(()) };
    prop_assert_eq!(step.after.heartbeat_ticks, step.before.heartbeat_ticks + 1);
    changes_are_told_to_the_caller(outcome, step)?;
    changes_are_told_to_the_peers(limits, outcome, step)?;
    meshes_are_in_order(limits, outcome, step)?;
    quotas_are_reset(step)
}

fn changes_are_told_to_the_caller<I: Ids>(outcome: &HeartbeatOutcome<Net<I>>, step: &Step<'_, I>) -> Checked {
    let (mut grafted, mut pruned) = (ByPeer::new(), ByPeer::new());
    for (topic, before) in &step.before.mesh {
        let after = &step.after.mesh[topic];
        for peer in after.difference(before) {
            grafted.entry(*peer).or_default().insert(*topic);
        }
        for peer in before.difference(after) {
            pruned.entry(*peer).or_default().insert(*topic);
        }
    }
    prop_assert_eq!(&outcome.to_graft, &grafted, "grafts told and seen");
    prop_assert_eq!(&outcome.to_prune, &pruned, "prunes told and seen");
    prop_assert!(outcome.no_px.iter().all(|peer| outcome.to_prune.contains_key(peer)));
    Ok(())
}

fn changes_are_told_to_the_peers<I: Ids>(
    limits: &Limits<u8>,
    outcome: &HeartbeatOutcome<Net<I>>,
    step: &Step<'_, I>,
) -> Checked {
    let (mut grafts, mut prunes) = (ByPeer::new(), ByPeer::new());
    for output in &step.drained.p2p {
        let P2pOutput::OutMessage { to_peer, message } = output else { continue };
        match message {
            P2pMessage::Graft { topic } => {
                grafts.entry(*to_peer).or_default().insert(*topic);
            }
            P2pMessage::Prune { topic, backoff, .. } => {
                prunes.entry(*to_peer).or_default().insert(*topic);
                prop_assert_eq!(*backoff, limits.prune_backoff);
                let kept = step.after.backoff.get(topic).and_then(|backoffs| backoffs.get(to_peer));
                let forgotten = kept.is_none() && limits.bounds.max_backoffs_per_topic < AMPLE;
                let lasts = |until: &Timestamp| *until >= step.after.time.after(*backoff);
                prop_assert!(forgotten || kept.is_some_and(lasts));
            }
            _ => {}
        }
    }
    prop_assert_eq!(&outcome.to_graft, &grafts);
    prop_assert_eq!(&outcome.to_prune, &prunes);
    Ok(())
}

fn meshes_are_in_order<I: Ids>(
    limits: &Limits<u8>,
    outcome: &HeartbeatOutcome<Net<I>>,
    step: &Step<'_, I>,
) -> Checked {
    for (topic, mesh) in &step.after.mesh {
        let most = limits.degree_high + limits.degree_out + limits.opportunistic_graft_peers;
        prop_assert!(mesh.len() <= most, "{} peers in the mesh of {topic}", mesh.len());
        for peer in mesh {
            let score = step.after.scores[peer].score;
            // What one topic prunes can turn the score (P3b) by which another has kept the peer.
            let pruned_elsewhere = outcome.to_prune.contains_key(peer);
            // A promise that is found broken (P7) counts from the next heartbeat on.
            let broke_a_promise = rise_of_misbehaviour(limits, step, *peer) > 0.0;
            prop_assert!(
                score >= 0.0 || pruned_elsewhere || broke_a_promise,
                "{peer} stays in the mesh of {topic} with score {score}"
            );
        }
    }
    Ok(())
}

fn quotas_are_reset<I: Ids>(step: &Step<'_, I>) -> Checked {
    prop_assert!(step.after.ihave.is_empty() && step.after.iwant.is_empty());
    Ok(())
}
