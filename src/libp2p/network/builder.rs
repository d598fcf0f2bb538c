//! The builder of a [`Libp2pNetwork`].

use std::{sync::Arc, time::Duration};

use ::libp2p::{Multiaddr, PeerId};

use super::{Hooks, Libp2pNetwork, SubscriptionFilter};
use crate::{
    libp2p::{
        codec::limits::WireLimits,
        ids::{MessageId, TopicName},
        message::Message,
        signature::policy::SignaturePolicy,
        state::TransportState,
    },
    network::{Delivery, PeerAction, Validity},
};

/// Collects the settings of a [`Libp2pNetwork`]. Every setting but the signature policy has a default.
pub struct Libp2pNetworkBuilder(pub(super) Hooks);

impl Libp2pNetworkBuilder {
    /// The limits on what is read and written; by default [`WireLimits::default`].
    pub fn limits(mut self, limits: WireLimits) -> Self {
        self.0.limits = limits;
        self
    }

    /// The function that makes message ids. All nodes of a network must use the same one. A message of a peer at which
    /// it panics is dropped.
    pub fn message_id(
        mut self,
        f: impl Fn(&TopicName, &Message) -> MessageId + Send + Sync + 'static,
    ) -> Self {
        self.0.message_id = Box::new(f);
        self
    }

    /// The validation of a delivery: message, topic, sender and co-senders. It is called only for messages that keep
    /// the signature policy, on the engine's threads, and must not block.
    pub fn validator(
        mut self,
        f: impl Fn(&Delivery<Libp2pNetwork>) -> Validity + Send + Sync + 'static,
    ) -> Self {
        self.0.validator = Box::new(f);
        self
    }

    /// Which actions peers are allowed; see [`Network::peer_filter`](crate::Network::peer_filter).
    pub fn peer_filter(
        mut self,
        f: impl Fn(&PeerId, PeerAction<'_, Libp2pNetwork>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.0.peer_filter = Box::new(f);
        self
    }

    /// The topics that peers may subscribe to; by default all. A subscription must pass
    /// [`peer_filter`](Self::peer_filter) too.
    pub fn subscription_filter(mut self, filter: SubscriptionFilter) -> Self {
        self.0.subscription_filter = Some(filter);
        self
    }

    /// Addresses to stay connected to: the engine dials them again and again. One that ends in `/p2p/PEER` accepts
    /// that peer only.
    pub fn persistent_points(mut self, points: impl IntoIterator<Item = Multiaddr>) -> Self {
        self.0.persistent_points = points.into_iter().collect();
        self
    }

    /// The backoff of a PRUNE that names none (gossipsub v1.0); by default 60 s.
    pub fn default_backoff(mut self, backoff: Duration) -> Self {
        self.0.default_backoff = backoff;
        self
    }

    /// Creates the network.
    pub fn build(self) -> Libp2pNetwork {
        let signed = matches!(self.0.policy, SignaturePolicy::StrictSign(_));
        Libp2pNetwork { hooks: Arc::new(self.0), state: Arc::new(TransportState::new(signed)) }
    }
}
