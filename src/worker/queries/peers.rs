//! Queries that the supervisor answers from its state of the peers. A long list is copied in chunks, between which the
//! supervisor does other work.

use super::{Page, PageOf};
use crate::{
    actors::{fault::EngineStopped, supervisor::messages::PeersQuery},
    network::Network,
    protocol::{inspect::view::ConnectionView, peers::Peers, score::breakdown::ScoreBreakdown},
    worker::Worker,
};

/// The number of entries, peers and their topics, that the supervisor copies at once.
const ENTRIES_AT_ONCE: usize = 4096;

impl<N: Network> Worker<N> {
    /// The connected peers.
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn connections(
        &self,
        page: Page<N::Peer>,
    ) -> Result<PageOf<(N::Peer, ConnectionView<N>)>, EngineStopped> {
        let Page { mut after, limit, max_entries } = page;
        let _running = self.begin_query(limit).await?;
        let (mut items, mut total_entries) = (Vec::new(), 0_usize);
        while items.len() < limit && total_entries < max_entries {
            let start = after.take();
            let query = move |peers: &Peers<N>| peers.connections_after(start.as_ref(), ENTRIES_AT_ONCE);
            let chunk = self.query_peers(query).await?;
            if chunk.is_empty() {
                return Ok(PageOf { items, more: false });
            }
            for item in chunk {
                if items.len() >= limit || total_entries >= max_entries {
                    break;
                }
                total_entries = total_entries.saturating_add(1 + item.1.topics.len());
                after = Some(item.0.clone());
                items.push(item);
            }
        }
        Ok(PageOf { items, more: true })
    }

    /// The connection of `peer`; `None` if it is not connected.
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn connection_of(&self, peer: &N::Peer) -> Result<Option<ConnectionView<N>>, EngineStopped> {
        let peer = peer.clone();
        self.query_peers(move |peers| peers.connection_of(&peer)).await
    }

    /// The components of a peer's score, with those of the topics of `page`; `None` if the peer has no score.
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn score_of(
        &self,
        peer: &N::Peer,
        page: Page<N::Topic>,
    ) -> Result<Option<ScoreBreakdown<N>>, EngineStopped> {
        let peer = peer.clone();
        let Page { after, limit, .. } = page;
        let query = move |peers: &Peers<N>| peers.scores().breakdown(&peer, after.as_ref(), limit);
        self.query_peers(query).await
    }

    /// The delay of each unreachable point, in heartbeats until the engine may request a connection to it again. It is
    /// negative once that heartbeat is past.
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn reconnection_delays(&self) -> Result<Vec<(N::Point, i64)>, EngineStopped> {
        self.query_peers(Peers::reconnection_delays).await
    }

    /// Runs `query` on the supervisor's state of the peers.
    pub(in crate::worker) async fn query_peers<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Peers<N>) -> T + Send + 'static,
    ) -> Result<T, EngineStopped> {
        self.ask(PeersQuery::new(query)).await
    }
}
