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

/// The topics announced to peers so far, and the senders of messages that wait for a verdict.
#[derive(Debug)]
pub struct OutputCheck<I: Ids> {
    /// The peers to which we announced a topic.
    announced: BTreeSet<(u32, u8)>,
    /// The remembered senders of each message of the pending batch, in order of arrival.
    pending: BTreeMap<FullMessage<Net<I>>, Vec<u32>>,
    /// True if the batch has messages whose senders are not known here: parked ones that joined it, or ones that had another
    /// verdict.
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
                P2pOutput::OutMessage { to_peer, message } => may_be_sent(*to_peer, message, step)?,
                other => connection_output(other, step)?,
            }
        }
        for output in &step.drained.p2p {
            let P2pOutput::OutMessage { to_peer, message } = output else { continue };
            match message {
                P2pMessage::Graft { topic } => self.graft(limits, *to_peer, *topic, step)?,
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
        mesh_changes_are_sent(step)?;
        delivered_to_the_application(limits, step)?;
        self.update(limits, step);
        Ok(())
    }

    /// SUBSCRIBE and UNSUBSCRIBE are sent once to each connected peer, SUBSCRIBE before GRAFT and PRUNE before UNSUBSCRIBE.
    fn announcements(&mut self, step: &Step<'_, I>) -> Checked {
        if let Op::Disconnect { peer } = step.op {
            self.announced.retain(|(announced, _)| announced != peer);
        }
        let mut unsubscribed = BTreeSet::new();
        for output in &step.drained.p2p {
            let P2pOutput::OutMessage { to_peer, message } = output else { continue };
            match message {
                P2pMessage::Subscribe { topic, .. } => {
                    prop_assert!(self.announced.insert((*to_peer, *topic)), "subscribed twice");
                }
                P2pMessage::Unsubscribe { topic } => {
                    prop_assert!(self.announced.remove(&(*to_peer, *topic)), "unsubscribed from nothing");
                    unsubscribed.insert((*to_peer, *topic));
                }
                P2pMessage::Graft { topic } => {
                    prop_assert!(self.announced.contains(&(*to_peer, *topic)), "graft before subscribe");
                }
                P2pMessage::Prune { topic, .. } => {
                    prop_assert!(!unsubscribed.contains(&(*to_peer, *topic)), "prune after unsubscribe");
                }
                _ => {}
            }
        }
        let joined = step.after.mesh.keys();
        let expected = joined.flat_map(|topic| step.after.connections.keys().map(|peer| (*peer, *topic)));
        prop_assert_eq!(
            &self.announced,
            &expected.collect::<BTreeSet<_>>(),
            "our topics are announced to all peers"
        );
        Ok(())
    }

    fn graft(&self, limits: &Limits<u8>, to: u32, topic: u8, step: &Step<'_, I>) -> Checked {
        prop_assert!(step.after.mesh[&topic].contains(&to), "graft to {to}, which is not in the mesh");
        let backoffs = step.after.backoff.get(&topic);
        prop_assert!(backoffs.is_none_or(|backoffs| !backoffs.contains_key(&to)), "{to} is backed off");
        match step.op {
            Op::Heartbeat | Op::Join { .. } => {}
            Op::Subscribe { peer, topic: of } => {
                prop_assert!(limits.extensions.graft_on_subscribe);
                prop_assert_eq!((*peer, *of), (to, topic));
                prop_assert!(step.before.mesh[&topic].len() < limits.degree_optimal);
                prop_assert!(step.before.scores[&to].score >= 0.0);
                prop_assert!(
                    !step.before.connections[&to].topics.contains(&topic),
                    "it is no new subscriber"
                );
            }
            op => prop_assert!(false, "a graft at {op:?}"),
        }
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
                // A message that is in the batch twice is routed twice, each time not to its own senders.
                let mut of_message = deliveries.iter().filter(same);
                let is_sender =
                    |(sender, others, _): &(u32, Vec<u32>, _)| *sender == to || others.contains(&to);
                prop_assert!(!of_message.all(is_sender), "sent back to its senders");
            }
            Op::ProcessBatch => {
                let senders = self.pending.get(message);
                let is_other = senders.is_none_or(|peers| !peers.contains(&to));
                prop_assert!(is_other || self.others_joined, "sent back to its senders");
            }
            other => prop_assert!(false, "{other:?} sends a full message"),
        }
        prop_assert!(step.after.connections[&to].topics.contains(&message.topic));
        if matches!(step.op, Op::CheckParked) {
            let id = (message.topic, message.message_id);
            let seen = step.after.seen.iter().find(|seen| (seen.topic, seen.id) == id);
            let evicted = seen.is_none() && limits.bounds.max_seen_per_topic < AMPLE;
            let is_other = seen.is_some_and(|seen| !seen.senders.contains(&to));
            prop_assert!(is_other || evicted, "sent back to its senders");
        }
        Ok(())
    }

    fn update(&mut self, limits: &Limits<u8>, step: &Step<'_, I>) {
        match (step.op, &step.outcome) {
            (Op::ProcessBatch, _) => {
                self.pending.clear();
                self.others_joined = false;
            }
            (Op::ApplyBatch { deliveries }, _) => {
                // What is in the pending batch too has its verdict, and its senders are not remembered any more.
                // Its entry stays in the batch: it may be routed to the senders of copies that make another entry later.
                for (_, _, message) in deliveries {
                    self.others_joined |= self.pending.remove(&full::<I>(*message)).is_some();
                }
            }
            (Op::CheckParked, _) => {
                self.others_joined |= step.footprint.parked < step.footprint_before.parked
            }
            // A copy that a full batch drops is not known: its sender may be sent the message.
            (Op::Receive { sender, message, .. }, Outcome::Receive(ReceiveOutcome::Batched))
                if step.drained.throttled == 0 =>
            {
                let senders = self.pending.entry(full::<I>(*message)).or_default();
                if senders.len() <= limits.bounds.max_co_senders && !senders.contains(sender) {
                    senders.push(*sender);
                }
            }
            _ => {}
        }
    }
}

