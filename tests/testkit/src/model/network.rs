//! This module defines the networks of the properties. They have few peers and topics, and operations can change
//! verdicts at any time.

use std::{
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
    sync::{Mutex, MutexGuard},
};

use actix_gossipsub::{Delivery, Key, Network, PeerAction, Validity};

/// The number of peers that may connect. Peers from this number on never connect.
pub const PEERS: u32 = 8;
/// The node's own peer, which never connects.
pub const SELF: u32 = 9;
/// The topics.
pub const TOPICS: u8 = 4;

/// The message ids of a network.
pub trait Ids: Send + Sync + Sized + std::fmt::Debug + 'static {
    type Id: Key + Copy;
    /// The id of the `number`th message of `topic`.
    fn id(topic: u8, number: u16) -> Self::Id;
    fn number(id: &Self::Id) -> u16;
    fn topic_of(id: &Self::Id) -> Option<u8>;
}

/// Ids name their topic, as in Octez.
#[derive(Debug)]
pub struct Tagged;
/// Ids don't name their topic, as in libp2p. Two topics may use the same id.
#[derive(Debug)]
pub struct Untagged;

impl Ids for Tagged {
    type Id = (u16, u8);
    fn id(topic: u8, number: u16) -> Self::Id {
        (number, topic)
    }
    fn number(id: &Self::Id) -> u16 {
        id.0
    }
    fn topic_of(id: &Self::Id) -> Option<u8> {
        Some(id.1)
    }
}

impl Ids for Untagged {
    type Id = u16;
    fn id(_: u8, number: u16) -> Self::Id {
        number
    }
    fn number(id: &Self::Id) -> u16 {
        *id
    }
    fn topic_of(_: &Self::Id) -> Option<u8> {
        None
    }
}

/// The actions that the peer filter distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    IHave,
    IWant,
    Graft,
    Subscribe,
}

/// The current answers of the application's hooks. By default messages are valid and actions are allowed.
#[derive(Debug, Default)]
pub struct Answers {
    pub ids: BTreeMap<u16, Validity>,
    pub messages: BTreeMap<u16, Validity>,
    pub denied: BTreeSet<(u32, Action)>,
    /// If true, a batch gets one verdict too few.
    pub wrong_length: bool,
}

#[derive(Debug)]
pub struct Net<I: Ids> {
    answers: Mutex<Answers>,
    ids: PhantomData<I>,
}

impl<I: Ids> Default for Net<I> {
    fn default() -> Self {
        Self { answers: Mutex::default(), ids: PhantomData }
    }
}

impl<I: Ids> Net<I> {
    pub fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().expect("no holder panics")
    }
}

/// The point of a peer. Peer 0 has none.
pub fn point_of(peer: u32) -> Option<u32> {
    (peer > 0).then_some(peer + 1000)
}

impl<I: Ids> Network for Net<I> {
    type Peer = u32;
    type Topic = u8;
    type MessageId = I::Id;
    type Message = u8;
    type Point = u32;

    fn topic_of(&self, id: &I::Id) -> Option<u8> {
        I::topic_of(id)
    }

    fn topic_size(&self, topic: &u8) -> usize {
        size_of_val(topic)
    }

    fn message_size(&self, message: &u8) -> usize {
        size_of_val(message)
    }

    fn message_id_size(&self, id: &I::Id) -> usize {
        size_of_val(id)
    }

    fn validate_id(&self, id: &I::Id) -> Validity {
        self.answers().ids.get(&I::number(id)).copied().unwrap_or(Validity::Valid)
    }

    fn validate(&self, delivery: &Delivery<Self>) -> Validity {
        self.answers()
            .messages
            .get(&I::number(&delivery.message.message_id))
            .copied()
            .unwrap_or(Validity::Valid)
    }

    fn validate_batch(&self, batch: &[Delivery<Self>]) -> Vec<Validity> {
        let skipped = usize::from(self.answers().wrong_length);
        let validated = batch.iter().skip(skipped);
        validated.map(|delivery| self.validate(delivery)).collect()
    }

    fn peer_filter(&self, peer: &u32, action: PeerAction<'_, Self>) -> bool {
        let action = match action {
            PeerAction::IHave(_) => Action::IHave,
            PeerAction::IWant(_) => Action::IWant,
            PeerAction::Graft => Action::Graft,
            PeerAction::Subscribe(_) => Action::Subscribe,
            other => unreachable!("{other:?} is no action yet"),
        };
        !self.answers().denied.contains(&(*peer, action))
    }

    fn reachable_point(&self, peer: &u32) -> Option<u32> {
        point_of(*peer)
    }

    fn persistent_points(&self) -> Vec<u32> {
        vec![1001, 2000]
    }
}
