//! TODO header.

use std::sync::Arc;

use derive_where::derive_where;

use crate::{
    network::{Delivery, Network, Validity},
    protocol::connection::Link,
};

/// What the peers' side tells a topic.
#[derive_where(Clone, Debug)]
pub(crate) enum Order<N: Network> {
    /// These peers are connected: tell them that we joined.
    Welcome(Arc<[N::Peer]>),
    /// These peers are connected: tell them that we left.
    Farewell(Arc<[N::Peer]>),
    /// A peer connected: tell it that we are in this topic.
    Announce(N::Peer),
    /// A connection is gone.
    Gone(N::Peer, Link),
    /// A parked message is decidable.
    Retry(Delivery<N>, ValidationMode),
    /// The verdicts on a batch's messages of this topic; `None` where the application gave none.
    Verdicts(Vec<(Delivery<N>, Option<Validity>)>),
    /// First half of a heartbeat: clean up and maintain; answered by [`Fact::Maintained`].
    Maintain(u64),
    /// Second half: all topics' changes are in the scores; send prunes and gossip. Answered by
    /// [`Fact::Concluded`].
    Conclude,
}

/// How messages from the network are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidationMode {
    /// Each on its own, at once.
    Sequential,
    /// Together with the others of its batch.
    Batched,
}
