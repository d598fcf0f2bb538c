//! The supervisor's topics: it starts, retires and restarts mesh actors, and runs passive topics itself.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix::Context;

use super::{actor::SupervisorActor, messages::SupervisorItem};
use crate::{
    actors::{
        arbiter::mailbox::TopicAddr,
        mesh::{
            messages::TopicItem,
            peer_message::{handle_message, handle_peer, observes_messages},
        },
    },
    network::Network,
    protocol::{event::Event, exchange::event::TopicEvent, topic::TopicState},
    timestamp::Timestamp,
};

/// A topic of the supervisor.
pub(super) enum SupervisedTopic<N: Network> {
    /// The topic has an actor.
    Active(TopicAddr<N>),
    /// The actor at `address` was sent `Retire`. The deferred items wait until its state is back.
    Retiring { address: TopicAddr<N>, deferred: Vec<SupervisorItem<N>> },
    /// The topic needs no actor: the engine has not joined it, and only knows its subscribers.
    Passive(Box<TopicState<N>>),
}

impl<N: Network> SupervisedTopic<N> {
    /// The address of the topic's actor.
    pub(super) fn address(&self) -> Option<&TopicAddr<N>> {
        match self {
            Self::Active(address) => Some(address),
            Self::Retiring { .. } | Self::Passive(_) => None,
        }
    }
}

impl<N: Network> SupervisorActor<N> {
    /// Sends an item to a topic's actor, or runs the topic on it if it has none.
    pub(super) fn send_to_topic(&mut self, topic: N::Topic, item: TopicItem<N>) {
        match self.topics.get_mut(&topic) {
            Some(SupervisedTopic::Active(address)) => self.shared.send_to_topic(address, item),
            Some(SupervisedTopic::Retiring { deferred, .. }) => {
                deferred.push(SupervisorItem::Topic { topic, item })
            }
            Some(SupervisedTopic::Passive(_)) | None => self.run_passive(topic, item),
        }
    }

    /// Runs a topic without an actor. It is not joined, so it has no mesh and little to do.
    fn run_passive(&mut self, topic: N::Topic, item: TopicItem<N>) {
        let shared = Arc::clone(&self.shared);
        let mut state = match self.topics.remove(&topic) {
            Some(SupervisedTopic::Passive(state)) => state,
            _ => Box::new(shared.new_topic_state(&topic)),
        };
        let mut now = shared.now();
        match item {
            TopicItem::Message(message) => {
                let observe = observes_messages(&shared);
                let cx = shared.context(now);
                let Self { outbox, outgoing, .. } = self;
                handle_message(&mut state, message, &cx, observe, &shared, outbox, outgoing);
            }
            TopicItem::Peer(message) => {
                now = message.received_at;
                handle_peer(&mut state, *message, &shared, &mut self.outbox);
            }
            TopicItem::Command(command) => {
                state.handle_command(command, &shared.context(now), &mut self.outbox)
            }
            TopicItem::Query(query) => query.run(&state),
            // The handle sends these only to topics that have an actor.
            TopicItem::Publish { .. } | TopicItem::Join { .. } | TopicItem::Leave { .. } => {}
            // Only actors start validations, and none retires before they are done.
            TopicItem::Verdict { .. } => {}
            // A passive topic reports its deliveries after each item.
            TopicItem::FlushDeliveryCounts => {}
            TopicItem::Retire | TopicItem::Stop => {}
        }
        state.flush_delivery_counts(&mut self.outbox);
        // It returns the growth of the mesh, which is 0.
        self.outgoing.flush_topic(&topic, &shared.topic_labels.of(&topic), &mut self.outbox, &shared);
        self.outgoing.send(&shared);
        let events = std::mem::take(&mut self.outbox.events);
        let passive = self.topics.len().saturating_sub(self.peers.joined_count());
        if state.should_retain(passive, &shared.limits) {
            self.topics.insert(topic.clone(), SupervisedTopic::Passive(state));
        }
        self.apply_events(&topic, events, now);
    }

    /// Starts the actor of a topic at `address`.
    pub(super) fn spawn(&mut self, topic: N::Topic, address: TopicAddr<N>) {
        let state = match self.topics.remove(&topic) {
            Some(SupervisedTopic::Passive(state)) => *state,
            Some(SupervisedTopic::Retiring { address: retiring, mut deferred }) => {
                deferred.push(SupervisorItem::Spawn { topic: topic.clone(), address });
                self.topics.insert(topic, SupervisedTopic::Retiring { address: retiring, deferred });
                return;
            }
            Some(SupervisedTopic::Active(_)) | None => self.shared.new_topic_state(&topic),
        };
        self.start(state, address, false);
    }

    fn start(&mut self, state: TopicState<N>, address: TopicAddr<N>, rejoin: bool) {
        self.topics.insert(state.topic.clone(), SupervisedTopic::Active(address.clone()));
        address.start(state, rejoin);
    }

    /// Retires a topic that needed no actor after `commands` commands of the application, if there was none since. What
    /// was sent to the topic before reaches it before; everything later comes to the supervisor.
    pub(super) fn retire(&mut self, topic: N::Topic, commands: u32) {
        let Some(address) = self.topics.get(&topic).and_then(SupervisedTopic::address).cloned() else {
            return;
        };
        let retired = self.shared.topic_table.remove_if(&topic, |_, entry| {
            !entry.joined && entry.address == address && entry.commands == commands
        });
        if retired.is_some() {
            address.push(TopicItem::Retire);
            self.topics.insert(topic, SupervisedTopic::Retiring { address, deferred: Vec::new() });
        }
    }

    /// Takes back the state of a topic, and handles what was deferred for it.
    pub(super) fn retired(&mut self, state: Box<TopicState<N>>, ctx: &mut Context<Self>) {
        let topic = state.topic.clone();
        let supervised = self.topics.remove(&topic);
        if !state.is_empty() {
            self.topics.insert(topic, SupervisedTopic::Passive(state));
        }
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
                let state = self.state_with_subscribers(&topic);
                self.report_restart(topic);
                return self.retired(Box::new(state), ctx);
            }
            Some(SupervisedTopic::Passive(_)) | None => return,
        };
        self.peers.topic_lost(&topic, now);
        if !self.restarts.allow(&topic, now) {
            return self.give_up(topic, &address, now);
        }
        let state = self.state_with_subscribers(&topic);
        let rejoin = self.shared.topic_table.get(&topic).is_some_and(|entry| entry.joined);
        if !rejoin && (unconfirmed || self.peers.is_joined(&topic)) {
            // The panic lost the leave, or its announcement. The passive topic announces it before the actor starts.
            self.topics.insert(topic.clone(), SupervisedTopic::Passive(Box::new(state)));
            self.peers.apply_event(&topic, TopicEvent::Left, now);
            self.apply_outputs();
            self.spawn(topic.clone(), address);
        } else {
            self.start(state, address, rejoin);
        }
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
        let state = self.state_with_subscribers(&topic);
        self.topics.insert(topic.clone(), SupervisedTopic::Passive(Box::new(state)));
        self.peers.apply_event(&topic, TopicEvent::Left, now);
        self.shared.metrics.topic_given_up();
        self.shared.observe(&Event::TopicGivenUp { topic });
    }

    fn state_with_subscribers(&self, topic: &N::Topic) -> TopicState<N> {
        let mut state = self.shared.new_topic_state(&topic);
        for (peer, connection_id) in self.peers.subscribers(topic) {
            state.restore_subscriber(peer, connection_id);
        }
        state
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
