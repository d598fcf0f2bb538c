//! Verdicts that come later: waits for them on the arbiter of whoever asked, and hands them back.
//! Bounded in number and time; judges nothing.

use std::sync::{Arc, atomic::Ordering};

use tokio::time::timeout;

use super::messages::TopicItem;
use crate::{
    actors::{
        arbiter::mailbox::TopicAddr, inbox::BusyGuard, shared::Shared, supervisor::messages::SupervisorItem,
    },
    network::{BoxFuture, Delivery, Network, Validity},
    protocol::exchange::Validation,
};

/// Waits for the verdict on a message; its topic hears of it. Must be called on an arbiter.
pub(in crate::actors) fn start<N: Network>(
    validation: Validation<N>,
    address: &TopicAddr<N>,
    shared: &Arc<Shared<N>>,
) {
    let Validation { message, verdict } = validation;
    let place = ValidationPermit::take(shared);
    if place.is_none() {
        shared.metrics.validations_throttled(1);
    }
    let (address, shared) = (address.clone(), Arc::clone(shared));
    let ticket = BusyGuard::new(&shared.load);
    actix_rt::spawn(async move {
        let verdict = match &place {
            Some(_) => within_time(verdict, &shared).await,
            None => None,
        };
        address.push(TopicItem::Verdict { message, verdict });
        drop((place, ticket));
    });
}

/// Waits for the verdicts on a batch; the supervisor hears of them. None for all when it takes too long.
pub(in crate::actors) fn start_batch<N: Network>(
    batch: Vec<Delivery<N>>,
    verdicts: BoxFuture<Vec<Validity>>,
    shared: &Arc<Shared<N>>,
) {
    let shared = Arc::clone(shared);
    let ticket = BusyGuard::new(&shared.load);
    actix_rt::spawn(async move {
        let verdicts = within_time(verdicts, &shared).await.unwrap_or_default();
        // A closed supervisor: the engine has ended.
        let _ = shared.supervisor.push(SupervisorItem::BatchVerdicts { batch, verdicts });
        drop(ticket);
    });
}

/// A panic of the application's future is as good as no verdict.
async fn within_time<T: Send + 'static, N: Network>(verdict: BoxFuture<T>, shared: &Shared<N>) -> Option<T> {
    let began = shared.now();
    let task = actix_rt::spawn(verdict);
    let abort = task.abort_handle();
    match timeout(shared.limits.bounds.validation_timeout, task).await {
        Ok(verdict) => {
            shared.metrics.validated(shared.now().saturating_since(began));
            verdict.ok()
        }
        Err(_) => {
            abort.abort();
            shared.metrics.validation_timed_out();
            None
        }
    }
}

/// One of the places that all topics share.
struct ValidationPermit<N: Network>(Arc<Shared<N>>);

impl<N: Network> ValidationPermit<N> {
    fn take(shared: &Arc<Shared<N>>) -> Option<Self> {
        let max = shared.limits.bounds.max_validating;
        let more = |taken: usize| (taken < max).then_some(taken + 1);
        shared.validating.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Self(Arc::clone(shared)))
    }
}

impl<N: Network> Drop for ValidationPermit<N> {
    fn drop(&mut self) {
        self.0.validating.fetch_sub(1, Ordering::AcqRel);
    }
}
