//! How long messages are of use: when they expire, and that none is accepted twice.

use std::{sync::Arc, time::SystemTime};

use super::{
    config::{Config, ConfigBuilder},
    message::Message,
};
use crate::libp2p::{
    network::Libp2pNetworkBuilder,
    transform::{Transform, decode},
};

/// When a message expires, if it does.
pub(super) type ExpiryFn = dyn Fn(&Message) -> Option<SystemTime> + Send + Sync;

impl ConfigBuilder {
    /// The function that reads from a message when it expires; `None` if it does not. An expired message is ignored, without a
    /// penalty for those who deliver it, and its publication fails with
    /// [`PublishError::Outdated`](super::PublishError::Outdated). One that expires later is offered and sent to nobody from
    /// then on; see [`Network::expires_at`](crate::Network::expires_at). By default messages do not expire.
    pub fn expires_at(
        &mut self,
        f: impl Fn(&Message) -> Option<SystemTime> + Send + Sync + 'static,
    ) -> &mut Self {
        self.config.expires_at = Some(Arc::new(f));
        self
    }

    /// Ignores a message whose sequence number is not above that of the last accepted message of its author, for this number
    /// of authors; see [`Libp2pNetworkBuilder::refuse_replays`]. It sets
    /// [`replay_check_authors`](crate::limits::Extensions::replay_check_authors). By default numbers are not checked.
    pub fn refuse_replays(&mut self, max_authors: usize) -> &mut Self {
        self.config.limits.extensions.replay_check_authors = max_authors;
        self
    }
}

/// Adds the application's function for expiry, if there is one.
pub(super) fn add_expiry(
    builder: Libp2pNetworkBuilder,
    config: &Config,
    transform: Option<&Transform>,
) -> Libp2pNetworkBuilder {
    let (Some(expires_at), transform) = (config.expires_at.clone(), transform.cloned()) else {
        return builder;
    };
    builder.expires_at(move |topic, received| {
        // A message that can't be decoded is invalid, and not outdated.
        expires_at(&decode(transform.as_ref(), Message::from_wire(topic, received)).ok()?)
    })
}
