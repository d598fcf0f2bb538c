//! Asynchronous validation: awaits the application's verdict on the arbiter of the topic or the supervisor, and sends
//! it back to that actor. At most `bounds.max_validating` verdicts of topics are awaited, on messages of at most
//! `bounds.max_validating_bytes`, of which each peer has its share, and each for at most `bounds.validation_timeout`.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::messages::TopicItem;
use crate::{
    actors::{
        arbiter::mailbox::TopicAddr, inbox::BusyGuard, shared::Shared, supervisor::messages::SupervisorItem,
    },
    limits::Bounds,
    network::{BatchVerdicts, BoxFuture, Delivery, Network, Validity},
    protocol::{exchange::Validation, peers::dispatch::align_verdicts, shares::Room},
    timestamp::Timestamp,
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

/// Awaits the verdicts on a batch and sends them to the supervisor, those that come one by one when they are there. Must be
/// called on an arbiter.
pub(in crate::actors) fn start_batch<N: Network>(
    batch: Vec<Delivery<N>>,
    verdicts: BatchVerdicts,
    shared: &Arc<Shared<N>>,
) {
    let shared = Arc::clone(shared);
    let busy = BusyGuard::new(&shared.busy_count);
    actix_rt::spawn(async move {
        // The supervisor is closed if the engine has ended.
        let send = |verdicts| drop(shared.supervisor.push(SupervisorItem::BatchVerdicts(verdicts)));
        match verdicts {
            BatchVerdicts::Together(verdicts) => {
                let verdicts = within_time(verdicts, batch.len(), &shared).await;
                send(align_verdicts(batch, verdicts));
            }
            BatchVerdicts::Each(verdicts) if verdicts.len() == batch.len() => {
                each_within_time(batch, verdicts, &shared, send).await;
            }
            BatchVerdicts::Each(_) => send(align_verdicts(batch, Some(Vec::new()))),
        }
        drop(busy);
    });
}

/// Awaits the verdict on each message of a batch, and sends those that have ended, sorted as the batch is.
async fn each_within_time<N: Network>(
    batch: Vec<Delivery<N>>,
    verdicts: Vec<BoxFuture<Validity>>,
    shared: &Shared<N>,
    send: impl Fn(Vec<(Delivery<N>, Option<Validity>)>),
) {
    let started = shared.now();
    let time_is_over = sleep(shared.limits.load().bounds.validation_timeout);
    tokio::pin!(time_is_over);
    // Dropping the set ends its tasks.
    let mut tasks = JoinSet::new();
    let mut waiting: HashMap<_, _> = verdicts
        .into_iter()
        .zip(batch.into_iter().enumerate())
        .map(|(verdict, message)| (tasks.spawn_local(verdict).id(), message))
        .collect();
    let is_running = loop {
        let first = tokio::select! {
            first = tasks.join_next_with_id() => first,
            () = &mut time_is_over => break true,
            _ = shared.wait_for_end() => break false,
        };
        let Some(first) = first else { break true };
        let rest = std::iter::from_fn(|| tasks.try_join_next_with_id());
        let mut ended = Vec::new();
        for result in std::iter::once(first).chain(rest) {
            let (id, verdict) = match result {
                Ok((id, verdict)) => (id, Some(verdict)),
                Err(panicked) => (panicked.id(), None),
            };
            count_ended(verdict, started, shared);
            ended.extend(waiting.remove(&id).map(|message| (message, verdict)));
        }
        send(sorted(ended));
    };
    if is_running && !waiting.is_empty() {
        shared.metrics.validations_timed_out(waiting.len());
        send(sorted(waiting.into_values().map(|message| (message, None)).collect()));
    }
}

/// Counts a validation that has given its verdict or panicked.
fn count_ended<N: Network>(verdict: Option<Validity>, started: Timestamp, shared: &Shared<N>) {
    if verdict.is_some() {
        shared.metrics.validated(shared.now().saturating_since(started));
    } else {
        shared.metrics.hook_panicked();
        shared.metrics.validations_panicked(1);
    }
}

/// Sorts messages by their place in the batch.
fn sorted<N: Network>(
    mut ended: Vec<((usize, Delivery<N>), Option<Validity>)>,
) -> Vec<(Delivery<N>, Option<Validity>)> {
    ended.sort_unstable_by_key(|((index, _), _)| *index);
    ended.into_iter().map(|((_, delivery), verdict)| (delivery, verdict)).collect()
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
