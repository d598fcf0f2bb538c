//! Who is shown every input of an engine, and in which words. What is made of them is the tape's.

use std::sync::Arc;

use derive_where::derive_where;

use crate::{
    limits::Limits,
    network::{FullMessage, Network, P2pInput, P2pMessage},
    protocol::{NodeOptions, Timestamp},
};

/// Takes down what an engine is told; see [`WorkerBuilder::tape`](crate::WorkerBuilder::tape).
///
/// **What is promised.** An input is shown when the door has admitted it, before it is handed on; a heartbeat, a
/// look at parked messages and a batch's verdict when the supervisor begins it. What one thread gives is shown in
/// the order in which it gives it. Two inputs that two threads give at the same time may be handled in the other
/// order than they are shown in, and a topic may handle an input after a heartbeat that was shown later, or when a
/// disconnection that was shown later is known already: who is gone is not chosen any
/// more. With one thread that waits for [`settle`](crate::Worker::settle) after each input, the order is the engine's
/// own.
///
/// Called on the engine's threads and the callers', from several at a time; must not block.
pub trait Tape<N: Network>: Send + Sync + 'static {
    /// An engine starts. The first call.
    fn begins(&self, network: &Arc<N>, limits: &Limits<N::Topic>, options: &NodeOptions<N>);

    /// It is told this. `now` is asked once, inside whatever orders the inputs.
    fn hears(&self, now: &dyn Fn() -> Timestamp, heard: Heard<'_, N>);
}

/// What an engine is told.
#[allow(missing_docs, reason = "each variant's line tells its fields")]
#[derive_where(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Heard<'a, N: Network> {
    /// By the p2p layer: a connection is up, or gone.
    Connection(&'a P2pInput<N>),
    /// By a peer.
    Said {
        from: &'a N::Peer,
        message: &'a P2pMessage<N>,
    },
    /// By the application.
    Publish(&'a Arc<FullMessage<N>>),
    Join(&'a N::Topic),
    Leave(&'a N::Topic),
    SetApplicationScore {
        peer: &'a N::Peer,
        score: f64,
    },
    /// A point could not be reached.
    UnreachablePoint(&'a N::Point),
    /// A peer is too slow to be told what it must be told.
    SlowPeer(&'a N::Peer),
    /// A heartbeat begins.
    Heartbeat,
    /// The parked messages are tried.
    CheckParked,
    /// The pending batch is judged.
    ProcessBatch,
}
