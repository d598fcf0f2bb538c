//! What a schedule has sent to the engine and received from it, and the rules that relate the two.

use std::collections::{BTreeMap, BTreeSet};

use actix_gossipsub::{
    P2pMessage, P2pOutput,
    protocol::{Event, Lane, OutputBatch},
};

use super::{
    heartbeats::Heartbeats,
    hooks::Hook,
    network::{Id, ScheduledNetwork, Validation, validity},
    plan::Peril,
    records::{MessageRecord, PeerRecord, TopicRecord},
    reference::{Outputs, control_kind},
};

/// The peers whose connections and subscriptions never change. They only send valid messages, so they stay in the mesh.
pub const STABLE: [u64; 2] = [1, 2];

/// The defects that are repaired, of those that the rules depend on. A rule that another defect breaks is not checked in
/// its conditions.
const REPAIRED: &[&str] = &["A1", "A12", "A13", "A14", "A20", "S1"];

pub fn is_repaired(defect: &str) -> bool {
    REPAIRED.contains(&defect)
}

#[derive(Debug, Default)]
pub struct Checks {
    pub validation: Option<Validation>,
    pub topics: BTreeMap<String, TopicRecord>,
    pub messages: BTreeMap<Id, MessageRecord>,
    pub peers: BTreeMap<u64, PeerRecord>,
    /// Publications that the transport has not reported, one entry a recipient.
    pub unreported: Vec<Id>,
    /// What a compared schedule receives.
    pub outputs: Option<Outputs>,
    /// What a heartbeat has sent since its start, if nothing else is sent meanwhile.
    pub heartbeat: Option<Vec<&'static str>>,
    pub heartbeats: Heartbeats,
    /// The panics of hooks.
    pub fired: BTreeMap<Hook, usize>,
    pub p2p_ended: bool,
    pub app_ended: bool,
    /// A stream was dropped: its outputs are not recorded.
    pub stream_dropped: bool,
    pub shut_down: bool,
    /// A hook panicked: a topic may be about to restart.
    pub has_panicked: bool,
    /// The kinds of events that have happened.
    pub seen_perils: BTreeSet<Peril>,
    /// The position of each message in the batches, by the number of the batch.
    batches: usize,
    /// The answers to queries: the topic, whether it has a mesh, and its state when the query was sent.
    pub answers: Vec<(String, bool, bool, usize)>,
    delivered: Vec<Id>,
    /// The restarts of topics; a rule about the state of a topic applies until its first.
    violations: Vec<String>,
}

impl Checks {
    /// Records a violation if `is_kept` is false.
    pub fn rule(&mut self, is_kept: bool, rule: impl FnOnce() -> String) {
        if !is_kept {
            self.violations.push(rule());
        }
    }

    pub fn violations(&self) -> Result<(), String> {
        if self.violations.is_empty() { Ok(()) } else { Err(self.violations.join("\n")) }
    }

    fn topic(&mut self, topic: &str) -> &mut TopicRecord {
        self.topics.entry(topic.to_owned()).or_default()
    }

    fn restarts(&self, topic: &str) -> usize {
        self.topics.get(topic).map_or(0, |topic| topic.restarts)
    }

    // === Inputs ===

    /// A copy that the engine accepted.
    pub fn on_copy(&mut self, from: u64, id: &Id) {
        let awaits = self.validation != Some(Validation::Immediate);
        let topic = self.topics.entry(id.topic.clone()).or_default();
        let message = self.messages.entry(id.clone()).or_default();
        message.senders.insert(from);
        if topic.joined {
            message.senders_while_joined.insert(from);
        }
        if topic.joined && validity(id.number) == actix_gossipsub::Validity::Valid {
            if message.first_sender.is_none() && !message.published {
                message.first_sender = Some(from);
                topic.expected.push(id.number);
            }
            message.must_deliver |= !message.published && (awaits || message.delivered == 0);
        }
    }

    pub fn on_published(&mut self, id: &Id) {
        let message = self.messages.entry(id.clone()).or_default();
        message.published = true;
        message.publications += 1;
    }

    pub fn on_idontwant(&mut self, from: u64, id: &Id) {
        self.messages.entry(id.clone()).or_default().declined.insert(from);
    }

    pub fn on_join(&mut self, topic: &str) {
        let record = self.topic(topic);
        record.joined = true;
        record.commands += 1;
    }

    pub fn on_leave(&mut self, topic: &str) {
        let record = self.topic(topic);
        record.commands += 1;
        record.leaves += usize::from(record.joined);
        record.joined = false;
        if self.validation != Some(Validation::Immediate) {
            let of_topic = self.messages.iter_mut().filter(|(id, _)| id.topic == topic);
            of_topic.for_each(|(_, message)| message.must_deliver = false);
        }
    }

    pub fn on_shutdown(&mut self) {
        self.shut_down = true;
        let topics: Vec<_> = self.topics.keys().cloned().collect();
        topics.iter().for_each(|topic| self.on_leave(topic));
    }

