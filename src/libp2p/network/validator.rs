//! The validators of a [`Libp2pNetwork`]: one for all topics, and those of single topics. They can be replaced while the
//! engine runs.

use std::{collections::HashMap, io, sync::Arc};

use ::libp2p::PeerId;
use futures::FutureExt;

use super::{Libp2pNetwork, blocking_pool::BlockingPool};
use crate::{
    libp2p::{
        ids::{MessageId, TopicName},
        message::Message,
    },
    network::{self, BatchVerdicts, BoxFuture, Delivery, LateVerdict, Validity},
};

pub(super) type SyncValidator = dyn Fn(&Delivery<Libp2pNetwork>) -> Validity + Send + Sync;
type AsyncValidator = dyn Fn(Delivery<Libp2pNetwork>) -> BoxFuture<Validity> + Send + Sync;

/// The messages that wait for a verdict of the application ([`Libp2pNetwork::unvalidated`]).
pub type Unvalidated = network::Unvalidated<Libp2pNetwork>;
/// A message that waits for a verdict of the application.
pub type UnvalidatedMessage = network::UnvalidatedMessage<Libp2pNetwork>;

/// How messages are validated that keep the signature policy. A validator is given the message with its topic, its sender and
/// its co-senders so far, and its verdict is a [`Validity`]: accept, reject, ignore, or unknown. Clones are the same
/// validator: topics that share one share its threads.
///
/// ```
/// use actix_gossipsub::{
///     Validity,
///     libp2p::{Libp2pNetwork, SignaturePolicy, Validator},
/// };
///
/// let network = Libp2pNetwork::builder(SignaturePolicy::StrictNoSign)
///     .validator(|delivery| if delivery.message.message.data().is_empty() { Validity::Invalid } else { Validity::Valid })
///     .topic_validator("proofs".into(), Validator::blocking(2, 64, |_| Validity::Valid)?)
///     .build();
/// // While the engine runs:
/// network.set_validator(Some("old".into()), Validator::new(|_| Validity::Outdated));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Validator(Kind);

#[derive(Clone)]
enum Kind {
    Synchronous(Arc<SyncValidator>),
    Asynchronous(Arc<AsyncValidator>),
    Blocking(Arc<BlockingPool>),
    Manual,
}

impl Validator {
    /// A function that is called on the engine's threads and must not block.
    pub fn new(f: impl Fn(&Delivery<Libp2pNetwork>) -> Validity + Send + Sync + 'static) -> Self {
        Self(Kind::Synchronous(Arc::new(f)))
    }

