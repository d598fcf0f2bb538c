//! Verdicts that the application gives later, by message id and propagation source. Any [`Network`] can embed a
//! [`ManualValidation`] and call it in [`Network::validate_async`].

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use derive_where::derive_where;
use foldhash::fast::RandomState;
use futures_core::Stream;
use tokio::sync::oneshot;

use super::{BoxFuture, Delivery, FullMessage, Network, Validity};

/// The number of ended validations that are remembered, so that an error says why a verdict is late.
const MAX_ENDED: usize = 8192;
/// The bytes that they take at most.
const MAX_ENDED_BYTES: usize = 1024 * 1024;

/// Messages that wait for a verdict of the application. Clones share them.
///
/// The engine bounds them as all asynchronous validations: by
/// [`max_validating_per_topic`](crate::limits::Bounds::max_validating_per_topic),
/// [`max_validating`](crate::limits::Bounds::max_validating), the limits in bytes beside these, and
/// [`validation_timeout`](crate::limits::Bounds::validation_timeout). A message leaves when the engine gives it up. Besides
/// these, 8,192 ended validations are remembered, of at most 1 MiB.
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
/// validation.report(&received.message.message_id, &received.propagation_source, Validity::Valid)?;
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
    /// The peer that delivered the message first. The verdict is reported by it and the message's id.
    pub propagation_source: N::Peer,
    /// The message.
    pub message: Arc<FullMessage<N>>,
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
    /// No message with this id waits for a verdict that this peer delivered first, and none did lately.
    #[error("no such message waits for a verdict")]
    UnknownMessage,
}

struct Shared<N: Network>(Mutex<State<N>>);