/// Which peers may be sent which messages.
fn may_be_sent<I: Ids>(to: u32, message: &P2pMessage<Net<I>>, step: &Step<'_, I>) -> Checked {
    use P2pMessage::{FullMessage, IDontWant, IHave, IWant, Ping, Prune, Subscribe, Unsubscribe};
    let Some(connection) = step.after.connections.get(&to) else {
        // A peer without a connection is sent answers only; the p2p layer drops those that it cannot send.
        let answered = match (step.op, message) {
            (Op::Graft { peer, .. }, Prune { .. }) => *peer == to,
            (Op::IHave { peer, .. }, IWant { .. }) | (Op::IWant { peer, .. }, FullMessage(_)) => *peer == to,
            _ => false,
        };
        prop_assert!(answered, "{message:?} to {to}, which is not connected");
        return Ok(());
    };
    let not_for_bootstrap =
        matches!(message, FullMessage(_) | IHave { .. } | IWant { .. } | IDontWant { .. });
    prop_assert!(!(connection.bootstrap && not_for_bootstrap), "{message:?} to {to}, a bootstrap peer");
    let is_of_floodsub = matches!(message, Subscribe { .. } | Unsubscribe { .. } | FullMessage(_) | Ping);
    prop_assert!(!connection.floodsub || is_of_floodsub, "{message:?} to {to}, which speaks floodsub");
    Ok(())
}

