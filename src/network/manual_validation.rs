//! Verdicts that the application gives later, by message id and propagation source. Any [`Network`] can embed a
//! [`ManualValidation`] and call it in [`Network::validate_async`].

use std::{
    collections::{BTreeMap, HashMap},
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use derive_where::derive_where;
use foldhash::fast::RandomState;
use futures_core::Stream;
use tokio::sync::oneshot;

use super::{BoxFuture, Delivery, FullMessage, Network, Validity, ended_validations::EndedValidations};

/// Messages that wait for a verdict of the application. Clones share them.
///
/// The engine bounds them as all asynchronous validations: by
/// [`max_validating_per_topic`](crate::limits::Bounds::max_validating_per_topic),
/// [`max_validating`](crate::limits::Bounds::max_validating), the limits in bytes beside these, and
/// [`validation_timeout`](crate::limits::Bounds::validation_timeout). A message leaves when the engine gives it up. Besides
/// these, 8,192 ended validations are remembered, of at most 1 MiB.
///
/// A peer can deliver several contents with one id. Of those with the same id and propagation source one is offered at a time:
/// the next one when the validation of the one before has ended.
///
/// ```
/// # use actix_gossipsub::{Limits, LimitsConfig, ManualValidation, P2pInput, P2pMessage, Started, Validity, Worker, plain::PlainNetwork};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> { actix::System::new().block_on(async {
/// # let limits = Limits::try_from(LimitsConfig::default())?;
/// let validation = ManualValidation::new();
/// let mut unvalidated = validation.unvalidated().expect("nobody has taken it");
/// let network = PlainNetwork::with_manual_validation(validation.clone());
/// let Started { worker, mut app, .. } = Worker::builder(network, limits).start(["news".to_owned()])?;
/// let message = PlainNetwork::message("news", 1, "is this true?");
/// worker.p2p_input(P2pInput::message(7, P2pMessage::FullMessage(message.into())))?;
///
/// let received = unvalidated.recv().await.expect("the network exists");
/// assert_eq!(received.propagation_source, 7);
/// received.report(Validity::Valid)?;
/// assert_eq!(app.recv().await.expect("the engine runs").message, "is this true?");
/// # worker.shutdown().await;
/// # Ok(()) }) }
/// ```
#[derive_where(Clone)]
pub struct ManualValidation<N: Network>(Arc<Shared<N>>);

/// The messages that wait for a verdict, in the order of their arrival, each once: a stream. A message that the engine gives
/// up before it is read is left out. The stream ends when no [`ManualValidation`] and no network with one exists.
pub struct Unvalidated<N: Network>(Weak<Shared<N>>);

/// A message that waits for a verdict.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub struct UnvalidatedMessage<N: Network> {
    /// The peer that delivered the message first.
    pub propagation_source: N::Peer,
    /// The message.
    pub message: Arc<FullMessage<N>>,
    /// Where the verdict is reported.
    #[derive_where(skip(Debug, EqHashOrd))]
    origin: Arc<Origin<N>>,
}

/// The validation of a message, for those who have read it.
struct Origin<N: Network> {
    shared: Weak<Shared<N>>,
    number: u64,
    /// It has a verdict.
    is_decided: AtomicBool,
}

impl<N: Network> UnvalidatedMessage<N> {
    /// Gives the verdict on exactly this message, also if others have its id and source. `Ok` means the same as that of
    /// [`ManualValidation::report`].
    ///
    /// # Errors
    /// The verdict is late, or the message has one already.
    pub fn report(&self, verdict: Validity) -> Result<(), LateVerdict> {
        let late = || {
            let is_decided = self.origin.is_decided.load(Ordering::Acquire);
            if is_decided { LateVerdict::AlreadyDecided } else { LateVerdict::TimedOut }
        };
        let shared = self.origin.shared.upgrade().ok_or_else(late)?;
        let id = &self.message.message_id;
        let decided = shared.change(|state| state.decide(id, self.origin.number));
        decided.ok_or_else(late)?.send(verdict).map_err(|_| LateVerdict::TimedOut)
    }
}

/// A verdict that the engine doesn't use. No message is forwarded and no peer is penalised because of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum LateVerdict {
    /// The engine gave the message up: its verdict took longer than
    /// [`validation_timeout`](crate::limits::Bounds::validation_timeout), its topic panicked, or the engine ended. If it is
    /// received again, it is validated again.
    #[error("the validation of the message has timed out")]
    TimedOut,
    /// The message has a verdict already.
    #[error("the message has a verdict already")]
    AlreadyDecided,
    /// No message with this id that this peer delivered first was read and waits for a verdict, and none did lately.
    #[error("no such message waits for a verdict")]
    UnknownMessage,
}

