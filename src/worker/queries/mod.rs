//! Queries of an engine's state. Those of this file read what all threads share; the others ask topics (`topics.rs`)
//! and the supervisor (`peers.rs`), a bounded part at a time, so that a query never delays them for long.

pub(crate) mod page;
mod peers;
mod topics;

use std::sync::Arc;

use tokio::sync::{SemaphorePermit, oneshot};

use self::page::{Events, FirstItems, HeartbeatStatus, Page, PageOf, PeerStatus, QueueStatus, Rank};
use super::Worker;
use crate::{
    actors::{
        diagnostics::topic_status::TopicStatus,
        fault::EngineStopped,
        mesh::messages::{TopicItem, TopicQuery},
        supervisor::messages::{PassiveTopics, Snapshot, SupervisorItem, TakeSnapshot},
    },
    limits::Limits,
    network::Network,
    protocol::{
        connection::ConnectionId,
        exchange::peer_view::{PeerStatus as ConnectionStatus, PeerView},
        inspect::{
            footprint::Footprint,
            stats::{Stats, TopicProblem},
            view::View,
        },
        outcome::decision::EventRecord,
        peers::Peers,
        topic::{
            TopicState,
            interest::{Interest, Interests},
        },
    },
    timestamp::Timestamp,
};

// === Read without asking an actor ===

impl<N: Network> Worker<N> {
    /// The name of the engine, if it was given one ([`WorkerBuilder::name`](crate::WorkerBuilder::name)).
    pub fn name(&self) -> Option<&str> {
        self.shared.name.as_deref()
    }

    /// The span for log lines about this engine; disabled if it has no name.
    #[cfg(any(feature = "libp2p-node", feature = "http"))]
    pub(crate) fn span(&self) -> &tracing::Span {
        &self.shared.span
    }

    /// The limits in force.
    pub fn limits(&self) -> Arc<Limits<N::Topic>> {
        self.shared.limits.load_full()
    }

    /// The current time of the engine's clock.
    pub fn now(&self) -> Timestamp {
        self.shared.now()
    }

    /// The counters of the engine since its start. Each actor adds to them after a batch of work.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Whether the application has joined `topic`: its last command on it was a join. A topic that is only
    /// [relayed](Self::is_relayed) is not joined.
    pub fn is_subscribed(&self, topic: &N::Topic) -> bool {
        self.has_interest(topic, Interest::Deliver)
    }

    /// Whether the application relays `topic` ([`AppInput::Relay`](crate::AppInput::Relay)), joined or not.
    pub fn is_relayed(&self, topic: &N::Topic) -> bool {
        self.has_interest(topic, Interest::Relay)
    }

    fn has_interest(&self, topic: &N::Topic, interest: Interest) -> bool {
        self.shared.topic_table.get(topic).is_some_and(|entry| entry.interests.has(interest))
    }

    /// The joined topics, without those that are only relayed.
    pub fn topics(&self, page: &Page<N::Topic>) -> PageOf<N::Topic> {
        let joined = self.shared.topic_table.iter();
        let is_joined = |interests: Interests| interests.has(Interest::Deliver);
        let joined = joined.filter(|entry| is_joined(entry.interests) && page.starts_before(entry.key()));
        PageOf::sorted(joined.map(|entry| entry.key().clone()).collect(), page.limit, |topic| topic)
    }

    /// The last published score of `peer`, which may be disconnected; `None` if no score is remembered.
    pub fn score(&self, peer: &N::Peer) -> Option<f64> {
        self.shared.directory.status(peer).score
    }

    /// The scores of the connected peers and of those whose scores are remembered, as topics see them: deliveries since
    /// the last heartbeat are not included.
    pub fn scores(&self, page: &Page<N::Peer>) -> PageOf<(N::Peer, f64)> {
        let scores = self.shared.directory.scores(|peer| page.starts_before(peer));
        PageOf::sorted(scores, page.limit, |(peer, _)| peer)
    }

