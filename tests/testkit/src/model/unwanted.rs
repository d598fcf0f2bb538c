//! IDONTWANT, counted again: who said that it does not want which message is not sent it, everybody else is; and
//! what we say of a message is said to the whole mesh once.

use std::collections::{BTreeMap, BTreeSet};

use actix_gossipsub::{
    P2pMessage, P2pOutput,
    limits::Limits,
    protocol::{IDontWantOutcome, PublishOutcome, ReceiveOutcome},
};
use proptest::prelude::*;

use super::{
    Checked,
    driver::{Outcome, Step, full},
    network::Ids,
    op::{Msg, Op},
};

/// What peers said, and what they were told in this heartbeat.
#[derive(Debug)]
pub struct Unwanted<I: Ids> {
    /// For how many heartbeats more.
    said: BTreeMap<(u32, I::Id), usize>,
    /// Ids that each peer named in this heartbeat.
    named: BTreeMap<u32, usize>,
    told: BTreeSet<(u8, I::Id)>,
}

impl<I: Ids> Default for Unwanted<I> {
    fn default() -> Self {
        Self { said: BTreeMap::new(), named: BTreeMap::new(), told: BTreeSet::new() }
    }
}

impl<I: Ids> Unwanted<I> {
    pub fn check(&mut self, limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
        match (step.op, &step.outcome) {
            (Op::IDontWant { peer, ids }, Outcome::IDontWant(outcome)) => {
                let ids = ids.iter().map(|(topic, number)| I::id(*topic, *number)).collect();
                prop_assert_eq!(*outcome, self.hear(limits, *peer, ids, step));
            }
            (Op::Disconnect { peer }, _) => {
                self.said.retain(|(from, _), _| from != peer);
                self.named.remove(peer);
            }
            (Op::Heartbeat, _) => self.forget(),
            // A topic that is left forgets what it said.
            (Op::Leave { topic }, _) => self.told.retain(|(of, _)| of != topic),
            (Op::Publish { message }, Outcome::Publish(PublishOutcome::Published { to })) => {
                self.routed(limits, *message, to, step)?;
            }
            (Op::Receive { message, .. }, Outcome::Receive(ReceiveOutcome::Route { to })) => {
                self.routed(limits, *message, to, step)?;
            }
            _ => {}
        }
        self.declined(limits, step)
    }

    fn hear(
        &mut self,
        limits: &Limits<u8>,
        peer: u32,
        ids: Vec<I::Id>,
        step: &Step<'_, I>,
    ) -> IDontWantOutcome {
        let extensions = &limits.extensions;
        let (size, max) = (extensions.idontwant_message_size, extensions.max_idontwant_per_heartbeat);
        if size == 0 || max == 0 || extensions.idontwant_ticks == 0 {
            return IDontWantOutcome::SwitchedOff;
        }
        if !step.before.connections.contains_key(&peer) {
            return IDontWantOutcome::UnknownPeer;
        }
        let (score, threshold) = (step.before.scores[&peer].score, limits.gossip_threshold);
        if score < threshold {
            return IDontWantOutcome::LowScore { score, threshold };
        }
        let named = self.named.entry(peer).or_default();
        let room = max.saturating_sub(*named);
        let asked = ids.len();
        *named += asked;
        for id in ids.into_iter().take(room) {
            self.said.insert((peer, id), extensions.idontwant_ticks);
        }
        match asked.saturating_sub(room) {
            0 => IDontWantOutcome::Noted { ids: asked },
            ignored => IDontWantOutcome::TooMany { ignored, max },
        }
    }

    fn forget(&mut self) {
        self.said.values_mut().for_each(|left| *left -= 1);
        self.said.retain(|_, left| *left > 0);
        self.named.clear();
        self.told.clear();
    }

    fn routed(&self, limits: &Limits<u8>, message: Msg, to: &[u32], step: &Step<'_, I>) -> Checked {
        let id = full::<I>(message).message_id;
        let large = (1..=size_of::<u8>()).contains(&limits.extensions.idontwant_message_size);
        let wants = |peer: &u32| !(large && self.said.contains_key(&(*peer, id)));
        let served = |peer: &u32| wants(peer) && !step.after.connections[peer].bootstrap;
        let sent: BTreeSet<u32> = step.drained.p2p.iter().filter_map(addressee_of_message).collect();
        prop_assert_eq!(sent, to.iter().copied().filter(served).collect::<BTreeSet<_>>());
        Ok(())
    }

    /// Of what comes again once it is decidable nobody tells here whose it is, and two topics may have the same id.
    fn declined(&mut self, limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
        if matches!(step.op, Op::CheckParked) {
            return Ok(());
        }
        let mut all: BTreeMap<I::Id, BTreeSet<u32>> = BTreeMap::new();
        for output in &step.drained.p2p {
            let P2pOutput::OutMessage { to_peer, message } = output else { continue };
            if let P2pMessage::IDontWant { message_ids } = message {
                prop_assert_eq!(message_ids.len(), 1);
                prop_assert!(all.entry(message_ids[0]).or_default().insert(*to_peer), "told twice");
            }
        }
        if all.is_empty() {
            return Ok(());
        }
        let Op::Receive { sender, message, .. } = step.op else {
            return Err(TestCaseError::fail(format!("{:?} makes us say {all:?}", step.op)));
        };
        let full = full::<I>(*message);
        let (id, topic) = (full.message_id, full.topic);
        prop_assert!(limits.extensions.idontwant_message_size == 1, "of a small message");
        let seen = step.before.seen.iter().any(|seen| (seen.topic, seen.id) == (topic, id));
        prop_assert!(!seen, "of a copy");
        prop_assert!(self.told.insert((topic, id)), "of a second copy");
        prop_assert!(self.told.len() <= limits.extensions.max_idontwant_per_heartbeat.saturating_mul(4));
        let bootstrap = |peer: &u32| step.before.connections[peer].bootstrap;
        let others = step.before.mesh[&topic].iter().copied();
        let others = others.filter(|peer| peer != sender && !bootstrap(peer)).collect();
        prop_assert_eq!(all, BTreeMap::from([(id, others)]));
        Ok(())
    }
}

fn addressee_of_message<N: actix_gossipsub::Network<Peer = u32>>(output: &P2pOutput<N>) -> Option<u32> {
    match output {
        P2pOutput::OutMessage { to_peer, message: P2pMessage::FullMessage(_) } => Some(*to_peer),
        _ => None,
    }
}
