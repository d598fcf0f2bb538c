//! Queries of the peers' side: scores, statistics, views and footprint.

use std::ops::Bound;

use super::{Connection, Peers, passive_backoffs::PassiveBackoffs};
use crate::{
    admission::totals::Remembered,
    network::Network,
    protocol::{
        inspect::{
            footprint::Footprint,
            stats::Stats,
            view::{ConnectionView, View},
        },
        score::Scores,
    },
};

impl<N: Network> Peers<N> {
    pub(crate) fn scores(&self) -> &Scores<N> {
        &self.scores
    }

    /// Lists the peers whose score changes, from now on, for [`take_changed_scores`](Self::take_changed_scores).
    pub(crate) fn track_score_changes(&mut self) {
        self.scores.track_changes();
    }

    /// Takes the peers whose score changed, each with its current score.
    pub(crate) fn take_changed_scores(&mut self) -> Vec<(N::Peer, Option<f64>)> {
        self.scores.take_changed()
    }

    /// The backoffs of refused GRAFTs on passive topics.
    pub(crate) fn passive_backoffs(&self) -> &PassiveBackoffs<N> {
        &self.passive_backoffs
    }

    /// The statistics of the peers' side.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            count_topics: self.joined.len() as u64,
            count_connections: self.connections.len() as u64,
            count_bootstrap_connections: self.bootstrap_connections as u64,
            count_recv_prunes: self.recv_prunes,
            ..Stats::default()
        }
    }

    /// Whether a connected peer speaks floodsub. Cheap enough to ask for each message.
    pub(in crate::protocol) fn has_floodsub(&self) -> bool {
        self.floodsub_connections > 0
    }

    /// Adds the state of the peers' side to a view.
    pub(crate) fn view(&self, view: &mut View<N>) {
        self.view_with(&self.scores, view);
    }

    /// Like [`view`](Self::view), with other scores.
    pub(in crate::protocol) fn view_with(&self, scores: &Scores<N>, view: &mut View<N>) {
        view.heartbeat_ticks = self.ticks;
        self.passive_backoffs.view(view);
        view.scores = scores.view();
        view.connections =
            self.connections.iter().map(|(peer, c)| (peer.clone(), self.connection_view(peer, c))).collect();
    }

    fn connection_view(&self, peer: &N::Peer, connection: &Connection<N>) -> ConnectionView<N> {
        let Connection { connection_id, direct, topics, .. } = connection;
        ConnectionView {
            topics: topics.clone(),
            direct: *direct,
            outbound: connection_id.is_outbound(),
            bootstrap: connection_id.is_bootstrap(),
            trusted: self.trusted.contains(peer),
            floodsub: connection_id.is_floodsub(),
        }
    }

    /// The connection of a peer, if it is connected.
    pub(crate) fn connection_of(&self, peer: &N::Peer) -> Option<ConnectionView<N>> {
        self.connections.get(peer).map(|connection| self.connection_view(peer, connection))
    }

    /// The connected peers that follow `after`, ascending, up to `max` entries. A peer and each of its topics count as
    /// one entry. At least one peer is returned, if there is one.
    pub(crate) fn connections_after(
        &self,
        after: Option<&N::Peer>,
        max: usize,
    ) -> Vec<(N::Peer, ConnectionView<N>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut entries = 0;
        let within = |(_, connection): &(&N::Peer, &Connection<N>)| {
            let fits = entries == 0 || entries < max;
            entries += 1 + connection.topics.len();
            fits
        };
        let connections = self.connections.range::<N::Peer, _>((from, Bound::Unbounded)).take_while(within);
        connections.map(|(peer, c)| (peer.clone(), self.connection_view(peer, c))).collect()
    }

    /// The number of entries of each collection.
    pub(crate) fn footprint(&self) -> Footprint {
        Footprint {
            connections: self.connections.len(),
            subscriptions: self.connections.values().map(|connection| connection.topics.len()).sum(),
            scores: self.scores.len(),
            trusted: self.trusted.len() + self.direct.len(),
            unreachable: self.unreachable.len(),
            joined: self.joined.len(),
            parked: self.pending_dispatch.parked.len(),
            parked_bytes: self.pending_dispatch.parked.bytes(),
            batched: self.pending_dispatch.batch.len(),
            subscriptions_bytes: self.totals.used(Remembered::TopicNames),
            ..self.passive_backoffs.footprint()
        }
    }
}
