//! Messages that the application publishes.

use std::sync::Arc;

use super::{TopicState, idontwant::filter_idontwant};
use crate::{
    admission::charge::Charge,
    network::{FullMessage, Network},
    protocol::{
        exchange::{Context, Outbox},
        outcome::PublishOutcome,
        output::Lane,
    },
};

impl<N: Network> TopicState<N> {
    /// Publishes a message of the application. It is not delivered to the application itself. The message is charged until
    /// it is sent.
    pub(crate) fn publish(
        &mut self,
        message: Arc<FullMessage<N>>,
        mut charge: Charge,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> PublishOutcome<N> {
        if self.parameters.is_too_large(|| cx.network.message_size(&message.message)) {
            return PublishOutcome::TooLarge;
        }
        if self.seen.contains(&message.message_id) {
            return PublishOutcome::AlreadyPublished;
        }
        self.fulfil_promises(&message.message_id, cx, outbox);
        let size = message.sizes(cx.network);
        self.record_seen(&message, size, None, Vec::new(), cx, outbox);
        if self.mesh.is_none() {
            self.refresh_fanout(cx);
        }
        let (to, mut sent) = self.recipients(None, &[]);
        let large = self.parameters.idontwant_message_size;
        filter_idontwant(&mut sent, &message, large, cx, &mut outbox.counters);
        if self.mesh.is_none() {
            outbox.counters.fanout_sends(sent.len());
        }
        outbox.broadcast(sent, &message, size.total, Lane::Publish, &mut charge);
        PublishOutcome::Published { to }
    }
}
