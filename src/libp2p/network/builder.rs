//! The builder of a [`Libp2pNetwork`].

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use ::libp2p::{Multiaddr, PeerId};

use super::{
    Hooks, Libp2pNetwork, SubscriptionFilter,
    replay::ReplayCheck,
    validator::{Validator, Validators},
};
use crate::{
    libp2p::{
        codec::limits::WireLimits,
        ids::{MessageId, TopicName},
        message::Message,
        state::TransportState,
        transform::{DataTransform, Message as Decoded, Transform},
    },
    limits::TopicPattern,
    network::{Delivery, PeerAction, Validity},
};

/// Collects the settings of a [`Libp2pNetwork`]. Every setting but the signature policy has a default.
pub struct Libp2pNetworkBuilder(pub(super) Hooks);

impl Libp2pNetworkBuilder {
    /// The limits on what is read and written; by default [`WireLimits::default`].
    pub fn limits(mut self, limits: WireLimits) -> Self {
        self.0.limits = limits;
        self
    }

    /// The function that makes message ids. All nodes of a network must use the same one. A message of a peer at which
    /// it panics is dropped. Let it use the source and the sequence number only of messages that are
    /// [verified](Message::is_verified): else anyone can send a message with the id of another first, which is then dropped.
    pub fn message_id(
        mut self,
        f: impl Fn(&TopicName, &Message) -> MessageId + Send + Sync + 'static,
    ) -> Self {
        self.0.message_id = Some(Box::new(f));
        self
    }

    /// The function that makes message ids from the topic, the message as it was received, and the message after the
    /// [transform](Self::data_transform), `None` if that fails. Such a message is invalid (P4): give it an id that no message
    /// has which can be decoded. [`message_id`](Self::message_id) and [`topic_message_id`](Self::topic_message_id) go before it.
    /// [`ethereum_message_id`](crate::libp2p::gossipsub::ethereum_message_id) is such a function.
    pub fn raw_message_id(
        mut self,
        f: impl Fn(&TopicName, &Message, Option<&Decoded>) -> MessageId + Send + Sync + 'static,
    ) -> Self {
        self.0.raw_message_id = Some(Box::new(f));
        self
    }

    /// An encoding between the payloads of the application and those on the wire, such as a compression.
    /// [`Libp2pNetwork::message`] encodes what is published; [`Libp2pNetwork::decode`] decodes what a validator is given and
    /// what is delivered. A message that can't be decoded is invalid (P4), and no validator is asked about it. By default there
    /// is none.
    ///
    /// A transform must bound the memory that it uses by the length of a message before it allocates, as
    /// `gossipsub::SnappyTransform` does.
    pub fn data_transform(self, transform: impl DataTransform + Send + Sync + 'static) -> Self {
        self.shared_transform(Some(Arc::new(transform)))
    }

    pub(in crate::libp2p) fn shared_transform(mut self, transform: Option<Transform>) -> Self {
        self.0.transform = transform;
        self
    }

    /// The function that makes the ids of the messages of one topic, or of all topics that match a pattern, in place of that of
    /// [`message_id`](Self::message_id) or of the default. Of several that match, the one that was set first. Without a call of
    /// this nothing is looked up; with it, each message that is received is matched with the patterns in turn.
    ///
    /// ```
    /// # use actix_gossipsub::libp2p::{Libp2pNetwork, SignaturePolicy};
    /// let network = Libp2pNetwork::builder(SignaturePolicy::StrictNoSign)
    ///     .topic_message_id("/chat/*", |topic, message| [topic.as_str().as_bytes(), message.data()].concat().into())
    ///     .build();
    /// let id = |topic: &str| network.message(topic.into(), "hello").map(|message| message.message_id);
    /// assert_eq!(id("/chat/1")?.as_bytes(), b"/chat/1hello");
    /// assert_eq!(id("news")?.as_bytes().len(), 32, "the SHA-256 of the payload");
    /// # Ok::<(), actix_gossipsub::libp2p::AuthorError>(())
    /// ```
    pub fn topic_message_id(
        mut self,
        topics: impl Into<TopicPattern>,
        f: impl Fn(&TopicName, &Message) -> MessageId + Send + Sync + 'static,
    ) -> Self {
        self.0.topic_message_ids.push((topics.into(), Box::new(f)));
        self
    }

    /// The validation of a delivery: message, topic, sender and co-senders. It is called only for messages that keep
    /// the signature policy, on the engine's threads, and must not block. Other kinds of validators:
    /// [`async_validator`](Self::async_validator), [`blocking_validator`](Self::blocking_validator),
    /// [`manual_validation`](Self::manual_validation). All can be replaced later
    /// ([`Libp2pNetwork::set_validator`]).
    pub fn validator(self, f: impl Fn(&Delivery<Libp2pNetwork>) -> Validity + Send + Sync + 'static) -> Self {
        self.set_validator(None, Validator::new(f))
    }

    /// The validator of one topic, in place of that of all topics.
    pub fn topic_validator(self, topic: TopicName, validator: Validator) -> Self {
        self.set_validator(Some(topic), validator)
    }

