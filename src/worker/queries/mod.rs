//! Questions about a running engine's state, part by part. Each topic and the supervisor answer for
//! themselves, a small part at a time: a question to very many topics holds up none of them for longer than
//! its own part takes. Changes nothing.

pub(crate) mod page;

use tokio::sync::oneshot;

use self::page::{Events, HeartbeatStatus, Page, PageOf, QueueStatus};
use super::Worker;
use crate::{
    actors::{
        fault::EngineStopped,
        mesh::messages::TopicItem,
        supervisor::messages::{SupervisorItem, TopicLocation},
    },
    network::Network,
    protocol::{
        connection::ConnectionId,
        inspect::{
            footprint::Footprint,
            view::{ConnectionView, FanoutView},
        },
        outcome::decision::EventRecord,
        peers::Peers,
        score::breakdown::ScoreBreakdown,
        topic::{TopicState, inspect::PeerTopicStatus},
    },
    timestamp::Timestamp,
};

/// So many topics are asked before the first answers are waited for.
const TOPICS_AT_ONCE: usize = 2048;
/// So many entries the supervisor copies before others have their turn.
const ENTRIES_AT_ONCE: usize = 4096;

// === What is known without asking an actor ===

impl<N: Network> Worker<N> {
    /// The engine's time.
    pub fn now(&self) -> Timestamp {
        self.shared.now()
    }

    /// Whether the engine has ended or is about to.
    pub fn is_ended(&self) -> bool {
        self.shared.is_closing()
    }

    /// The last heartbeat.
    pub fn last_heartbeat(&self) -> HeartbeatStatus {
        let pulse = &self.shared.pulse;
        let (tick, at, manual) = (pulse.tick(), pulse.at(), pulse.is_manual());
        HeartbeatStatus { tick, at, manual, topics_without_peers: pulse.lonely() }
    }

    /// When an input was last refused or an output dropped for want of room.
    pub fn last_overload(&self) -> Option<Timestamp> {
        self.shared.last_overload()
    }

    /// How much waits in each queue.
    pub fn queues(&self) -> [QueueStatus; 6] {
        let (shared, bounds) = (&self.shared, &self.shared.limits.bounds);
        let queue = |name, depth, capacity| QueueStatus { name, depth, capacity };
        let input = shared.admission.waiting();
        [
            queue("input", input.items(), bounds.max_input_items),
            queue("input_bytes", input.bytes(), bounds.max_input_bytes),
            queue("publication", shared.publications.waiting().items(), bounds.max_input_items),
            queue("p2p_output", shared.p2p.len(), bounds.max_output_items),
            queue("app_output", shared.app.len(), bounds.max_output_items),
            queue("validation", shared.validating(), bounds.max_validating),
        ]
    }

    /// The topics on which the application's last word was join.
    pub fn topics(&self, page: &Page<N::Topic>) -> PageOf<N::Topic> {
        let joined = self.shared.topic_table.iter();
        let joined = joined.filter(|entry| entry.joined && is_behind(entry.key(), page));
        listing(joined.map(|entry| entry.key().clone()).collect(), page.limit, |topic| topic)
    }

    /// The scores of connected peers and of those remembered, as topics see them: what a peer delivered since
    /// the last heartbeat is not in them yet.
    pub fn scores(&self, page: &Page<N::Peer>) -> PageOf<(N::Peer, f64)> {
        let scores = self.shared.directory.scores(|peer| is_behind(peer, page));
        listing(scores, page.limit, |(peer, _)| peer)
    }
}

// === What was decided ===

impl<N: Network> Worker<N> {
    /// The last decisions about a peer, oldest first: grafts, prunes, refusals, penalties. As many as
    /// `bounds.max_decisions_per_peer`, of all peers together `bounds.max_decisions`; the same several times in
    /// a row is one.
    pub fn decisions_about(&self, peer: &N::Peer) -> Vec<EventRecord<N>> {
        self.shared.journal.about(peer)
    }

    /// The events with numbers above `since` that are still remembered, at most `limit`: decisions about peers,
    /// joins and leaves, and what happened to messages if that is kept
    /// ([`WorkerBuilder::message_events`](crate::WorkerBuilder::message_events)).
    pub fn events(&self, since: u64, limit: usize) -> Events<N> {
        let (records, last) = self.shared.journal.since(since, limit);
        Events { records, last }
    }

    /// How often each thing happened since the start: its name, its reason (empty if it has none), and the number.
    pub fn event_counts(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.shared.journal.counts()
    }
}

// === What topics know ===

