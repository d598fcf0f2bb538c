//! Asks the engine whether the peer of a connection is graylisted, before what the peer sends is decoded.

use std::{fmt, sync::Arc};

use ::libp2p::PeerId;

/// Knows which peers are graylisted: nothing is handled that they send.
pub trait Graylist: Send + Sync {
    /// Whether `peer` is graylisted. Called on the task of each connection for each frame: it must be cheap and not block.
    fn is_graylisted(&self, peer: &PeerId) -> bool;
}

/// The graylist as one connection asks it.
#[derive(Clone)]
pub(in crate::libp2p) struct GraylistCheck {
    peer: PeerId,
    /// `None` if the engine has no graylist.
    graylist: Option<Arc<dyn Graylist>>,
}

impl GraylistCheck {
    pub(in crate::libp2p) fn new(peer: PeerId, graylist: Option<&Arc<dyn Graylist>>) -> Self {
        Self { peer, graylist: graylist.cloned() }
    }

    /// Whether the peer of the connection is graylisted.
    pub(super) fn is_graylisted(&self) -> bool {
        self.graylist.as_ref().is_some_and(|graylist| graylist.is_graylisted(&self.peer))
    }
}

impl fmt::Debug for GraylistCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GraylistCheck({})", self.peer)
    }
}