    /// As [`validator`](Self::validator), with a future that gives the verdict; see [`Validator::asynchronous`].
    pub fn async_validator<F>(self, f: impl Fn(Delivery<Libp2pNetwork>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Validity> + Send + 'static,
    {
        self.set_validator(None, Validator::asynchronous(f))
    }

    /// As [`validator`](Self::validator), with a function that may block, since it runs on `threads` threads of its own; see
    /// [`Validator::blocking`].
    ///
    /// # Errors
    /// A thread can't be started.
    pub fn blocking_validator(
        self,
        threads: usize,
        queue: usize,
        f: impl Fn(&Delivery<Libp2pNetwork>) -> Validity + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Ok(self.set_validator(None, Validator::blocking(threads, queue, f)?))
    }

    /// The application reads the messages from [`Libp2pNetwork::unvalidated`] and gives each verdict by
    /// [`Libp2pNetwork::report_validation`].
    pub fn manual_validation(self) -> Self {
        self.set_validator(None, Validator::manual())
    }

    /// Ignores a message whose sequence number is not above that of the last accepted message of its author, without a
    /// penalty for those who deliver it. So a message is not delivered again when it is sent after the seen cache has
    /// forgotten it. By default numbers are not checked. Only messages that are [verified](Message::is_verified) are checked.
    ///
    /// Messages of an author that overtake each other are lost: use it where they need not arrive all, or where an author
    /// publishes more seldom than a message takes to arrive. An author whose numbers begin anew, such as one whose clock was
    /// turned back, is ignored until they are above the last one.
    ///
    /// The numbers of `max_authors` authors are stored, about 100 bytes each. If there are more, the author that has
    /// published nothing for the longest time is evicted: its messages can be replayed once. Evictions are counted in
    /// `gossipsub_replay_evictions_total`. With 0 numbers are not checked.
    ///
    /// A [`Node`](crate::libp2p::Node) with this network demands a `seen_history_length` of at least `history_length`
    /// ([`replay_check_authors`](crate::limits::Extensions::replay_check_authors)).
    pub fn refuse_replays(mut self, max_authors: usize) -> Self {
        self.0.replays = (max_authors > 0).then(|| Arc::new(ReplayCheck::new(max_authors)));
        self
    }

    fn set_validator(self, topic: Option<TopicName>, validator: Validator) -> Self {
        let mut validators = Validators::clone(&self.0.validators.load());
        validators.set(topic, validator);
        self.0.validators.store(Arc::new(validators));
        self
    }

    /// Which actions peers are allowed; see [`Network::peer_filter`](crate::Network::peer_filter).
    pub fn peer_filter(
        mut self,
        f: impl Fn(&PeerId, PeerAction<'_, Libp2pNetwork>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.0.peer_filter = Box::new(f);
        self
    }

    /// Which messages are refused because of their source; by default none. See
    /// [`Network::refuses_source`](crate::Network::refuses_source). It must not block.
    pub fn refuse_sources(mut self, f: impl Fn(&Message) -> bool + Send + Sync + 'static) -> Self {
        self.0.refuses_source = Some(Box::new(f));
        self
    }

    /// The function that reads from a message when it expires, by the clock of the system; `None` if it does not. It is asked
    /// only for messages that keep the signature policy, on the engine's threads, and must not block. See
    /// [`Network::expires_at`](crate::Network::expires_at). By default messages do not expire.
    pub fn expires_at(
        mut self,
        f: impl Fn(&TopicName, &Message) -> Option<SystemTime> + Send + Sync + 'static,
    ) -> Self {
        self.0.expires_at = Some(Box::new(f));
        self
    }

    /// The topics that peers may subscribe to; by default all. A subscription must pass
    /// [`peer_filter`](Self::peer_filter) too. The filter can be replaced later
    /// ([`Libp2pNetwork::set_subscription_filter`]).
    pub fn subscription_filter(self, filter: SubscriptionFilter) -> Self {
        self.0.subscription_filter.store(Some(Arc::new(filter)));
        self
    }

    /// Addresses to stay connected to: the engine dials them again and again. One that ends in `/p2p/PEER` accepts
    /// that peer only.
    pub fn persistent_points(mut self, points: impl IntoIterator<Item = Multiaddr>) -> Self {
        self.0.persistent_points = points.into_iter().collect();
        self
    }

    /// The backoff of a PRUNE that names none (gossipsub v1.0); by default 60 s. Set it to
    /// [`prune_backoff`](crate::LimitsConfig::prune_backoff), as [`Node`](crate::libp2p::Node) does if it has no network.
    pub fn default_backoff(mut self, backoff: Duration) -> Self {
        self.0.default_backoff = backoff;
        self
    }

    /// Creates the network.
    pub fn build(self) -> Libp2pNetwork {
        let state = TransportState::new(self.0.policy.verifies());
        Libp2pNetwork { hooks: Arc::new(self.0), state: Arc::new(state) }
    }
}
