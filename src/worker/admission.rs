//! The engine's door: resolves topic and peer on the caller's thread, and puts each input where it
//! belongs, or refuses it with a reason. Never blocks.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use dashmap::Entry;

use crate::{
    actors::{
        messages::{Inbox, SupervisorItem, TopicItem},
        shared::Shared,
    },
    directory::TopicEntry,
    network::{AppInput, FullMessage, Network, P2pInput, P2pMessage},
    protocol::{Event, PeerKind, RateLimit, Timestamp},
};

/// Why an input was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// As many inputs wait as may (`bounds.max_input_items`): slow the sender down.
    #[error("{waiting} inputs wait already: read less from this peer until they are handled")]
    TooManyInputs {
        /// How many.
        waiting: usize,
    },
    /// The application's stream is full (`bounds.max_output_items`): messages would be lost.
    #[error("{waiting} messages wait for the application: read the application stream")]
    ApplicationBehind {
        /// How many.
        waiting: usize,
    },
    /// The engine has ended or is about to.
    #[error("the engine has ended")]
    Stopped,
}

/// At most one report of refusals an interval.
pub(crate) struct RefusalReports(Mutex<RateLimit>);

impl RefusalReports {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self(Mutex::new(limit))
    }

    fn allows(&self, now: Timestamp) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).allows(now)
    }
}

pub(super) fn p2p_input<N: Network>(shared: &Shared<N>, input: P2pInput<N>) -> Result<(), Refused> {
    open(shared)?;
    if let P2pInput::InMessage { message, .. } = &input {
        admit(shared, message).inspect_err(|refused| report(shared, *refused))?;
    }
    shared.metrics.input();
    if shared.observes_inputs {
        shared.observe(&Event::P2pInput(input.clone()));
    }
    match input {
        P2pInput::InMessage { from_peer, message } => in_message(shared, from_peer, message),
        P2pInput::NewConnection { peer, direct, outbound, trusted, bootstrap } => {
            connect(shared, peer, PeerKind { direct, outbound, trusted, bootstrap });
            Ok(())
        }
        P2pInput::Disconnection { peer } => {
            disconnect(shared, peer);
            Ok(())
        }
    }
}

pub(super) fn app_input<N: Network>(shared: &Shared<N>, input: AppInput<N>) -> Result<(), Refused> {
    open(shared)?;
    shared.metrics.input();
    if shared.observes_inputs {
        shared.observe(&Event::AppInput(input.clone()));
    }
    let at = shared.now();
    match input {
        AppInput::Publish(message) => publish(shared, Arc::new(message), at),
        AppInput::Join(topic) => {
            join(shared, topic, at);
            Ok(())
        }
        AppInput::Leave(topic) => {
            leave(shared, &topic, at);
            Ok(())
        }
        AppInput::SetApplicationScore { peer, score } => {
            tell(shared, SupervisorItem::SetApplicationScore { peer, score });
            Ok(())
        }
    }
}

/// Leaves every topic: the engine shuts down.
pub(super) fn leave_all<N: Network>(shared: &Shared<N>) {
    let joined = shared.directory.topics.iter().filter(|entry| entry.joined);
    let joined: Vec<_> = joined.map(|entry| entry.key().clone()).collect();
    for topic in joined {
        leave(shared, &topic, shared.now());
    }
}

fn open<N: Network>(shared: &Shared<N>) -> Result<(), Refused> {
    if shared.is_closing() { Err(Refused::Stopped) } else { Ok(()) }
}

fn admit<N: Network>(shared: &Shared<N>, message: &P2pMessage<N>) -> Result<(), Refused> {
    let bounds = &shared.limits.bounds;
    let waiting = shared.load.items();
    if waiting >= bounds.max_input_items {
        return Err(Refused::TooManyInputs { waiting });
    }
    if matches!(message, P2pMessage::FullMessage(_)) {
        let waiting = shared.app.len();
        if waiting >= bounds.max_output_items {
            return Err(Refused::ApplicationBehind { waiting });
        }
    }
    Ok(())
}

fn report<N: Network>(shared: &Shared<N>, refused: Refused) {
    shared.metrics.refused();
    let (Refused::TooManyInputs { waiting: depth } | Refused::ApplicationBehind { waiting: depth }) = refused
    else {
        return;
    };
    if shared.refusal_reports.allows(shared.now()) {
        shared.observe(&Event::InputRefused { depth });
    }
}

fn connect<N: Network>(shared: &Shared<N>, peer: N::Peer, kind: PeerKind) {
    let told = peer.clone();
    shared.directory.connect(&peer, kind, |generation| {
        tell(shared, SupervisorItem::Connect { peer: told, kind, generation });
    });
}

fn disconnect<N: Network>(shared: &Shared<N>, peer: N::Peer) {
    let (told, at) = (peer.clone(), shared.now());
    shared.directory.disconnect(&peer, || tell(shared, SupervisorItem::Disconnect { peer: told, at }));
}

