//! The events that an observer of the engine receives, for logs and alerts.

use std::time::Duration;

use derive_where::derive_where;

use crate::network::{AppInput, Network, P2pInput};

/// An event of the engine, passed to the observer.
#[derive_where(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<N: Network> {
    /// A heartbeat starts.
    Heartbeat {
        /// The number of the heartbeat.
        tick: u64,
    },
    /// A heartbeat was due while the previous one was still running. It is skipped.
    HeartbeatSkipped {
        /// The number of the heartbeat that is still running.
        tick: u64,
    },
    /// Admission accepted an input of the p2p layer.
    P2pInput(P2pInput<N>),
    /// Admission accepted an input of the application.
    AppInput(AppInput<N>),
    /// A peer tried to subscribe to more topics than `max_topics_per_peer`. Sent at most once an `event_interval`,
    /// over all peers.
    SubscribeTopicCapExceeded {
        /// The peer.
        peer: N::Peer,
        /// The limit.
        max_topics: usize,
    },
    /// Admission refuses inputs because a queue is full. Sent at most once an `event_interval`.
    InputRefused {
        /// The number of queued inputs.
        depth: usize,
        /// The reason of this refusal, as in the label `reason` of the refusal metric.
        reason: &'static str,
    },
    /// The transport reports that a peer reads too slowly to receive its control messages.
    SlowPeer {
        /// The peer.
        peer: N::Peer,
    },
    /// A peer broke the protocol: it sent bytes that are no RPC, or a message on a topic that is not joined that breaks the
    /// network's rules. Sent at most once an `event_interval`, over all peers.
    ProtocolViolation {
        /// The peer.
        peer: N::Peer,
    },
    /// A heartbeat found that the score of a connected peer is below `disconnect_threshold`: the p2p layer is asked to
    /// disconnect it. Sent at each heartbeat until the peer is disconnected.
    LowScore {
        /// The peer.
        peer: N::Peer,
        /// Its score.
        score: f64,
        /// The time for which its connections are to be refused. May be 0.
        ban_duration: Duration,
    },
    /// A publication of the application was sent to no peer: none is subscribed to the topic, or all of them declined it by
    /// IDONTWANT. Peers may still request it by IWANT while it is in the history. Sent at most once an `event_interval`.
    PublishedToNoPeers {
        /// The topic.
        topic: N::Topic,
    },
    /// The actor of a topic panicked and was restarted.
    TopicRestarted {
        /// The topic.
        topic: N::Topic,
    },
    /// The actor of a topic panicked too often. The node leaves the topic.
    TopicGivenUp {
        /// The topic.
        topic: N::Topic,
    },
}
