//! Compares the outcome of an input with the state changes and outputs that it caused.

use std::collections::BTreeSet;

use actix_gossipsub::{
    P2pMessage, P2pOutput,
    limits::Limits,
    protocol::{
        GraftOutcome, IHaveOutcome, IWantAnswer, IWantOutcome, JoinOutcome, LeaveOutcome, PublishOutcome,
        ReceiveOutcome, ScoreView,
    },
};
use proptest::prelude::*;

use super::{
    Checked,
    driver::{Outcome, Step},
    limits::AMPLE,
    network::{Ids, Net, PEERS},
    op::{Id, Op},
};

/// The answers to GRAFTs since the last heartbeat.
#[derive(Debug, Default)]
pub struct GraftAnswers {
    /// The peers and topics of the PRUNEs, by whether the topic was joined.
    answered: BTreeSet<(u32, u8, bool)>,
}

impl GraftAnswers {
    pub fn check<I: Ids>(&mut self, limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
        match (&step.outcome, step.op) {
            (Outcome::Graft(outcome), Op::Graft { peer, topic }) => {
                let is_answered = !receivers(step, is_prune).is_empty();
                let is_joined = step.before.mesh.contains_key(topic);
                let once = limits.extensions.one_prune_per_heartbeat;
                let was_answered = |is_joined| self.answered.contains(&(*peer, *topic, is_joined));
                let again = is_answered && was_answered(true);
                prop_assert!(!again || !once || !is_joined, "two PRUNEs to {peer} on {topic}");
                let is_connected = step.before.connections.contains_key(peer);
                let may_be_missing = once && (was_answered(true) || was_answered(false) || !is_connected);
                let expected = is_refused(limits, *outcome) && !may_be_missing;
                if is_answered {
                    self.answered.insert((*peer, *topic, is_joined));
                }
                prop_assert!(is_answered || !expected, "no answer to {:?}", outcome);
                prop_assert!(!is_answered || is_refused(limits, *outcome), "answer to {:?}", outcome);
                graft(limits, *outcome, *peer, *topic, step)?;
            }
            (_, Op::Heartbeat) => self.answered.clear(),
            (_, Op::Disconnect { peer }) => self.answered.retain(|(answered, ..)| answered != peer),
            _ => {}
        }
        check(limits, step)
    }
}

/// Whether a GRAFT with this outcome is answered by a PRUNE.
fn is_refused(limits: &Limits<u8>, outcome: GraftOutcome) -> bool {
    use GraftOutcome::{AlreadyInMesh, FloodsubPeer, Grafted, Graylisted, UnexpectedPeer, UnsubscribedTopic};
    let is_ignored = outcome == UnsubscribedTopic && limits.extensions.ignore_unknown_grafts;
    !is_ignored && !matches!(outcome, Grafted | AlreadyInMesh | UnexpectedPeer | FloodsubPeer | Graylisted)
}

fn check<I: Ids>(limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
    match (&step.outcome, step.op) {
        (Outcome::Receive(ReceiveOutcome::Route { to }), Op::Receive { sender, message, .. }) => {
            floodsub(limits, message.topic, Some(*sender), to, step)?;
            route(limits, to, step)
        }
        (Outcome::Publish(PublishOutcome::Published { to }), Op::Publish { message }) => {
            published(limits, message.topic, to, step)
        }
        (Outcome::Join(JoinOutcome::Joined { to_graft }), Op::Join { topic }) => {
            prop_assert_eq!(set(to_graft), step.after.mesh[topic].clone());
            prop_assert_eq!(
                set(to_graft),
                receivers(step, |message| matches!(message, P2pMessage::Graft { .. }))
            );
            prop_assert!(to_graft.len() <= limits.degree_optimal);
            let good = |peer: &u32| step.before.scores[peer].score >= 0.0;
            prop_assert!(to_graft.iter().all(good), "a peer with a negative score is in a new mesh");
            Ok(())
        }
        (Outcome::Leave(LeaveOutcome::Left { to_prune, no_px }), Op::Leave { topic }) => {
            prop_assert_eq!(set(to_prune), step.before.mesh[topic].clone());
            prop_assert_eq!(
                set(to_prune),
                receivers(step, |message| matches!(message, P2pMessage::Prune { .. }))
            );
            prop_assert!(set(no_px).is_subset(&set(to_prune)));
            Ok(())
        }
        (Outcome::IHave(outcome), Op::IHave { peer, .. }) => ihave(limits, outcome, *peer, step),
        (Outcome::IWant(outcome), Op::IWant { peer, ids }) => iwant(limits, outcome, *peer, ids, step),
        _ => Ok(()),
    }
}

fn set(peers: &[u32]) -> BTreeSet<u32> {
    peers.iter().copied().collect()
}

/// The peers to which a message that satisfies `filter` is sent.
fn receivers<I: Ids>(step: &Step<'_, I>, filter: impl Fn(&P2pMessage<Net<I>>) -> bool) -> BTreeSet<u32> {
    let receiver = |output: &P2pOutput<Net<I>>| match output {
        P2pOutput::OutMessage { to_peer, message } if filter(message) => Some(*to_peer),
        _ => None,
    };
    step.drained.p2p.iter().filter_map(receiver).collect()
}

