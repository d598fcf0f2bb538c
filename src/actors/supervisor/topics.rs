//! The supervisor's topics: it starts, retires and restarts mesh actors, and handles the inputs of passive topics itself.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix::Context;

use super::{actor::SupervisorActor, messages::SupervisorItem};
use crate::{
    actors::{
        arbiter::mailbox::TopicAddr,
        mesh::{
            messages::TopicItem,
            peer_message::handle_peer,
            run::{handle_message, observes_messages},
        },
        shared::Shared,
    },
    network::Network,
    protocol::{
        backoff::Backoffs,
        event::Event,
        exchange::event::TopicEvent,
        passive::{PassiveTopic, TopicRef, activate},
        peers::peer_event::PeerEvent,
        topic::interest::Interests,
    },
    timestamp::Timestamp,
};

/// A topic that has a mesh actor, and whether that is to end.
pub(super) enum SupervisedTopic<N: Network> {
    /// The actor handles what is sent to it.
    Active(TopicAddr<N>),
    /// The actor at `address` was sent `Retire`. The deferred items wait until it has ended.
    Retiring { address: TopicAddr<N>, deferred: Vec<SupervisorItem<N>> },
}

impl<N: Network> SupervisedTopic<N> {
    /// The address of the topic's actor.
    pub(super) fn address(&self) -> Option<&TopicAddr<N>> {
        match self {
            Self::Active(address) => Some(address),
            Self::Retiring { .. } => None,
        }
    }
}

impl<N: Network> SupervisorActor<N> {
    /// Sends an item to a topic's actor, or handles it if the topic is passive.
    pub(super) fn send_to_topic(&mut self, topic: N::Topic, item: TopicItem<N>) {
        match self.topics.get_mut(&topic) {
            Some(SupervisedTopic::Active(address)) => self.shared.send_to_topic(address, item),
            Some(SupervisedTopic::Retiring { deferred, .. }) => {
                deferred.push(SupervisorItem::Topic { topic, item })
            }
            None => self.handle_passive(&topic, item),
        }
    }

    /// Handles an item of a topic that has no state.
    fn handle_passive(&mut self, topic: &N::Topic, item: TopicItem<N>) {
        let shared = Arc::clone(&self.shared);
        let mut now = shared.now();
        let Self { peers, outbox, outgoing, .. } = self;
        let passive = PassiveTopic { name: topic, peers };
        match item {
            TopicItem::Message(message) => {
                let limits = shared.limits.load();
                let (cx, observe) = (shared.context(&limits, now), observes_messages(&shared));
                handle_message(None, message, &cx, observe, &shared, outbox, outgoing);
            }
            TopicItem::Peer(message) => {
                now = message.received_at;
                handle_peer(TopicRef::Passive(passive), *message, &shared, outbox);
            }
            TopicItem::Command(command) => passive.handle_command(command, outbox),
            TopicItem::Query(query) => {
                query.run(&passive.to_state(&shared.limits.load(), &shared.totals, shared.seed))
            }
            // The handle sends these only to topics that have an actor.
            TopicItem::Publish { .. } | TopicItem::Join { .. } | TopicItem::Leave { .. } => {}
            // Only actors start validations, and none retires before they are done.
            TopicItem::Verdict { .. } => {}
            // There are no deliveries to report.
            TopicItem::FlushDeliveryCounts => {}
            TopicItem::Retire | TopicItem::Stop => {}
        }
        // It returns the growth of the mesh, which is 0.
        outgoing.flush_topic(topic, &shared.topic_labels.of(topic), &mut None, outbox, &shared);
        outgoing.send(&shared);
        let events = std::mem::take(&mut outbox.events);
        self.apply_events(topic, events, now);
    }

    /// Starts the actor of a topic at `address`.
    pub(super) fn spawn(&mut self, topic: N::Topic, address: TopicAddr<N>) {
        if let Some(SupervisedTopic::Retiring { deferred, .. }) = self.topics.get_mut(&topic) {
            deferred.push(SupervisorItem::Spawn { topic, address });
        } else {
            self.start(topic, address, Interests::default());
        }
    }

    fn start(&mut self, topic: N::Topic, address: TopicAddr<N>, rejoin: Interests) {
        let Shared { limits, totals, seed, .. } = &*self.shared;
        let state = activate(topic.clone(), &mut self.peers, &limits.load(), totals, *seed);
        self.topics.insert(topic, SupervisedTopic::Active(address.clone()));
        address.start(state, rejoin);
    }