impl<N: Network> Worker<N> {
    /// The mesh of each joined topic.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn mesh(
        &self,
        page: Page<N::Topic>,
    ) -> Result<PageOf<(N::Topic, Vec<N::Peer>)>, EngineStopped> {
        self.each_topic(page, false, TopicState::mesh_peers, Vec::len).await
    }

    /// The mesh of one topic; `None` if it is not joined.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn mesh_of(&self, topic: &N::Topic) -> Result<Option<Vec<N::Peer>>, EngineStopped> {
        Ok(self.look_at(topic, TopicState::mesh_peers).await?.flatten())
    }

    /// The connected peers that subscribed to each topic: to each that somebody subscribed to, or only to each
    /// that we joined. Of who has just gone, a topic may not have been told: it may stand there with nobody.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn subscribers(
        &self,
        page: Page<N::Topic>,
        joined_only: bool,
    ) -> Result<PageOf<(N::Topic, Vec<N::Peer>)>, EngineStopped> {
        let look = move |state: &TopicState<N>| {
            let connection_ids = || state.subscriber_ids();
            if joined_only {
                state.is_joined().then(connection_ids)
            } else {
                Some(connection_ids()).filter(|l| !l.is_empty())
            }
        };
        let PageOf { items, more } = self.each_topic(page, !joined_only, look, Vec::len).await?;
        let named = |(topic, connection_ids): (N::Topic, Vec<ConnectionId>)| {
            let mut peers = self.shared.directory.peers_of(&connection_ids);
            peers.sort_unstable();
            (topic, peers)
        };
        Ok(PageOf { items: items.into_iter().map(named).collect(), more })
    }

    /// The fanout of each topic that is published to without being joined.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn fanout(
        &self,
        page: Page<N::Topic>,
    ) -> Result<PageOf<(N::Topic, FanoutView<N>)>, EngineStopped> {
        self.each_topic(page, false, TopicState::fanout_view, |fanout| fanout.peers.len()).await
    }

    /// Until when each peer is backed off on each topic, expired entries included until their cleanup.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn backoffs(
        &self,
        page: Page<N::Topic>,
    ) -> Result<PageOf<(N::Topic, Vec<(N::Peer, Timestamp)>)>, EngineStopped> {
        let look = |state: &TopicState<N>| Some(state.backoff_list()).filter(|list| !list.is_empty());
        self.each_topic(page, true, look, Vec::len).await
    }

    /// How many messages of each topic are kept for those who ask, by the heartbeat in which they came.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn message_cache(
        &self,
        page: Page<N::Topic>,
    ) -> Result<PageOf<(N::Topic, Vec<(u64, usize)>)>, EngineStopped> {
        let tick = self.shared.pulse.tick();
        let look = move |state: &TopicState<N>| {
            let of_tick = |(age, count)| (tick.saturating_sub(age), count);
            Some(state.cached_by_age().into_iter().map(of_tick).collect())
                .filter(|slots: &Vec<_>| !slots.is_empty())
        };
        self.each_topic(page, false, look, Vec::len).await
    }

    /// How a peer stands with a topic; `None` if nothing is known of the topic.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn peer_topic_status(
        &self,
        peer: &N::Peer,
        topic: &N::Topic,
    ) -> Result<Option<PeerTopicStatus>, EngineStopped> {
        let (peer, record) = (peer.clone(), self.shared.directory.connection(peer));
        let connection_id = record.map(|record| record.connection_id());
        self.look_at(topic, move |state| state.peer_topic_status(&peer, connection_id)).await
    }

    /// How much every map of the engine holds.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn footprint(&self) -> Result<Footprint, EngineStopped> {
        let mut held = self.look_at_peers(Peers::footprint).await?;
        held += self.shared.directory.footprint();
        let look = |state: &TopicState<N>| Some(state.footprint());
        let topics = self.each_topic(Page::all(), true, look, |_| 1).await?;
        topics.items.into_iter().for_each(|(_, footprint)| held += footprint);
        Ok(held)
    }

    /// Asks each topic that has an actor, and with `dormant` those without one too; leaves out those whose
    /// answer is `None`.
    async fn each_topic<T: Send + 'static>(
        &self,
        page: Page<N::Topic>,
        dormant: bool,
        look: impl Fn(&TopicState<N>) -> Option<T> + Clone + Send + 'static,
        entries: impl Fn(&T) -> usize,
    ) -> Result<PageOf<(N::Topic, T)>, EngineStopped> {
        let Page { mut after, limit, max_entries } = page;
        let (mut items, mut held) = (Vec::new(), 0_usize);
        while items.len() < limit && held < max_entries {
            let wanted = TOPICS_AT_ONCE.min(limit - items.len());
            let places = self.ask(|reply| SupervisorItem::Topics(after.take(), wanted, reply)).await?;
            let last = places.len() < wanted;
            after = places.last().map(|(topic, _)| topic.clone());
            let asked = places.into_iter().filter(|(_, address)| dormant || address.is_some());
            let answers: Vec<_> = asked.map(|place| self.look_into(place, look.clone())).collect();
            for (topic, answer) in answers {
                // A topic that retired or restarted meanwhile is left out.
                if let Ok(Some(answer)) = answer.await {
                    held = held.saturating_add(entries(&answer));
                    items.push((topic, answer));
                    if held >= max_entries {
                        return Ok(PageOf { items, more: true });
                    }
                }
            }
            if last {
                return Ok(PageOf { items, more: false });
            }
        }
        Ok(PageOf { items, more: true })
    }

    /// Asks one topic; `None` if nothing is known of it.
    async fn look_at<T: Send + 'static>(
        &self,
        topic: &N::Topic,
        look: impl Fn(&TopicState<N>) -> T + Send + 'static,
    ) -> Result<Option<T>, EngineStopped> {
        let address = self.shared.topic_table.get(topic).map(|entry| entry.address.clone());
        let known = move |state: &TopicState<N>| (!state.is_empty()).then(|| look(state));
        let (_, answer) = self.look_into((topic.clone(), address), known);
        match answer.await {
            Ok(found) => Ok(found),
            Err(_) if self.is_ended() => Err(EngineStopped),
            Err(_) => Ok(None),
        }
    }

    /// A topic without an actor is with the supervisor.
    fn look_into<T: Send + 'static>(
        &self,
        (topic, address): TopicLocation<N>,
        look: impl FnOnce(&TopicState<N>) -> T + Send + 'static,
    ) -> (N::Topic, oneshot::Receiver<T>) {
        let (reply, answer) = oneshot::channel();
        // Nobody waits for the answer any more: as good as told.
        let look = move |state: &TopicState<N>| drop(reply.send(look(state)));
        let item = TopicItem::Look(Box::new(look));
        match address {
            // A topic that retired meanwhile is left out.
            Some(address) => address.push(item),
            None => self.tell(SupervisorItem::Topic { topic: topic.clone(), item }),
        }
        (topic, answer)
    }
}

