//! The network of libp2p peers as the engine sees it: its types, its message ids and verdicts. It makes
//! our messages and judges those of others; it never opens a connection.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ::libp2p::{Multiaddr, PeerId};
use sha2::{Digest, Sha256};

use crate::{
    libp2p::{
        codec::{frame::WireLimits, rpc::RawMessage},
        ids::{MessageId, TopicName},
        message::Message,
        signature::{
            cache as verdicts,
            cache::Verdicts,
            policy::{Check, SignaturePolicy},
        },
        swarm::address_book::{AddressBook, without_peer},
        traffic::Wire,
    },
    network::{FullMessage, Network, PeerAction, Traffic, Validity},
};

/// Makes the id of a message. All nodes of a network must use the same function.
pub type MessageIdFn = dyn Fn(&TopicName, &Message) -> MessageId + Send + Sync;
/// The application's verdict on a message.
pub type Validator = dyn Fn(&MessageId, &Message) -> Validity + Send + Sync;
/// The application's verdict on what a peer asks for.
pub type PeerFilter = dyn Fn(&PeerId, PeerAction<'_, Libp2pNetwork>) -> bool + Send + Sync;

/// The types and hooks of a network of libp2p peers. A clone is the same network: give one to the engine
/// and one to the [`Behaviour`](super::Behaviour).
#[derive(Clone)]
pub struct Libp2pNetwork(Arc<Settings>);

struct Settings {
    policy: SignaturePolicy,
    limits: WireLimits,
    message_id: Box<MessageIdFn>,
    validator: Box<Validator>,
    peer_filter: Box<PeerFilter>,
    persistent_points: Vec<Multiaddr>,
    default_backoff: Duration,
    next_seqno: AtomicU64,
    addresses: Mutex<AddressBook>,
    verdicts: Mutex<Verdicts>,
    wire: Wire,
}

/// Collects the settings of a [`Libp2pNetwork`].
pub struct Libp2pNetworkBuilder(Settings);

/// Why a message of ours can't be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorError {
    /// The key refuses to sign.
    #[error("the message can't be signed: {0}")]
    Signing(#[from] ::libp2p::identity::SigningError),
    /// It would never be sent: peers don't accept frames of that size.
    #[error("the message has {length} bytes, of which {max} can be sent")]
    TooLarge { length: usize, max: usize },
    /// The topic's name is empty or longer than peers accept.
    #[error("a topic's name has 1 to {max} bytes, this one has {length}")]
    BadTopic { length: usize, max: usize },
}

/// The most bytes that source, number, signature (RSA: 512), key (RSA: 550) and tags add to a message.
const MESSAGE_OVERHEAD: usize = 1_280;

impl Libp2pNetwork {
    /// A network with this signature policy. Unless told otherwise, ids are source and number of a
    /// signed message or the SHA-256 of an anonymous one's data, and whatever keeps the policy is valid.
    pub fn builder(policy: SignaturePolicy) -> Libp2pNetworkBuilder {
        Libp2pNetworkBuilder(Settings {
            policy,
            limits: WireLimits::default(),
            message_id: Box::new(|_, message| default_message_id(message)),
            validator: Box::new(|_, _| Validity::Valid),
            peer_filter: Box::new(|_, _| true),
            persistent_points: Vec::new(),
            default_backoff: Duration::from_secs(60),
            next_seqno: AtomicU64::new(start_seqno()),
            addresses: Mutex::default(),
            verdicts: Mutex::default(),
            wire: Wire::default(),
        })
    }

    /// A message of ours, signed as the policy wants it: to be published with `AppInput::Publish`.
    pub fn message(
        &self,
        topic: TopicName,
        data: impl Into<Vec<u8>>,
    ) -> Result<FullMessage<Self>, AuthorError> {
        let data = data.into();
        self.check_size(&topic, data.len())?;
        let seqno = self.0.next_seqno.fetch_add(1, Ordering::Relaxed);
        let message = self.0.policy.author(&topic, seqno, data)?;
        let message_id = self.message_id(&topic, &message);
        Ok(FullMessage { topic, message_id, message })
    }

    fn check_size(&self, topic: &TopicName, length: usize) -> Result<(), AuthorError> {
        let limits = &self.0.limits;
        let name = topic.as_str().len();
        if name == 0 || name > limits.max_topic_length {
            return Err(AuthorError::BadTopic { length: name, max: limits.max_topic_length });
        }
        let max = limits.max_frame_out.saturating_sub(MESSAGE_OVERHEAD + name);
        if length > max { Err(AuthorError::TooLarge { length, max }) } else { Ok(()) }
    }

    /// A message that was received and its id. One that breaks the signature policy gets an id of its
    /// own, not the one it claims: anyone could then make us take a good message, not yet arrived, for a
    /// bad one that we have seen.
    pub(super) fn accept(&self, topic: &TopicName, raw: &RawMessage<'_>) -> (MessageId, Message) {
        let digest = verdicts::digest(raw);
        let known = lock(&self.0.verdicts).get(&digest);
        let verdict = match known {
            Some(Some(flaw)) => Err(flaw),
            Some(None) => self.0.policy.accept(raw, Check::Verified),
            None => self.0.policy.accept(raw, Check::Full),
        };
        if known.is_none() {
            lock(&self.0.verdicts).insert(digest, verdict.as_ref().err().copied());
        }
        match verdict {
            Ok(message) => (self.message_id(topic, &message), message),
            Err(flaw) => (digest.as_slice().into(), Message::flawed(flaw)),
        }
    }

    /// The id of a message that keeps the signature policy.
    pub fn message_id(&self, topic: &TopicName, message: &Message) -> MessageId {
        (self.0.message_id)(topic, message)
    }

    /// What is read and written.
    pub fn limits(&self) -> &WireLimits {
        &self.0.limits
    }

    /// The signature policy.
    pub fn policy(&self) -> &SignaturePolicy {
        &self.0.policy
    }

    /// The backoff of a prune that names none (gossipsub v1.0).
    pub(super) fn default_backoff(&self) -> Duration {
        self.0.default_backoff
    }

    /// `peer` says that it listens at these addresses (identify): they are tried when it is to be dialled.
    pub fn add_addresses(&self, peer: PeerId, addresses: impl IntoIterator<Item = Multiaddr>) {
        self.addresses().listed(peer, addresses);
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.0.wire
    }

    pub(super) fn addresses(&self) -> MutexGuard<'_, AddressBook> {
        lock(&self.0.addresses)
    }
}