fn in_message<N: Network>(shared: &Shared<N>, from: N::Peer, message: P2pMessage<N>) -> Result<(), Refused> {
    let at = shared.now();
    match message {
        P2pMessage::IWant { message_ids } => iwant(shared, &from, message_ids, at),
        message => match message.topic().cloned() {
            Some(topic) => to_topic(shared, topic, peer_item(shared, &from, message, at)),
            // A ping says nothing.
            None => Ok(()),
        },
    }
}

/// An IWANT may ask for messages of many topics; each gets its part.
fn iwant<N: Network>(
    shared: &Shared<N>,
    from: &N::Peer,
    ids: Vec<N::MessageId>,
    at: Timestamp,
) -> Result<(), Refused> {
    let mut by_topic: BTreeMap<N::Topic, Vec<N::MessageId>> = BTreeMap::new();
    for id in ids {
        if let Some(topic) = shared.network.topic_of(&id).or_else(|| shared.directory.home(&id)) {
            by_topic.entry(topic).or_default().push(id);
        }
    }
    for (topic, message_ids) in by_topic {
        to_topic(shared, topic, peer_item(shared, from, P2pMessage::IWant { message_ids }, at))?;
    }
    Ok(())
}

fn peer_item<N: Network>(
    shared: &Shared<N>,
    from: &N::Peer,
    message: P2pMessage<N>,
    at: Timestamp,
) -> TopicItem<N> {
    TopicItem::Peer { from: from.clone(), record: shared.directory.connection(from), message, at }
}

/// Puts an item into its topic's inbox; into the supervisor's, when the topic has no actor.
fn to_topic<N: Network>(shared: &Shared<N>, topic: N::Topic, mut item: TopicItem<N>) -> Result<(), Refused> {
    loop {
        let inbox = shared.directory.topics.get(&topic).map(|entry| Arc::clone(&entry.inbox));
        match inbox {
            Some(inbox) => match inbox.push(item) {
                Ok(()) => return Ok(()),
                Err(refused) => item = refused,
            },
            None => match to_absent_topic(shared, &topic, item) {
                Ok(()) => return Ok(()),
                Err(refused) => item = refused,
            },
        }
        // The topic retired or was spawned meanwhile: look again.
        open(shared)?;
    }
}

/// The topic's place is held while the supervisor is told, so that no join slips in between: its
/// Spawn comes after this item.
fn to_absent_topic<N: Network>(
    shared: &Shared<N>,
    topic: &N::Topic,
    item: TopicItem<N>,
) -> Result<(), TopicItem<N>> {
    match shared.directory.topics.entry(topic.clone()) {
        Entry::Occupied(_) => Err(item),
        Entry::Vacant(_place) => {
            tell(shared, SupervisorItem::Topic { topic: topic.clone(), item });
            Ok(())
        }
    }
}

fn publish<N: Network>(
    shared: &Shared<N>,
    message: Arc<FullMessage<N>>,
    at: Timestamp,
) -> Result<(), Refused> {
    // Twice the peers' bound: the application is not refused because of peers.
    let waiting = shared.load.items();
    if waiting >= shared.limits.bounds.max_input_items.saturating_mul(2) {
        return Err(Refused::TooManyInputs { waiting }).inspect_err(|refused| report(shared, *refused));
    }
    let topic = message.topic.clone();
    with_actor(shared, topic, TopicItem::Publish { message, at }, |_| {});
    Ok(())
}

fn join<N: Network>(shared: &Shared<N>, topic: N::Topic, at: Timestamp) {
    with_actor(shared, topic, TopicItem::Join { at }, |entry| entry.joined = true);
}

/// A topic without an actor is not joined: there is nothing to leave.
fn leave<N: Network>(shared: &Shared<N>, topic: &N::Topic, at: Timestamp) {
    if let Some(mut entry) = shared.directory.topics.get_mut(topic) {
        entry.joined = false;
        push_held(&entry.inbox, TopicItem::Leave { at });
    }
}

/// Puts an item into a topic's inbox; a topic without an actor gets one, with this item first in its
/// inbox. The topic's place is held meanwhile: joins and leaves keep their order.
fn with_actor<N: Network>(
    shared: &Shared<N>,
    topic: N::Topic,
    item: TopicItem<N>,
    mark: impl FnOnce(&mut TopicEntry<N>),
) {
    match shared.directory.topics.entry(topic.clone()) {
        Entry::Occupied(mut entry) => {
            mark(entry.get_mut());
            push_held(&entry.get().inbox, item);
        }
        Entry::Vacant(place) => {
            let inbox = Arc::new(Inbox::new(Arc::clone(&shared.load)));
            push_held(&inbox, item);
            let mut entry = TopicEntry { inbox: Arc::clone(&inbox), joined: false };
            mark(&mut entry);
            let _place = place.insert(entry);
            tell(shared, SupervisorItem::Spawn { topic, inbox });
        }
    }
}

/// An inbox in the directory closes only under the lock that the caller holds: it is open.
fn push_held<N: Network>(inbox: &Inbox<TopicItem<N>>, item: TopicItem<N>) {
    let _ = inbox.push(item);
}

/// A closed supervisor: the engine has ended.
fn tell<N: Network>(shared: &Shared<N>, item: SupervisorItem<N>) {
    let _ = shared.supervisor.push(item);
}