struct State<N: Network> {
    /// The number of the next message.
    next: u64,
    /// The messages that the stream has not read, by number.
    unread: BTreeMap<u64, UnvalidatedMessage<N>>,
    /// All messages that wait, by id. Several contents may have one id.
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
        let message = UnvalidatedMessage {
            propagation_source: delivery.sender.clone(),
            message: Arc::clone(&delivery.message),
        };
        Box::pin(async move {
            let message_id = message.message.message_id.clone();
            let (sender, verdict) = oneshot::channel();
            let number = shared.add(message, id_bytes, sender);
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

    /// Gives the verdict on a message. `propagation_source` is the peer of its [`UnvalidatedMessage`]. Of several messages with
    /// this id and source, of two topics for instance, it is the verdict on the one that came first.
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
        let Some(pending) = self.0.lock().take_pending(message_id, propagation_source)? else {
            return Err(LateVerdict::UnknownMessage);
        };
        pending.verdict.send(verdict).map_err(|_| LateVerdict::TimedOut)
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
    /// What the lock protects is whole when a key's code panics: at worst a message times out.
    fn lock(&self) -> MutexGuard<'_, State<N>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message and wakes the reader of the stream. Returns the message's number.
    fn add(
        &self,
        message: UnvalidatedMessage<N>,
        id_bytes: usize,
        verdict: oneshot::Sender<Validity>,
    ) -> u64 {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        let propagation_source = message.propagation_source.clone();
        let pending = PendingVerdict { number, propagation_source, verdict, id_bytes };
        state.pending.entry(message.message.message_id.clone()).or_default().push(pending);
        state.unread.insert(number, message);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        number
    }
}

impl<N: Network> State<N> {
    /// Removes a message that gets its verdict. `None` if it is not known.
    fn take_pending(
        &mut self,
        message_id: &N::MessageId,
        propagation_source: &N::Peer,
    ) -> Result<Option<PendingVerdict<N>>, LateVerdict> {
        let found = self.remove(message_id, |pending| pending.propagation_source == *propagation_source);
        if let Some(pending) = found {
            let key = (message_id.clone(), propagation_source.clone());
            self.ended.insert(key, LateVerdict::AlreadyDecided, pending.id_bytes);
            self.unread.remove(&pending.number);
            return Ok(Some(pending));
        }
        self.ended.get(message_id, propagation_source).map_or(Ok(None), Err)
    }

    /// Removes a message that the engine has given up. Only one that was read can get a verdict too late.
    fn give_up(&mut self, message_id: &N::MessageId, number: u64) {
        let was_read = self.unread.remove(&number).is_none();
        let found = self.remove(message_id, |pending| pending.number == number);
        if let Some(pending) = found.filter(|_| was_read) {
            let key = (message_id.clone(), pending.propagation_source);
            self.ended.insert(key, LateVerdict::TimedOut, pending.id_bytes);
        }
    }

    fn remove(
        &mut self,
        message_id: &N::MessageId,
        is_wanted: impl FnMut(&PendingVerdict<N>) -> bool,
    ) -> Option<PendingVerdict<N>> {
        let same_id = self.pending.get_mut(message_id)?;
        let found = same_id.remove(same_id.iter().position(is_wanted)?);
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
        self.shared.lock().give_up(&self.message_id, self.number);
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

type Key<N> = (<N as Network>::MessageId, <N as Network>::Peer);

/// The validations that ended lately, the oldest first.
#[derive_where(Default)]
struct EndedValidations<N: Network> {
    /// How each ended, and the number of its last end.
    ends: HashMap<Key<N>, (LateVerdict, u64), RandomState>,
    /// The ends in their order, each with its number and its bytes.
    order: VecDeque<(Key<N>, u64, usize)>,
    next: u64,
    bytes: usize,
}

impl<N: Network> EndedValidations<N> {
    /// The approximate bytes of an entry, without those that its id owns on the heap.
    const ENTRY: usize = 2 * (size_of::<(Key<N>, u64, usize)>() + size_of::<(Key<N>, (LateVerdict, u64))>());

    fn insert(&mut self, key: Key<N>, end: LateVerdict, id_bytes: usize) {
        let bytes = Self::ENTRY + 2 * id_bytes;
        self.next += 1;
        self.bytes += bytes;
        self.ends.insert(key.clone(), (end, self.next));
        self.order.push_back((key, self.next, bytes));
        while (self.order.len() > MAX_ENDED || self.bytes > MAX_ENDED_BYTES)
            && let Some((key, number, bytes)) = self.order.pop_front()
        {
            self.bytes -= bytes;
            if self.ends.get(&key).is_some_and(|(_, last)| *last == number) {
                self.ends.remove(&key);
            }
        }
    }

    fn get(&self, message_id: &N::MessageId, peer: &N::Peer) -> Option<LateVerdict> {
        self.ends.get(&(message_id.clone(), peer.clone())).map(|(end, _)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain::{PlainId, PlainNetwork};

    #[test]
    fn ended_validations_are_bounded_in_items_and_in_bytes() {
        let mut ended = EndedValidations::<PlainNetwork>::default();
        let key = |number| (PlainId { number, topic: String::new() }, 1);
        for number in 0..2 * MAX_ENDED as u64 {
            ended.insert(key(number), LateVerdict::TimedOut, 1);
            ended.insert(key(0), LateVerdict::AlreadyDecided, 1);
        }
        assert!(ended.order.len() <= MAX_ENDED && ended.ends.len() <= ended.order.len());
        assert!(ended.bytes <= MAX_ENDED_BYTES);
        let end = |number| ended.get(&key(number).0, &1);
        assert_eq!(end(0), Some(LateVerdict::AlreadyDecided), "its last end counts");
        assert_eq!(end(1), None);
        assert_eq!(end(2 * MAX_ENDED as u64 - 1), Some(LateVerdict::TimedOut));
        // One id that takes all bytes.
        ended.insert(key(1), LateVerdict::TimedOut, MAX_ENDED_BYTES);
        assert_eq!((ended.ends.len(), ended.order.len(), ended.bytes), (0, 0, 0));
    }
}