struct Shared<N: Network>(Mutex<State<N>>);

struct State<N: Network> {
    /// The number of the next message.
    next: u64,
    /// The messages that the stream has not read, by number.
    unread: BTreeMap<u64, UnvalidatedMessage<N>>,
    /// All messages that wait, by id, each list in the order of their arrival. Several contents may have one id.
    pending: HashMap<N::MessageId, Vec<PendingVerdict<N>>, RandomState>,
    ended: EndedValidations<N>,
    stream_taken: bool,
    /// The reader of the stream.
    waker: Option<Waker>,
}

/// A message that waits for a verdict.
struct PendingVerdict<N: Network> {
    number: u64,
    propagation_source: N::Peer,
    verdict: oneshot::Sender<Validity>,
    id_bytes: usize,
    origin: Arc<Origin<N>>,
    /// The message, while one before it with the same id and source waits for its verdict.
    deferred: Option<UnvalidatedMessage<N>>,
}

impl<N: Network> ManualValidation<N> {
    /// Without messages.
    pub fn new() -> Self {
        Self::default()
    }

    /// The validation of a message: the future completes with the reported verdict. For [`Network::validate_async`], and for
    /// each entry in [`Network::validate_batch_async`]. The message is offered to the stream when the future is polled, so not
    /// if the engine has too many validations in progress. `network` measures the id.
    pub fn validate(&self, network: &N, delivery: &Delivery<N>) -> BoxFuture<Validity> {
        let shared = Arc::clone(&self.0);
        let id_bytes = network.message_id_size(&delivery.message.message_id);
        let (source, message) = (delivery.sender.clone(), Arc::clone(&delivery.message));
        Box::pin(async move {
            let message_id = message.message_id.clone();
            let (sender, verdict) = oneshot::channel();
            let number = shared.add(source, message, id_bytes, sender);
            let _registration = Registration { shared, message_id, number };
            // The sender is dropped without a verdict only after this.
            verdict.await.unwrap_or(Validity::Unknown)
        })
    }

    /// The stream of the messages that wait for a verdict, at the first call; then `None`. Messages that nobody reads time
    /// out.
    pub fn unvalidated(&self) -> Option<Unvalidated<N>> {
        let taken = std::mem::replace(&mut self.0.lock().stream_taken, true);
        (!taken).then(|| Unvalidated(Arc::downgrade(&self.0)))
    }

    /// Gives the verdict on the message with this id that `propagation_source` delivered first, which was read from the
    /// stream. If there are several, only the first of them was offered, and the verdict is on that. An application whose
    /// verdict can be later than [`validation_timeout`](crate::limits::Bounds::validation_timeout) reports it by
    /// [`UnvalidatedMessage::report`]: the next one may have been read meanwhile.
    ///
    /// `Ok` means that the message waited for the verdict. The engine counts what becomes of it: a message whose topic was left
    /// meanwhile is not delivered.
    ///
    /// # Errors
    /// No such message waits for a verdict.
    pub fn report(
        &self,
        message_id: &N::MessageId,
        propagation_source: &N::Peer,
        verdict: Validity,
    ) -> Result<(), LateVerdict> {
        let decided = self.0.change(|state| state.decide_by_source(message_id, propagation_source));
        decided?.send(verdict).map_err(|_| LateVerdict::TimedOut)
    }
}

impl<N: Network> Default for ManualValidation<N> {
    fn default() -> Self {
        Self(Arc::new(Shared(Mutex::new(State {
            next: 0,
            unread: BTreeMap::new(),
            pending: HashMap::default(),
            ended: EndedValidations::default(),
            stream_taken: false,
            waker: None,
        }))))
    }
}

impl<N: Network> Shared<N> {
    /// The state behind the lock stays consistent if a key's code panics: at worst a message times out.
    fn lock(&self) -> MutexGuard<'_, State<N>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes the reader of the stream if there is a message for it.
    fn change<T>(&self, change: impl FnOnce(&mut State<N>) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let waker = if state.unread.is_empty() { None } else { state.waker.take() };
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        result
    }

