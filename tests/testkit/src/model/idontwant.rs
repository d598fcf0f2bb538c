//! Recounts IDONTWANT: a message goes to every mesh peer except those that sent IDONTWANT for it, and our own
//! IDONTWANT goes to the whole mesh once.

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
    graylist::is_graylisted,
    network::Ids,
    op::{Msg, Op},
};

/// The IDONTWANTs of peers, and our own of this heartbeat.
#[derive(Debug)]
pub struct IDontWantCheck<I: Ids> {
    /// The ids that each peer does not want, with the number of heartbeats until they expire.
    received: BTreeMap<(u32, I::Id), usize>,
    /// The number of ids that each peer sent in this heartbeat.
    received_this_heartbeat: BTreeMap<u32, usize>,
    /// The messages for which IDONTWANT was sent in this heartbeat, by topic.
    sent: BTreeSet<(u8, I::Id)>,
}

impl<I: Ids> Default for IDontWantCheck<I> {
    fn default() -> Self {
        Self { received: BTreeMap::new(), received_this_heartbeat: BTreeMap::new(), sent: BTreeSet::new() }
    }
}

impl<I: Ids> IDontWantCheck<I> {
    pub fn check(&mut self, limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
        match (step.op, &step.outcome) {
            (Op::IDontWant { peer, ids }, Outcome::IDontWant(outcome)) => {
                let ids = ids.iter().map(|(topic, number)| I::id(*topic, *number)).collect();
                prop_assert_eq!(*outcome, self.receive(limits, *peer, ids, step));
            }
            (Op::Disconnect { peer }, _) => {
                self.received.retain(|(from, _), _| from != peer);
                self.received_this_heartbeat.remove(peer);
            }
            (Op::Heartbeat, _) => self.heartbeat(),
            // A topic that is left removes its sent IDONTWANTs.
            (Op::Leave { topic }, _) => self.sent.retain(|(of, _)| of != topic),
            (Op::Publish { message }, Outcome::Publish(PublishOutcome::Published { to })) => {
                self.check_receivers(limits, *message, to, step)?;
            }
            (Op::Receive { message, .. }, Outcome::Receive(ReceiveOutcome::Route { to })) => {
                self.check_receivers(limits, *message, to, step)?;
            }
            _ => {}
        }
        self.check_sent(limits, step)
    }

    fn receive(
        &mut self,
        limits: &Limits<u8>,
        peer: u32,
        ids: Vec<I::Id>,
        step: &Step<'_, I>,
    ) -> IDontWantOutcome {
        if is_graylisted(limits, step.before, peer) {
            return IDontWantOutcome::Graylisted;
        }
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
        let count = self.received_this_heartbeat.entry(peer).or_default();
        let room = max.saturating_sub(*count);
        let received = ids.len();
        *count += received;
        for id in ids.into_iter().take(room) {
            self.received.insert((peer, id), extensions.idontwant_ticks);
        }
        match received.saturating_sub(room) {
            0 => IDontWantOutcome::Recorded { ids: received },
            ignored => IDontWantOutcome::TooMany { ignored, max },
        }
    }

    fn heartbeat(&mut self) {
        self.received.values_mut().for_each(|ticks| *ticks -= 1);
        self.received.retain(|_, ticks| *ticks > 0);
        self.received_this_heartbeat.clear();
        self.sent.clear();
    }

    fn check_receivers(&self, limits: &Limits<u8>, message: Msg, to: &[u32], step: &Step<'_, I>) -> Checked {
        let id = full::<I>(message).message_id;
        let large = (1..=size_of::<u8>()).contains(&limits.extensions.idontwant_message_size);
        let wants = |peer: &u32| !(large && self.received.contains_key(&(*peer, id)));
        let is_receiver = |peer: &u32| wants(peer) && !step.after.connections[peer].bootstrap;
        let sent: BTreeSet<u32> = step.drained.p2p.iter().filter_map(receiver_of_message).collect();
        prop_assert_eq!(sent, to.iter().copied().filter(is_receiver).collect::<BTreeSet<_>>());
        Ok(())
    }

    /// Our own IDONTWANTs. Those of `CheckParked` are not checked: the sender of a parked message is not known here, and
    /// two topics may have the same id.
    fn check_sent(&mut self, limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
        if matches!(step.op, Op::CheckParked) {
            return Ok(());
        }
        let mut all: BTreeMap<I::Id, BTreeSet<u32>> = BTreeMap::new();
        for output in &step.drained.p2p {
            let P2pOutput::OutMessage { to_peer, message } = output else { continue };
            if let P2pMessage::IDontWant { message_ids } = message {
                prop_assert_eq!(message_ids.len(), 1);
                prop_assert!(
                    all.entry(message_ids[0]).or_default().insert(*to_peer),
                    "the peer is sent two IDONTWANTs"
                );
            }
        }
        if all.is_empty() {
            return Ok(());
        }
        let Op::Receive { sender, message, .. } = step.op else {
            return Err(TestCaseError::fail(format!("{:?} sends {all:?}", step.op)));
        };
        let full = full::<I>(*message);
        let (id, topic) = (full.message_id, full.topic);
        prop_assert!(limits.extensions.idontwant_message_size == 1, "IDONTWANT of a small message");
        let seen = step.before.seen.iter().any(|seen| (seen.topic, seen.id) == (topic, id));
        prop_assert!(!seen, "IDONTWANT of a duplicate");
        prop_assert!(self.sent.insert((topic, id)), "a second IDONTWANT of a message");
        prop_assert!(self.sent.len() <= limits.extensions.max_idontwant_per_heartbeat.saturating_mul(4));
        let bootstrap = |peer: &u32| step.before.connections[peer].bootstrap;
        let others = step.before.mesh[&topic].iter().copied();
        let others = others.filter(|peer| peer != sender && !bootstrap(peer)).collect();
        prop_assert_eq!(all, BTreeMap::from([(id, others)]));
        Ok(())
    }
}

fn receiver_of_message<N: actix_gossipsub::Network<Peer = u32>>(output: &P2pOutput<N>) -> Option<u32> {
    match output {
        P2pOutput::OutMessage { to_peer, message: P2pMessage::FullMessage(_) } => Some(*to_peer),
        _ => None,
    }
}
