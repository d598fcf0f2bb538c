//! Splits the ids of an IWANT by topic: it may request messages of several topics, and each topic answers for its own.

use std::collections::BTreeMap;

/// The ids of an IWANT, by the topic that may have the message.
pub(crate) struct IWantByTopic<T, Id> {
    /// The ids of each topic, in the order of the IWANT.
    pub(crate) topics: BTreeMap<T, Vec<Id>>,
    /// The ids for which `topic_of` returned nothing.
    pub(crate) unknown: Vec<Id>,
}

impl<T: Ord, Id> IWantByTopic<T, Id> {
    /// Splits `ids` by `topic_of`, which returns a topic only if it has a state that can answer.
    pub(crate) fn split(ids: Vec<Id>, topic_of: impl Fn(&Id) -> Option<T>) -> Self {
        let mut split = Self { topics: BTreeMap::new(), unknown: Vec::new() };
        for id in ids {
            match topic_of(&id) {
                Some(topic) => split.topics.entry(topic).or_default().push(id),
                None => split.unknown.push(id),
            }
        }
        split
    }
}
