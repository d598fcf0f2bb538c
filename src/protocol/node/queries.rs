//! Queries of a node's state.

use std::collections::BTreeMap;

use strum::VariantNames as _;

use super::{Node, peer_view::SettledPeerView};
use crate::{
    admission::totals::Remembered,
    network::Network,
    protocol::{
        exchange::Context,
        inspect::{footprint::Footprint, stats::Stats, view::View},
        passive::PassiveTopic,
        peers::{idontwant::PeerIDontWant, missed::MissedMessages},
        rng::{choose_except, rng_for},
        topic::TopicState,
    },
    timestamp::Timestamp,
};

impl<N: Network> Node<N> {
    /// Each unreachable point with the ticks until it may be dialled, negative if that tick has passed.
    pub fn reconnection_delays(&self) -> Vec<(N::Point, i64)> {
        self.peers.reconnection_delays()
    }

    /// Whether the topic is joined.
    pub fn is_subscribed(&self, topic: &N::Topic) -> bool {
        self.peers.is_joined(topic)
    }

    /// The sixteen counters of the reference.
    pub fn stats(&self) -> Stats {
        let mut stats = self.peers.stats();
        stats += self.outbox.stats;
        stats
    }

    /// The number of entries that a limit removed before their time or kept out, by map, as the metric
    /// `gossipsub_cache_evictions_total` counts them.
    pub fn evicted(&self) -> BTreeMap<&'static str, u64> {
        Remembered::VARIANTS.iter().copied().zip(self.totals.evicted().into_values()).collect()
    }

    /// The number of entries of every collection.
    pub fn footprint(&self) -> Footprint {
        let mut footprint = Footprint {
            heartbeat_quotas: self.quotas.len(),
            topic_by_message_id: self.topic_by_message_id.len(),
            peers_by_connection: self.connected.len(),
            ..self.peers.footprint()
        };
        footprint.peer_idontwant = self.idontwant.values().map(PeerIDontWant::len).sum();
        footprint.missed = self.missed.values().map(MissedMessages::len).sum();
        footprint.peer_ids_bytes = self.totals.used(Remembered::PeerIds);
        self.topics.iter().for_each(|state| footprint += state.footprint());
        footprint
    }

    /// A snapshot of the whole state.
    pub fn view(&self, now: Timestamp) -> View<N> {
        let mut view = View { time: now, ..View::default() };
        self.settled_peers().view(&mut view);
        for state in self.topics.iter() {
            state.view(&self.limits, &mut view);
        }
        for (peer, quota) in &self.quotas {
            view.count_quota(peer, *quota);
        }
        view
    }

    /// The peers that a PRUNE to `pruned` would offer now.
    pub fn select_px_peers(&self, pruned: &N::Peer, topic: &N::Topic, no_px: &[N::Peer]) -> Vec<N::Peer> {
        let passive;
        let state = match self.topics.get(topic) {
            Some(state) => state,
            None => {
                let topic = PassiveTopic { name: topic, peers: &self.peers };
                passive = topic.to_state(&self.limits, &self.totals, self.seed);
                &passive
            }
        };
        let peers = self.settled_peers();
        if no_px.contains(pruned) {
            return Vec::new();
        }
        let candidates = state.px_candidates(&self.context(&peers, Timestamp::ZERO));
        choose_except(&candidates, pruned, self.limits.peers_to_px, &mut rng_for(self.seed, "look", pruned))
    }

    /// The ids that gossip would offer at this time, by peer and topic.
    pub fn select_gossip(&self, now: Timestamp) -> Vec<(N::Peer, N::Topic, Vec<N::MessageId>)> {
        let peers = self.settled_peers();
        let cx = self.context(&peers, now);
        let gossip_of = |state: &TopicState<N>| {
            let topic = state.name().clone();
            let mut rng = rng_for(self.seed, "look", &topic);
            let selected = state.gossip_plan(&cx).map(|plan| plan.select(&mut rng)).unwrap_or_default();
            selected.into_iter().map(move |(peer, _, ids)| (peer, topic.clone(), ids))
        };
        let mut gossip: Vec<_> = self.topics.iter().flat_map(gossip_of).collect();
        gossip.sort_unstable();
        gossip
    }

    /// The time at which the pending batch is due, if there is one.
    pub fn batch_deadline(&self) -> Option<Timestamp> {
        self.peers.batch_deadline()
    }

    /// A context for read-only queries.
    fn context<'a>(&'a self, peer_view: &'a SettledPeerView<'_, N>, now: Timestamp) -> Context<'a, N> {
        Context {
            network: &self.network,
            limits: &self.limits,
            peer_view,
            self_peer: self.peers.self_peer(),
            now,
            present: now,
        }
    }
}