    /// Retires a topic that needed no actor after `commands` commands of the application, if there was none since. What
    /// was sent to the topic before reaches it before; everything later comes to the supervisor.
    pub(super) fn retire(&mut self, topic: N::Topic, commands: u32) {
        let Some(address) = self.topics.get(&topic).and_then(SupervisedTopic::address).cloned() else {
            return;
        };
        let retired = self.shared.topic_table.remove_if(&topic, |_, entry| {
            entry.interests.is_empty() && entry.address == address && entry.commands == commands
        });
        if retired.is_some() {
            address.push(TopicItem::Retire);
            self.topics.insert(topic, SupervisedTopic::Retiring { address, deferred: Vec::new() });
        }
    }

    /// A topic is passive from now on. Stores its backoffs, and handles what was deferred for it.
    pub(super) fn retired(
        &mut self,
        topic: N::Topic,
        backoffs: Option<Backoffs<N::Peer>>,
        ctx: &mut Context<Self>,
    ) {
        let supervised = self.topics.remove(&topic);
        self.peers.deactivate_topic(topic, backoffs);
        if let Some(SupervisedTopic::Retiring { deferred, .. }) = supervised {
            for item in deferred {
                self.handle_item(item, ctx);
            }
        }
    }

    /// Restarts a topic that panicked. Its state is lost, but not its address, its subscribers and whether it was
    /// joined. A topic that panics too often is given up. `unconfirmed`: it waited for the confirmation of a join or a
    /// leave.
    pub(super) fn restart(&mut self, topic: N::Topic, unconfirmed: bool, ctx: &mut Context<Self>) {
        let now = self.shared.now();
        let address = match self.topics.get(&topic) {
            Some(SupervisedTopic::Active(address)) => address.clone(),
            Some(SupervisedTopic::Retiring { address, .. }) => {
                address.push(TopicItem::Stop);
                self.peers.topic_lost(&topic, now);
                self.shared.report_peer_event(|| Some(PeerEvent::MeshLost(topic.clone())));
                self.report_restart(topic.clone());
                return self.retired(topic, None, ctx);
            }
            None => return,
        };
        self.peers.topic_lost(&topic, now);
        self.shared.report_peer_event(|| Some(PeerEvent::MeshLost(topic.clone())));
        if !self.restarts.allow(&topic, now) {
            return self.give_up(topic, &address, now);
        }
        let rejoin = self.shared.topic_table.get(&topic).map(|entry| entry.interests).unwrap_or_default();
        if rejoin.is_empty() && (unconfirmed || self.peers.is_joined(&topic)) {
            // The panic lost the leave, or its announcement. The passive topic announces it before the actor starts.
            self.topics.remove(&topic);
            self.peers.apply_event(&topic, TopicEvent::Left, now);
            self.apply_outputs();
        }
        self.start(topic.clone(), address, rejoin);
        self.report_restart(topic);
    }

    fn report_restart(&self, topic: N::Topic) {
        self.shared.metrics.topic_restarted();
        self.shared.observe(&Event::TopicRestarted { topic });
    }

    /// Leaves a topic: peers receive UNSUBSCRIBE, and the observer an event.
    fn give_up(&mut self, topic: N::Topic, address: &TopicAddr<N>, now: Timestamp) {
        self.shared.topic_table.remove(&topic);
        address.push(TopicItem::Stop);
        self.topics.remove(&topic);
        self.peers.deactivate_topic(topic.clone(), None);
        self.peers.apply_event(&topic, TopicEvent::Left, now);
        self.shared.metrics.topic_given_up();
        self.shared.report_peer_event(|| Some(PeerEvent::TopicGivenUp(topic.clone())));
        self.shared.observe(&Event::TopicGivenUp { topic });
    }
}

/// More restarts than this in a [`RESTART_PERIOD`] and the topic is given up.
const MAX_RESTARTS: u32 = 5;
const RESTART_PERIOD: Duration = Duration::from_secs(60);

/// The restarts of topics that panicked in the last period: the start of the period and the number of panics.
#[derive(Debug)]
pub(super) struct Restarts<T> {
    counts: BTreeMap<T, (Timestamp, u32)>,
}

impl<T: Ord + Clone> Restarts<T> {
    pub(super) fn new() -> Self {
        Self { counts: BTreeMap::new() }
    }

    /// Counts a panic of `topic`; returns whether it may be restarted once more.
    fn allow(&mut self, topic: &T, now: Timestamp) -> bool {
        self.counts.retain(|_, (start, _)| start.after(RESTART_PERIOD) > now);
        let (_, count) = self.counts.entry(topic.clone()).or_insert((now, 0));
        *count += 1;
        *count <= MAX_RESTARTS
    }
}
