//! The limits of one connection's send queue, which the application sets.

/// The bounds of one connection's send queue. It never has more than a sixteenth of
/// [`BehaviourConfig::max_memory`](crate::libp2p::BehaviourConfig::max_memory), and less when memory is scarce.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueLimits {
    /// Most items; an item is an entry of an RPC. By default 8,192. Beyond it the least urgent items are dropped, the
    /// newest first: gossip, then IWANT responses, then forwarded messages, then our own. Control is exempt.
    pub max_items: usize,
    /// Most bytes; by default 8 MiB. Beyond it items are dropped in the same order.
    pub max_bytes: usize,
    /// The multiple of `max_items` that control alone (subscriptions, GRAFTs, PRUNEs) may reach. Beyond it the peer
    /// is slow and its connections are closed, under any
    /// [`BehaviourConfig::slow_peer`](crate::libp2p::BehaviourConfig::slow_peer), since control must neither be
    /// dropped nor be queued without bound. By default 8.
    pub stall_factor: usize,
    /// Most bytes of control, with the same consequence; by default 4 MiB, enough to subscribe to 60,000 topics whose
    /// names have 60 bytes.
    pub max_control_bytes: usize,
}

impl QueueLimits {
    /// Applies `change` and returns the result: `QueueLimits::default().with(|l| l.max_items = 64)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { max_items: 8_192, max_bytes: 8 << 20, stall_factor: 8, max_control_bytes: 4 << 20 }
    }
}