fn graft<I: Ids>(
    limits: &Limits<u8>,
    outcome: GraftOutcome,
    peer: u32,
    topic: u8,
    step: &Step<'_, I>,
) -> Checked {
    use GraftOutcome::{AlreadyInMesh, BackedOff, FloodsubPeer, Grafted, Graylisted, MeshFull};
    let size = |mesh: Option<&BTreeSet<u32>>| mesh.map_or(0, BTreeSet::len);
    let full = size(step.before.mesh.get(&topic)) >= limits.degree_high;
    let outbound = step.before.connections.get(&peer).is_some_and(|connection| connection.outbound);
    let until = step.before.backoff.get(&topic).and_then(|backoffs| backoffs.get(&peer));
    let backed_off = until.is_some_and(|until| *until > step.before.time);
    if outcome == Grafted {
        let best = limits.extensions.full_mesh_accepts_best && {
            let score = |peer: &u32| step.before.scores[peer].score;
            let mesh = &step.before.mesh[&topic];
            let better = mesh.iter().filter(|member| score(member) >= score(&peer)).count();
            score(&peer) > 0.0
                && better < limits.degree_score
                && mesh.len() < limits.degree_high + limits.degree_score
        };
        prop_assert!(!full || outbound || best, "grafted into a full mesh");
        prop_assert!(!backed_off, "grafted during backoff");
        prop_assert!(step.before.scores[&peer].score >= 0.0, "grafted with a negative score");
    }
    let penalty = |score: Option<&ScoreView<Net<I>>>| score.map_or(0.0, |score| score.behaviour_penalty);
    let faults = penalty(step.after.scores.get(&peer)) - penalty(step.before.scores.get(&peer));
    prop_assert_eq!(faults > 0.0, outcome == BackedOff, "P7 grew by {}", faults);
    let member = step.after.mesh.get(&topic).is_some_and(|mesh| mesh.contains(&peer));
    let may_be_member = matches!(outcome, Grafted | AlreadyInMesh | GraftOutcome::PeerFiltered | Graylisted);
    prop_assert!(may_be_member || !member, "the peer is in the mesh after {outcome:?}");
    prop_assert!(outcome != MeshFull || full && !outbound);
    let floodsub = step.before.connections.get(&peer).is_some_and(|connection| connection.floodsub);
    prop_assert_eq!(outcome == FloodsubPeer, floodsub && outcome != Graylisted);
    Ok(())
}

fn is_prune<I: Ids>(message: &P2pMessage<Net<I>>) -> bool {
    matches!(message, P2pMessage::Prune { .. })
}

/// A message is sent only to the peers in its outcome, and not to bootstrap peers, nor to those below the publish threshold
/// that speak floodsub. `idontwant.rs` checks which of them sent IDONTWANT.
fn route<I: Ids>(limits: &Limits<u8>, to: &[u32], step: &Step<'_, I>) -> Checked {
    prop_assert!(to.is_sorted() && set(to).len() == to.len(), "not ascending: {to:?}");
    let sent = receivers(step, |message| matches!(message, P2pMessage::FullMessage(_)));
    let receivers = to.iter().copied().filter(|peer| !step.after.connections[peer].bootstrap);
    prop_assert!(sent.is_subset(&receivers.collect()), "sent to {:?}, routed to {:?}", sent, to);
    let is_bad = |peer: &&u32| {
        let connection = &step.before.connections[*peer];
        connection.floodsub && !connection.direct && !is_good(limits, **peer, step)
    };
    prop_assert_eq!(to.iter().find(is_bad), None, "a peer below the threshold that speaks floodsub");
    Ok(())
}

/// Whether the score of a peer was not below the publish threshold when the input came.
fn is_good<I: Ids>(limits: &Limits<u8>, peer: u32, step: &Step<'_, I>) -> bool {
    step.before.scores[&peer].score >= limits.publish_threshold
}

/// Every subscriber that speaks floodsub and is not below the publish threshold is sent a message, but for its sender.
fn floodsub<I: Ids>(
    limits: &Limits<u8>,
    topic: u8,
    sender: Option<u32>,
    to: &[u32],
    step: &Step<'_, I>,
) -> Checked {
    let connections = step.before.connections.iter();
    let subscribers = connections.filter(|(_, it)| it.floodsub && it.topics.contains(&topic));
    let mut due = subscribers.map(|(peer, _)| *peer).filter(|peer| Some(*peer) != sender);
    let missed = due.find(|peer| is_good(limits, *peer, step) && !to.contains(peer));
    prop_assert_eq!(missed, None, "it speaks floodsub and is not sent a message");
    Ok(())
}

