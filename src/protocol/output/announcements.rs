//! Which topics have been announced over which connections. Announcements are expanded when they are read, from this state,
//! so that one queued item announces all topics to a new peer, or one topic to all peers.

use std::collections::BTreeSet;

use derive_where::derive_where;

use super::expand::OutputBatchIter;
use crate::{
    network::{Network, P2pMessage},
    protocol::connection::{ConnectionId, ConnectionIndex},
};

/// The announcements of the outputs that were read so far. Announcements are read in the order in which they were queued, so
/// each peer is sent one SUBSCRIBE for each join of a topic and one UNSUBSCRIBE for each leave, and knows at any time the
/// topics that were joined when the last output was queued.
#[derive_where(Debug, Default)]
pub(crate) struct Announcements<N: Network> {
    /// The announced topics.
    topics: BTreeSet<N::Topic>,
    /// The connections over which `topics` were announced. Closed ones are removed now and then, so that there are at most
    /// about twice as many as open connections.
    connections: Vec<ConnectionId>,
}

/// This many closed connections are kept in any case.
const RETAINED_CONNECTIONS: usize = 64;

impl<N: Network> Announcements<N> {
    /// Announces all topics to the peer of a new connection, or again to that of an open one. `None` if it is closed.
    pub(super) fn connected(
        &mut self,
        connection_id: ConnectionId,
        index: &ConnectionIndex<N::Peer>,
    ) -> Option<OutputBatchIter<N>> {
        let peer = index.peer(connection_id)?;
        if self.connections.len() >= 2 * index.len() + RETAINED_CONNECTIONS {
            self.connections.retain(|connection_id| index.contains(*connection_id));
        }
        if !self.connections.contains(&connection_id) {
            self.connections.push(connection_id);
        }
        let topics: Vec<_> = self.topics.iter().cloned().collect();
        Some(OutputBatchIter::subscriptions(peer.clone(), topics))
    }

    /// Announces a topic that was joined or left to all peers. A topic that was announced before is not announced again: a
    /// topic that restarts joins once more.
    pub(super) fn changed(
        &mut self,
        topic: N::Topic,
        joined: bool,
        index: &ConnectionIndex<N::Peer>,
    ) -> OutputBatchIter<N> {
        let has_changed = if joined { self.topics.insert(topic.clone()) } else { self.topics.remove(&topic) };
        let connections = if has_changed { &self.connections[..] } else { &[] };
        let message = if joined { P2pMessage::subscribe(topic) } else { P2pMessage::Unsubscribe { topic } };
        OutputBatchIter::same(index.resolve(connections), message)
    }
}
