//! This module checks the invariants of a node's outputs: destination, order and cause.

use std::collections::{BTreeMap, BTreeSet};

use actix_gossipsub::{
    FullMessage, Origin, P2pMessage, P2pOutput, PxPeer,
    limits::Limits,
    protocol::{GraftOutcome, ReceiveOutcome},
};
use proptest::prelude::*;

use super::{
    Checked,
    driver::{Outcome, Step, full},
    limits::AMPLE,
    network::{Ids, Net, SELF},
    op::Op,
    penalties::rise_of_misbehaviour,
};

/// What the peers were told so far, and who delivered what is not judged yet.
#[derive(Debug)]
pub struct OutputCheck<I: Ids> {
    /// The peers that know us to be in a topic.
    announced: BTreeSet<(u32, u8)>,
    /// Who delivered each message of the pending batch, and is remembered: the first to come.
    pending: BTreeMap<FullMessage<Net<I>>, Vec<u32>>,
    /// Messages that were parked joined the batch, with deliverers of whom nobody told.
    others_joined: bool,
}

impl<I: Ids> Default for OutputCheck<I> {
    fn default() -> Self {
        Self { announced: BTreeSet::new(), pending: BTreeMap::new(), others_joined: false }
    }
}

impl<I: Ids> OutputCheck<I> {
    pub fn check(&mut self, limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
        self.announcements(step)?;
        for output in &step.drained.p2p {
            match output {
                P2pOutput::OutMessage { to_peer, message } => addressed(*to_peer, message, step)?,
                other => contact(other, step)?,
            }
        }
        for output in &step.drained.p2p {
            let P2pOutput::OutMessage { to_peer, message } = output else { continue };
            match message {
                P2pMessage::Graft { topic } => self.graft(*to_peer, *topic, step)?,
                P2pMessage::Prune { topic, px, backoff } => {
                    prune(limits, *to_peer, *topic, px, step)?;
                    let ours = [limits.prune_backoff, limits.unsubscribe_backoff];
                    prop_assert!(ours.contains(backoff));
                }
                P2pMessage::IHave { topic, message_ids } => {
                    ihave(limits, *to_peer, *topic, message_ids, step)?;
                }
                P2pMessage::IWant { message_ids } => iwant(limits, *to_peer, message_ids, step)?,
                P2pMessage::FullMessage(message) => self.full_message(limits, *to_peer, message, step)?,
                _ => {}
            }
        }
        mesh_changes_are_told(step)?;
        delivered_to_the_application(limits, step)?;
        self.remember(limits, step);
        Ok(())
    }

    /// SUBSCRIBE and UNSUBSCRIBE are told to everybody, once, and no GRAFT or PRUNE is out of place.
    fn announcements(&mut self, step: &Step<'_, I>) -> Checked {
        if let Op::Disconnect { peer } = step.op {
            self.announced.retain(|(announced, _)| announced != peer);
        }
        let mut gone = BTreeSet::new();
        for output in &step.drained.p2p {
            let P2pOutput::OutMessage { to_peer, message } = output else { continue };
            match message {
                P2pMessage::Subscribe { topic, .. } => {
                    prop_assert!(self.announced.insert((*to_peer, *topic)), "subscribed twice");
                }
                P2pMessage::Unsubscribe { topic } => {
                    prop_assert!(self.announced.remove(&(*to_peer, *topic)), "unsubscribed from nothing");
                    gone.insert((*to_peer, *topic));
                }
                P2pMessage::Graft { topic } => {
                    prop_assert!(self.announced.contains(&(*to_peer, *topic)), "graft before subscribe");
                }
                P2pMessage::Prune { topic, .. } => {
                    prop_assert!(!gone.contains(&(*to_peer, *topic)), "prune after unsubscribe");
                }
                _ => {}
            }
        }
        let joined = step.after.mesh.keys();
        let everybody = joined.flat_map(|topic| step.after.connections.keys().map(|peer| (*peer, *topic)));
        prop_assert_eq!(&self.announced, &everybody.collect::<BTreeSet<_>>(), "who knows of our topics");
        Ok(())
    }

    fn graft(&self, to: u32, topic: u8, step: &Step<'_, I>) -> Checked {
        prop_assert!(step.after.mesh[&topic].contains(&to), "graft to {to}, who is not in the mesh");
        let backoffs = step.after.backoff.get(&topic);
        prop_assert!(backoffs.is_none_or(|backoffs| !backoffs.contains_key(&to)), "{to} is backed off");
        prop_assert!(matches!(step.op, Op::Heartbeat | Op::Join { .. }), "a graft at {:?}", step.op);
        Ok(())
    }