// === What the supervisor knows ===

impl<N: Network> Worker<N> {
    /// The connected peers.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn connections(
        &self,
        page: Page<N::Peer>,
    ) -> Result<PageOf<(N::Peer, ConnectionView<N>)>, EngineStopped> {
        let Page { mut after, limit, max_entries } = page;
        let (mut items, mut held) = (Vec::new(), 0_usize);
        while items.len() < limit && held < max_entries {
            let behind = after.take();
            let chunk = move |peers: &Peers<N>| peers.connections_after(behind.as_ref(), ENTRIES_AT_ONCE);
            let chunk = self.look_at_peers(chunk).await?;
            if chunk.is_empty() {
                return Ok(PageOf { items, more: false });
            }
            for item in chunk {
                if items.len() >= limit || held >= max_entries {
                    break;
                }
                held = held.saturating_add(1 + item.1.topics.len());
                after = Some(item.0.clone());
                items.push(item);
            }
        }
        Ok(PageOf { items, more: true })
    }

    /// One connected peer, if it is.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn connection_of(&self, peer: &N::Peer) -> Result<Option<ConnectionView<N>>, EngineStopped> {
        let peer = peer.clone();
        self.look_at_peers(move |peers| peers.connection_of(&peer)).await
    }

    /// A peer's score taken apart, with the topics of `page`; `None` for a peer without a score.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn score_of(
        &self,
        peer: &N::Peer,
        page: Page<N::Topic>,
    ) -> Result<Option<ScoreBreakdown<N>>, EngineStopped> {
        let (peer, limits) = (peer.clone(), std::sync::Arc::clone(&self.shared.limits));
        let Page { after, limit, .. } = page;
        let look = move |peers: &Peers<N>| peers.scores.breakdown(&peer, after.as_ref(), limit, &limits);
        self.look_at_peers(look).await
    }

    async fn look_at_peers<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Peers<N>) -> T + Send + 'static,
    ) -> Result<T, EngineStopped> {
        // Nobody waits for the answer any more: as good as told.
        self.ask(|reply| SupervisorItem::Look(Box::new(move |peers| drop(reply.send(look(peers)))))).await
    }
}

fn is_behind<K: Ord>(key: &K, page: &Page<K>) -> bool {
    page.after.as_ref().is_none_or(|after| key > after)
}

/// The first of what was found, in order.
fn listing<T, K: Ord>(mut found: Vec<T>, limit: usize, key: impl Fn(&T) -> &K) -> PageOf<T> {
    found.sort_unstable_by(|a, b| key(a).cmp(key(b)));
    let more = found.len() > limit;
    found.truncate(limit);
    PageOf { items: found, more }
}