/// An own message goes to the mesh or fanout, to direct subscribers and to those that speak floodsub and are not below the
/// publish threshold, and beyond them to none below the threshold; with the extension to D peers if there are as many that may
/// be sent it.
fn published<I: Ids>(limits: &Limits<u8>, topic: u8, to: &[u32], step: &Step<'_, I>) -> Checked {
    route(limits, to, step)?;
    floodsub(limits, topic, None, to, step)?;
    let none = BTreeSet::new();
    let fanout = step.after.fanout.get(&topic).map(|fanout| &fanout.peers);
    let served = step.after.mesh.get(&topic).or(fanout).unwrap_or(&none);
    let direct = |peer: &u32| step.after.connections[peer].direct;
    let speaks_floodsub = |peer: &u32| step.after.connections[peer].floodsub;
    let beyond = to.iter().filter(|peer| !served.contains(peer) && !direct(peer) && !speaks_floodsub(peer));
    let beyond: BTreeSet<u32> = beyond.copied().collect();
    let is_good = |peer: &u32| step.after.scores[peer].score >= limits.publish_threshold;
    prop_assert!(beyond.iter().all(is_good), "published to a peer below the threshold");
    let extensions = &limits.extensions;
    if extensions.flood_publish_bytes_per_second == 0 {
        let missing = if extensions.publish_reaches_degree_optimal {
            let bootstrap = |peer: &&u32| step.after.connections[*peer].bootstrap;
            limits.degree_optimal.saturating_sub(served.iter().filter(|peer| !bootstrap(peer)).count())
        } else {
            0
        };
        prop_assert!(beyond.len() <= missing, "published to {beyond:?} beyond {served:?}");
    }
    if extensions.publish_reaches_degree_optimal && extensions.idontwant_message_size != 1 {
        let others = step.after.connections.iter().filter(|(peer, connection)| {
            let is_unmeshed = connection.direct || connection.floodsub;
            let is_new = !served.contains(peer) && !is_unmeshed && !connection.bootstrap;
            is_new && connection.topics.contains(&topic) && is_good(peer)
        });
        let reached = served.len() + beyond.len();
        // Those that sent a copy that awaits its verdict are left out.
        let pending = step.footprint.batched;
        let most =
            limits.degree_optimal.min(served.len() + others.count().saturating_sub(pending * PEERS as usize));
        prop_assert!(reached >= most, "published to {reached} of {most} peers");
    }
    Ok(())
}

fn ihave<I: Ids>(
    limits: &Limits<u8>,
    outcome: &IHaveOutcome<Net<I>>,
    peer: u32,
    step: &Step<'_, I>,
) -> Checked {
    let requested = |view: &actix_gossipsub::protocol::View<Net<I>>| view.iwant.get(&peer).copied();
    let more = requested(step.after).unwrap_or(0) - requested(step.before).unwrap_or(0);
    let ids = if let IHaveOutcome::Requested { ids } = outcome { ids.len() } else { 0 };
    prop_assert_eq!(more as usize, ids, "requested ids are counted");
    match outcome {
        IHaveOutcome::TooManyIHaves { count, max } => {
            prop_assert!(count > max && *max == limits.max_recv_ihave_per_heartbeat);
        }
        IHaveOutcome::TooManyIWants { count, max } => prop_assert!(count >= max),
        IHaveOutcome::LowScore { score, threshold } => prop_assert!(score < threshold),
        _ => {}
    }
    Ok(())
}

fn iwant<I: Ids>(
    limits: &Limits<u8>,
    outcome: &IWantOutcome<Net<I>>,
    peer: u32,
    requested: &[Id],
    step: &Step<'_, I>,
) -> Checked {
    let IWantOutcome::Answered { ids } = outcome else { return Ok(()) };
    let requested: BTreeSet<_> = requested.iter().map(|(topic, number)| I::id(*topic, *number)).collect();
    prop_assert_eq!(&requested, &ids.keys().copied().collect::<BTreeSet<_>>(), "each id has an answer");
    for (id, answer) in ids {
        // Several topics may have messages with the same untagged id; each message is counted separately.
        let sent_topic = match answer {
            IWantAnswer::Message(message) => Some(message.topic),
            _ => None,
        };
        let is_sent = |topic| sent_topic.is_none_or(|sent| sent == topic);
        let cached = step.after.cached.iter().filter(|cached| cached.id == *id && is_sent(cached.topic));
        let accesses: Vec<_> = cached.map(|cached| cached.accesses.get(&peer).copied()).collect();
        let known = !accesses.is_empty();
        let found = !matches!(answer, IWantAnswer::NotFound);
        // Of two topics with the same id only the last one is looked up, and it may have evicted the message.
        let bounds = &limits.bounds;
        let may_evict = bounds.max_history_per_topic.min(bounds.max_history_bytes_per_topic) < AMPLE;
        let in_other_topic = I::topic_of(id).is_none() && may_evict && known;
        prop_assert!(known == found || in_other_topic, "{id:?} is in the history: {known}; found: {found}");
        let most = accesses.iter().flatten().max().copied().unwrap_or(0);
        if matches!(answer, IWantAnswer::Message(_)) {
            prop_assert!(
                most <= limits.max_gossip_retransmission,
                "{id:?} is sent more often than the limit"
            );
        }
        if matches!(answer, IWantAnswer::TooManyRequests) {
            prop_assert!(most > limits.max_gossip_retransmission);
        }
    }
    Ok(())
}
