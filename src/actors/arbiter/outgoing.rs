//! What topics leave for other parts of the engine, collected over a batch so that router and supervisor are woken once.
//! Outputs are sent first: what follows from an event must not overtake them.

use derive_where::derive_where;

use crate::{
    actors::{router::messages::RouterItem, shared::Shared, supervisor::messages::SupervisorItem},
    admission::amount::ItemsAndBytes,
    network::Network,
    outputs::recycle::ToRecycle,
};

/// The results of a batch of inputs.
#[derive_where(Default)]
pub(crate) struct Outgoing<N: Network> {
    pub(crate) outputs: Vec<RouterItem<N>>,
    pub(crate) supervisor_items: Vec<SupervisorItem<N>>,
    /// The credit of the inputs that were handled.
    pub(crate) released_credit: ItemsAndBytes,
    /// Duplicates of messages whose memory may be used again.
    pub(crate) to_recycle: ToRecycle<N>,
}

impl<N: Network> Outgoing<N> {
    /// Sends everything. A closed inbox drops it: the engine has ended.
    pub(crate) fn send(&mut self, shared: &Shared<N>) {
        shared.send_outputs(self.outputs.drain(..));
        if !self.supervisor_items.is_empty() {
            shared.supervisor.extend(self.supervisor_items.drain(..));
        }
        shared.recycle_bins.give(&mut self.to_recycle);
        shared.admission.release(std::mem::take(&mut self.released_credit));
    }
}
