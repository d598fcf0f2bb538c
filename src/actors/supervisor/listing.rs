//! Lists topics for queries: those that have an actor, and passive ones with the state that they would have.

use super::{
    actor::SupervisorActor,
    messages::{ListTopics, PassiveTopics, TopicList, TopicLocation},
    topics::SupervisedTopic,
};
use crate::{network::Network, protocol::passive::PassiveTopic};

/// The number of subscribers, at most, that one list of topics has. It bounds the time of the supervisor.
const MAX_SUBSCRIBERS: usize = 65_536;

impl<N: Network> SupervisorActor<N> {
    pub(super) fn list_topics(&self, list: ListTopics<N>) -> TopicList<N> {
        let ListTopics { after, limit, passive } = list;
        let most_subscribers = self.peers.connection_count().max(1);
        let limit = match passive {
            PassiveTopics::None => limit,
            _ => limit.min((MAX_SUBSCRIBERS / most_subscribers).max(1)),
        };
        let follows = |(topic, _): &(&N::Topic, _)| after.as_ref().is_none_or(|after| *topic > after);
        let mut topics: Vec<_> = self.topics.iter().filter(follows).map(|(topic, _)| topic).collect();
        let is_passive = |topic: &&N::Topic| !self.topics.contains_key(*topic);
        match passive {
            PassiveTopics::None => {}
            PassiveTopics::WithBackoffs => {
                let passive = self.peers.passive_backoffs().topics_after(after.as_ref());
                topics.extend(passive.filter(is_passive).take(limit + 1));
            }
            PassiveTopics::WithSubscribers => {
                let passive = self.peers.subscribed_topics(after.as_ref());
                topics.extend(passive.filter(is_passive).take(limit + 1));
            }
        }
        let more = topics.len() > limit;
        if more {
            topics.select_nth_unstable(limit);
            topics.truncate(limit);
        }
        topics.sort_unstable();
        let topics = topics.into_iter().map(|topic| (topic.clone(), self.location(topic))).collect();
        TopicList { topics, more }
    }

    fn location(&self, topic: &N::Topic) -> TopicLocation<N> {
        match self.topics.get(topic) {
            Some(SupervisedTopic::Active(address)) => TopicLocation::Actor(address.clone()),
            Some(SupervisedTopic::Retiring { .. }) => TopicLocation::Supervisor,
            None => {
                let topic = PassiveTopic { name: topic, peers: &self.peers };
                TopicLocation::Here(Box::new(topic.to_state(
                    &self.shared.limits.load(),
                    &self.shared.totals,
                    self.shared.seed,
                )))
            }
        }
    }
}