    /// A function whose future gives the verdict. Both run on the engine's threads and must not block;
    /// [`Network::validate_async`](crate::Network::validate_async) has the limits.
    pub fn asynchronous<F>(f: impl Fn(Delivery<Libp2pNetwork>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Validity> + Send + 'static,
    {
        Self(Kind::Asynchronous(Arc::new(move |delivery| Box::pin(f(delivery)))))
    }

    /// A function that may take long, such as a check of signatures. It runs on `threads` own threads, at least one, for as
    /// long as the validator is in use.
    ///
    /// `queue` messages wait for one of the threads, so that these have work while the engine's threads are busy. Further
    /// messages are not dropped: they wait in the engine as validations in progress, in the order of their arrival, but the
    /// peers that sent them take turns: one with many does not delay the others. So
    /// `bounds.max_validating` and the limits beside it bound them all: what exceeds these, or takes longer than
    /// `bounds.validation_timeout`, is dropped and counted in `gossipsub_validations_dropped_total`. A message that was
    /// dropped before its turn is not validated.
    ///
    /// # Errors
    /// A thread can't be started.
    pub fn blocking(
        threads: usize,
        queue: usize,
        f: impl Fn(&Delivery<Libp2pNetwork>) -> Validity + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Ok(Self(Kind::Blocking(Arc::new(BlockingPool::start(threads, queue, Arc::new(f))?))))
    }

    /// The application reads the messages from [`Libp2pNetwork::unvalidated`] and gives each verdict by
    /// [`Libp2pNetwork::report_validation`].
    pub fn manual() -> Self {
        Self(Kind::Manual)
    }

    /// The verdict, if it is given at once. A [`Node`](crate::protocol::Node) and a message whose validator is replaced in
    /// this moment get no other: without a future the verdict is unknown, and the message is tried again.
    fn validate_now(&self, delivery: &Delivery<Libp2pNetwork>) -> Validity {
        match &self.0 {
            Kind::Synchronous(f) => f(delivery),
            Kind::Blocking(pool) => pool.validate_here(delivery),
            Kind::Asynchronous(_) | Kind::Manual => Validity::Unknown,
        }
    }
}

/// The validators of a network.
#[derive(Clone)]
pub(super) struct Validators {
    default: Validator,
    topics: HashMap<TopicName, Validator>,
}

impl Default for Validators {
    fn default() -> Self {
        Self { default: Validator::new(|_| Validity::Valid), topics: HashMap::new() }
    }
}

impl Validators {
    /// Sets the validator of a topic, or of all topics without one of their own.
    pub(super) fn set(&mut self, topic: Option<TopicName>, validator: Validator) {
        match topic {
            Some(topic) => drop(self.topics.insert(topic, validator)),
            None => self.default = validator,
        }
    }

    fn of(&self, topic: &TopicName) -> &Validator {
        if self.topics.is_empty() { &self.default } else { self.topics.get(topic).unwrap_or(&self.default) }
    }
}

impl Libp2pNetwork {
    /// Replaces the validator of `topic`, or with `None` that of all topics that have none of their own. Messages that arrive
    /// later are validated by the new one. Validations in progress go on.
    pub fn set_validator(&self, topic: Option<TopicName>, validator: Validator) {
        self.change_validators(|validators| validators.set(topic.clone(), validator.clone()));
    }

    /// Removes the validator of a topic: that of all topics validates its messages from now on.
    pub fn remove_topic_validator(&self, topic: &TopicName) {
        self.change_validators(|validators| drop(validators.topics.remove(topic)));
    }

    fn change_validators(&self, change: impl Fn(&mut Validators)) {
        self.hooks.validators.rcu(|validators| {
            let mut changed = Validators::clone(validators);
            change(&mut changed);
            changed
        });
    }

    /// The messages that wait for a verdict of the application, at the first call; then `None`. There are only some with
    /// [`manual_validation`](super::Libp2pNetworkBuilder::manual_validation) or [`Validator::manual`]. They are bounded as all
    /// validations in progress; those that nobody reads time out.
    pub fn unvalidated(&self) -> Option<Unvalidated> {
        self.hooks.manual_validation.unvalidated()
    }

    /// Gives the verdict on a message of [`unvalidated`](Self::unvalidated). [`Validity::Unknown`] parks the message: it
    /// comes again.
    ///
    /// # Errors
    /// The verdict is not used: it comes after `bounds.validation_timeout`, the message has one already, or no such message
    /// of this peer waits for one. Nothing is forwarded, and no peer is penalised. See
    /// [`ManualValidation::report`](crate::ManualValidation::report).
    pub fn report_validation(
        &self,
        message_id: &MessageId,
        propagation_source: &PeerId,
        verdict: Validity,
    ) -> Result<(), LateVerdict> {
        self.hooks.manual_validation.report(message_id, propagation_source, verdict)
    }

    /// The verdict of the signature policy, or of a validator that gives it at once.
    pub(super) fn verdict_now(&self, delivery: &Delivery<Self>) -> Validity {
        let message = &delivery.message.message;
        if message.signature_error().is_some() || !self.decodes(&delivery.message) {
            return Validity::Invalid;
        }
        if self.is_replay(message) {
            return Validity::Outdated;
        }
        let verdict = self.hooks.validators.load().of(&delivery.message.topic).validate_now(delivery);
        match &self.hooks.replays {
            Some(replays) => replays.settle(message, verdict),
            None => verdict,
        }
    }

    fn is_replay(&self, message: &Message) -> bool {
        self.hooks.replays.as_ref().is_some_and(|replays| replays.is_replay(message))
    }

    /// The verdict of a validator that gives it later. `None` if it gives it at once.
    pub(super) fn verdict_later(&self, delivery: &Delivery<Self>) -> Option<BoxFuture<Validity>> {
        let message = &delivery.message.message;
        let validators = self.hooks.validators.load();
        let validator = validators.of(&delivery.message.topic);
        if message.signature_error().is_some() || self.is_replay(message) {
            return None;
        }
        // A message that has a verdict at once is decoded there.
        let is_given_later = !matches!(validator.0, Kind::Synchronous(_));
        if is_given_later && !self.decodes(&delivery.message) {
            return None;
        }
        let verdict = match &validator.0 {
            Kind::Synchronous(_) => return None,
            Kind::Asynchronous(f) => f(delivery.clone()),
            Kind::Blocking(pool) => pool.validate(delivery.clone()),
            Kind::Manual => self.hooks.manual_validation.validate(self, delivery),
        };
        Some(match &self.hooks.replays {
            Some(replays) => {
                let (replays, message) = (Arc::clone(replays), message.clone());
                Box::pin(verdict.map(move |verdict| replays.settle(&message, verdict)))
            }
            None => verdict,
        })
    }

    /// The verdicts on a batch. `None` if all are given at once.
    pub(super) fn verdicts_later(&self, batch: &[Delivery<Self>]) -> Option<BatchVerdicts> {
        let verdicts: Vec<_> = batch.iter().map(|delivery| self.verdict_later(delivery)).collect();
        if verdicts.iter().all(Option::is_none) {
            return None;
        }
        let each = batch.iter().zip(verdicts).map(|(delivery, verdict)| {
            verdict.unwrap_or_else(|| {
                let (network, delivery) = (self.clone(), delivery.clone());
                // Here it may panic as a future may.
                Box::pin(async move { network.verdict_now(&delivery) })
            })
        });
        Some(BatchVerdicts::Each(each.collect()))
    }
}
