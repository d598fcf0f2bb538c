//! The network of libp2p peers: the hooks that an application sets, the messages that it publishes, and the `Network`
//! that the engine is started with.

mod authoring;
mod blocking_pool;
mod builder;
mod decoding;
mod fair_permits;
mod known_peers;
mod message_id;
mod replay;
mod subscription_filter;
mod validator;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, SystemTime},
};

use ::libp2p::{Multiaddr, PeerId};
use arc_swap::{ArcSwap, ArcSwapOption};

pub(in crate::libp2p) use self::message_id::{content_digest, default_message_id};
pub use self::{
    authoring::AuthorError,
    builder::Libp2pNetworkBuilder,
    subscription_filter::SubscriptionFilter,
    validator::{Unvalidated, UnvalidatedMessage, Validator},
};
use self::{authoring::start_seqno, replay::ReplayCheck, validator::Validators};
use super::{
    codec::{
        decode::DecodeHooks, encode::encoded_length, entry::RawMessage, limits::WireLimits,
        turn::SignatureCheck,
    },
    ids::{MessageId, TopicName},
    message::{Message, SignatureError},
    signature::{digest::digest, policy::SignaturePolicy},
    state::{TransportState, address_book::without_peer},
    transform::{Message as Decoded, Transform, decode},
};
use crate::{
    limits::TopicPattern,
    network::{
        BatchVerdicts, BoxFuture, Delivery, FullMessage, ManualValidation, Network, PeerAction,
        PeerRecordOutcome, TransportStats, Validity, hooks::catch_panic,
    },
    timestamp::Timestamp,
};