    /// The connected peers and those whose scores are remembered, the connected ones with the lowest scores first
    /// ([`PeerStatus::rank`]): those of the page for which `filter` is true. It is called for every peer, in no particular
    /// order.
    pub fn peer_statuses(
        &self,
        page: &Page<(Rank, N::Peer)>,
        mut filter: impl FnMut(&N::Peer, &PeerStatus) -> bool,
    ) -> PageOf<(N::Peer, PeerStatus)> {
        let mut first = FirstItems::new(page);
        self.shared.directory.for_each(|peer, record| {
            let ConnectionStatus { connection_id, direct, score } = record.status();
            let status = PeerStatus {
                connected: record.is_connected(),
                outbound: connection_id.is_some_and(ConnectionId::is_outbound),
                direct,
                bootstrap: connection_id.is_some_and(ConnectionId::is_bootstrap),
                floodsub: connection_id.is_some_and(ConnectionId::is_floodsub),
                score: score.unwrap_or(0.0),
            };
            if filter(peer, &status) {
                first.offer(status.rank(), peer, status);
            }
        });
        first.finish()
    }

    /// The topics that this node is in the mesh of, joined or relayed, those that need attention first
    /// ([`TopicStatus::rank`]): those of the page for which `filter` is true. It is called for every topic, in no particular
    /// order. No topic is asked: each has published its numbers at its last heartbeat.
    ///
    /// # Examples
    /// ```
    /// # use actix_gossipsub::{Limits, LimitsConfig, Page, Started, Worker, plain::PlainNetwork, protocol::TopicProblem};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> { actix::System::new().block_on(async {
    /// # let limits = Limits::try_from(LimitsConfig::default())?;
    /// let Started { worker, .. } = Worker::builder(PlainNetwork::new(), limits).start(["a".to_owned()])?;
    /// worker.settle().await;
    /// let topics = worker.topic_statuses(&Page::first(10), |_, status| status.problem.is_some()).items;
    /// assert_eq!((topics[0].0.as_str(), topics[0].1.problem), ("a", Some(TopicProblem::NoPeers)));
    /// # worker.shutdown().await;
    /// # Ok(()) }) }
    /// ```
    pub fn topic_statuses(
        &self,
        page: &Page<(Rank, N::Topic)>,
        mut filter: impl FnMut(&N::Topic, &TopicStatus) -> bool,
    ) -> PageOf<(N::Topic, TopicStatus)> {
        let mut first = FirstItems::new(page);
        for entry in &self.shared.topic_table {
            if let Some(status) = entry.published.read()
                && filter(entry.key(), &status)
            {
                first.offer(status.rank(), entry.key(), status);
            }
        }
        first.finish()
    }

    /// The last heartbeat.
    pub fn last_heartbeat(&self) -> HeartbeatStatus {
        let monitor = &self.shared.heartbeat_monitor;
        let (tick, started_at, manual) = (monitor.tick(), monitor.started_at(), monitor.is_manual());
        let topics = monitor.problems();
        HeartbeatStatus {
            tick,
            started_at,
            manual,
            topics_without_peers: topics[TopicProblem::NoPeers],
            topics_below_degree_low: topics[TopicProblem::BelowDLow],
            topics_without_scores: topics[TopicProblem::NoScores],
        }
    }

    /// When the engine last refused an input or dropped an output because a queue was full. `None` if it never did.
    pub fn last_overload(&self) -> Option<Timestamp> {
        self.shared.last_overload()
    }

    /// The fill level of each queue.
    pub fn queues(&self) -> [QueueStatus; 9] {
        let (shared, limits) = (&self.shared, self.shared.limits.load());
        let bounds = &limits.bounds;
        let queue = |name, depth, capacity| QueueStatus { name, depth, capacity };
        let input = shared.admission.queued();
        let publications = shared.publications.admission().queued();
        [
            queue("input", input.items(), bounds.max_input_items),
            queue("input_bytes", input.bytes(), bounds.max_input_bytes),
            queue("publication", publications.items(), bounds.max_input_items),
            queue("publication_bytes", publications.bytes(), shared.publications.admission().max_bytes()),
            queue("p2p_output", shared.p2p.len(), bounds.max_output_items),
            queue("p2p_output_bytes", shared.p2p.bytes(), bounds.max_output_bytes),
            queue("app_output", shared.app.len(), bounds.max_output_items),
            queue("app_output_bytes", shared.app.bytes(), bounds.max_output_bytes),
            queue("validation", shared.validating(), bounds.max_validating),
        ]
    }

