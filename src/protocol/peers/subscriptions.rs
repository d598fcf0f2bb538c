//! The subscriptions of peers, which are stored with their connections. A topic that becomes active takes its subscribers
//! from here.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, btree_set},
    ops::Bound,
};

use super::{Connection, Peers};
use crate::{
    network::Network,
    protocol::{
        backoff::{Backoffs, RemainingBackoff},
        connection::ConnectionId,
    },
    timestamp::Timestamp,
};

impl<N: Network> Peers<N> {
    /// A topic gets a state machine, which takes its backoffs.
    pub(in crate::protocol) fn activate_topic(&mut self, topic: &N::Topic) -> Option<Backoffs<N::Peer>> {
        self.active.insert(topic.clone());
        self.passive_backoffs.take(topic)
    }

    /// Takes over the backoffs that a former process of this node left, before any topic is joined.
    pub(crate) fn restore_backoffs(&mut self, backoffs: &[RemainingBackoff<N>], now: Timestamp) {
        for backoff in backoffs {
            self.passive_backoffs.restore(backoff, &self.network, &self.limits, now);
        }
    }

    /// A topic has no state machine any more. `backoffs` are those that it had, unless its state was lost.
    pub(crate) fn deactivate_topic(&mut self, topic: N::Topic, backoffs: Option<Backoffs<N::Peer>>) {
        self.active.remove(&topic);
        if let Some(backoffs) = backoffs {
            self.passive_backoffs.store(topic, backoffs, &self.network);
        }
    }

    /// Whether a peer may subscribe to `topic`.
    pub(crate) fn below_topic_limit(&self, peer: &N::Peer, topic: &N::Topic) -> bool {
        let below = |counted: usize| self.limits.is_below_topic_limit(counted, self.is_joined(topic));
        let Some(Connection { topics, .. }) = self.connections.get(peer) else { return below(0) };
        // It matters for few peers only which of their topics count.
        let count = || topics.iter().filter(|topic| !self.is_joined(topic)).count();
        below(topics.len()) || (!self.limits.counts_subscription(true) && below(count()))
    }

    /// Whether there is room for the name of a topic that we have not joined among those of `peer`.
    pub(crate) fn has_room_for_name(&self, peer: &N::Peer, topic: &N::Topic) -> bool {
        let bytes = self.network.topic_size(topic);
        self.connections.get(peer).is_none_or(|connection| {
            let has_room = connection.names.has_room(bytes);
            if !has_room {
                connection.names.count_evicted(1);
            }
            has_room
        })
    }

    /// Whether `peer` is subscribed to `topic` over this connection.
    pub(crate) fn is_subscriber(
        &self,
        peer: &N::Peer,
        connection_id: ConnectionId,
        topic: &N::Topic,
    ) -> bool {
        let connection = self.connections.get(peer).filter(|it| it.connection_id == connection_id);
        connection.is_some_and(|connection| connection.topics.contains(topic))
    }

    /// The connected subscribers of a topic, and whether each is a direct peer. Takes a lookup for each connection.
    pub(crate) fn subscribers<'a>(
        &'a self,
        topic: &'a N::Topic,
    ) -> impl Iterator<Item = (&'a N::Peer, ConnectionId, bool)> {
        let subscribed = self.connections.iter().filter(|(_, connection)| connection.topics.contains(topic));
        subscribed.map(|(peer, connection)| (peer, connection.connection_id, connection.direct))
    }

    /// The topics that follow `after` and have subscribers, each once, ascending. The time for each is in proportion to
    /// the number of its subscribers.
    pub(crate) fn subscribed_topics<'a>(&'a self, after: Option<&'a N::Topic>) -> SubscribedTopics<'a, N> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let of_connections = self.connections.values();
        let mut rest: Vec<_> = of_connections
            .map(|connection| connection.topics.range::<N::Topic, _>((from, Bound::Unbounded)))
            .collect();
        let first = rest.iter_mut().enumerate();
        let next = first.filter_map(|(index, topics)| Some(Reverse((topics.next()?, index)))).collect();
        SubscribedTopics { rest, next }
    }
}

/// The sorted topics of all connections, merged.
pub(crate) struct SubscribedTopics<'a, N: Network> {
    /// The remaining topics of each connection.
    rest: Vec<btree_set::Range<'a, N::Topic>>,
    /// The next topic of each connection, with its index in `rest`.
    next: BinaryHeap<Reverse<(&'a N::Topic, usize)>>,
}

impl<'a, N: Network> Iterator for SubscribedTopics<'a, N> {
    type Item = &'a N::Topic;

    fn next(&mut self) -> Option<&'a N::Topic> {
        let Reverse((topic, _)) = *self.next.peek()?;
        while let Some(mut first) = self.next.peek_mut()
            && first.0.0 == topic
        {
            let index = first.0.1;
            match self.rest[index].next() {
                Some(following) => first.0.0 = following,
                None => drop(std::collections::binary_heap::PeekMut::pop(first)),
            }
        }
        Some(topic)
    }
}
