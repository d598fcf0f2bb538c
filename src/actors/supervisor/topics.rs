//! The supervisor's topics: those that have an actor, those whose actor retires, and those that need none. Spawns,
//! runs and respawns them; knows no peer's score.

use std::sync::Arc;

use actix::Context;

use super::{Slot, SupervisorActor};
use crate::{
    actors::{
        messages::{Inbox, SupervisorItem, TopicItem},
        saying::{handle_message, handle_peer, watches_messages},
        topic::{MeshActor, report},
    },
    network::Network,
    protocol::{Event, Fact, Timestamp, TopicState},
};

impl<N: Network> SupervisorActor<N> {
    /// Gives an item to its topic, wherever that is.
    pub(super) fn route(&mut self, topic: N::Topic, item: TopicItem<N>) {
        match self.topics.get_mut(&topic) {
            // Closed only when its slot says so.
            Some(Slot::Running(inbox)) => drop(inbox.push(item)),
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
                handle_message(&mut state, arrival, now, watched, &shared, &mut self.outbox);
            }
            TopicItem::Peer(saying) => {
                now = saying.at;
                handle_peer(&mut state, *saying, &shared, &mut self.outbox);
            }
            TopicItem::Order(order) => state.execute(order, &shared.context(now), &mut self.outbox),
            TopicItem::Inspect(reply) => drop(reply.send(report(&state, &shared))),
            TopicItem::Look(look) => look(&state),
            // The handle gives these to topics that have an actor.
            TopicItem::Publish { .. } | TopicItem::Join { .. } | TopicItem::Leave { .. } => {}
            // Only actors start validations, and none retires before they are done.
            TopicItem::Verdict { .. } => {}
            // Without an actor, all is told at once.
            TopicItem::TellCredits => {}
            TopicItem::Retire | TopicItem::Stop => {}
        }
        state.tell_credits(&mut self.outbox);
        // It has no mesh: nothing to be said of one.
        shared.flush(&topic, &shared.topic_labels.of(&topic), &mut self.outbox);
        let facts = std::mem::take(&mut self.outbox.facts);
        let idle = self.topics.len().saturating_sub(self.peers.joined_count());
        if state.is_worth_keeping(idle, &shared.limits) {
            self.topics.insert(topic.clone(), Slot::Dormant(state));
        }
        self.fold(&topic, facts, now);
    }

    /// A topic gets an actor.
    pub(super) fn spawn(&mut self, topic: N::Topic, inbox: Arc<Inbox<TopicItem<N>>>) {
        let state = match self.topics.remove(&topic) {
            Some(Slot::Dormant(state)) => *state,
            Some(Slot::Retiring(mut meanwhile)) => {
                meanwhile.push(SupervisorItem::Spawn { topic: topic.clone(), inbox });
                self.topics.insert(topic, Slot::Retiring(meanwhile));
                return;
            }
            Some(Slot::Running(_)) | None => {
                TopicState::new(topic.clone(), &self.shared.limits, self.shared.seed)
            }
        };
        self.start(state, inbox, false);
    }

    fn start(&mut self, state: TopicState<N>, inbox: Arc<Inbox<TopicItem<N>>>, rejoin: bool) {
        self.topics.insert(state.topic.clone(), Slot::Running(Arc::clone(&inbox)));
        let shared = Arc::clone(&self.shared);
        self.pool.start_next(move |arbiter| MeshActor::new(state, inbox, shared, arbiter, rejoin));
    }

    /// A topic's actor has nothing to do: if that is still so, it retires. Nobody can put anything
    /// into its inbox between the look and the end.
    pub(super) fn retire(&mut self, topic: N::Topic) {
        let Some(Slot::Running(inbox)) = self.topics.get(&topic) else { return };
        let retired = self.shared.directory.topics.remove_if(&topic, |_, entry| {
            !entry.joined && Arc::ptr_eq(&entry.inbox, inbox) && inbox.close_if_empty(TopicItem::Retire)
        });
        if retired.is_some() {
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

    /// A topic's actor panicked: its state is lost, its inbox is not. It starts anew with its
    /// subscribers, and joined if it was; unless it panics too often.
    pub(super) fn restart(&mut self, topic: N::Topic) {
        let Some(Slot::Running(inbox)) = self.topics.remove(&topic) else { return };
        let now = self.shared.now();
        self.peers.topic_lost(&topic, now);
        if !self.restarts.allow(&topic, now) {
            return self.give_up(topic, &inbox, now);
        }
        let mut state = TopicState::new(topic.clone(), &self.shared.limits, self.shared.seed);
        for (peer, link) in self.peers.subscribers(&topic) {
            state.restore_subscriber(peer.clone(), link);
        }
        let rejoin = self.shared.directory.topics.get(&topic).is_some_and(|entry| entry.joined);
        self.start(state, inbox, rejoin);
        self.shared.metrics.topic_restarted();
        self.shared.observe(&Event::TopicRestarted { topic });
    }

    /// Peers are told that we left; the application hears of it.
    fn give_up(&mut self, topic: N::Topic, inbox: &Inbox<TopicItem<N>>, now: Timestamp) {
        self.shared.directory.topics.remove(&topic);
        inbox.close();
        let mut state = TopicState::new(topic.clone(), &self.shared.limits, self.shared.seed);
        for (peer, link) in self.peers.subscribers(&topic) {
            state.restore_subscriber(peer.clone(), link);
        }
        self.topics.insert(topic.clone(), Slot::Dormant(Box::new(state)));
        self.peers.fold(&topic, Fact::Left, now);
        self.shared.metrics.topic_given_up();
        self.shared.observe(&Event::TopicGivenUp { topic });
    }
}
