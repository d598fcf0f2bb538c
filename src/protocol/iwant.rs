//! Splits the ids of an IWANT by topic: it may request messages of several topics, and each topic answers for its own.

use std::collections::BTreeMap;

use crate::network::{Network, hooks::Hooks};

/// The ids of an IWANT, by the topic that may have the message.
pub(crate) struct IWantByTopic<N: Network> {
    /// The ids of each topic, in the order of the IWANT.
    pub(crate) topics: BTreeMap<N::Topic, Vec<N::MessageId>>,
    /// The ids that belong to no topic that can answer.
    pub(crate) unknown: Vec<N::MessageId>,
}

impl<N: Network> IWantByTopic<N> {
    /// Splits `ids` by topic. `topic_by_message_id` is asked about ids that do not name their topic. `can_answer`:
    /// whether a topic has a state.
    pub(crate) fn split(
        ids: Vec<N::MessageId>,
        network: &Hooks<N>,
        topic_by_message_id: impl Fn(&N::MessageId) -> Option<N::Topic>,
        can_answer: impl Fn(&N::Topic) -> bool,
    ) -> Self {
        let mut split = Self { topics: BTreeMap::new(), unknown: Vec::new() };
        for id in ids {
            let topic = network.topic_of(&id).or_else(|| topic_by_message_id(&id));
            match topic.filter(&can_answer) {
                Some(topic) => split.topics.entry(topic).or_default().push(id),
                None => split.unknown.push(id),
            }
        }
        split
    }
}
