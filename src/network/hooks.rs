//! Calls the hooks of a [`Network`] so that a panic of a hook has a safe result in place of ending what called it.

use std::{
    any::Any,
    mem::size_of_val,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use derive_where::derive_where;

use super::{BatchVerdicts, BoxFuture, Delivery, FullMessage, Network, PeerAction, TransportStats, Validity};
use crate::timestamp::Timestamp;

/// A part of the application's code that the engine calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    TopicOf,
    ValidateId,
    Validate,
    ValidateAsync,
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
    #[cfg(feature = "http")]
    RefuseTopic,
    PersistentPoints,
    Observer,
    InputRecorder,
}

impl Hook {
    /// The name of the function.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TopicOf => "topic_of",
            Self::ValidateId => "validate_id",
            Self::Validate => "validate",
            Self::ValidateAsync => "validate_async",
            Self::ValidateBatch => "validate_batch",
            Self::ValidateBatchAsync => "validate_batch_async",
            Self::MessageSize => "message_size",
            Self::EncodedSize => "encoded_size",
            Self::MessageIdSize => "message_id_size",
            Self::TopicSize => "topic_size",
            Self::Source => "source",
            Self::RefusesSource => "refuses_source",
            Self::ExpiresAt => "expires_at",
            Self::IsViolation => "is_violation",
            Self::PeerFilter => "peer_filter",
            Self::ReachablePoint => "reachable_point",
            Self::TransportStats => "transport_stats",
            Self::TopicLabel => "topic_label",
            Self::TopicName => "topic_name",
            #[cfg(feature = "http")]
            Self::RefuseTopic => "refuse_topic",
            Self::PersistentPoints => "persistent_points",
            Self::Observer => "observer",
            Self::InputRecorder => "input_recorder",
        }
    }
}

/// A hook panicked, and there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HookPanicked;

/// The hooks of a network. Each method calls the hook of its name; [`Network`] documents the result if it panics.
#[derive_where(Clone)]
pub(crate) struct Hooks<N: Network> {
    network: Arc<N>,
    /// Called after each panic of a hook.
    on_panic: Arc<dyn Fn(Hook) + Send + Sync>,
}

impl<N: Network> Hooks<N> {
    pub(crate) fn new(network: Arc<N>, on_panic: impl Fn(Hook) + Send + Sync + 'static) -> Self {
        Self { network, on_panic: Arc::new(on_panic) }
    }

    /// The network, for what is not a hook.
    pub(crate) fn network(&self) -> &Arc<N> {
        &self.network
    }

    pub(crate) fn topic_of(&self, id: &N::MessageId) -> Option<N::Topic> {
        self.call(Hook::TopicOf, |network| network.topic_of(id)).ok().flatten()
    }

    pub(crate) fn validate_id(&self, id: &N::MessageId) -> Validity {
        self.call(Hook::ValidateId, |network| network.validate_id(id)).unwrap_or(Validity::Outdated)
    }

    pub(crate) fn validate(&self, delivery: &Delivery<N>) -> Result<Validity, HookPanicked> {
        self.call(Hook::Validate, |network| network.validate(delivery))
    }

    pub(crate) fn validate_async(
        &self,
        delivery: &Delivery<N>,
    ) -> Result<Option<BoxFuture<Validity>>, HookPanicked> {
        self.call(Hook::ValidateAsync, |network| network.validate_async(delivery))
    }

    pub(crate) fn validate_batch(&self, batch: &[Delivery<N>]) -> Result<Vec<Validity>, HookPanicked> {
        self.call(Hook::ValidateBatch, |network| network.validate_batch(batch))
    }

    pub(crate) fn validate_batch_async(
        &self,
        batch: &[Delivery<N>],
    ) -> Result<Option<BatchVerdicts>, HookPanicked> {
        self.call(Hook::ValidateBatchAsync, |network| network.validate_batch_async(batch))
    }

    /// Drops a future of [`validate_async`](Self::validate_async) that is not polled.
    pub(crate) fn discard(&self, verdict: BoxFuture<Validity>) {
        // There is no other result than that the future is dropped.
        let _ = self.contain(Hook::ValidateAsync, || drop(verdict));
    }

