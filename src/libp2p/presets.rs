//! What nodes of known networks need besides the limits of the engine (`LimitsConfig::ethereum`, `LimitsConfig::filecoin`):
//! the limits on frames, the signature policy, and room for large messages.

use ::libp2p::identity::Keypair;

use super::{BehaviourConfig, Libp2pNetwork, Libp2pNetworkBuilder, SignaturePolicy, WireLimits};

impl Libp2pNetwork {
    /// Begins a network of the consensus layer of Ethereum, with [`WireLimits::ethereum`] and StrictNoSign. Its message ids
    /// ([`message_id`](Libp2pNetworkBuilder::message_id)) and snappy are to be added. The limits of the engine are
    /// [`LimitsConfig::ethereum`](crate::LimitsConfig::ethereum), those of the transport [`BehaviourConfig::ethereum`].
    pub fn ethereum() -> Libp2pNetworkBuilder {
        Self::builder(SignaturePolicy::StrictNoSign).limits(WireLimits::ethereum())
    }

    /// Begins a network of Filecoin, with [`WireLimits::filecoin`] and StrictSign. Its message ids
    /// ([`message_id`](Libp2pNetworkBuilder::message_id)) are to be added. The limits of the engine are
    /// [`LimitsConfig::filecoin`](crate::LimitsConfig::filecoin).
    pub fn filecoin(key: Keypair) -> Libp2pNetworkBuilder {
        Self::builder(SignaturePolicy::StrictSign(Box::new(key))).limits(WireLimits::filecoin())
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
    /// The consensus layer of Ethereum: with room for messages of [`WireLimits::ethereum`] in the queue of a connection. A
    /// connection gets a sixteenth of the memory, so that is 512 MiB.
    pub fn ethereum() -> Self {
        const OF_CONNECTION: usize = 32 << 20;
        Self::default().with(|config| {
            config.max_memory = 16 * OF_CONNECTION;
            config.queue.max_bytes = OF_CONNECTION;
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
        assert!(largest <= queue.max_bytes && largest <= max_memory / crate::libp2p::memory::ORDINARY_PART);
    }

    #[test]
    fn messages_carry_what_the_networks_demand() {
        let message = |network: Libp2pNetworkBuilder| network.build().message("t".into(), "data").unwrap();
        let key = Keypair::generate_ed25519();
        let signed = message(Libp2pNetwork::filecoin(key.clone()));
        assert_eq!(signed.message.source(), Some(&key.public().to_peer_id()));
        assert!(signed.message.is_verified());
        // StrictNoSign: neither from, seqno, signature nor key.
        let anonymous = message(Libp2pNetwork::ethereum());
        assert_eq!((anonymous.message.source(), anonymous.message.is_verified()), (None, false));
    }
}
