//! TODO header.

use crate::{
    network::{AppOutput, Network},
    protocol::output::pending::PendingOutput,
};

/// To the router.
pub(crate) enum RouterItem<N: Network> {
    /// From topics and the supervisor: for the p2p layer.
    P2p(PendingOutput<N>),
    /// From topics: for the application.
    App(AppOutput<N>),
    /// From the supervisor: the last item.
    Stop,
}
