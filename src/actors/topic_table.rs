//! The topics that have an actor, with the addresses of those actors. Every thread reads it: an input of a topic that
//! is listed here goes to the topic's actor, any other goes to the supervisor.

use std::sync::Arc;

use dashmap::DashMap;
use foldhash::fast::RandomState;

use super::{
    arbiter::mailbox::TopicAddr, diagnostics::topic_status::PublishedTopic, mesh::messages::TopicItem,
};
use crate::{network::Network, outputs::topic_queue::TopicSender, protocol::topic::interest::Interests};

/// The topics that have an actor or are about to get one.
pub(crate) type TopicTable<N> = DashMap<<N as Network>::Topic, TopicEntry<N>, RandomState>;

/// A topic that has an actor.
pub(crate) struct TopicEntry<N: Network> {
    pub(crate) address: TopicAddr<N>,
    /// The number of commands that the application gave the topic; it wraps around.
    pub(crate) commands: u32,
    /// The interests of the application, by its last command on each.
    pub(crate) interests: Interests,
    /// Where the topic's messages go; `None`: to the stream that all topics share.
    pub(crate) subscription: Option<Arc<TopicSender<N>>>,
    /// The snapshot that the topic publishes at each heartbeat.
    pub(crate) published: Arc<PublishedTopic>,
}

impl<N: Network> TopicEntry<N> {
    /// A topic that the application has given no command.
    pub(crate) fn new(address: TopicAddr<N>) -> Self {
        let (interests, published) = (Interests::default(), Arc::default());
        Self { address, commands: 0, interests, subscription: None, published }
    }

    /// Counts a command of the application and sends it to the topic.
    pub(crate) fn command(&mut self, command: TopicItem<N>) {
        self.commands = self.commands.wrapping_add(1);
        self.address.push(command);
    }
}
