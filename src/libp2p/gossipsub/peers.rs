//! The behaviour's picture of its peers, from which it answers queries at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ::libp2p::PeerId;

use super::{
    message::{Event, PeerKind},
    peer_events::Queued,
    topic::TopicHash,
};
use crate::{
    libp2p::network::Libp2pNetwork,
    protocol::{LeaveReason, PeerEvent},
};

/// The peers with their subscriptions and protocols, and our meshes.
#[derive(Default)]
pub(super) struct Peers {
    topics: BTreeMap<PeerId, BTreeSet<TopicHash>>,
    meshes: BTreeMap<TopicHash, BTreeSet<PeerId>>,
    protocols: BTreeMap<PeerId, PeerKind>,
}

impl Peers {
    /// Applies the queued events, and adds what they mean for the application.
    pub(super) fn apply_all(&mut self, queued: Queued, events: &mut VecDeque<Event>) {
        queued.events.into_iter().for_each(|event| self.apply(event, events));
        if queued.lost > 0 {
            events.push_back(Event::EventsLost { count: queued.lost });
        }
    }

    /// Applies an event of the engine, and adds what it means for the application.
    fn apply(&mut self, event: PeerEvent<Libp2pNetwork>, events: &mut VecDeque<Event>) {
        match event {
            PeerEvent::Connected(peer) => drop(self.topics.entry(peer).or_default()),
            PeerEvent::Disconnected(peer_id) => {
                for topic in self.topics.remove(&peer_id).into_iter().flatten() {
                    if self.leave_mesh(&peer_id, &topic) {
                        events.push_back(Event::Prune { peer_id, topic, reason: LeaveReason::Disconnected });
                    }
                }
            }
            PeerEvent::Subscribed(peer_id, topic) => {
                self.topics.entry(peer_id).or_default().insert(topic.clone());
                events.push_back(Event::Subscribed { peer_id, topic });
            }
            PeerEvent::Unsubscribed(peer_id, topic) => {
                self.topics.entry(peer_id).or_default().remove(&topic);
                events.push_back(Event::Unsubscribed { peer_id, topic });
            }
            PeerEvent::Grafted(peer_id, topic, reason) => {
                self.meshes.entry(topic.clone()).or_default().insert(peer_id);
                events.push_back(Event::Graft { peer_id, topic, reason });
            }
            PeerEvent::Pruned(peer_id, topic, reason) => {
                if self.leave_mesh(&peer_id, &topic) {
                    events.push_back(Event::Prune { peer_id, topic, reason });
                }
            }
            PeerEvent::MeshLost(topic) => {
                for peer_id in self.meshes.remove(&topic).into_iter().flatten() {
                    let (topic, reason) = (topic.clone(), LeaveReason::Restart);
                    events.push_back(Event::Prune { peer_id, topic, reason });
                }
            }
            PeerEvent::TopicGivenUp(topic) => events.push_back(Event::TopicGivenUp { topic }),
            PeerEvent::Penalised(peer_id, topic, penalty) => {
                events.push_back(Event::Penalty { peer_id, topic, penalty });
            }
        }
    }

    /// Removes a peer from a mesh. Returns whether it was there.
    fn leave_mesh(&mut self, peer: &PeerId, topic: &TopicHash) -> bool {
        let Some(mesh) = self.meshes.get_mut(topic) else { return false };
        let was_there = mesh.remove(peer);
        if mesh.is_empty() {
            self.meshes.remove(topic);
        }
        was_there
    }

    /// Forgets everything: the engine has ended.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn set_protocol(&mut self, peer: PeerId, kind: PeerKind) {
        self.protocols.insert(peer, kind);
    }

    /// The last connection of a peer has closed.
    pub(super) fn remove_protocol(&mut self, peer: &PeerId) {
        self.protocols.remove(peer);
    }

    pub(super) fn mesh(&self, topic: &TopicHash) -> impl Iterator<Item = &PeerId> {
        self.meshes.get(topic).into_iter().flatten()
    }

    pub(super) fn all_in_meshes(&self) -> impl Iterator<Item = &PeerId> {
        self.meshes.values().flatten().collect::<BTreeSet<_>>().into_iter()
    }

    pub(super) fn with_topics(&self) -> impl Iterator<Item = (&PeerId, Vec<&TopicHash>)> {
        self.topics.iter().map(|(peer, topics)| (peer, topics.iter().collect()))
    }

    pub(super) fn protocols(&self) -> impl Iterator<Item = (&PeerId, &PeerKind)> {
        self.protocols.iter()
    }

    pub(super) fn is_connected(&self, peer: &PeerId) -> bool {
        self.topics.contains_key(peer)
    }
}
