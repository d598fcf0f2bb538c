//! What leaves a desk: gathered over a burst, so that router and supervisor are told once. Outputs go first: what
//! follows from a report must not overtake them.

use derive_where::derive_where;

use crate::{
    actors::{router::messages::RouterItem, shared::Shared, supervisor::messages::SupervisorItem},
    admission::amount::ItemsAndBytes,
    network::Network,
    outputs::recycle::ToRecycle,
};

/// What topics leave behind for the others.
#[derive_where(Default)]
pub(crate) struct Outgoing<N: Network> {
    pub(crate) outputs: Vec<RouterItem<N>>,
    pub(crate) reports: Vec<SupervisorItem<N>>,
    /// What inputs held while they waited.
    pub(crate) released: ItemsAndBytes,
    /// Copies that are of no more use.
    pub(crate) spent: ToRecycle<N>,
}

impl<N: Network> Outgoing<N> {
    /// Sends all of it. Who is closed has ended, and with it the engine.
    pub(crate) fn send(&mut self, shared: &Shared<N>) {
        shared.emit(self.outputs.drain(..));
        if !self.reports.is_empty() {
            shared.supervisor.extend(self.reports.drain(..));
        }
        shared.returns.give(&mut self.spent);
        shared.admission.release(std::mem::take(&mut self.released));
    }
}
