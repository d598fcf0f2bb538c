//! Publications of the application, one by one or in a batch.

use std::sync::Arc;

use super::{actor::RunningTopic, run::RunContext};
use crate::{
    actors::diagnostics::{journal::EventContext, log},
    admission::charge::Charge,
    network::{FullMessage, Network},
    outputs::{
        publication::{PublishResponder, RouteResult},
        publish_batch::PublishBatch,
    },
    protocol::{
        event::Event,
        exchange::Outbox,
        outcome::{PublishOutcome, decision::EventKind, labels::Input},
    },
    timestamp::Timestamp,
};

impl<N: Network> RunningTopic<N> {
    pub(super) fn publish(
        &mut self,
        message: Arc<FullMessage<N>>,
        min_peers: usize,
        charge: Charge,
        responder: PublishResponder<N>,
        received_at: Timestamp,
        outbox: &mut Outbox<N>,
    ) {
        // The publisher does not wait for this attempt any more.
        if min_peers > 0 && responder.is_abandoned() {
            return;
        }
        let event_log = &self.shared.event_log;
        let logged = event_log.keeps_messages().then(|| Arc::clone(&message));
        let before = outbox.stats.count_sent_app_messages;
        let limits = self.shared.limits.load();
        let cx = self.shared.context(&limits, received_at);
        let outcome = self.state.publish(message, min_peers, charge, &cx, outbox);
        log::publish(self.state.name(), &outcome);
        outbox.counters.input(Input::Publish, &outcome);
        if let (Some(message), PublishOutcome::Published { .. }) = (logged, &outcome) {
            let topic = Some(&message.topic);
            let context = EventContext { peer: None, topic, score: None, time: received_at };
            event_log.record_message(context, &message.message_id, EventKind::Published);
        }
        let queued = (outbox.stats.count_sent_app_messages - before) as usize;
        let route = match outcome {
            PublishOutcome::AlreadyPublished => RouteResult::AlreadyPublished,
            PublishOutcome::TooLarge => RouteResult::TooLarge,
            PublishOutcome::Outdated => RouteResult::Outdated,
            PublishOutcome::TooFewPeers { peers } => RouteResult::TooFewPeers { peers },
            PublishOutcome::Published { .. } if queued == 0 => {
                self.report_published_to_no_peers(received_at);
                RouteResult::NoPeers
            }
            PublishOutcome::Published { .. } => RouteResult::Queued,
        };
        responder.respond(route, queued);
    }

    fn report_published_to_no_peers(&self, now: Timestamp) {
        self.shared.metrics.published_to_no_peers();
        if self.shared.unsent_publication_reports.try_acquire(now) {
            self.shared.observe(&Event::PublishedToNoPeers { topic: self.state.name().clone() });
        }
    }

    /// As [`publish`](Self::publish). What is sent leaves with the batch, after everything that the topic sent before.
    pub(super) fn publish_in_batch(
        &mut self,
        message: Arc<FullMessage<N>>,
        batch: &PublishBatch<N>,
        charge: Charge,
        responder: PublishResponder<N>,
        received_at: Timestamp,
        run: &mut RunContext<'_, N>,
    ) {
        self.flush_outbox(run);
        run.outgoing.send(&self.shared);
        self.publish(message, 0, charge, responder, received_at, run.outbox);
        batch.add(run.outbox.p2p.drain(..));
    }
}