    /// The number of queued inputs: messages of peers and publications of the application.
    pub fn input_queue_length(&self) -> usize {
        let publications = self.shared.publications.admission().queued();
        self.shared.admission.queued().items() + publications.items()
    }

    /// The last decisions about a peer, from the oldest to the newest: grafts, prunes, refusals, penalties. At most
    /// `bounds.max_decisions_per_peer` are kept for a peer and `bounds.max_decisions` for all peers together; equal
    /// decisions in a row count as one.
    pub fn decisions_about(&self, peer: &N::Peer) -> Vec<EventRecord<N>> {
        self.shared.event_log.about(peer)
    }

    /// At most `limit` events with numbers above `since`, of those that are still kept: decisions about peers, joins
    /// and leaves, and events about messages if
    /// [`WorkerBuilder::message_events`](crate::WorkerBuilder::message_events) is set.
    pub fn events(&self, since: u64, limit: usize) -> Events<N> {
        let (records, last) = self.shared.event_log.since(since, limit);
        Events { records, last }
    }

    /// The number of events of each kind since the start: its name, its reason (empty if it has none) and the number.
    pub fn event_counts(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.shared.event_log.totals()
    }
}

/// A query of more items than this is a long one.
const MAX_SHORT_QUERY: usize = 256;

impl<N: Network> Worker<N> {
    /// Waits until fewer than four other long queries run; at once for a query of few items. The query ends when the result
    /// is dropped.
    async fn begin_query(&self, limit: usize) -> Result<Option<SemaphorePermit<'_>>, EngineStopped> {
        if limit <= MAX_SHORT_QUERY {
            return Ok(None);
        }
        self.shared.long_queries.acquire().await.map(Some).map_err(|_| EngineStopped)
    }
}

// === Of the whole engine ===

impl<N: Network> Worker<N> {
    /// The whole state, for tests and debugging: it copies everything. Each topic's part is consistent. Parts of
    /// different topics are of the same moment only if nothing is queued ([`settle`](Self::settle)).
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn state(&self) -> Result<View<N>, EngineStopped> {
        let (reply, snapshot) = oneshot::channel();
        self.send(SupervisorItem::message(TakeSnapshot { reply }));
        let Snapshot { mut view, topics } = snapshot.await.map_err(|_| EngineStopped)?;
        for address in topics {
            let (reply, answer) = oneshot::channel();
            let limits = self.shared.limits.load_full();
            // The reply fails if the caller was cancelled.
            let query = TopicQuery::new(move |state| {
                let mut view = View::default();
                state.view(&limits, &mut view);
                drop(reply.send(view));
            });
            // The supervisor learns of all deliveries that the topic's part includes.
            address.push(TopicItem::FlushDeliveryCounts);
            address.push(TopicItem::Query(query));
            // A topic that has stopped or restarted in the meantime is left out.
            if let Ok(part) = answer.await {
                view.merge(part);
            }
        }
        Ok(view)
    }

    /// The sizes of all maps of the engine.
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn footprint(&self) -> Result<Footprint, EngineStopped> {
        let mut footprint = self.query_peers(Peers::footprint).await?;
        self.shared.add_own_footprint(&mut footprint);
        let query = |state: &TopicState<N>| Some(state.footprint());
        let topics = self.query_topics(Page::all(), PassiveTopics::None, query, |_| 1).await?;
        topics.items.into_iter().for_each(|(_, topic)| footprint += topic);
        Ok(footprint)
    }
}
