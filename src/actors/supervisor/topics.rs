//! The supervisor's topics: those that have an actor, those whose actor retires, and those that need none. Spawns,
//! runs and respawns them; knows no peer's score.

use std::sync::Arc;

use actix::Context;

use super::{
    actor::{Slot, SupervisorActor},
    messages::SupervisorItem,
};
use crate::{
    actors::{
        arbiter::mailbox::TopicAddr,
        inbox::BusyGuard,
        mesh::{
            actor::MeshActor,
            messages::TopicItem,
            peer_message::{handle_message, handle_peer, watches_messages},
            topic::{Topic, report},
        },
    },
    network::Network,
    protocol::{event::Event, exchange::event::TopicEvent, topic::TopicState},
    timestamp::Timestamp,
};

impl<N: Network> SupervisorActor<N> {
    /// Gives an item to its topic, wherever that is.
    pub(super) fn route(&mut self, topic: N::Topic, item: TopicItem<N>) {
        match self.topics.get_mut(&topic) {
            Some(Slot::Running(address)) => self.shared.post(address, item),
            Some(Slot::Retiring(meanwhile)) => meanwhile.push(SupervisorItem::Topic { topic, item }),
            Some(Slot::Dormant(_)) | None => self.run_dormant(topic, item),
        }
    }

    /// Runs a topic that has no actor. It is not joined: there is little to do.
    fn run_dormant(&mut self, topic: N::Topic, item: TopicItem<N>) {
        let shared = Arc::clone(&self.shared);
        let mut state = match self.topics.remove(&topic) {
            Some(Slot::Dormant(state)) => state,
            _ => Box::new(TopicState::new(topic.clone(), &shared.limits, shared.seed)),
        };
        let mut now = shared.now();
        match item {
            TopicItem::Message(arrival) => {
                let watched = watches_messages(&shared);
                let cx = shared.context(now);
                let Self { outbox, outgoing, .. } = self;
                handle_message(&mut state, arrival, &cx, watched, &shared, outbox, outgoing);
            }
            TopicItem::Peer(saying) => {
                now = saying.at;
                handle_peer(&mut state, *saying, &shared, &mut self.outbox);
            }
            TopicItem::Command(order) => state.handle_command(order, &shared.context(now), &mut self.outbox),
            TopicItem::Inspect(reply) => drop(reply.send(report(&state, &shared))),
            TopicItem::Look(look) => look(&state),
            // The handle gives these to topics that have an actor.
            TopicItem::Publish { .. } | TopicItem::Join { .. } | TopicItem::Leave { .. } => {}
            // Only actors start validations, and none retires before they are done.
            TopicItem::Verdict { .. } => {}
            // Without an actor, all is told at once.
            TopicItem::FlushDeliveryCounts => {}
            TopicItem::Retire | TopicItem::Stop => {}
        }
        state.flush_delivery_counts(&mut self.outbox);
        // It has no mesh: nothing to be said of one.
        shared.flush(&topic, &shared.topic_labels.of(&topic), &mut self.outbox, &mut self.outgoing.outputs);
        self.outgoing.send(&shared);
        let facts = std::mem::take(&mut self.outbox.facts);
        let idle = self.topics.len().saturating_sub(self.peers.joined_count());
        if state.should_retain(idle, &shared.limits) {
            self.topics.insert(topic.clone(), Slot::Dormant(state));
        }
        self.fold(&topic, facts, now);
    }

    /// A topic gets an actor.
    pub(super) fn spawn(&mut self, topic: N::Topic, address: TopicAddr<N>) {
        let state = match self.topics.remove(&topic) {
            Some(Slot::Dormant(state)) => *state,
            Some(Slot::Retiring(mut meanwhile)) => {
                meanwhile.push(SupervisorItem::Spawn { topic: topic.clone(), address });
                self.topics.insert(topic, Slot::Retiring(meanwhile));
                return;
            }
            Some(Slot::Running(_)) | None => {
                TopicState::new(topic.clone(), &self.shared.limits, self.shared.seed)
            }
        };
        self.start(state, address, false);
    }

    fn start(&mut self, state: TopicState<N>, address: TopicAddr<N>, rejoin: bool) {
        self.topics.insert(state.topic.clone(), Slot::Running(address.clone()));
        let (shared, ticket) = (Arc::clone(&self.shared), BusyGuard::new(&self.shared.load));
        self.pool.start(address.arbiter(), move || {
            let topic = Topic::new(state, address.clone(), Arc::clone(&shared));
            MeshActor::new(topic, address, shared, rejoin, ticket)
        });
    }

    /// A topic had nothing to do after so many commands of the application: if there was none since, it retires. What
    /// peers said meanwhile reaches it before; what they say from now on is for the supervisor.
    pub(super) fn retire(&mut self, topic: N::Topic, commands: u32) {
        let Some(Slot::Running(address)) = self.topics.get(&topic) else { return };
        let retired = self.shared.topic_table.remove_if(&topic, |_, entry| {
            !entry.joined && entry.address == *address && entry.commands == commands
        });
        if retired.is_some() {
            address.push(TopicItem::Retire);
            self.topics.insert(topic, Slot::Retiring(Vec::new()));
        }
    }

    /// The state of a topic is back; what came meanwhile is made good.
    pub(super) fn retired(&mut self, state: Box<TopicState<N>>, ctx: &mut Context<Self>) {
        let topic = state.topic.clone();
        let slot = self.topics.remove(&topic);
        if !state.is_empty() {
            self.topics.insert(topic, Slot::Dormant(state));
        }
        if let Some(Slot::Retiring(meanwhile)) = slot {
            for item in meanwhile {
                self.handle_item(item, ctx);
            }
        }
    }

    /// A topic panicked: its state is lost, its address is not. It starts anew with its
    /// subscribers, and joined if it was; unless it panics too often.
    pub(super) fn restart(&mut self, topic: N::Topic) {
        let Some(Slot::Running(address)) = self.topics.remove(&topic) else { return };
        let now = self.shared.now();
        self.peers.topic_lost(&topic, now);
        if !self.restarts.allow(&topic, now) {
            return self.give_up(topic, &address, now);
        }
        let mut state = TopicState::new(topic.clone(), &self.shared.limits, self.shared.seed);
        for (peer, connection_id) in self.peers.subscribers(&topic) {
            state.restore_subscriber(peer, connection_id);
        }
        let rejoin = self.shared.topic_table.get(&topic).is_some_and(|entry| entry.joined);
        self.start(state, address, rejoin);
        self.shared.metrics.topic_restarted();
        self.shared.observe(&Event::TopicRestarted { topic });
    }

    /// Peers are told that we left; the application hears of it.
    fn give_up(&mut self, topic: N::Topic, address: &TopicAddr<N>, now: Timestamp) {
        self.shared.topic_table.remove(&topic);
        address.push(TopicItem::Stop);
        let mut state = TopicState::new(topic.clone(), &self.shared.limits, self.shared.seed);
        for (peer, connection_id) in self.peers.subscribers(&topic) {
            state.restore_subscriber(peer, connection_id);
        }
        self.topics.insert(topic.clone(), Slot::Dormant(Box::new(state)));
        self.peers.apply_event(&topic, TopicEvent::Left, now);
        self.shared.metrics.topic_given_up();
        self.shared.observe(&Event::TopicGivenUp { topic });
    }
}
