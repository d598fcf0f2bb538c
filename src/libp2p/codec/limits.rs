//! The limits on what is read from and written to a peer. A frame or a name that is too long costs the peer its stream;
//! entries beyond a limit for reading are ignored. What this node sends is checked against the limits for writing before
//! it is queued, names and ids before they are encoded.

use crate::libp2p::ids::TopicName;

/// Limits on frames and on the entries of an RPC, in both directions. Sizes are in bytes.
///
/// The limits for reading (`…_in`) are generous: what go- and js-libp2p send is read completely. Entries beyond them are
/// ignored and counted ([`TransportStats::ignored_entries`](crate::TransportStats::ignored_entries)), and the stream stays
/// open; only a frame, a topic name or a message id that is too long costs the peer its stream. The limits for writing
/// (`…_out`) are what the known implementations accept by default; rust-libp2p is the strictest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WireLimits {
    /// The largest frame that is read, without its length prefix.
    pub max_frame_in: usize,
    /// Most subscriptions in an RPC that is read.
    pub max_subscriptions_in: usize,
    /// Most messages in an RPC that is read.
    pub max_messages_in: usize,
    /// Most entries (GRAFT, PRUNE, IHAVE, IWANT and IDONTWANT together) in the control part of an RPC that is read.
    pub max_control_in: usize,
    /// Most message ids, over all IHAVEs, IWANTs and IDONTWANTs, in an RPC that is read.
    pub max_ids_in: usize,
    /// The longest message id that is read or written. Longer ones are left out of what is offered, requested and declined.
    pub max_id_length: usize,
    /// Most peers, over all PRUNEs, in an RPC that is read.
    pub max_px_in: usize,
    /// The longest topic name that is read or written. What concerns a topic with an empty or a longer name is not sent.
    pub max_topic_length: usize,
    /// The largest frame that is written, with its length prefix. A message that needs more is not sent.
    pub max_frame_out: usize,
    /// A frame of several entries is closed before it grows beyond this size.
    pub frame_target: usize,
    /// Most bytes of subscriptions and control in an RPC that is written.
    pub max_control_bytes_out: usize,
    /// Most subscriptions in an RPC that is written.
    pub max_subscriptions_out: usize,
    /// Most messages in an RPC that is written.
    pub max_messages_out: usize,
    /// Most message ids, over all IDONTWANTs, in an RPC that is written. go-libp2p applies the first 10.
    pub max_idontwant_out: usize,
    /// Most peers in a PRUNE that is written.
    pub max_px_out: usize,
}

impl WireLimits {
    /// Applies `change` and returns the result: `WireLimits::default().with(|l| l.max_frame_out = 1 << 20)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Whether peers accept the name of this topic.
    pub(in crate::libp2p) fn allow_topic(&self, topic: &TopicName) -> bool {
        (1..=self.max_topic_length).contains(&topic.as_str().len())
    }
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            max_frame_in: 1 << 20,
            max_subscriptions_in: 20_000,
            max_messages_in: 5_000,
            max_control_in: 20_000,
            max_ids_in: 20_000,
            max_id_length: 1_024,
            max_px_in: 8_192,
            max_topic_length: 1_024,
            max_frame_out: 65_536,
            frame_target: 57_000,
            max_control_bytes_out: 16_000,
            max_subscriptions_out: 100,
            max_messages_out: 500,
            max_idontwant_out: 10,
            max_px_out: 16,
        }
    }
}

/// The largest signed peer record that is stored, in bytes. That of a node with ten addresses has about 400.
pub(in crate::libp2p) const MAX_PEER_RECORD: usize = 2_048;
/// Most bytes of signed records in a PRUNE that is written. With the ids of `max_px_out` peers, the PRUNE stays below
/// `max_control_bytes_out`. The peers that are left are recommended without a record.
pub(in crate::libp2p) const MAX_RECORD_BYTES_OUT: usize = 8_192;
