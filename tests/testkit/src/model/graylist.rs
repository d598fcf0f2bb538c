//! Checks what follows from a low score: inputs of graylisted peers change nothing, and a heartbeat disconnects exactly the
//! peers below the disconnect threshold.

use actix_gossipsub::{
    P2pOutput,
    limits::Limits,
    protocol::{
        GraftOutcome, IDontWantOutcome, IHaveOutcome, IWantOutcome, PruneOutcome, ReceiveOutcome, View,
    },
};
use proptest::prelude::*;

use super::{
    Checked,
    driver::{Outcome, Step},
    network::{Ids, Net},
    op::Op,
};

/// Whether nothing of a peer is handled.
pub fn is_graylisted<I: Ids>(limits: &Limits<u8>, view: &View<Net<I>>, peer: u32) -> bool {
    let direct = view.connections.get(&peer).is_some_and(|connection| connection.direct);
    let score = view.scores.get(&peer).map(|score| score.score);
    limits.extensions.graylist_threshold.zip(score).is_some_and(|(threshold, score)| score < threshold)
        && !direct
}

pub fn check<I: Ids>(limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
    if let Some(peer) = sender(step.op) {
        let graylisted = is_graylisted(limits, step.before, peer);
        if let Some(refused) = refused(&step.outcome) {
            prop_assert_eq!(refused, graylisted, "the outcome of a graylisted peer");
        }
        if graylisted {
            let drained = &step.drained;
            prop_assert!(drained.p2p.is_empty() && drained.app.is_empty() && drained.events.is_empty());
            prop_assert_eq!(format!("{:?}", step.before), format!("{:?}", step.after));
        }
    }
    if matches!(step.op, Op::Heartbeat) { disconnections(limits, step) } else { Ok(()) }
}

/// The peer that sent the input.
fn sender(op: &Op) -> Option<u32> {
    match op {
        Op::Subscribe { peer, .. }
        | Op::Unsubscribe { peer, .. }
        | Op::Graft { peer, .. }
        | Op::Prune { peer, .. }
        | Op::IHave { peer, .. }
        | Op::IWant { peer, .. }
        | Op::IDontWant { peer, .. }
        | Op::Receive { sender: peer, .. } => Some(*peer),
        _ => None,
    }
}

/// Whether the input was refused because its sender is graylisted. `None` if the driver does not record the outcome.
fn refused<I: Ids>(outcome: &Outcome<I>) -> Option<bool> {
    Some(match outcome {
        Outcome::Graft(outcome) => *outcome == GraftOutcome::Graylisted,
        Outcome::Prune(outcome) => *outcome == PruneOutcome::Graylisted,
        Outcome::IHave(outcome) => *outcome == IHaveOutcome::Graylisted,
        Outcome::IWant(outcome) => *outcome == IWantOutcome::Graylisted,
        Outcome::IDontWant(outcome) => *outcome == IDontWantOutcome::Graylisted,
        Outcome::Receive(outcome) => *outcome == ReceiveOutcome::Graylisted,
        _ => return None,
    })
}

fn disconnections<I: Ids>(limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
    let disconnected = step.drained.p2p.iter().filter_map(|output| match output {
        P2pOutput::Kick { peer, duration } if *duration == limits.extensions.ban_duration => Some(*peer),
        P2pOutput::Disconnect { peer } if limits.extensions.ban_duration.is_zero() => Some(*peer),
        _ => None,
    });
    let is_low = |peer: &u32| {
        let threshold = limits.extensions.disconnect_threshold;
        threshold.is_some_and(|threshold| step.after.scores[peer].score < threshold)
    };
    let expected =
        step.after.connections.iter().filter(|(peer, connection)| !connection.direct && is_low(peer));
    prop_assert_eq!(
        disconnected.collect::<Vec<_>>(),
        expected.map(|(peer, _)| *peer).collect::<Vec<_>>(),
        "the disconnected peers"
    );
    Ok(())
}
