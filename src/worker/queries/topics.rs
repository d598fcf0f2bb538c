//! Queries that topics answer. A query of many topics asks them in chunks, and each topic copies only its own part.

use tokio::sync::oneshot;

use super::{Page, PageOf};
use crate::{
    actors::{
        fault::EngineStopped,
        mesh::messages::{TopicItem, TopicQuery},
        supervisor::messages::{ListTopics, PassiveTopics, SupervisorItem, TopicList, TopicLocation},
    },
    network::Network,
    protocol::{
        backoff::RemainingBackoff,
        connection::ConnectionId,
        inspect::view::FanoutView,
        topic::{TopicState, inspect::PeerTopicStatus},
    },
    timestamp::Timestamp,
    worker::Worker,
};

/// The number of topics that are asked before the first answer is awaited.
const TOPICS_AT_ONCE: usize = 2048;

impl<N: Network> Worker<N> {
    /// The mesh of each joined topic.
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn mesh(
        &self,
        page: Page<N::Topic>,
    ) -> Result<PageOf<(N::Topic, Vec<N::Peer>)>, EngineStopped> {
        self.query_topics(page, PassiveTopics::None, TopicState::mesh_peers, Vec::len).await
    }

    /// The mesh of one topic; `None` if it is not joined.
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn mesh_of(&self, topic: &N::Topic) -> Result<Option<Vec<N::Peer>>, EngineStopped> {
        Ok(self.query_topic(topic, TopicState::mesh_peers).await?.flatten())
    }

    /// The connected peers that are subscribed to each topic: to every topic with a subscriber, or with `joined_only`
    /// to every joined topic. A topic whose only subscribers have just disconnected may be listed without peers.
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn subscribers(
        &self,
        page: Page<N::Topic>,
        joined_only: bool,
    ) -> Result<PageOf<(N::Topic, Vec<N::Peer>)>, EngineStopped> {
        let query = move |state: &TopicState<N>| {
            let subscribers = || state.subscriber_ids();
            if joined_only {
                state.is_joined().then(subscribers)
            } else {
                Some(subscribers()).filter(|subscribers| !subscribers.is_empty())
            }
        };
        let passive = if joined_only { PassiveTopics::None } else { PassiveTopics::WithSubscribers };
        let PageOf { items, more } = self.query_topics(page, passive, query, Vec::len).await?;
        let resolve = |(topic, connection_ids): (N::Topic, Vec<ConnectionId>)| {
            let mut peers = self.shared.directory.peers_of(&connection_ids);
            peers.sort_unstable();
            (topic, peers)
        };
        Ok(PageOf { items: items.into_iter().map(resolve).collect(), more })
    }

    /// The fanout of each topic to which we publish without having joined it.
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn fanout(
        &self,
        page: Page<N::Topic>,
    ) -> Result<PageOf<(N::Topic, FanoutView<N>)>, EngineStopped> {
        self.query_topics(page, PassiveTopics::None, TopicState::fanout_view, |fanout| fanout.peers.len())
            .await
    }

    /// When the backoff of each peer on each topic ends. Expired entries are included until their cleanup.
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn backoffs(
        &self,
        page: Page<N::Topic>,
    ) -> Result<PageOf<(N::Topic, Vec<(N::Peer, Timestamp)>)>, EngineStopped> {
        let query = |state: &TopicState<N>| Some(state.backoff_list()).filter(|list| !list.is_empty());
        self.query_topics(page, PassiveTopics::WithBackoffs, query, Vec::len).await
    }

    /// The backoffs that have not ended, of all topics: an engine that starts again with the same identity takes them over by
    /// [`initial_backoffs`](crate::WorkerBuilder::initial_backoffs).
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn remaining_backoffs(&self) -> Result<Vec<RemainingBackoff<N>>, EngineStopped> {
        let topics = self.backoffs(Page::all()).await?;
        let now = self.now();
        let backoffs = topics.items.into_iter().flat_map(|(topic, peers)| {
            let remaining = peers.into_iter().map(move |(peer, until)| (peer, until.saturating_since(now)));
            remaining.map(move |(peer, remaining)| RemainingBackoff { topic: topic.clone(), peer, remaining })
        });
        Ok(backoffs.filter(|backoff| !backoff.remaining.is_zero()).collect())
    }

    /// When the backoff of one peer on each topic ends, for the topics on which it has one. Expired entries are included until
    /// their cleanup.
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn backoffs_of(
        &self,
        peer: &N::Peer,
        page: Page<N::Topic>,
    ) -> Result<PageOf<(N::Topic, Timestamp)>, EngineStopped> {
        let peer = peer.clone();
        let query = move |state: &TopicState<N>| state.backoff_of(&peer);
        self.query_topics(page, PassiveTopics::WithBackoffs, query, |_| 1).await
    }

