//! The interface that receives every input of an engine, for recordings and their replay. An engine calls it before it
//! handles the input.

use std::{sync::Arc, time::Duration};

use derive_where::derive_where;

use crate::{
    limits::{Limits, RuntimeLimits},
    network::{FullMessage, Network, P2pInput, P2pMessage, PeerFeedback},
    protocol::{NodeOptions, RemainingBackoff, Timestamp},
};

/// Records the inputs of an engine. Set it with
/// [`WorkerBuilder::input_recorder`](crate::WorkerBuilder::input_recorder).
///
/// # Order
///
/// The engine records an input when admission control has accepted it and before it is queued. It records a heartbeat,
/// a retry of the parked messages and the validation of a batch when the supervisor starts them. The inputs of one
/// thread are recorded in the order in which the thread sends them. The engine can differ from the recorded order in
/// four cases:
///
/// * Two threads send inputs at the same time: the engine may handle them in the opposite order.
/// * A topic may handle an input after a heartbeat that was recorded later.
/// * A topic may handle an input when it already knows of a disconnection that was recorded later. It then selects the
///   disconnected peer no more.
/// * A topic may handle an input that was recorded before new limits under them: topics read the limits in force when they
///   handle an input.
///
/// A publication to at least some number of peers is recorded each time that it is tried, and has no effect if its publisher
/// gives up meanwhile. Reports of missed messages and of room for them are not recorded: only IHAVEs follow from them.
///
/// The order is exact if one thread sends all inputs and waits for [`settle`](crate::Worker::settle) after each.
///
/// # Threads
///
/// The engine calls the methods on its own threads and on those of the callers, several at the same time. They must not
/// block.
pub trait InputRecorder<N: Network>: Send + Sync + 'static {
    /// The engine starts. This is the first call.
    fn start(&self, network: &Arc<N>, limits: &Limits<N::Topic>, options: &NodeOptions<N>);

    /// The engine accepted `input`. `now` reads the engine's clock: call it once, inside the lock that orders the
    /// recorded inputs.
    fn record(&self, now: &dyn Fn() -> Timestamp, input: RecordedInput<'_, N>);
}

/// An input of an engine, borrowed.
#[allow(missing_docs, reason = "each variant's comment names its fields")]
#[derive_where(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RecordedInput<'a, N: Network> {
    /// At the start: the backoffs that a former process of this node left.
    RestoreBackoffs(&'a [RemainingBackoff<N>]),
    /// From the p2p layer: a connection is established or closed.
    Connection(&'a P2pInput<N>),
    /// From the p2p layer: the peer `from` sent `message`.
    PeerMessage { from: &'a N::Peer, message: &'a P2pMessage<N> },
    /// From the application: publish a message.
    Publish(&'a Arc<FullMessage<N>>),
    /// From the application: publish a message if it can be sent to at least `min_peers` peers.
    PublishToAtLeast { min_peers: usize, message: &'a Arc<FullMessage<N>> },
    /// From the application: join a topic.
    Join(&'a N::Topic),
    /// From the application: leave a topic.
    Leave(&'a N::Topic),
    /// From the application: relay a topic.
    Relay(&'a N::Topic),
    /// From the application: relay a topic no more.
    StopRelay(&'a N::Topic),
    /// From the application: set its component (P5) of the score of `peer`.
    SetApplicationScore { peer: &'a N::Peer, score: f64 },
    /// From the application: feedback about `peer` in `topic`.
    PeerFeedback { peer: &'a N::Peer, topic: &'a N::Topic, feedback: PeerFeedback },
    /// From the application: the limits that can change have these values from now on.
    SetLimits(&'a RuntimeLimits<N::Topic>),
    /// From the application: the peer is a direct peer from now on, or no more.
    SetDirect { peer: &'a N::Peer, direct: bool },
    /// From the application: the p2p layer is asked to refuse a peer for this time.
    Block { peer: &'a N::Peer, duration: Duration },
    /// From the application: the p2p layer is asked to admit a peer again.
    Unblock(&'a N::Peer),
    /// From the p2p layer: a dial to this point failed.
    UnreachablePoint(&'a N::Point),
    /// From the p2p layer: this peer reads its control messages too slowly.
    SlowPeer(&'a N::Peer),
    /// From the p2p layer: this peer sent bytes that are no RPC.
    ProtocolViolation(&'a N::Peer),
    /// A heartbeat starts.
    Heartbeat,
    /// The retry of the parked messages starts.
    CheckParked,
    /// The validation of the pending batch starts.
    ProcessBatch,
}
