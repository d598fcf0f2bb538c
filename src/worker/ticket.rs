//! The ticket of a publication, with which its publisher follows how it is routed and sent.

use std::sync::Arc;

use crate::{
    network::Network,
    outputs::publication::{PublishReport, PublishState},
};

/// Reports on one publication. Made by [`Worker::publish`](super::Worker::publish). Dropping it ends the reports; it
/// affects neither the message nor the ticket of another publication. It does not keep the engine running.
pub struct PublishTicket<N: Network> {
    state: Arc<PublishState<N>>,
}

impl<N: Network> PublishTicket<N> {
    pub(super) fn new(state: Arc<PublishState<N>>) -> Self {
        Self { state }
    }

    /// One more ticket of the same publication.
    pub(super) fn share(&self) -> Self {
        self.state.add_ticket();
        Self { state: Arc::clone(&self.state) }
    }

    /// The report as it is now.
    pub fn report(&self) -> PublishReport {
        self.state.report()
    }

    /// Waits until the message is routed, or the engine has ended. The report then has the result and the
    /// number of peers for which it was queued. Cancellation safe.
    pub async fn routed(&self) -> PublishReport {
        self.state.wait(|report| report.routed.is_some()).await
    }

    /// Waits until the report [is complete](PublishReport::is_complete), or the engine has ended. With a transport that
    /// makes no reports ([`Worker::report_sent`](super::Worker::report_sent)) it waits for the end. Cancellation safe.
    pub async fn completed(&self) -> PublishReport {
        self.state.wait(PublishReport::is_complete).await
    }
}

impl<N: Network> Drop for PublishTicket<N> {
    fn drop(&mut self) {
        self.state.drop_ticket();
    }
}
