//! Outputs and events of topics for other parts of the engine, collected over a batch so that router and supervisor are
//! woken once. Outputs are sent first, so that they precede the consequences of an event.

use std::sync::{Arc, PoisonError};

use derive_where::derive_where;

use crate::{
    actors::{router::messages::RouterItem, shared::Shared, supervisor::messages::SupervisorItem},
    admission::amount::ItemsAndBytes,
    metrics::{TopicSeries, Undelivered},
    network::Network,
    outputs::topic_queue::{Outcome, TopicSender},
    protocol::{exchange::Outbox, inspect::stats::Stats},
};

/// The results of a batch of inputs.
#[derive_where(Default)]
pub(crate) struct Outgoing<N: Network> {
    outputs: Vec<RouterItem<N>>,
    pub(in crate::actors) supervisor_items: Vec<SupervisorItem<N>>,
    /// The credit of the inputs that were handled.
    pub(in crate::actors) released_credit: ItemsAndBytes,
}

impl<N: Network> Outgoing<N> {
    /// Takes what a topic left in the outbox, except its events, and counts it. Messages for the application go to the
    /// topic's subscription, if it has one that is read; otherwise it is removed. Returns by how many peers the topic's mesh
    /// has grown.
    pub(in crate::actors) fn flush_topic(
        &mut self,
        topic: &N::Topic,
        series: &TopicSeries,
        subscription: &mut Option<Arc<TopicSender<N>>>,
        outbox: &mut Outbox<N>,
        shared: &Shared<N>,
    ) -> i64 {
        let stats = std::mem::take(&mut outbox.stats);
        let mesh_growth = series.flush(&shared.metrics, &shared.network, outbox, &stats);
        self.outputs.extend(outbox.p2p.drain(..).map(|output| RouterItem::p2p(output, &shared.network)));
        deliver_to_subscription(subscription, outbox, shared);
        self.outputs.extend(outbox.app.drain(..).map(RouterItem::App));
        for (id, entered) in outbox.history_changes.drain(..) {
            shared.directory.on_history_change(id, topic, entered);
        }
        if stats != Stats::default() {
            *shared.topic_stats.lock().unwrap_or_else(PoisonError::into_inner) += stats;
        }
        mesh_growth
    }

    /// Sends everything. A closed inbox drops it: the engine has ended.
    pub(in crate::actors) fn send(&mut self, shared: &Shared<N>) {
        if !self.outputs.is_empty() {
            shared.router.extend(self.outputs.drain(..));
        }
        if !self.supervisor_items.is_empty() {
            shared.supervisor.extend(self.supervisor_items.drain(..));
        }
        shared.admission.release(std::mem::take(&mut self.released_credit));
    }
}

/// Delivers the messages for the application to the topic's subscription, if it has one. Without a subscription they stay in
/// the outbox.
fn deliver_to_subscription<N: Network>(
    subscription: &mut Option<Arc<TopicSender<N>>>,
    outbox: &mut Outbox<N>,
    shared: &Shared<N>,
) {
    let Some(sender) = subscription.as_ref().filter(|_| !outbox.app.is_empty()) else { return };
    match sender.deliver(&mut outbox.app) {
        Outcome::Queued { without_room } => {
            shared.metrics.deliveries_dropped(Undelivered::QueueFull, without_room);
        }
        Outcome::Leaving => {
            shared.metrics.deliveries_dropped(Undelivered::Unread, outbox.app.drain(..).count());
        }
        Outcome::Ended => *subscription = None,
    }
}
