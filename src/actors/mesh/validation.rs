//! Asynchronous validation: awaits the application's verdict on the arbiter of the topic or the supervisor, and sends
//! it back to that actor. At most `bounds.max_validating` verdicts of topics are awaited, on messages of at most
//! `bounds.max_validating_bytes`, of which each peer has its share, and each for at most `bounds.validation_timeout`.

use std::sync::{Arc, PoisonError};

use tokio::time::timeout;

use super::messages::TopicItem;
use crate::{
    actors::{
        arbiter::mailbox::TopicAddr, inbox::BusyGuard, shared::Shared, supervisor::messages::SupervisorItem,
    },
    limits::Bounds,
    network::{BoxFuture, Delivery, Network, Validity},
    protocol::{exchange::Validation, shares::Room},
};

/// Awaits the verdict on a message and sends it to the topic; no verdict if there is no permit for a validation. Must
/// be called on an arbiter.
pub(in crate::actors) fn start<N: Network>(
    validation: Validation<N>,
    address: &TopicAddr<N>,
    shared: &Arc<Shared<N>>,
) {
    let Validation { sender, message, bytes, verdict } = validation;
    let permit = ValidationPermit::acquire(sender, bytes, shared);
    if permit.is_none() {
        shared.metrics.validations_throttled(1);
    }
    let (address, shared) = (address.clone(), Arc::clone(shared));
    let busy = BusyGuard::new(&shared.busy_count);
    actix_rt::spawn(async move {
        let verdict = match &permit {
            Some(_) => within_time(verdict, 1, &shared).await,
            None => None,
        };
        address.push(TopicItem::Verdict { message, verdict });
        drop((permit, busy));
    });
}

/// Awaits the verdicts on a batch and sends them to the supervisor; no verdicts if that takes too long. Must be called
/// on an arbiter.
pub(in crate::actors) fn start_batch<N: Network>(
    batch: Vec<Delivery<N>>,
    verdicts: BoxFuture<Vec<Validity>>,
    shared: &Arc<Shared<N>>,
) {
    let shared = Arc::clone(shared);
    let busy = BusyGuard::new(&shared.busy_count);
    actix_rt::spawn(async move {
        let verdicts = within_time(verdicts, batch.len(), &shared).await;
        // The supervisor is closed if the engine has ended.
        let _ = shared.supervisor.push(SupervisorItem::BatchVerdicts { batch, verdicts });
        drop(busy);
    });
}

/// Awaits the verdicts on `count` messages. Returns `None` if the application's future panics or takes too long, or if the
/// engine ends.
async fn within_time<T: Send + 'static, N: Network>(
    verdict: BoxFuture<T>,
    count: usize,
    shared: &Shared<N>,
) -> Option<T> {
    let started = shared.now();
    let validation_timeout = shared.limits.load().bounds.validation_timeout;
    let mut task = actix_rt::spawn(verdict);
    let verdict = tokio::select! {
        verdict = timeout(validation_timeout, &mut task) => verdict,
        _ = shared.wait_for_end() => {
            task.abort();
            return None;
        }
    };
    match verdict {
        Ok(Ok(verdict)) => {
            shared.metrics.validated(shared.now().saturating_since(started));
            Some(verdict)
        }
        Ok(Err(_)) => {
            shared.metrics.hook_panicked();
            shared.metrics.validations_panicked(count);
            None
        }
        Err(_) => {
            task.abort();
            shared.metrics.validations_timed_out(count);
            None
        }
    }
}

/// The permit for one of the `bounds.max_validating` validations at a time, and for the bytes of its message.
struct ValidationPermit<N: Network> {
    shared: Arc<Shared<N>>,
    sender: N::Peer,
    bytes: usize,
}

impl<N: Network> ValidationPermit<N> {
    fn acquire(sender: N::Peer, bytes: usize, shared: &Arc<Shared<N>>) -> Option<Self> {
        let Bounds { max_validating: items, max_validating_bytes, .. } = shared.limits.load().bounds;
        let room = Room { items, bytes: max_validating_bytes };
        let mut validations = shared.validations.lock().unwrap_or_else(PoisonError::into_inner);
        validations.has_room(&sender, bytes, room).then(|| {
            validations.add(&sender, bytes);
            Self { shared: Arc::clone(shared), sender, bytes }
        })
    }
}

impl<N: Network> Drop for ValidationPermit<N> {
    fn drop(&mut self) {
        let mut validations = self.shared.validations.lock().unwrap_or_else(PoisonError::into_inner);
        validations.remove(&self.sender, self.bytes);
    }
}