    pub fn on_left_by_peer(&mut self, peer: u64, topic: &str) {
        self.peers.entry(peer).or_default().may_have_left.insert(topic.to_owned());
    }

    pub fn on_connect(&mut self, peer: u64) {
        let record = self.peers.entry(peer).or_default();
        record.connected = true;
        record.subscribed.clear();
        record.grafted.clear();
        if std::mem::replace(&mut record.was_connected, true) {
            self.seen_perils.insert(Peril::Reconnection);
        }
    }

    pub fn on_disconnect(&mut self, peer: u64) {
        let record = self.peers.entry(peer).or_default();
        record.connected = false;
    }

    // === Validation ===

    /// The messages of a batch, in order.
    pub fn on_batch(&mut self, ids: &[Id]) {
        self.batches += 1;
        if !ids.is_empty() {
            self.seen_perils.insert(Peril::Batch);
        }
        for (position, id) in ids.iter().enumerate() {
            // Verdicts on single messages come in any order.
            let position = if self.validation == Some(Validation::AwaitedEach) { 0 } else { position };
            self.messages.entry(id.clone()).or_default().rank = Some((self.batches, position));
        }
        if self.validation == Some(Validation::Batches) {
            self.on_verdict(ids);
        }
    }

    /// The verdicts are given.
    pub fn on_verdict(&mut self, ids: &[Id]) {
        for id in ids {
            let message = self.messages.entry(id.clone()).or_default();
            message.senders_before_verdict = message.senders_while_joined.clone();
        }
    }

    pub fn on_no_verdict(&mut self, ids: &[Id]) {
        ids.iter().for_each(|id| self.messages.entry(id.clone()).or_default().unvalidated = true);
    }

    pub fn on_panic(&mut self) {
        self.has_panicked = true;
        // A topic that restarts joins again.
        self.heartbeat = None;
        self.seen_perils.insert(Peril::Panic);
    }

    pub fn on_event(&mut self, event: &Event<ScheduledNetwork>) {
        if let Event::TopicRestarted { topic } | Event::TopicGivenUp { topic } = event {
            self.topic(topic).restarts += 1;
        }
    }

    /// A query is answered from the state after the inputs before it, or after later ones too.
    pub fn check_answers(&mut self) {
        for (topic, has_mesh, joined, commands) in std::mem::take(&mut self.answers) {
            let changed = self.topics[&topic].commands != commands || self.has_panicked;
            self.rule(changed || has_mesh == joined, || {
                format!("topic {topic} is joined: {joined}, mesh: {has_mesh}")
            });
        }
    }

    // === Outputs ===

    pub fn on_delivered(&mut self, id: &Id) {
        self.topic(&id.topic).delivered.push(id.number);
        self.messages.entry(id.clone()).or_default().delivered += 1;
        self.delivered.push(id.clone());
        self.outputs.iter_mut().for_each(|outputs| outputs.on_delivered(id));
    }

    pub fn on_output(&mut self, batch: &OutputBatch<ScheduledNetwork>) {
        self.outputs.iter_mut().for_each(|outputs| outputs.on_output(batch));
        match batch {
            OutputBatch::Broadcast { to, message, lane, .. } if *lane != Lane::Answer => {
                let id = &message.message_id;
                for peer in to {
                    *self.messages.entry(id.clone()).or_default().sent.entry(*peer).or_default() += 1;
                    if *lane == Lane::Publish {
                        self.unreported.push(id.clone());
                    } else {
                        self.topic(&id.topic).forwarded.entry(*peer).or_default().push(id.number);
                    }
                }
            }
            OutputBatch::Output(P2pOutput::OutMessage { to_peer, message }) => {
                if let Some(heartbeat) = &mut self.heartbeat {
                    heartbeat.extend(control_kind(message));
                }
                self.on_control(*to_peer, message);
            }
            _ => {}
        }
    }

    /// Over each connection: one SUBSCRIBE a join and one UNSUBSCRIBE a leave, SUBSCRIBE before GRAFT, PRUNE before
    /// UNSUBSCRIBE.
    fn on_control(&mut self, peer: u64, message: &P2pMessage<ScheduledNetwork>) {
        // A peer without a connection may be answered, which the transport drops.
        let Some(record) = self.peers.get_mut(&peer).filter(|record| record.connected) else { return };
        let Some(topic) = message.topic() else { return };
        let (is_kept, is_mesh_lost) = match message {
            P2pMessage::Subscribe { .. } => (record.subscribed.insert(topic.clone()), false),
            P2pMessage::Graft { .. } => {
                record.grafted.insert(topic.clone());
                (record.subscribed.contains(topic), false)
            }
            P2pMessage::Prune { .. } => {
                record.grafted.remove(topic);
                (true, false)
            }
            P2pMessage::Unsubscribe { .. } => {
                let was_subscribed = record.subscribed.remove(topic);
                let was_pruned = !record.grafted.remove(topic) || record.may_have_left.contains(topic);
                (was_subscribed, !was_pruned)
            }
            _ => (true, false),
        };
        // A restart loses the mesh, and so the PRUNEs.
        let is_kept = is_kept && (!is_mesh_lost || self.restarts(topic) > 0);
        self.rule(is_kept, || format!("{message} is sent to peer {peer} out of order"));
    }