impl Libp2pNetworkBuilder {
    /// What is read and written.
    pub fn limits(mut self, limits: WireLimits) -> Self {
        self.0.limits = limits;
        self
    }

    /// How the id of a message is made.
    pub fn message_id(
        mut self,
        f: impl Fn(&TopicName, &Message) -> MessageId + Send + Sync + 'static,
    ) -> Self {
        self.0.message_id = Box::new(f);
        self
    }

    /// The verdict on a message; asked only about those that keep the signature policy.
    pub fn validator(mut self, f: impl Fn(&MessageId, &Message) -> Validity + Send + Sync + 'static) -> Self {
        self.0.validator = Box::new(f);
        self
    }

    /// What peers may ask for.
    pub fn peer_filter(
        mut self,
        f: impl Fn(&PeerId, PeerAction<'_, Libp2pNetwork>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.0.peer_filter = Box::new(f);
        self
    }

    /// Points to stay connected to. One that ends in a peer's id (`/p2p/…`) accepts that peer only.
    pub fn persistent_points(mut self, points: impl IntoIterator<Item = Multiaddr>) -> Self {
        self.0.persistent_points = points.into_iter().collect();
        self
    }

    /// The backoff of a prune that names none (gossipsub v1.0); 60 s unless set.
    pub fn default_backoff(mut self, backoff: Duration) -> Self {
        self.0.default_backoff = backoff;
        self
    }

    /// The network.
    pub fn build(self) -> Libp2pNetwork {
        Libp2pNetwork(Arc::new(self.0))
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

    fn validate(&self, id: &MessageId, message: &Message) -> Validity {
        match message.flaw() {
            Some(flaw) => flaw.validity(),
            None => (self.0.validator)(id, message),
        }
    }

    fn message_size(&self, message: &Message) -> usize {
        size_of::<Message>() + message.size()
    }

    fn message_id_size(&self, id: &MessageId) -> usize {
        size_of::<MessageId>() + id.as_bytes().len()
    }

    fn peer_filter(&self, peer: &PeerId, action: PeerAction<'_, Self>) -> bool {
        (self.0.peer_filter)(peer, action)
    }

    fn reachable_point(&self, peer: &PeerId) -> Option<Multiaddr> {
        let dialled = self.addresses().point(peer)?;
        // As the configuration writes it, so that the engine finds its own point again.
        let same = |point: &&Multiaddr| without_peer((*point).clone()) == dialled;
        Some(self.0.persistent_points.iter().find(same).cloned().unwrap_or(dialled))
    }

    fn topic_label(&self, topic: &TopicName) -> String {
        topic.as_str().to_owned()
    }

    fn traffic(&self) -> Traffic {
        self.0.wire.traffic()
    }

    fn persistent_points(&self) -> Vec<Multiaddr> {
        self.0.persistent_points.clone()
    }
}

impl fmt::Debug for Libp2pNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Libp2pNetwork").field("policy", &self.0.policy).finish_non_exhaustive()
    }
}

/// What is locked here is plain data: a panic elsewhere leaves it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The specification's default: source and number, which rust-, js- and py-libp2p must be told to use.
fn default_message_id(message: &Message) -> MessageId {
    match (message.source(), message.seqno()) {
        (Some(source), Some(seqno)) => {
            let mut id = source.to_bytes();
            id.extend_from_slice(&seqno.to_be_bytes());
            id.into()
        }
        _ => Sha256::digest(message.data()).as_slice().into(),
    }
}

/// Numbers start at the clock, in nanoseconds, so that they ascend over restarts.
fn start_seqno() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
