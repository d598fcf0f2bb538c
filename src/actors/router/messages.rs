//! The messages that the router takes, in order, through its inbox.

use crate::{
    network::{AppOutput, Network},
    protocol::output::pending::PendingOutput,
};

/// An item of the router's inbox.
pub(crate) enum RouterItem<N: Network> {
    // From topics and the supervisor.
    /// The router appends the output to the p2p stream. If the stream is full, the least urgent output is dropped and
    /// counted.
    P2p(PendingOutput<N>),

    // From topics.
    /// The router appends the message to the application's stream.
    App(AppOutput<N>),
}
