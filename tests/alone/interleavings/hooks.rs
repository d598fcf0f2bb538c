//! The hooks of the application: a panic in one of them, and the verdicts that the engine awaits.

use std::sync::{Mutex, MutexGuard};

use actix_gossipsub::BoxFuture;
use strum::VariantArray;
use tokio::sync::oneshot;

use super::{
    network::{Id, copies},
    random::Random,
};

/// The hooks in which a schedule injects a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
pub enum Hook {
    TopicOf,
    ValidateId,
    Validate,
    ValidateAsync,
    /// The future that an asynchronous validation returned.
    Verdict,
    ValidateBatch,
    ValidateBatchAsync,
    MessageSize,
    EncodedSize,
    MessageIdSize,
    TopicSize,
    Source,
    RefusesSource,
    ExpiresAt,
    IsViolation,
    PeerFilter,
    ReachablePoint,
    TransportStats,
    TopicLabel,
    TopicName,
    PersistentPoints,
    Observer,
}

/// A verdict that the engine awaits: of one message or of a batch.
pub struct Awaited {
    pub ids: Vec<Id>,
    sender: oneshot::Sender<bool>,
}

/// What the network and the schedule share.
#[derive(Default)]
pub struct Hooks {
    state: Mutex<HookState>,
}

#[derive(Default)]
struct HookState {
    awaited: Vec<Awaited>,
    armed: Option<Hook>,
    /// The panics: the hook and the messages that it was called with.
    injected: Vec<(Hook, Vec<Id>)>,
    batches: Vec<Vec<Id>>,
}

impl Hooks {
    fn lock(&self) -> MutexGuard<'_, HookState> {
        self.state.lock().expect("no hook panics while it has the lock")
    }

    /// The next call of this hook panics, by an actor or by an input.
    pub fn arm(&self, hook: Option<Hook>) {
        self.lock().armed = hook;
    }

    /// The panics since the last call.
    pub fn take_injected(&self) -> Vec<(Hook, Vec<Id>)> {
        std::mem::take(&mut self.lock().injected)
    }

    /// The validation of a batch starts.
    pub fn on_batch(&self, ids: &[Id]) {
        self.lock().batches.push(copies(ids));
    }

    /// The batches whose validation started since the last call, in order.
    pub fn take_batches(&self) -> Vec<Vec<Id>> {
        std::mem::take(&mut self.lock().batches)
    }

    /// The number of verdicts that the engine awaits.
    pub fn awaited(&self) -> usize {
        let mut state = self.lock();
        state.awaited.retain(|awaited| !awaited.sender.is_closed());
        state.awaited.len()
    }

    /// Takes any of the awaited verdicts.
    pub fn take_awaited(&self, random: &mut Random) -> Option<Awaited> {
        let count = self.awaited();
        (count > 0).then(|| self.lock().awaited.swap_remove(random.below(count)))
    }

    /// All messages whose verdict the engine awaits.
    pub fn awaited_ids(&self) -> Vec<Id> {
        self.lock().awaited.iter().flat_map(|awaited| awaited.ids.clone()).collect()
    }

    /// Gives an awaited verdict. Returns false if the validation panics instead.
    pub fn resolve(&self, awaited: Awaited) -> bool {
        let panics = self.is_armed(Hook::Verdict, || copies(&awaited.ids));
        // The engine may have dropped the validation.
        let _ = awaited.sender.send(!panics);
        !panics
    }

    fn is_armed(&self, hook: Hook, ids: impl FnOnce() -> Vec<Id>) -> bool {
        let mut state = self.lock();
        let is_armed = state.armed == Some(hook);
        if is_armed {
            state.armed = None;
            state.injected.push((hook, ids()));
        }
        is_armed
    }

    pub fn call(&self, hook: Hook, ids: &[Id]) {
        if self.is_armed(hook, || copies(ids)) {
            inject();
        }
    }

    /// As [`call`](Self::call), for a hook that loses the message with this content.
    pub fn call_of_content(&self, hook: Hook, content: &str) {
        if self.is_armed(hook, || vec![id_in(content)]) {
            inject();
        }
    }

    pub fn awaits<T: Send + 'static>(
        &self,
        ids: Vec<Id>,
        verdict: impl FnOnce(&[Id]) -> T + Send + 'static,
    ) -> BoxFuture<T> {
        let (sender, answer) = oneshot::channel();
        self.lock().awaited.push(Awaited { ids: copies(&ids), sender });
        Box::pin(async move {
            match answer.await {
                Ok(true) => verdict(&ids),
                // A schedule that ends drops its verdicts.
                _ => inject(),
            }
        })
    }
}

/// Panics without a message on stderr.
pub fn inject() -> ! {
    std::panic::resume_unwind(Box::new("a panic that a schedule injects"))
}

/// The id of the [`message`](super::network::message) with this content.
fn id_in(content: &str) -> Id {
    let (number, topic) = content.split_once(' ').expect("a content has two parts");
    Id { number: number.parse().expect("the first part is a number"), topic: topic.to_owned() }
}
