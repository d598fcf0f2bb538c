//! What became of a publication: whom it was meant for, whom it reached, and why not. Told by the
//! topic, the output stream and the transport; decides nothing.

use std::sync::Arc;

use super::Worker;
use crate::{
    network::Network,
    outputs::publication::{PublishReport, PublishState},
};

/// What to hold on to while a publication is on its way. Dropping it changes nothing for the message.
pub struct PublishTicket<N: Network> {
    publication: Arc<PublishState>,
    key: (N::Topic, N::MessageId),
    worker: Worker<N>,
}

impl<N: Network> PublishTicket<N> {
    pub(super) fn new(
        worker: Worker<N>,
        key: (N::Topic, N::MessageId),
        publication: Arc<PublishState>,
    ) -> Self {
        Self { publication, key, worker }
    }

    /// What is known by now.
    pub fn report(&self) -> PublishReport {
        *self.publication.lock()
    }

    /// Waits until it is routed: how, and for how many peers it was queued.
    pub async fn routed(&self) -> PublishReport {
        self.publication.wait(|report| report.routed.is_some()).await
    }

    /// Waits until the transport said of each peer whether it was sent. A transport that reports nothing
    /// ([`Worker::report_sent`]) keeps this waiting until the engine ends.
    pub async fn completed(&self) -> PublishReport {
        self.publication.wait(PublishReport::is_complete).await
    }
}

impl<N: Network> Drop for PublishTicket<N> {
    fn drop(&mut self) {
        self.worker.shared.tickets.forget(&self.key);
    }
}