    fn full_message(
        &self,
        limits: &Limits<u8>,
        to: u32,
        message: &FullMessage<Net<I>>,
        step: &Step<'_, I>,
    ) -> Checked {
        match step.op {
            Op::IWant { peer, .. } => {
                prop_assert_eq!(*peer, to, "an answer to another peer");
                return Ok(());
            }
            Op::Publish { .. } | Op::CheckParked => {}
            Op::Receive { sender, .. } => prop_assert_ne!(*sender, to, "sent back to its sender"),
            Op::ApplyBatch { deliveries } => {
                let same = |(_, _, other): &&(u32, Vec<u32>, _)| full::<I>(*other) == *message;
                // A message that stands there twice is routed twice, each time past its own senders.
                let mut of_message = deliveries.iter().filter(same);
                let past = |(sender, others, _): &(u32, Vec<u32>, _)| *sender == to || others.contains(&to);
                prop_assert!(!of_message.all(past), "sent back to its senders");
            }
            Op::ProcessBatch => {
                let deliverers = self.pending.get(message);
                let past = deliverers.is_none_or(|peers| !peers.contains(&to));
                prop_assert!(past || self.others_joined, "back to its senders");
            }
            other => prop_assert!(false, "{other:?} sends a full message"),
        }
        prop_assert!(step.after.connections[&to].topics.contains(&message.topic));
        if matches!(step.op, Op::CheckParked) {
            let id = (message.topic, message.message_id);
            let seen = step.after.seen.iter().find(|seen| (seen.topic, seen.id) == id);
            let forgotten = seen.is_none() && limits.bounds.max_seen_per_topic < AMPLE;
            let past = seen.is_some_and(|seen| !seen.senders.contains(&to));
            prop_assert!(past || forgotten, "back to its deliverers");
        }
        Ok(())
    }

    fn remember(&mut self, limits: &Limits<u8>, step: &Step<'_, I>) {
        match (step.op, &step.outcome) {
            (Op::ProcessBatch, _) => {
                self.pending.clear();
                self.others_joined = false;
            }
            (Op::CheckParked, _) => self.others_joined |= step.held.parked < step.held_before.parked,
            (Op::Receive { sender, message, .. }, Outcome::Receive(ReceiveOutcome::Batched)) => {
                let deliverers = self.pending.entry(full::<I>(*message)).or_default();
                if deliverers.len() <= limits.bounds.max_co_senders && !deliverers.contains(sender) {
                    deliverers.push(*sender);
                }
            }
            _ => {}
        }
    }
}

/// Who may be told what at all.
fn addressed<I: Ids>(to: u32, message: &P2pMessage<Net<I>>, step: &Step<'_, I>) -> Checked {
    use P2pMessage::{FullMessage, IDontWant, IHave, IWant, Prune};
    let Some(connection) = step.after.connections.get(&to) else {
        // A stranger gets answers only; whether it can be reached is the p2p layer's matter.
        let answered = match (step.op, message) {
            (Op::Graft { peer, .. }, Prune { .. }) => *peer == to,
            (Op::IHave { peer, .. }, IWant { .. }) | (Op::IWant { peer, .. }, FullMessage(_)) => *peer == to,
            _ => false,
        };
        prop_assert!(answered, "{message:?} to {to}, who is not connected");
        return Ok(());
    };
    let withheld = matches!(message, FullMessage(_) | IHave { .. } | IWant { .. } | IDontWant { .. });
    prop_assert!(!(connection.bootstrap && withheld), "{message:?} to {to}, a bootstrap peer");
    Ok(())
}

/// Dialling and forgetting. The engine itself never ends a connection.
fn contact<I: Ids>(output: &P2pOutput<Net<I>>, step: &Step<'_, I>) -> Checked {
    match (output, step.op) {
        (P2pOutput::Connect { peer, origin: Origin::Px(origin) }, Op::Prune { peer: from, px, .. }) => {
            prop_assert!(origin == from && px.contains(peer) && *peer != SELF);
            prop_assert!(!step.after.connections.contains_key(peer), "{peer} is connected already");
        }
        (P2pOutput::Connect { peer, origin: Origin::Trusted }, Op::Heartbeat) => {
            prop_assert!(!step.after.connections.contains_key(peer), "{peer} is connected already");
        }
        (P2pOutput::ConnectPoint { .. }, Op::Heartbeat) => {}
        (P2pOutput::Forget { peer, origin }, Op::Prune { peer: from, px, .. }) => {
            prop_assert!(origin == from && px.contains(peer));
        }
        (output, op) => prop_assert!(false, "{output:?} at {op:?}"),
    }
    Ok(())
}

fn prune<I: Ids>(limits: &Limits<u8>, to: u32, topic: u8, px: &[PxPeer<u32>], step: &Step<'_, I>) -> Checked {
    // A graft that the application refuses is answered by a prune, be the peer in the mesh or not.
    if !matches!(step.op, Op::Graft { .. }) {
        let member = step.after.mesh.get(&topic).is_some_and(|mesh| mesh.contains(&to));
        prop_assert!(!member, "prune to {to}, who stays in the mesh");
    }
    prop_assert!(px.len() <= limits.peers_to_px && (limits.do_px || px.is_empty()));
    prop_assert!(px.iter().all(|px| px.peer != to), "{to} is offered to itself");
    prop_assert_eq!(px.iter().collect::<BTreeSet<_>>().len(), px.len(), "px twice");
    for PxPeer { peer, .. } in px {
        prop_assert!(step.after.connections[peer].topics.contains(&topic), "{peer} is no subscriber");
        // A promise that another topic finds broken (P7) counts from the next heartbeat on.
        let good = step.after.scores[peer].score >= 0.0 || rise_of_misbehaviour(limits, step, *peer) > 0.0;
        prop_assert!(good, "{peer} is offered with a negative score");
    }
    if let Outcome::Heartbeat(outcome) = &step.outcome {
        // The refusal is per topic, the outcome tells it per peer.
        let elsewhere = outcome.to_prune[&to].len() > 1;
        prop_assert!(!outcome.no_px.contains(&to) || px.is_empty() || elsewhere);
    }
    Ok(())
}