    #[inline]
    pub(crate) fn message_size(&self, message: &N::Message) -> usize {
        let size = self.call(Hook::MessageSize, |network| network.message_size(message));
        size.unwrap_or(size_of_val(message))
    }

    pub(crate) fn encoded_size(&self, message: &FullMessage<N>) -> usize {
        self.call(Hook::EncodedSize, |network| network.encoded_size(message)).unwrap_or(0)
    }

    #[inline]
    pub(crate) fn message_id_size(&self, id: &N::MessageId) -> usize {
        self.call(Hook::MessageIdSize, |network| network.message_id_size(id)).unwrap_or(size_of_val(id))
    }

    pub(crate) fn topic_size(&self, topic: &N::Topic) -> usize {
        self.call(Hook::TopicSize, |network| network.topic_size(topic)).unwrap_or(size_of_val(topic))
    }

    pub(crate) fn source(&self, message: &N::Message) -> Option<N::Peer> {
        self.call(Hook::Source, |network| network.source(message)).ok().flatten()
    }

    #[inline]
    pub(crate) fn refuses_source(&self, message: &N::Message) -> bool {
        self.call(Hook::RefusesSource, |network| network.refuses_source(message)).unwrap_or(true)
    }

    #[inline]
    pub(crate) fn expires_at(&self, message: &FullMessage<N>, now: Timestamp) -> Option<Timestamp> {
        self.call(Hook::ExpiresAt, |network| network.expires_at(message, now)).ok().flatten()
    }

    pub(crate) fn is_violation(&self, message: &N::Message) -> bool {
        self.call(Hook::IsViolation, |network| network.is_violation(message)).unwrap_or(false)
    }

    pub(crate) fn peer_filter(&self, peer: &N::Peer, action: PeerAction<'_, N>) -> bool {
        self.call(Hook::PeerFilter, |network| network.peer_filter(peer, action)).unwrap_or(false)
    }

    pub(crate) fn reachable_point(&self, peer: &N::Peer) -> Option<N::Point> {
        self.call(Hook::ReachablePoint, |network| network.reachable_point(peer)).ok().flatten()
    }

    pub(crate) fn transport_stats(&self) -> Result<TransportStats, HookPanicked> {
        self.call(Hook::TransportStats, N::transport_stats)
    }

    pub(crate) fn topic_label(&self, topic: &N::Topic) -> Result<String, HookPanicked> {
        self.call(Hook::TopicLabel, |network| network.topic_label(topic))
    }

    pub(crate) fn topic_name(&self, topic: &N::Topic) -> String {
        self.call(Hook::TopicName, |network| network.topic_name(topic)).unwrap_or_default()
    }

    #[cfg(feature = "http")]
    pub(crate) fn refuse_topic(&self, topic: &N::Topic) -> Option<String> {
        self.call(Hook::RefuseTopic, |network| network.refuse_topic(topic)).ok().flatten()
    }

    pub(crate) fn persistent_points(&self) -> Vec<N::Point> {
        self.call(Hook::PersistentPoints, N::persistent_points).unwrap_or_default()
    }

    #[inline(always)]
    fn call<T>(&self, hook: Hook, run: impl FnOnce(&N) -> T) -> Result<T, HookPanicked> {
        self.contain(hook, || run(&self.network))
    }

    /// Runs code of the application.
    #[inline(always)]
    pub(crate) fn contain<T>(&self, hook: Hook, run: impl FnOnce() -> T) -> Result<T, HookPanicked> {
        // The code gets shared references to values of the engine only, so that it cannot leave them half changed.
        catch_unwind(AssertUnwindSafe(run)).map_err(|payload| self.panicked(hook, payload))
    }

    #[cold]
    #[inline(never)]
    fn panicked(&self, hook: Hook, payload: Box<dyn Any + Send>) -> HookPanicked {
        drop_panic(payload);
        (self.on_panic)(hook);
        HookPanicked
    }
}

/// Returns `None` if `run` panicked. The caller uses nothing any more that a panic can leave half changed.
pub(crate) fn catch_panic<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).map_err(drop_panic).ok()
}

/// Drops the payload of a panic. It may be a value of the application whose destructor panics too.
pub(crate) fn drop_panic(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}
