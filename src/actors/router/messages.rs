//! The messages that the router takes, in order, through its inbox.

use crate::{
    network::{Network, hooks::Hooks},
    outputs::p2p_queue::SizedOutput,
    protocol::output::pending::{PendingDelivery, PendingOutput},
};

/// An item of the router's inbox.
pub(crate) enum RouterItem<N: Network> {
    // From topics and the supervisor.
    /// The router appends the output to the p2p stream. If the stream is full, the least urgent output is dropped and
    /// counted.
    P2p(SizedOutput<N>),

    // From topics.
    /// The router appends the message to the application's stream.
    App(PendingDelivery<N>),
}

impl<N: Network> RouterItem<N> {
    /// The item for an output. Its sender computes the size, so that the router calls no code of the application.
    pub(crate) fn p2p(output: PendingOutput<N>, network: &Hooks<N>) -> Self {
        Self::P2p(SizedOutput { bytes: output.bytes(network), output })
    }
}