    /// The number of messages in the message cache of each topic, by the number of the heartbeat in which they arrived.
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn message_cache(
        &self,
        page: Page<N::Topic>,
    ) -> Result<PageOf<(N::Topic, Vec<(u64, usize)>)>, EngineStopped> {
        let tick = self.shared.heartbeat_monitor.tick();
        let query = move |state: &TopicState<N>| {
            let at_tick = |(age, count)| (tick.saturating_sub(age), count);
            Some(state.cached_by_age().into_iter().map(at_tick).collect())
                .filter(|counts: &Vec<_>| !counts.is_empty())
        };
        self.query_topics(page, PassiveTopics::None, query, Vec::len).await
    }

    /// The status of a peer in a topic; `None` if the engine has no state of the topic.
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn peer_topic_status(
        &self,
        peer: &N::Peer,
        topic: &N::Topic,
    ) -> Result<Option<PeerTopicStatus>, EngineStopped> {
        let (peer, connection) = (peer.clone(), self.shared.directory.connection(peer));
        let connection_id = connection.map(|connection| connection.connection_id());
        self.query_topic(topic, move |state| state.peer_topic_status(&peer, connection_id)).await
    }

    /// Runs `query` on each topic that has an actor, and on these passive ones. Leaves out topics for which it returns
    /// `None`. `entries` counts the entries of an answer for [`Page::max_entries`].
    pub(super) async fn query_topics<T: Send + 'static>(
        &self,
        page: Page<N::Topic>,
        passive: PassiveTopics,
        query: impl Fn(&TopicState<N>) -> Option<T> + Clone + Send + 'static,
        entries: impl Fn(&T) -> usize,
    ) -> Result<PageOf<(N::Topic, T)>, EngineStopped> {
        let Page { mut after, limit, max_entries } = page;
        let _running = self.begin_query(limit).await?;
        let (mut items, mut total_entries) = (Vec::new(), 0_usize);
        while items.len() < limit && total_entries < max_entries {
            let wanted = TOPICS_AT_ONCE.min(limit - items.len());
            let list = ListTopics { after: after.take(), limit: wanted, passive };
            let TopicList { topics, more } = self.ask(list).await?;
            after = topics.last().map(|(topic, _)| topic.clone());
            let ask = |(topic, location): (N::Topic, TopicLocation<N>)| {
                (topic.clone(), self.query_location(&topic, location, query.clone()))
            };
            let answers: Vec<_> = topics.into_iter().map(ask).collect();
            for (topic, answer) in answers {
                // A topic that has stopped or restarted in the meantime is left out.
                if let Ok(Some(answer)) = answer.await {
                    total_entries = total_entries.saturating_add(entries(&answer));
                    items.push((topic, answer));
                    if total_entries >= max_entries {
                        return Ok(PageOf { items, more: true });
                    }
                }
            }
            if !more {
                return Ok(PageOf { items, more: false });
            }
        }
        Ok(PageOf { items, more: true })
    }

    /// Runs `query` on one topic; `None` if the engine has no state of it.
    async fn query_topic<T: Send + 'static>(
        &self,
        topic: &N::Topic,
        query: impl Fn(&TopicState<N>) -> T + Send + 'static,
    ) -> Result<Option<T>, EngineStopped> {
        let location = match self.shared.topic_table.get(topic) {
            Some(entry) => TopicLocation::Actor(entry.address.clone()),
            None => TopicLocation::Supervisor,
        };
        let query = move |state: &TopicState<N>| (!state.is_empty()).then(|| query(state));
        match self.query_location(topic, location, query).await {
            Ok(answer) => Ok(answer),
            Err(_) if self.is_ended() => Err(EngineStopped),
            Err(_) => Ok(None),
        }
    }

    /// Runs `query` where the topic's state is. The receiver fails if the topic has stopped in the meantime.
    fn query_location<T: Send + 'static>(
        &self,
        topic: &N::Topic,
        location: TopicLocation<N>,
        query: impl FnOnce(&TopicState<N>) -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (reply, answer) = oneshot::channel();
        // The reply fails if the caller was cancelled.
        let query = move |state: &TopicState<N>| drop(reply.send(query(state)));
        match location {
            TopicLocation::Actor(address) => address.push(TopicItem::Query(TopicQuery::new(query))),
            TopicLocation::Supervisor => {
                let item = TopicItem::Query(TopicQuery::new(query));
                self.send(SupervisorItem::Topic { topic: topic.clone(), item });
            }
            TopicLocation::Here(state) => query(&state),
        }
        answer
    }
}