    // === The end ===

    /// The rules about a settled engine.
    pub fn check(&mut self) {
        let mut broken = Vec::new();
        let is_immediate = self.validation == Some(Validation::Immediate);
        let keeps_inputs = is_immediate && !self.stream_dropped && is_repaired("A12");
        for (id, message) in &self.messages {
            let topic = &self.topics[&id.topic];
            if topic.restarts == 0 {
                self.check_message(id, message, topic, &mut broken);
            } else if message.delivered > 1 + topic.restarts {
                broken.push(format!("{id:?} is delivered more often than its topic restarted: {message:?}"));
            } else if message.is_lost() && keeps_inputs && topic.leaves == 0 {
                // A restarted topic is joined unless a leave is queued: then the messages before the leave are lost too.
                // A panic loses the item that panicked and messages that await a verdict.
                broken.push(format!("{id:?} is lost when its topic restarts: {message:?}"));
            }
        }
        for (name, topic) in &self.topics {
            self.check_subscriptions(name, topic, &mut broken);
        }
        for (name, topic) in self.topics.iter().filter(|(_, topic)| topic.restarts == 0) {
            self.check_topic(name, topic, &mut broken);
        }
        let restarted = self.topics.values().any(|topic| topic.restarts > 0);
        let ranks: Vec<_> = self.delivered.iter().filter_map(|id| self.messages[id].rank).collect();
        if !restarted && !ranks.is_sorted() {
            broken.push(format!("batches are delivered out of order: {:?}", self.delivered));
        }
        self.violations.append(&mut broken);
    }

    fn check_message(&self, id: &Id, message: &MessageRecord, topic: &TopicRecord, broken: &mut Vec<String>) {
        let MessageRecord { delivered, senders, declined, published, .. } = message;
        let mut rule = |is_kept: bool, rule: &str| {
            if !is_kept {
                broken.push(format!("{id:?} {rule}: {message:?}"));
            }
        };
        rule(*delivered <= 1, "is delivered twice");
        let sent = |peer: &u64| message.sent.get(peer).copied().unwrap_or(0);
        rule(message.sent.values().all(|count| *count <= 1), "is sent twice to a peer");
        if self.stream_dropped {
            return;
        }
        let excused = *published || message.unvalidated;
        rule(!message.is_lost(), "is not delivered");
        if topic.leaves == usize::from(self.shut_down && id.topic == "a") && !excused {
            let known = message.senders_before_verdict.iter().chain(&message.first_sender);
            rule(known.into_iter().all(|peer| sent(peer) == 0), "is sent to a peer that sent it before");
        }
        if id.topic == "a" && (*delivered == 1 || *published && senders.is_empty()) {
            let missed = |peer: &&u64| sent(peer) == 0 && !senders.contains(peer) && !declined.contains(peer);
            rule(STABLE.iter().find(missed).is_none(), "is not sent to a peer of the mesh");
        }
    }

    fn check_topic(&self, name: &str, topic: &TopicRecord, broken: &mut Vec<String>) {
        let TopicRecord { expected, delivered, .. } = topic;
        // A message whose validation panicked is delivered if it comes again.
        let is_validated = |number: &&u64| {
            let id = Id { number: **number, topic: name.to_owned() };
            !self.messages[&id].unvalidated
        };
        let expected: Vec<_> = expected.iter().filter(is_validated).copied().collect();
        let validated: Vec<_> = delivered.iter().filter(is_validated).copied().collect();
        if self.validation == Some(Validation::Immediate) && !self.stream_dropped && expected != validated {
            broken.push(format!("topic {name} delivers {delivered:?} and not {expected:?}"));
        }
        let position = |number: &u64| delivered.iter().position(|delivered| delivered == number);
        for (peer, forwarded) in &topic.forwarded {
            let positions: Vec<_> = forwarded.iter().filter_map(position).collect();
            let in_order = positions.len() == forwarded.len() && positions.is_sorted();
            if !self.stream_dropped && !in_order {
                broken.push(format!(
                    "topic {name} forwards {forwarded:?} to {peer} and delivers {delivered:?}"
                ));
            }
        }
    }

    /// Each peer knows which topics are joined.
    fn check_subscriptions(&self, name: &str, topic: &TopicRecord, broken: &mut Vec<String>) {
        if topic.restarts > 0 && !is_repaired("A13") || self.stream_dropped {
            return;
        }
        for (peer, record) in self.peers.iter().filter(|(_, record)| record.connected) {
            if record.subscribed.contains(name) != topic.joined {
                broken.push(format!("peer {peer} was sent {:?} of {name}, {topic:?}", record.subscribed));
            }
        }
    }
}