fn ihave<I: Ids>(limits: &Limits<u8>, to: u32, topic: u8, ids: &[I::Id], step: &Step<'_, I>) -> Checked {
    let offered = &step.after.gossip[&topic];
    prop_assert!(ids.iter().all(|id| offered.contains(id)), "what is not offered");
    let most = (limits.max_sent_iwant_per_heartbeat as usize).min(offered.len());
    prop_assert!(ids.len() <= most, "{} ids at once", ids.len());
    let connection = &step.after.connections[&to];
    prop_assert!(connection.topics.contains(&topic) && !connection.direct);
    let served = step.after.mesh.get(&topic).or(step.after.fanout.get(&topic).map(|fanout| &fanout.peers));
    prop_assert!(served.is_some_and(|served| !served.contains(&to)), "{to} gets the messages anyway");
    prop_assert!(step.after.scores[&to].score >= limits.gossip_threshold);
    Ok(())
}

fn iwant<I: Ids>(limits: &Limits<u8>, to: u32, ids: &[I::Id], step: &Step<'_, I>) -> Checked {
    let Op::IHave { peer, topic, ids: offered } = step.op else {
        return Err(TestCaseError::fail(format!("{:?} asks for messages", step.op)));
    };
    prop_assert_eq!(*peer, to);
    prop_assert!(!ids.is_empty() && ids.len() <= limits.max_sent_iwant_per_heartbeat as usize);
    let offered: BTreeSet<_> = offered.iter().map(|(topic, number)| I::id(*topic, *number)).collect();
    let seen: BTreeSet<_> =
        step.before.seen.iter().filter(|seen| seen.topic == *topic).map(|s| s.id).collect();
    prop_assert!(ids.iter().all(|id| offered.contains(id)), "what was not offered");
    prop_assert!(ids.iter().all(|id| !seen.contains(id)), "what was seen");
    Ok(())
}

/// Whoever enters or leaves a mesh is told, unless it was itself who said so.
fn mesh_changes_are_told<I: Ids>(step: &Step<'_, I>) -> Checked {
    let said = |graft: bool, to: u32, on: u8| {
        step.drained.p2p.iter().any(|output| match output {
            P2pOutput::OutMessage { to_peer, message: P2pMessage::Graft { topic } } => {
                graft && (*to_peer, *topic) == (to, on)
            }
            P2pOutput::OutMessage { to_peer, message: P2pMessage::Prune { topic, .. } } => {
                !graft && (*to_peer, *topic) == (to, on)
            }
            _ => false,
        })
    };
    let members = |mesh: &BTreeMap<u8, BTreeSet<u32>>| -> BTreeSet<(u32, u8)> {
        mesh.iter().flat_map(|(topic, peers)| peers.iter().map(|peer| (*peer, *topic))).collect()
    };
    let (before, after) = (members(&step.before.mesh), members(&step.after.mesh));
    for (peer, topic) in after.difference(&before) {
        let own = matches!(step.outcome, Outcome::Graft(GraftOutcome::Grafted));
        prop_assert!(own || said(true, *peer, *topic), "{peer} enters the mesh of {topic} unheard");
    }
    for (peer, topic) in before.difference(&after) {
        let own = match step.op {
            Op::Prune { peer: from, .. } | Op::Unsubscribe { peer: from, .. } => from == peer,
            Op::Disconnect { peer: from } => from == peer,
            _ => false,
        };
        prop_assert!(own || said(false, *peer, *topic), "{peer} leaves the mesh of {topic} unheard");
    }
    Ok(())
}

fn delivered_to_the_application<I: Ids>(limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
    let forgetful = limits.bounds.max_seen_per_topic < AMPLE;
    for message in &step.drained.app {
        prop_assert!(step.before.mesh.contains_key(&message.topic), "{message:?} of a topic not joined");
        let id = (message.topic, message.message_id);
        let seen = step.after.seen.iter().any(|seen| (seen.topic, seen.id) == id);
        prop_assert!(seen || forgetful, "unseen: {message:?}");
        let judged = matches!(
            step.op,
            Op::Receive { .. } | Op::ApplyBatch { .. } | Op::CheckParked | Op::ProcessBatch
        );
        prop_assert!(judged, "{message:?} comes out of nothing");
    }
    Ok(())
}
