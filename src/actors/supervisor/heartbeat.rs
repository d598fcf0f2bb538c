//! The supervisor's part in heartbeats, and the validation of parked messages and batches.

use actix::{AsyncContext, Context};

use super::actor::SupervisorActor;
use crate::{
    actors::mesh::validation,
    input_recorder::RecordedInput,
    network::{Network, hooks::HookPanicked},
    protocol::{
        event::Event,
        inspect::footprint::Footprint,
        peers::{dispatch::align_verdicts, heartbeat::HeartbeatBudget},
    },
};

/// The number of topics that a heartbeat commands at once. A message may wait behind two such steps, so they are small;
/// and each half of a heartbeat takes at most 128 steps, however many topics there are.
fn heartbeat_budget(topics: usize) -> HeartbeatBudget {
    let at_once = (topics / 128).max(128);
    HeartbeatBudget { refresh_step: at_once, max_in_flight: at_once }
}

impl<N: Network> SupervisorActor<N> {
    /// Starts a heartbeat. If one is in progress, reports this one as skipped.
    pub(super) fn tick(&mut self) {
        if self.peers.in_heartbeat() {
            return self.shared.skip_heartbeat(self.peers.tick());
        }
        let _span = tracing::debug_span!("heartbeat", tick = self.peers.tick() + 1).entered();
        self.shared.record(RecordedInput::Heartbeat);
        self.shared.directory.clear_heartbeat_quotas();
        self.shared.directory.advance_idontwant();
        self.shared.offer_all_missed();
        // All topics report their deliveries in this heartbeat.
        drop(self.shared.take_unflushed());
        let topics: Vec<_> = self.topics.keys().cloned().collect();
        self.peers.set_heartbeat_budget(heartbeat_budget(topics.len()));
        let now = self.shared.now();
        self.overloaded = self.shared.is_overloaded();
        self.peers.begin_heartbeat(topics, self.overloaded, now);
        self.heartbeat_started = Some(now);
        self.sampler.heartbeat(true);
        self.shared.metrics.heartbeat_started();
        self.shared.heartbeat_monitor.record(self.peers.tick(), now);
        self.shared.observe(&Event::Heartbeat { tick: self.peers.tick() });
    }

    /// Reports a heartbeat that is done.
    pub(super) fn finish_heartbeat(&mut self) {
        if let Some(started) = self.heartbeat_started.take_if(|_| !self.peers.in_heartbeat()) {
            self.shared.metrics.heartbeat_finished(self.shared.now().saturating_since(started));
            // Scores may have recovered.
            self.shared.waiting_publishers.notify_all();
            self.publish_gauges();
        }
    }

    /// Sets the gauges that are measured once a heartbeat.
    fn publish_gauges(&self) {
        let (shared, metrics) = (&self.shared, &self.shared.metrics);
        metrics.gauges.set_footprint(&shared.footprint(self.footprint()));
        metrics.gauges.set_evictions(&shared.totals.evicted());
        metrics.gauges.set_queues(&shared.queues());
        metrics.gauges.set_peers(&self.peers.summary());
        metrics.gauges.set_topic_problems(&shared.heartbeat_monitor.problems());
        if let Ok(stats) = shared.network.transport_stats() {
            metrics.set_transport_stats(stats);
        }
    }

    /// The footprint of peers and directory.
    fn footprint(&self) -> Footprint {
        let mut footprint = self.peers.footprint();
        self.shared.add_own_footprint(&mut footprint);
        footprint
    }

    /// Validates the ids of parked messages again.
    pub(super) fn check_parked(&mut self) {
        let shared = &self.shared;
        shared.record(RecordedInput::CheckParked);
        self.peers.check_parked(|id| shared.network.validate_id(id));
    }

    /// Validates the pending batch.
    pub(super) fn process_batch(&mut self) {
        let batch = self.peers.take_batch();
        if batch.is_empty() {
            return;
        }
        self.shared.record(RecordedInput::ProcessBatch);
        let network = &self.shared.network;
        let verdicts = match network.validate_batch_async(&batch) {
            Ok(Some(verdicts)) => return validation::start_batch(batch, verdicts, &self.shared),
            Ok(None) => network.validate_batch(&batch),
            Err(HookPanicked) => Err(HookPanicked),
        };
        if verdicts.is_err() {
            self.shared.metrics.validations_panicked(batch.len());
        }
        self.peers.apply_batch_verdicts(align_verdicts(batch, verdicts.ok()));
    }

    /// Arms a timer for the deadline of the pending batch.
    pub(super) fn arm_batch_timer(&mut self, ctx: &mut Context<Self>) {
        if self.manual || self.batch_timer {
            return;
        }
        if let Some(deadline) = self.peers.batch_deadline() {
            self.batch_timer = true;
            let wait = deadline.saturating_since(self.shared.now());
            ctx.run_later(wait, |actor, ctx| {
                actor.batch_timer = false;
                actor.apply_outputs();
                actor.arm_batch_timer(ctx);
            });
        }
    }
}