/// Outputs about connections. The engine never ends a connection.
fn connection_output<I: Ids>(output: &P2pOutput<Net<I>>, step: &Step<'_, I>) -> Checked {
    match (output, step.op) {
        (P2pOutput::Connect { peer, origin: Origin::Px(origin), .. }, Op::Prune { peer: from, px, .. }) => {
            prop_assert!(origin == from && px.contains(peer) && *peer != SELF);
            prop_assert!(!step.after.connections.contains_key(peer), "{peer} is connected already");
        }
        (P2pOutput::Connect { peer, origin: Origin::Trusted, .. }, Op::Heartbeat) => {
            prop_assert!(!step.after.connections.contains_key(peer), "{peer} is connected already");
        }
        (
            P2pOutput::Connect { peer, origin: Origin::Direct, .. },
            Op::Heartbeat | Op::SetDirect { direct: true, .. },
        ) => {
            prop_assert!(!step.after.connections.contains_key(peer), "{peer} is connected already");
        }
        (P2pOutput::ConnectPoint { .. }, Op::Heartbeat) => {}
        // `graylist.rs` checks which peers are disconnected.
        (P2pOutput::Kick { .. } | P2pOutput::Disconnect { .. }, Op::Heartbeat) => {}
        (P2pOutput::Forget { peer, origin }, Op::Prune { peer: from, px, .. }) => {
            prop_assert!(origin == from && px.contains(peer));
        }
        (output, op) => prop_assert!(false, "{output:?} at {op:?}"),
    }
    Ok(())
}

fn prune<I: Ids>(limits: &Limits<u8>, to: u32, topic: u8, px: &[PxPeer<u32>], step: &Step<'_, I>) -> Checked {
    // A graft that the application refuses is answered with a prune, also if the peer is in the mesh.
    if !matches!(step.op, Op::Graft { .. }) {
        let member = step.after.mesh.get(&topic).is_some_and(|mesh| mesh.contains(&to));
        prop_assert!(!member, "prune to {to}, which stays in the mesh");
    }
    prop_assert!(px.len() <= limits.peers_to_px && (limits.do_px || px.is_empty()));
    prop_assert!(px.iter().all(|px| px.peer != to), "{to} is offered to itself");
    prop_assert_eq!(px.iter().collect::<BTreeSet<_>>().len(), px.len(), "px twice");
    for PxPeer { peer, .. } in px {
        let connection = &step.after.connections[peer];
        prop_assert!(connection.topics.contains(&topic), "{peer} is no subscriber");
        prop_assert!(!connection.floodsub, "{peer} speaks floodsub");
        // A promise of another topic that is broken in this heartbeat (P7) affects px at the next one.
        let good = step.after.scores[peer].score >= 0.0 || rise_of_misbehaviour(limits, step, *peer) > 0.0;
        prop_assert!(good, "{peer} is offered with a negative score");
    }
    if let Outcome::Heartbeat(outcome) = &step.outcome {
        // `no_px` is decided for each topic, but the outcome lists it for each peer.
        let elsewhere = outcome.to_prune[&to].len() > 1;
        prop_assert!(!outcome.no_px.contains(&to) || px.is_empty() || elsewhere);
    }
    Ok(())
}

fn ihave<I: Ids>(limits: &Limits<u8>, to: u32, topic: u8, ids: &[I::Id], step: &Step<'_, I>) -> Checked {
    match step.op {
        Op::Subscribe { peer, topic: of } => {
            return unserved(limits, to, ids, (*peer, *of) == (to, topic), step);
        }
        // It implies SUBSCRIBE.
        Op::Graft { peer, topic: of } => {
            let is_new = !step.before.connections[peer].topics.contains(of);
            return unserved(limits, to, ids, is_new && (*peer, *of) == (to, topic), step);
        }
        _ => {}
    }
    let offered = &step.after.gossip[&topic];
    prop_assert!(ids.iter().all(|id| offered.contains(id)), "an id is not gossiped");
    let most = (limits.max_sent_iwant_per_heartbeat as usize).min(offered.len());
    prop_assert!(ids.len() <= most, "{} ids at once", ids.len());
    let connection = &step.after.connections[&to];
    prop_assert!(connection.topics.contains(&topic) && !connection.direct);
    let full_message_peers =
        step.after.mesh.get(&topic).or(step.after.fanout.get(&topic).map(|fanout| &fanout.peers));
    prop_assert!(full_message_peers.is_some_and(|peers| !peers.contains(&to)), "{to} gets full messages");
    prop_assert!(step.after.scores[&to].score >= limits.gossip_threshold);
    Ok(())
}