    /// Adds a message. Returns its number.
    fn add(
        self: &Arc<Self>,
        propagation_source: N::Peer,
        message: Arc<FullMessage<N>>,
        id_bytes: usize,
        verdict: oneshot::Sender<Validity>,
    ) -> u64 {
        self.change(|state| {
            let number = state.next;
            state.next += 1;
            let is_decided = AtomicBool::new(false);
            let origin = Arc::new(Origin { shared: Arc::downgrade(self), number, is_decided });
            let source = propagation_source.clone();
            let same_id = state.pending.entry(message.message_id.clone()).or_default();
            let is_deferred = same_id.iter().any(|pending| pending.propagation_source == source);
            let mut deferred =
                Some(UnvalidatedMessage { propagation_source, message, origin: Arc::clone(&origin) });
            if !is_deferred {
                state.unread.extend(deferred.take().map(|message| (number, message)));
            }
            same_id.push(PendingVerdict {
                number,
                propagation_source: source,
                verdict,
                id_bytes,
                origin,
                deferred,
            });
            number
        })
    }
}

impl<N: Network> State<N> {
    /// Removes the message that gets a verdict by id and source. One that nobody has read gets none: the application means
    /// another one, whose validation has ended.
    fn decide_by_source(
        &mut self,
        message_id: &N::MessageId,
        source: &N::Peer,
    ) -> Result<oneshot::Sender<Validity>, LateVerdict> {
        let same_id = self.pending.get(message_id);
        let offered =
            same_id.and_then(|all| all.iter().find(|pending| pending.propagation_source == *source));
        let number = offered.map(|pending| pending.number).filter(|number| !self.unread.contains_key(number));
        let decided = number.and_then(|number| self.decide(message_id, number));
        decided.ok_or_else(|| self.ended.get(message_id, source).unwrap_or(LateVerdict::UnknownMessage))
    }

    /// Removes a message that gets its verdict. `None` if it does not wait.
    fn decide(&mut self, message_id: &N::MessageId, number: u64) -> Option<oneshot::Sender<Validity>> {
        let pending = self.remove(message_id, number)?;
        pending.origin.is_decided.store(true, Ordering::Release);
        let key = (message_id.clone(), pending.propagation_source);
        self.ended.insert(key, LateVerdict::AlreadyDecided, pending.id_bytes);
        Some(pending.verdict)
    }

    /// Removes a message that the engine has given up. Only one that was read can get a verdict too late.
    fn give_up(&mut self, message_id: &N::MessageId, number: u64) {
        let is_unread = self.unread.remove(&number).is_some();
        let found = self.remove(message_id, number);
        if let Some(pending) = found.filter(|pending| !is_unread && pending.deferred.is_none()) {
            let key = (message_id.clone(), pending.propagation_source);
            self.ended.insert(key, LateVerdict::TimedOut, pending.id_bytes);
        }
    }

    /// Removes a message, and offers the next one with its id and source.
    fn remove(&mut self, message_id: &N::MessageId, number: u64) -> Option<PendingVerdict<N>> {
        let same_id = self.pending.get_mut(message_id)?;
        let found = same_id.remove(same_id.iter().position(|pending| pending.number == number)?);
        let source = &found.propagation_source;
        if found.deferred.is_none()
            && let Some(next) = same_id.iter_mut().find(|pending| pending.propagation_source == *source)
        {
            self.unread.extend(next.deferred.take().map(|message| (next.number, message)));
        }
        if same_id.is_empty() {
            self.pending.remove(message_id);
        }
        Some(found)
    }
}

/// Removes a message when the future of its validation is dropped.
struct Registration<N: Network> {
    shared: Arc<Shared<N>>,
    message_id: N::MessageId,
    number: u64,
}

impl<N: Network> Drop for Registration<N> {
    fn drop(&mut self) {
        self.shared.change(|state| state.give_up(&self.message_id, self.number));
    }
}

impl<N: Network> Unvalidated<N> {
    /// Waits for the next message. `None` when no message can come any more. Cancellation safe.
    pub async fn recv(&mut self) -> Option<UnvalidatedMessage<N>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The next message, if there is one.
    pub fn try_recv(&mut self) -> Option<UnvalidatedMessage<N>> {
        let shared = self.0.upgrade()?;
        let first = shared.lock().unread.pop_first();
        first.map(|(_, message)| message)
    }
}

impl<N: Network> Stream for Unvalidated<N> {
    type Item = UnvalidatedMessage<N>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(shared) = self.0.upgrade() else { return Poll::Ready(None) };
        let mut state = shared.lock();
        match state.unread.pop_first() {
            Some((_, message)) => Poll::Ready(Some(message)),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// The stream ends.
impl<N: Network> Drop for Shared<N> {
    fn drop(&mut self) {
        let state = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.waker.take().into_iter().for_each(Waker::wake);
    }
}
