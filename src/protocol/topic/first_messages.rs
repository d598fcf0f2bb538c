//! The messages to a peer as soon as it subscribes, so that it does not miss what is published before the next heartbeat: a GRAFT
//! if the mesh is small, and an IHAVE of own messages that were published to few peers. And the GRAFT to a peer that may have
//! started again.

use std::collections::{BTreeMap, VecDeque};

use derive_where::derive_where;

use super::{TopicState, gossip::lacks};
use crate::{
    limits::Limits,
    network::{Network, P2pMessage},
    protocol::{
        connection::ConnectionId,
        exchange::{
            Context, Outbox,
            event::TopicEvent,
            peer_view::{PeerStatus, check_score},
        },
        inspect::memory::MAX_UNSERVED,
        outcome::reason::GraftReason,
    },
};

/// The latest own messages that were sent to fewer than D peers. At most [`MAX_UNSERVED`], oldest first.
#[derive_where(Debug, Default)]
pub(super) struct UnservedMessages<N: Network>(VecDeque<Unserved<N>>);

#[derive_where(Debug)]
struct Unserved<N: Network> {
    id: N::MessageId,
    /// The number of peers that are missing to D.
    missing: usize,
    /// The connections to which it was offered. One that subscribes again and again is offered it once.
    offered_to: Vec<ConnectionId>,
    /// The number of heartbeats since the publication.
    age: usize,
}

impl<N: Network> UnservedMessages<N> {
    /// Adds a message that was published, with the number of peers that are missing.
    pub(super) fn insert(&mut self, id: &N::MessageId, missing: usize) {
        if self.0.len() >= MAX_UNSERVED {
            self.0.pop_front();
        }
        self.0.push_back(Unserved { id: id.clone(), missing, offered_to: Vec::new(), age: 0 });
    }

    /// The messages for one more peer, of those that it wants. For each, one peer less is missing then.
    fn offer_to(
        &mut self,
        connection_id: ConnectionId,
        wants: impl Fn(&N::MessageId) -> bool,
    ) -> Vec<N::MessageId> {
        let mut ids = Vec::new();
        for message in &mut self.0 {
            if !message.offered_to.contains(&connection_id) && wants(&message.id) {
                message.offered_to.push(connection_id);
                ids.push(message.id.clone());
            }
        }
        self.0.retain(|message| message.offered_to.len() < message.missing);
        ids
    }

    /// Starts the next heartbeat, and removes what is gossiped no longer.
    pub(super) fn advance(&mut self, limits: &Limits<N::Topic>) {
        if !self.0.is_empty() {
            self.0.iter_mut().for_each(|message| message.age += 1);
            self.0.retain(|message| message.age < limits.history_gossip_length);
            self.0.shrink_to(2 * self.0.len());
        }
    }
}

impl<N: Network> TopicState<N> {
    /// Grafts a peer that has just subscribed, if the mesh has fewer than D peers and a heartbeat could graft the peer too.
    /// Bootstrap peers, which are sent no messages, are left to the heartbeat, and those that speak floodsub are in no mesh.
    /// Returns whether it did. Our SUBSCRIBE was sent before: to all peers when we joined the topic, or to this one when
    /// it connected.
    pub(super) fn graft_subscriber(
        &mut self,
        peer: &N::Peer,
        connection_id: ConnectionId,
        status: PeerStatus,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> bool {
        let enabled =
            cx.limits.extensions.graft_on_subscribe && !status.direct && connection_id.takes_gossip();
        let Some(mesh) = self.mesh.as_mut().filter(|_| enabled) else { return false };
        let has_room = mesh.len() < self.parameters.degrees.degree_optimal && !mesh.contains_key(peer);
        let is_good = status.score.is_none_or(|score| score >= 0.0) && !self.backoffs.contains(peer);
        // Last, because it counts. A peer that subscribes again and again waits for the heartbeat.
        if !has_room || !is_good || !self.answered_subscribes.insert(Some(connection_id)) {
            return false;
        }
        mesh.insert(peer.clone(), connection_id);
        self.flush_delivery_counts(outbox);
        outbox.events.push(TopicEvent::Grafted(peer.clone(), connection_id, GraftReason::RemoteSubscribe));
        outbox.counters.grafted(GraftReason::RemoteSubscribe, 1);
        outbox.send(connection_id, P2pMessage::Graft { topic: self.topic.clone() });
        true
    }

    /// A peer in the mesh has a further connection: it is sent a GRAFT when it subscribes again, or else at the next heartbeat.
    /// Not at once: what its former process sent at its end, a PRUNE for instance, may be on the way, and a GRAFT against that
    /// would cost score.
    pub(super) fn graft_again_later(
        &mut self,
        peer: &N::Peer,
        connection_id: ConnectionId,
        outbox: &mut Outbox<N>,
    ) {
        if self.has_in_mesh(peer, connection_id) && !self.to_graft_again.insert(Some(connection_id)) {
            // It waits for its GRAFT already, or too many do. A GRAFT more changes nothing.
            outbox.send(connection_id, P2pMessage::Graft { topic: self.topic.clone() });
        }
    }

    /// Sends the GRAFT to a peer that has subscribed again, over its further connection.
    pub(super) fn graft_again(
        &mut self,
        peer: &N::Peer,
        connection_id: ConnectionId,
        outbox: &mut Outbox<N>,
    ) {
        if self.to_graft_again.remove(connection_id) && self.has_in_mesh(peer, connection_id) {
            outbox.send(connection_id, P2pMessage::Graft { topic: self.topic.clone() });
        }
    }

    /// Heartbeat: sends the GRAFT to those that have not subscribed again.
    pub(super) fn graft_all_again(&mut self, outbox: &mut Outbox<N>) {
        if self.to_graft_again.is_empty() {
            return;
        }
        for connection_id in self.mesh.iter().flat_map(BTreeMap::values) {
            if self.to_graft_again.remove(*connection_id) {
                outbox.send(*connection_id, P2pMessage::Graft { topic: self.topic.clone() });
            }
        }
        self.to_graft_again.clear();
    }

    fn has_in_mesh(&self, peer: &N::Peer, connection_id: ConnectionId) -> bool {
        self.mesh.as_ref().and_then(|mesh| mesh.get(peer)) == Some(&connection_id)
    }

    /// Offers own messages that were sent to few peers to one that has just subscribed. A heartbeat offers nothing to the
    /// mesh, nor if there is neither mesh nor fanout.
    pub(super) fn offer_unserved(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        let Some(connection_id) = status.connection_id else { return };
        if self.unserved.0.is_empty()
            || !connection_id.takes_gossip()
            || check_score(status, cx.limits).is_err()
        {
            return;
        }
        let Self { unserved, seen, history, .. } = self;
        let ids = unserved.offer_to(connection_id, |id| lacks(peer, id, seen, history, cx));
        if !ids.is_empty() {
            outbox.send(connection_id, P2pMessage::IHave { topic: self.topic.clone(), message_ids: ids });
        }
    }
}