/// A new subscriber is offered own messages that few peers were sent.
fn unserved<I: Ids>(
    limits: &Limits<u8>,
    to: u32,
    ids: &[I::Id],
    is_subscriber: bool,
    step: &Step<'_, I>,
) -> Checked {
    prop_assert!(limits.extensions.publish_reaches_degree_optimal && is_subscriber);
    let is_cached = |id: &I::Id| step.after.cached.iter().any(|cached| cached.id == *id);
    prop_assert!(ids.iter().all(is_cached), "an id is not in the history");
    prop_assert!(step.after.scores[&to].score >= limits.gossip_threshold);
    Ok(())
}

fn iwant<I: Ids>(limits: &Limits<u8>, to: u32, ids: &[I::Id], step: &Step<'_, I>) -> Checked {
    if limits.extensions.iwant_from_one_peer && matches!(step.op, Op::Heartbeat) {
        return repeated_iwant(limits, to, ids, step);
    }
    let Op::IHave { peer, topic, ids: offered } = step.op else {
        return Err(TestCaseError::fail(format!("{:?} sends IWANT", step.op)));
    };
    prop_assert_eq!(*peer, to);
    prop_assert!(!ids.is_empty() && ids.len() <= limits.max_sent_iwant_per_heartbeat as usize);
    let offered: BTreeSet<_> = offered.iter().map(|(topic, number)| I::id(*topic, *number)).collect();
    let seen: BTreeSet<_> =
        step.before.seen.iter().filter(|seen| seen.topic == *topic).map(|s| s.id).collect();
    prop_assert!(ids.iter().all(|id| offered.contains(id)), "an id was not offered");
    prop_assert!(ids.iter().all(|id| !seen.contains(id)), "an id was seen");
    Ok(())
}

/// What one peer did not send is requested from another one.
fn repeated_iwant<I: Ids>(limits: &Limits<u8>, to: u32, ids: &[I::Id], step: &Step<'_, I>) -> Checked {
    prop_assert!(!ids.is_empty() && !limits.extensions.iwant_followup_time.is_zero());
    prop_assert!(step.footprint.requested <= step.footprint_before.requested, "more is requested");
    prop_assert!(step.after.connections.contains_key(&to), "{to} is not connected");
    Ok(())
}

/// A peer that enters or leaves a mesh is sent GRAFT or PRUNE, unless its own message caused the change.
fn mesh_changes_are_sent<I: Ids>(step: &Step<'_, I>) -> Checked {
    let is_sent = |graft: bool, to: u32, on: u8| {
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
        prop_assert!(
            own || is_sent(true, *peer, *topic),
            "{peer} enters the mesh of {topic} without a GRAFT"
        );
    }
    for (peer, topic) in before.difference(&after) {
        let own = match step.op {
            Op::Prune { peer: from, .. } | Op::Unsubscribe { peer: from, .. } => from == peer,
            Op::Disconnect { peer: from } => from == peer,
            _ => false,
        };
        prop_assert!(
            own || is_sent(false, *peer, *topic),
            "{peer} leaves the mesh of {topic} without a PRUNE"
        );
    }
    Ok(())
}

fn delivered_to_the_application<I: Ids>(limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
    let may_evict = limits.bounds.max_seen_per_topic < AMPLE;
    for message in &step.drained.app {
        prop_assert!(step.before.mesh.contains_key(&message.topic), "{message:?} of a topic not joined");
        let id = (message.topic, message.message_id);
        let seen = step.after.seen.iter().any(|seen| (seen.topic, seen.id) == id);
        prop_assert!(seen || may_evict, "{message:?} is not in the seen cache");
        let is_validated = matches!(
            step.op,
            Op::Receive { .. } | Op::ApplyBatch { .. } | Op::CheckParked | Op::ProcessBatch
        );
        prop_assert!(is_validated, "{message:?} is delivered by {:?}", step.op);
    }
    Ok(())
}
