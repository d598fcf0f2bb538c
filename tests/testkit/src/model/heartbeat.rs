//! Compares the outcome of a heartbeat with the state changes and outputs that it caused.

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
    penalties::rise_of_misbehaviour,
};

type ByPeer = BTreeMap<u32, BTreeSet<u8>>;

pub fn check<I: Ids>(limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
    let Outcome::Heartbeat(outcome) = &step.outcome else { return Ok(()) };
    prop_assert_eq!(step.after.heartbeat_ticks, step.before.heartbeat_ticks + 1);
    outcome_lists_all_changes(outcome, step)?;
    all_changes_are_sent_to_peers(limits, outcome, step)?;
    meshes_satisfy_their_limits(limits, outcome, step)?;
    quotas_are_reset(step)
}

fn outcome_lists_all_changes<I: Ids>(outcome: &HeartbeatOutcome<Net<I>>, step: &Step<'_, I>) -> Checked {
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
    prop_assert_eq!(&outcome.to_graft, &grafted, "grafts in the outcome and in the meshes");
    prop_assert_eq!(&outcome.to_prune, &pruned, "prunes in the outcome and in the meshes");
    prop_assert!(outcome.no_px.iter().all(|peer| outcome.to_prune.contains_key(peer)));
    Ok(())
}

fn all_changes_are_sent_to_peers<I: Ids>(
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
                let backoff_end = step.after.backoff.get(topic).and_then(|backoffs| backoffs.get(to_peer));
                let evicted = backoff_end.is_none() && limits.bounds.max_backoffs_per_topic < AMPLE;
                let lasts = |until: &Timestamp| *until >= step.after.time.after(*backoff);
                prop_assert!(evicted || backoff_end.is_some_and(lasts));
            }
            _ => {}
        }
    }
    prop_assert_eq!(&outcome.to_graft, &grafts);
    prop_assert_eq!(&outcome.to_prune, &prunes);
    Ok(())
}

fn meshes_satisfy_their_limits<I: Ids>(
    limits: &Limits<u8>,
    outcome: &HeartbeatOutcome<Net<I>>,
    step: &Step<'_, I>,
) -> Checked {
    for (topic, mesh) in &step.after.mesh {
        let most = limits.degree_high + limits.degree_out + limits.opportunistic_graft_peers;
        prop_assert!(mesh.len() <= most, "{} peers in the mesh of {topic}", mesh.len());
        for peer in mesh {
            let score = step.after.scores[peer].score;
            // A prune on one topic can lower the score (P3b) after another topic has kept the peer in its mesh.
            let pruned_elsewhere = outcome.to_prune.contains_key(peer);
            // A promise that is broken in this heartbeat (P7) affects the meshes at the next one.
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
    prop_assert!(step.after.answer_bytes.is_empty());
    Ok(())
}
