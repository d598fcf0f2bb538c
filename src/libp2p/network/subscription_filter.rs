//! The topics that peers may subscribe to.

use std::{collections::HashSet, fmt, sync::Arc};

use super::Libp2pNetwork;
use crate::{libp2p::ids::TopicName, limits::TopicPattern};

/// The topics that peers may subscribe to: those of a set, and those that match a pattern. Nothing is stored of any other
/// topic that a peer names in a SUBSCRIBE. Allow the topics that the node joins or publishes to: the peers of a topic that is
/// not allowed remain unknown. The filter can be replaced while the engine runs
/// ([`Libp2pNetwork::set_subscription_filter`]).
///
/// The number of topics of one peer is bounded by
/// [`max_topics_per_peer`](crate::LimitsConfig::max_topics_per_peer), that of all their names by
/// [`max_topic_name_bytes`](crate::limits::Bounds::max_topic_name_bytes).
///
/// ```
/// use actix_gossipsub::libp2p::SubscriptionFilter;
///
/// let filter = SubscriptionFilter::new().topics(["news"]).patterns(["/eth2/*/beacon_block/*"]);
/// assert!(filter.allows(&"/eth2/8c9f62fe/beacon_block/ssz_snappy".into()));
/// assert!(!filter.allows(&"chat".into()));
/// ```
#[derive(Clone, Default)]
pub struct SubscriptionFilter {
    topics: HashSet<TopicName>,
    patterns: Vec<TopicPattern>,
    matching: Vec<Arc<Matches>>,
}

type Matches = dyn Fn(&TopicName) -> bool + Send + Sync;

impl SubscriptionFilter {
    /// A filter that allows no topic.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows these topics.
    pub fn topics(mut self, topics: impl IntoIterator<Item: Into<TopicName>>) -> Self {
        self.topics.extend(topics.into_iter().map(Into::into));
        self
    }

    /// Allows the topics that match one of these patterns.
    pub fn patterns(mut self, patterns: impl IntoIterator<Item: Into<TopicPattern>>) -> Self {
        self.patterns.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Allows the topics of which `matches` returns true, such as those that match a regular expression. It is called on the
    /// engine's threads and must not block.
    pub fn matching(mut self, matches: impl Fn(&TopicName) -> bool + Send + Sync + 'static) -> Self {
        self.matching.push(Arc::new(matches));
        self
    }

    /// Whether peers may subscribe to a topic.
    pub fn allows(&self, topic: &TopicName) -> bool {
        self.topics.contains(topic)
            || self.patterns.iter().any(|pattern| pattern.matches(topic.as_str()))
            || self.matching.iter().any(|matches| matches(topic))
    }
}

impl Libp2pNetwork {
    /// Replaces the topics that peers may subscribe to; `None` allows all. As in rust-libp2p and go-libp2p-pubsub, a filter is
    /// asked when a SUBSCRIBE is handled, or a GRAFT that implies one, and not again:
    ///
    /// * A subscription to a topic that is not allowed any more stays until the peer unsubscribes or disconnects. Its repetition
    ///   changes nothing.
    /// * A subscription that was refused is not remembered. The peer of a topic that is allowed now is known when it subscribes
    ///   again, grafts this node, or connects again. So allow a topic before its peers subscribe, as before a fork.
    ///
    /// The topics of this node stay too: to be rid of a topic, leave it.
    ///
    /// ```
    /// use actix_gossipsub::libp2p::{Libp2pNetwork, SignaturePolicy, SubscriptionFilter};
    ///
    /// let filter = SubscriptionFilter::new().patterns(["/eth2/8c9f62fe/*"]);
    /// let network = Libp2pNetwork::builder(SignaturePolicy::StrictNoSign).subscription_filter(filter.clone()).build();
    /// // While the engine runs:
    /// network.set_subscription_filter(Some(filter.patterns(["/eth2/5b2a1c30/*"])));
    /// ```
    pub fn set_subscription_filter(&self, filter: Option<SubscriptionFilter>) {
        self.hooks.subscription_filter.store(filter.map(Arc::new));
    }

    /// Whether the filter allows a subscription to a topic.
    pub(in crate::libp2p) fn allows_subscription(&self, topic: &TopicName) -> bool {
        let filter = self.hooks.subscription_filter.load();
        filter.as_ref().is_none_or(|filter| filter.allows(topic))
    }
}

impl fmt::Debug for SubscriptionFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionFilter")
            .field("topics", &self.topics)
            .field("patterns", &self.patterns)
            .field("matching", &self.matching.len())
            .finish()
    }
}
