//! What nodes of known networks need besides the limits of the engine (`LimitsConfig::ethereum`, `LimitsConfig::filecoin`):
//! the limits on frames, the signature policy, message ids, compression, and room for large messages.

mod ethereum_id;
mod filecoin_id;

use ::libp2p::identity::Keypair;

pub use self::{ethereum_id::ethereum_message_id, filecoin_id::filecoin_message_id};
#[cfg(feature = "snappy")]
use super::transform::snappy::SnappyTransform;

use super::{BehaviourConfig, Libp2pNetwork, Libp2pNetworkBuilder, SignaturePolicy, WireLimits, memory};

impl Libp2pNetwork {
    /// Begins a network of the consensus layer of Ethereum: [`WireLimits::ethereum`], StrictNoSign,
    /// [`ethereum_message_id`], and snappy with at most 10 MiB of decompressed data. The limits of the engine are
    /// [`LimitsConfig::ethereum`](crate::LimitsConfig::ethereum), those of the transport [`BehaviourConfig::ethereum`].
    /// Discovery (discv5) and the request and response protocols of Ethereum belong to the application.
    #[cfg(feature = "snappy")]
    pub fn ethereum() -> Libp2pNetworkBuilder {
        Self::builder(SignaturePolicy::StrictNoSign)
            .limits(WireLimits::ethereum())
            .raw_message_id(ethereum_message_id)
            .data_transform(SnappyTransform::new(ETHEREUM_MAX_PAYLOAD_SIZE))
    }

    /// Begins a network of Filecoin: [`WireLimits::filecoin`], StrictSign and [`filecoin_message_id`]. The limits of the
    /// engine are [`LimitsConfig::filecoin`](crate::LimitsConfig::filecoin).
    pub fn filecoin(key: Keypair) -> Libp2pNetworkBuilder {
        Self::builder(SignaturePolicy::StrictSign(Box::new(key)))
            .limits(WireLimits::filecoin())
            .raw_message_id(filecoin_message_id)
    }
}

/// MAX_PAYLOAD_SIZE of the consensus specification: the largest decompressed payload.
const ETHEREUM_MAX_PAYLOAD_SIZE: usize = 10 * 1024 * 1024;

/// `max_message_size` of the consensus specification: the largest payload as snappy may enlarge it, and 1024 bytes of
/// framing.
const ETHEREUM_MAX_MESSAGE_SIZE: usize =
    32 + ETHEREUM_MAX_PAYLOAD_SIZE + ETHEREUM_MAX_PAYLOAD_SIZE / 6 + 1024;

/// DefaultMaxMessageSize of go-libp2p-pubsub, which Lotus does not change.
const FILECOIN_MAX_MESSAGE_SIZE: usize = 1024 * 1024;

impl WireLimits {
    /// The consensus layer of Ethereum: frames of up to 12,234,442 bytes, `max_message_size` of its specification.
    pub fn ethereum() -> Self {
        with_frames(ETHEREUM_MAX_MESSAGE_SIZE)
    }

    /// Filecoin: frames of up to 1 MiB.
    pub fn filecoin() -> Self {
        with_frames(FILECOIN_MAX_MESSAGE_SIZE)
    }
}

/// Frames of up to this size are read and written. Small entries are still packed into frames of the default target.
fn with_frames(bytes: usize) -> WireLimits {
    WireLimits::default().with(|limits| {
        limits.max_frame_in = bytes;
        limits.max_frame_out = bytes;
    })
}

impl BehaviourConfig {
    /// The consensus layer of Ethereum: with room for messages of [`WireLimits::ethereum`], for which
    /// [`max_memory`](Self::max_memory) is 512 MiB.
    pub fn ethereum() -> Self {
        Self::default().with_room_for(ETHEREUM_MAX_MESSAGE_SIZE)
    }

    /// Raises [`max_memory`](Self::max_memory) and the bytes of a connection's queue, if they are too small for frames of this
    /// size. A connection gets a sixteenth of the memory, and has room for two frames: so that is at least 32 times their size.
    pub fn with_room_for(self, frame: usize) -> Self {
        let of_connection = frame.saturating_mul(2).checked_next_power_of_two().unwrap_or(usize::MAX);
        self.with(|config| {
            config.queue.max_bytes = config.queue.max_bytes.max(of_connection);
            config.max_memory = config.max_memory.max(of_connection.saturating_mul(memory::ORDINARY_PART));
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ethereum: specs/phase0/p2p-interface.md. Filecoin: pubsub.go of go-libp2p-pubsub.
    #[test]
    fn frames_have_the_sizes_of_the_networks() {
        let sizes = |limits: WireLimits| [limits.max_frame_in, limits.max_frame_out];
        // MAX_PAYLOAD_SIZE = 10485760; max_compressed_len(n) = 32 + n + n / 6; max_message_size() adds 1024.
        assert_eq!(sizes(WireLimits::ethereum()), [12_234_442; 2]);
        // DefaultMaxMessageSize = 1 << 20.
        assert_eq!(sizes(WireLimits::filecoin()), [1_048_576; 2]);
    }

    #[test]
    fn the_largest_message_of_ethereum_has_room_in_a_queue() {
        let BehaviourConfig { max_memory, queue, .. } = BehaviourConfig::ethereum();
        let largest = WireLimits::ethereum().max_frame_out;
        assert!(largest <= queue.max_bytes && largest <= max_memory / memory::ORDINARY_PART);
    }

    #[test]
    fn messages_of_filecoin_are_signed() {
        let key = Keypair::generate_ed25519();
        let signed = Libp2pNetwork::filecoin(key.clone()).build().message("t".into(), "data").unwrap();
        assert_eq!(signed.message.source(), Some(&key.public().to_peer_id()));
        assert!(signed.message.is_verified());
    }

    #[cfg(feature = "snappy")]
    #[test]
    fn messages_of_ethereum_are_anonymous_and_compressed() {
        let text = [b'a'; 1_000];
        let message = Libp2pNetwork::ethereum().build().message("t".into(), text).unwrap();
        // StrictNoSign: neither from, seqno, signature nor key.
        assert_eq!((message.message.source(), message.message.is_verified()), (None, false));
        assert!(message.message.data().len() < 100);
    }
}
