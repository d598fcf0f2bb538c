//! What an operator should hear of. Reports; changes nothing.

use derive_where::derive_where;

use crate::network::{AppInput, Network, P2pInput};

/// Something that happened in the engine, for the observer.
#[derive_where(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<N: Network> {
    /// A heartbeat begins.
    Heartbeat {
        /// Its number.
        tick: u64,
    },
    /// A heartbeat was due while the last one was not done: it is skipped.
    HeartbeatSkipped {
        /// The number of the one that is not done.
        tick: u64,
    },
    /// An input of the p2p layer was admitted.
    P2pInput(P2pInput<N>),
    /// An input of the application was admitted.
    AppInput(AppInput<N>),
    /// A peer subscribed to more topics than it may. At most one an `event_interval`, over all peers.
    SubscribeTopicCapExceeded {
        /// The peer.
        peer: N::Peer,
        /// What it may.
        max_topics: usize,
    },
    /// Inputs are refused because too many wait. At most one an `event_interval`.
    InputRefused {
        /// How many wait.
        depth: usize,
        /// The reason of the refusal reported.
        reason: &'static str,
    },
    /// The p2p layer finds a peer too slow to be told what it must be told.
    SlowPeer {
        /// The peer.
        peer: N::Peer,
    },
    /// A topic's actor panicked and was started anew.
    TopicRestarted {
        /// The topic.
        topic: N::Topic,
    },
    /// A topic's actor panicked too often: the topic is left.
    TopicGivenUp {
        /// The topic.
        topic: N::Topic,
    },
}
