//! Topics as rust-libp2p's gossipsub names them: a name, and the hash that is written on the wire.

use std::{fmt, marker::PhantomData};

use crate::libp2p::ids::TopicName;

/// The name of a topic on the wire. In all other modules of this crate it is called [`TopicName`].
pub type TopicHash = TopicName;

impl TopicName {
    /// The topic with this name on the wire.
    pub fn from_raw(hash: impl Into<String>) -> Self {
        Self::new(hash.into())
    }

    /// The name as a string of its own.
    pub fn into_string(self) -> String {
        self.as_str().to_owned()
    }
}

/// How the name on the wire follows from the name of a topic.
pub trait Hasher {
    /// The name on the wire.
    fn hash(topic: &str) -> TopicHash;
}

/// The name itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdentityHash {}

impl Hasher for IdentityHash {
    fn hash(topic: &str) -> TopicHash {
        topic.into()
    }
}

/// A topic with the name that the application gives it.
#[derive(Debug)]
pub struct Topic<H: Hasher> {
    topic: String,
    hasher: PhantomData<fn() -> H>,
}

/// The base64 of a SHA-256: peers learn that the topic exists and not what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sha256Hash {}

impl Hasher for Sha256Hash {
    fn hash(topic: &str) -> TopicHash {
        TopicName::sha256(topic)
    }
}

/// A topic that is written as it is named.
pub type IdentTopic = Topic<IdentityHash>;
/// A topic that is written as the hash of its name.
pub type Sha256Topic = Topic<Sha256Hash>;

impl<H: Hasher> Topic<H> {
    /// The topic with this name.
    pub fn new(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), hasher: PhantomData }
    }

    /// The name on the wire.
    pub fn hash(&self) -> TopicHash {
        H::hash(&self.topic)
    }
}

impl<H: Hasher> Clone for Topic<H> {
    fn clone(&self) -> Self {
        Self::new(self.topic.clone())
    }
}

impl<H: Hasher> PartialEq for Topic<H> {
    fn eq(&self, other: &Self) -> bool {
        self.topic == other.topic
    }
}

impl<H: Hasher> Eq for Topic<H> {}

impl<H: Hasher> From<Topic<H>> for TopicHash {
    fn from(topic: Topic<H>) -> Self {
        topic.hash()
    }
}

impl<H: Hasher> fmt::Display for Topic<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.topic)
    }
}
