//! Outputs and events of topics for other parts of the engine, collected over a batch so that router and supervisor are
//! woken once. Outputs are sent first, so that they precede the consequences of an event.

use std::sync::PoisonError;

use derive_where::derive_where;

use crate::{
    actors::{router::messages::RouterItem, shared::Shared, supervisor::messages::SupervisorItem},
    admission::amount::ItemsAndBytes,
    metrics::TopicSeries,
    network::Network,
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
    /// Takes what a topic left in the outbox, except its events, and counts it. Returns by how many peers the topic's
    /// mesh has grown.
    pub(in crate::actors) fn flush_topic(
        &mut self,
        topic: &N::Topic,
        series: &TopicSeries,
        outbox: &mut Outbox<N>,
        shared: &Shared<N>,
    ) -> i64 {
        let stats = std::mem::take(&mut outbox.stats);
        let mesh_growth = series.flush(&shared.metrics, &shared.network, outbox, &stats);
        self.outputs.extend(outbox.p2p.drain(..).map(|output| RouterItem::p2p(output, &shared.network)));
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
