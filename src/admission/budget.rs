//! The engine's budget of bytes as a transport uses it for its own queues.

use std::sync::Arc;

use super::{Admission, CreditOwner, charge::Charge};

/// The budget of bytes (`bounds.max_input_bytes`) that an engine's queued inputs and held messages share. A transport
/// charges what its own queues keep of messages that it has read from the p2p stream, so that the engine refuses inputs
/// while the transport is behind. Made by [`Worker::message_budget`](crate::Worker::message_budget); clones share it.
#[derive(Clone, Debug)]
pub struct MessageBudget(Arc<CreditOwner>);

/// Bytes that are charged to a [`MessageBudget`] until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the charge"]
pub struct BudgetCharge(Charge);

impl MessageBudget {
    pub(crate) fn new(admission: &Arc<Admission>) -> Self {
        Self(Arc::new(CreditOwner::new(Arc::clone(admission))))
    }

    /// Charges `bytes`, at most 4 GiB, even beyond the limit: for bytes that are in memory already.
    pub fn charge(&self, bytes: usize) -> BudgetCharge {
        let mut charge = Charge::to(Arc::clone(&self.0));
        charge.begin(|| bytes);
        BudgetCharge(charge)
    }

    /// Charges `bytes` if the limit allows it.
    pub fn try_charge(&self, bytes: usize) -> Option<BudgetCharge> {
        let charge = self.charge(bytes);
        // Charged first, so that threads together never exceed the limit.
        (self.used() <= self.limit()).then_some(charge)
    }

    /// The bytes that are charged now, by the engine and by all transports.
    pub fn used(&self) -> usize {
        self.0.admission().queued().bytes()
    }

    /// `bounds.max_input_bytes`.
    pub fn limit(&self) -> usize {
        self.0.admission().max_bytes()
    }
}

impl BudgetCharge {
    /// The bytes that are charged.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}