/// Makes the id of a message from its topic and content. All nodes of a network must use the same function. If it panics
/// at a message of a peer, that message is dropped; the connection goes on.
pub type MessageIdFn = dyn Fn(&TopicName, &Message) -> MessageId + Send + Sync;
/// Makes the id of a message from its topic, the message as it was received, and the message after the data transform.
pub(super) type RawMessageIdFn = dyn Fn(&TopicName, &Message, Option<&Decoded>) -> MessageId + Send + Sync;
/// Whether a peer may do an action; see [`Network::peer_filter`]. Called on the engine's threads; must not block.
pub type PeerFilter = dyn Fn(&PeerId, PeerAction<'_, Libp2pNetwork>) -> bool + Send + Sync;

/// When a message expires, if it does. Called on the engine's threads; must not block.
pub(super) type ExpiryFn = dyn Fn(&TopicName, &Message) -> Option<SystemTime> + Send + Sync;

/// Whether a message is refused because of its source. Called on the engine's threads; must not block.
pub(super) type SourceFilter = dyn Fn(&Message) -> bool + Send + Sync;

/// The types, hooks and signature policy of a network of libp2p peers. Clones are the same network: the engine gets
/// one and the [`Behaviour`](super::Behaviour) another.
#[derive(Clone)]
pub struct Libp2pNetwork {
    hooks: Arc<Hooks>,
    /// Written by the behaviour; the engine reads dialled addresses and traffic counters through [`Network`].
    state: Arc<TransportState>,
}

struct Hooks {
    policy: SignaturePolicy,
    limits: WireLimits,
    /// `None`: the default ids.
    message_id: Option<Box<MessageIdFn>>,
    /// The function that is given the decoded message too, where no function above applies.
    raw_message_id: Option<Box<RawMessageIdFn>>,
    /// `None`: the payload is that of the application.
    transform: Option<Transform>,
    /// The functions for the topics that match a pattern, in place of `message_id`. The first that matches applies.
    topic_message_ids: Vec<(TopicPattern, Box<MessageIdFn>)>,
    validators: ArcSwap<Validators>,
    manual_validation: ManualValidation<Libp2pNetwork>,
    /// `None`: sequence numbers are not checked.
    replays: Option<Arc<ReplayCheck>>,
    peer_filter: Box<PeerFilter>,
    /// `None`: the messages of all sources are accepted.
    refuses_source: Option<Box<SourceFilter>>,
    /// `None`: messages do not expire.
    expires_at: Option<Box<ExpiryFn>>,
    /// `None`: peers may subscribe to all topics.
    subscription_filter: ArcSwapOption<SubscriptionFilter>,
    persistent_points: Vec<Multiaddr>,
    default_backoff: Duration,
    /// The sequence number of our next message.
    next_seqno: AtomicU64,
}

impl Libp2pNetwork {
    /// Begins a network with this signature policy.
    ///
    /// By default the id of a signed message is its source and sequence number, that of an anonymous one the SHA-256
    /// of its payload, and that of one whose source is not verified a SHA-256 of source, sequence number, topic and payload,
    /// or of the payload alone if [nothing](super::ValidationMode::None) is verified; every message that keeps the policy is
    /// valid, and peers may do everything.
    pub fn builder(policy: SignaturePolicy) -> Libp2pNetworkBuilder {
        Libp2pNetworkBuilder(Hooks {
            policy,
            limits: WireLimits::default(),
            message_id: None,
            raw_message_id: None,
            transform: None,
            topic_message_ids: Vec::new(),
            validators: ArcSwap::default(),
            manual_validation: ManualValidation::new(),
            replays: None,
            peer_filter: Box::new(|_, _| true),
            refuses_source: None,
            expires_at: None,
            subscription_filter: ArcSwapOption::empty(),
            persistent_points: Vec::new(),
            default_backoff: Duration::from_secs(60),
            next_seqno: AtomicU64::new(start_seqno()),
        })
    }

    /// The id of a message that keeps the signature policy.
    pub fn message_id(&self, topic: &TopicName, message: &Message) -> MessageId {
        let mut of_topics = self.hooks.topic_message_ids.iter();
        let of_topic = of_topics.find(|(pattern, _)| pattern.matches(topic.as_str()));
        if let Some(message_id) =
            of_topic.map(|(_, message_id)| message_id).or(self.hooks.message_id.as_ref())
        {
            return message_id(topic, message);
        }
        match &self.hooks.raw_message_id {
            Some(message_id) => {
                let decoded = decode(self.hooks.transform.as_ref(), Decoded::from_wire(topic, message));
                message_id(topic, message, decoded.ok().as_ref())
            }
            None => default_message_id(self.hooks.policy.mode(), topic, message),
        }
    }

    /// The limits on what is read and written.
    pub fn limits(&self) -> &WireLimits {
        &self.hooks.limits
    }

    /// The signature policy.
    pub fn policy(&self) -> &SignaturePolicy {
        &self.hooks.policy
    }

    /// The number of authors whose sequence numbers are stored; 0 if sequence numbers are not checked.
    #[cfg(feature = "libp2p-node")]
    pub(super) fn replay_check_authors(&self) -> usize {
        self.hooks.replays.as_ref().map_or(0, |replays| replays.max_authors())
    }

    pub(super) fn state(&self) -> &Arc<TransportState> {
        &self.state
    }

    /// The id of a message of a peer. `None` if the application's function panics: that would end the task of the
    /// connection, which peers could cause again and again.
    fn id_of_received(&self, topic: &TopicName, message: &Message) -> Option<MessageId> {
        let message_id = catch_panic(|| self.message_id(topic, message));
        if message_id.is_none() {
            self.state.traffic().add_hook_panic();
            tracing::error!(hook = "message_id", %topic, "a hook of the application panicked");
        }
        message_id
    }
}

/// The placeholder of a message that breaks the signature policy. Its id is the digest of its bytes, not the id that it
/// claims: otherwise anyone could make us take a valid message that has not arrived yet for an invalid one.
fn violation(topic: TopicName, raw: &RawMessage<'_>, error: SignatureError) -> FullMessage<Libp2pNetwork> {
    FullMessage { topic, message_id: digest(raw), message: Message::invalid(error) }
}

impl DecodeHooks<Self> for Libp2pNetwork {
    fn limits(&self) -> &WireLimits {
        &self.hooks.limits
    }

    fn verify(&self, raw: &RawMessage<'_>) -> (SignatureCheck, Option<FullMessage<Self>>) {
        let verified = self.state.verified().filter(|_| raw.signature.is_some());
        if let Some((topic, message_id, message)) = verified.and_then(|verified| verified.find(raw)) {
            return (SignatureCheck::None, Some(FullMessage { topic, message_id, message }));
        }
        let topic = TopicName::from(raw.topic);
        let message = match self.hooks.policy.accept(raw) {
            Ok(message) => message,
            Err(error) => {
                self.state.traffic().add_policy_violation();
                return (SignatureCheck::Failed, Some(violation(topic, raw, error)));
            }
        };
        let message_id = self.id_of_received(&topic, &message);
        let Some(verified) = verified else {
            let unsigned = message_id.map(|message_id| FullMessage { topic, message_id, message });
            return (SignatureCheck::None, unsigned);
        };
        self.state.traffic().add_verified();
        let Some(message_id) = message_id else { return (SignatureCheck::Passed, None) };
        verified.insert(raw, &topic, &message_id, &message);
        (SignatureCheck::Passed, Some(FullMessage { topic, message_id, message }))
    }

    fn default_backoff(&self) -> Duration {
        self.hooks.default_backoff
    }

    fn add_long_record(&self) {
        self.state.count_record(PeerRecordOutcome::TooLong);
    }
}

impl Network for Libp2pNetwork {
    type Peer = PeerId;
    type Topic = TopicName;
    type MessageId = MessageId;
    type Message = Message;
    type Point = Multiaddr;

    fn topic_of(&self, _: &MessageId) -> Option<TopicName> {
        None
    }

    fn topic_size(&self, topic: &TopicName) -> usize {
        size_of_val(topic) + topic.as_str().len()
    }

    fn validate(&self, delivery: &Delivery<Self>) -> Validity {
        self.verdict_now(delivery)
    }

    fn validate_async(&self, delivery: &Delivery<Self>) -> Option<BoxFuture<Validity>> {
        self.verdict_later(delivery)
    }

    fn validate_batch_async(&self, batch: &[Delivery<Self>]) -> Option<BatchVerdicts> {
        self.verdicts_later(batch)
    }

    fn is_violation(&self, message: &Message) -> bool {
        message.signature_error().is_some()
    }

    /// The signature was checked when the message was decoded, or is not checked at all.
    fn source(&self, message: &Message) -> Option<PeerId> {
        message.source().copied().filter(|_| message.is_verified())
    }

    fn refuses_source(&self, message: &Message) -> bool {
        self.hooks.refuses_source.as_ref().is_some_and(|refuses| refuses(message))
    }

    fn expires_at(&self, full: &FullMessage<Self>, now: Timestamp) -> Option<Timestamp> {
        let expires_at = self.hooks.expires_at.as_ref()?;
        // Such a message is invalid, whatever it says.
        if full.message.signature_error().is_some() {
            return None;
        }
        let left = expires_at(&full.topic, &full.message)?.duration_since(SystemTime::now());
        // An error: the time is over.
        Some(now.after(left.unwrap_or_default()))
    }

    fn message_size(&self, message: &Message) -> usize {
        size_of::<Message>() + message.size()
    }

    /// As rust-libp2p measures a message: encoded, without the tag and the length by which an RPC contains it.
    fn encoded_size(&self, full: &FullMessage<Self>) -> usize {
        encoded_length(&full.topic, &full.message)
    }

    fn message_id_size(&self, id: &MessageId) -> usize {
        size_of::<MessageId>() + id.as_bytes().len()
    }

    fn peer_filter(&self, peer: &PeerId, action: PeerAction<'_, Self>) -> bool {
        let allowed = match action {
            PeerAction::Subscribe(topic) => self.allows_subscription(topic),
            _ => true,
        };
        allowed && (self.hooks.peer_filter)(peer, action)
    }

    fn reachable_point(&self, peer: &PeerId) -> Option<Multiaddr> {
        let dialled = self.state.addresses().dialled(peer);
        // In the form of the persistent point, so that the engine recognises it.
        let same = |point: &&Multiaddr| Some(without_peer((*point).clone())) == dialled;
        self.hooks.persistent_points.iter().find(same).cloned().or(dialled)
    }

    fn topic_name(&self, topic: &TopicName) -> String {
        topic.as_str().to_owned()
    }

    fn refuse_topic(&self, topic: &TopicName) -> Option<String> {
        self.check_topic(topic).err().map(|error| error.to_string())
    }

    fn transport_stats(&self) -> TransportStats {
        let replay_evictions = self.hooks.replays.as_ref().map_or(0, |replays| replays.evictions());
        TransportStats { replay_evictions, ..self.state.stats() }
    }

    fn persistent_points(&self) -> Vec<Multiaddr> {
        self.hooks.persistent_points.clone()
    }
}

#[cfg(feature = "recording")]
impl crate::recording::Recordable for Libp2pNetwork {
    const NAME: &'static str = "libp2p";

    fn set_reachable_point(&self, peer: &PeerId, point: Multiaddr) {
        self.state.addresses().add_dialled(*peer, point);
    }
}

impl fmt::Debug for Libp2pNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Libp2pNetwork").field("policy", &self.hooks.policy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ::libp2p::identity::Keypair;

    use super::*;

    #[test]
    fn a_forged_message_is_invalid_and_does_not_get_the_id_that_it_claims() {
        let policy = SignaturePolicy::StrictSign(Box::new(Keypair::ed25519_from_bytes([7; 32]).unwrap()));
        let network = Libp2pNetwork::builder(policy).validator(|_| unreachable!()).build();
        let topic = TopicName::from("t");
        let good = network.message(topic.clone(), *b"data").unwrap();
        let source = good.message.source().unwrap().to_bytes();
        let seqno = good.message.seqno().unwrap().to_be_bytes();
        let raw = RawMessage {
            from: Some(&source),
            data: Some(b"Data"),
            seqno: Some(&seqno),
            topic: "t",
            signature: good.message.signature(),
            key: None,
        };
        let forgery = network.verify(&raw).1.unwrap();
        assert_ne!(forgery.message_id, good.message_id);
        assert_eq!(forgery.message.signature_error(), Some(SignatureError::BadSignature));
        assert!(network.is_violation(&forgery.message) && !network.is_violation(&good.message));
        let delivery = Delivery::new(PeerId::random(), Arc::new(forgery.clone()));
        assert_eq!(network.validate(&delivery), Validity::Invalid);
        // A copy of it is a forgery with the same id, though its result is not stored.
        assert_eq!(network.verify(&raw), (SignatureCheck::Failed, Some(forgery)));
        // A copy of an accepted message is not verified again.
        let honest = RawMessage { data: Some(b"data"), ..raw };
        let accepted = network.verify(&honest);
        assert_eq!(accepted, (SignatureCheck::Passed, Some(good.clone())));
        assert_eq!(network.verify(&honest), (SignatureCheck::None, Some(good)));
    }
}
