//! The engine's door: resolves topic and peer on the caller's thread, and puts each input where it
//! belongs. Who is let in is [`admission`](super::admission)'s. Never blocks.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use dashmap::Entry;

use super::{
    Account, Credit, Refused,
    ticket::{Promise, Publication},
    till::Till,
};
use crate::{
    actors::{
        messages::{Arrival, Held, Saying, SupervisorItem, TopicItem},
        saying::handle_idontwant,
        shared::Shared,
    },
    directory::TopicEntry,
    network::{AppInput, FullMessage, Network, P2pInput, P2pMessage},
    protocol::{Event, PeerKind, RateLimit, Timestamp},
    tape::Heard,
};

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

/// As [`p2p_input`], but gives back an input that is refused. A message that was admitted and then finds the engine
/// ending is dropped, like all that is queued then.
#[cfg(feature = "libp2p")]
pub(super) fn try_p2p_input<N: Network>(
    shared: &Shared<N>,
    input: P2pInput<N>,
) -> Result<(), (Refused, P2pInput<N>)> {
    if let Err(refused) = open(shared) {
        return Err((refused, input));
    }
    let P2pInput::InMessage { from_peer, message } = input else {
        // A connection or disconnection is refused only above.
        let _ = p2p_input(shared, input);
        return Ok(());
    };
    let account = account(shared, &from_peer);
    let _ = match message {
        P2pMessage::FullMessage(message) => match admit_full(shared, account, &message) {
            Ok(credit) => route_full(shared, &from_peer, message, credit),
            Err(refused) => {
                return Err((
                    refused,
                    P2pInput::InMessage { from_peer, message: P2pMessage::FullMessage(message) },
                ));
            }
        },
        message => match admit_control(shared, account, &message) {
            Ok(credit) => route_control(shared, &from_peer, message, credit),
            Err(refused) => return Err((refused, P2pInput::InMessage { from_peer, message })),
        },
    };
    Ok(())
}

pub(super) fn p2p_input<N: Network>(shared: &Shared<N>, input: P2pInput<N>) -> Result<(), Refused> {
    open(shared)?;
    let input = match input {
        P2pInput::InMessage { from_peer, message } => {
            let account = account(shared, &from_peer);
            return in_message(shared, account, &from_peer, message);
        }
        connection => connection,
    };
    if shared.observes_inputs {
        shared.observe(&Event::P2pInput(input.clone()));
    }
    shared.record(Heard::Connection(&input));
    match input {
        P2pInput::NewConnection { peer, direct, outbound, trusted, bootstrap } => {
            connect(shared, peer, PeerKind { direct, outbound, trusted, bootstrap });
        }
        P2pInput::Disconnection { peer } => disconnect(shared, peer),
        P2pInput::InMessage { .. } => {}
    }
    Ok(())
}

/// What a peer says, counted on `account`.
#[inline(always)]
pub(super) fn in_message<N: Network>(
    shared: &Shared<N>,
    account: Account,
    from: &N::Peer,
    message: P2pMessage<N>,
) -> Result<(), Refused> {
    match message {
        P2pMessage::FullMessage(message) => full_message(shared, account, from, message),
        other => control(shared, account, from, other),
    }
}

/// A full message: most of what comes.
#[inline(always)]
fn full_message<N: Network>(
    shared: &Shared<N>,
    account: Account,
    from: &N::Peer,
    message: Arc<FullMessage<N>>,
) -> Result<(), Refused> {
    let credit = admit_full(shared, account, &message)?;
    route_full(shared, from, message, credit)
}

#[inline(always)]
fn admit_full<N: Network>(
    shared: &Shared<N>,
    account: Account,
    message: &FullMessage<N>,
) -> Result<Credit, Refused> {
    let till = Till::own();
    shared.returns.take(till);
    let bytes = weight_of_full(shared, message);
    let room = check_application(shared);
    room.and_then(|()| admit(shared, account, bytes, till)).inspect_err(|why| report(shared, *why))
}

#[inline(always)]
fn route_full<N: Network>(
    shared: &Shared<N>,
    from: &N::Peer,
    message: Arc<FullMessage<N>>,
    credit: Credit,
) -> Result<(), Refused> {
    shared.metrics.received_message();
    if shared.observes_inputs || shared.tape.is_some() {
        show(shared, from, &P2pMessage::FullMessage(Arc::clone(&message)));
    }
    let entry = shared.directory.topics.get(&message.topic);
    if let Some(entry) = &entry {
        // Nothing is copied, and a look at the clock costs as much as a tenth of all else that a message takes.
        let arrival = || Arrival { from: from.clone(), message, credit };
        entry.address.push_message(|| shared.now(), arrival);
        return Ok(());
    }
    drop(entry);
    let topic = message.topic.clone();
    to_topic(shared, &topic, TopicItem::Message(Arrival { from: from.clone(), message, credit }))
}

/// Anything else that a peer says.
fn control<N: Network>(
    shared: &Shared<N>,
    account: Account,
    from: &N::Peer,
    message: P2pMessage<N>,
) -> Result<(), Refused> {
    let credit = admit_control(shared, account, &message)?;
    route_control(shared, from, message, credit)
}

fn admit_control<N: Network>(
    shared: &Shared<N>,
    account: Account,
    message: &P2pMessage<N>,
) -> Result<Credit, Refused> {
    let bytes = weight(&*shared.network, message);
    admit(shared, account, bytes, Till::own()).inspect_err(|why| report(shared, *why))
}

fn route_control<N: Network>(
    shared: &Shared<N>,
    from: &N::Peer,
    message: P2pMessage<N>,
    credit: Credit,
) -> Result<(), Refused> {
    shared.metrics.received(&message);
    show(shared, from, &message);
    match message {
        P2pMessage::IWant { message_ids } => iwant(shared, from, message_ids, credit, shared.now()),
        P2pMessage::IDontWant { message_ids } => {
            handle_idontwant(shared, from, credit.record(), message_ids, shared.now());
            Ok(())
        }
        // A ping says nothing, and a full message is dealt with above.
        P2pMessage::Ping | P2pMessage::FullMessage(_) => Ok(()),
        message => {
            let saying =
                Saying { from: from.clone(), message, at: shared.now(), credit: Held::Whole(credit) };
            let Some(topic) = saying.message.topic().cloned() else { return Ok(()) };
            to_topic(shared, &topic, TopicItem::Peer(Box::new(saying)))
        }
    }
}

/// To whoever watches what comes in.
fn show<N: Network>(shared: &Shared<N>, from: &N::Peer, message: &P2pMessage<N>) {
    if shared.observes_inputs {
        let said = P2pInput::InMessage { from_peer: from.clone(), message: message.clone() };
        shared.observe(&Event::P2pInput(said));
    }
    shared.record(Heard::Said { from, message });
}

pub(super) fn app_input<N: Network>(shared: &Shared<N>, input: AppInput<N>) -> Result<(), Refused> {
    open(shared)?;
    if shared.observes_inputs {
        shared.observe(&Event::AppInput(input.clone()));
    }
    let at = shared.now();
    match input {
        AppInput::Publish(message) => publish(shared, Arc::new(message), Promise::new(None), at),
        AppInput::Join(topic) => {
            join(shared, topic, at);
            Ok(())
        }
        AppInput::Leave(topic) => {
            leave(shared, &topic, at);
            Ok(())
        }
        AppInput::SetApplicationScore { peer, score } => {
            shared.record(Heard::SetApplicationScore { peer: &peer, score });
            tell(shared, SupervisorItem::SetApplicationScore { peer, score });
            Ok(())
        }
    }
}

/// As [`app_input`] of a publication, with somebody who wants to hear what becomes of it.
pub(super) fn publish_with_ticket<N: Network>(
    shared: &Shared<N>,
    message: FullMessage<N>,
    publication: Arc<Publication>,
) -> Result<(), Refused> {
    open(shared)?;
    if shared.observes_inputs {
        shared.observe(&Event::AppInput(AppInput::Publish(message.clone())));
    }
    publish(shared, Arc::new(message), Promise::new(Some(publication)), shared.now())
}

/// Leaves every topic: the engine shuts down.
pub(super) fn leave_all<N: Network>(shared: &Shared<N>) {
    let joined = shared.directory.topics.iter().filter(|entry| entry.joined);
    let joined: Vec<_> = joined.map(|entry| entry.key().clone()).collect();
    for topic in joined {
        leave(shared, &topic, shared.now());
    }
}

pub(super) fn open<N: Network>(shared: &Shared<N>) -> Result<(), Refused> {
    if shared.is_closing() { Err(Refused::Stopped) } else { Ok(()) }
}

#[inline(always)]
fn admit<N: Network>(
    shared: &Shared<N>,
    account: Account,
    bytes: usize,
    till: Till,
) -> Result<Credit, Refused> {
    check_transport(shared)?;
    shared.admission.admit(account, bytes, till, || shared.directory.connected())
}

/// What a peer's inputs are counted on.
pub(super) fn account<N: Network>(shared: &Shared<N>, peer: &N::Peer) -> Account {
    let record = shared.directory.connection(peer);
    record.map_or_else(|| Account::Strangers(Arc::clone(&shared.admission)), Account::Peer)
}

/// Whether both streams have room for what any input may cause.
pub(super) fn has_way_out<N: Network>(shared: &Shared<N>) -> bool {
    shared.app.has_room() && check_transport(shared).is_ok()
}

/// A full message that the application has no room for would be lost.
fn check_application<N: Network>(shared: &Shared<N>) -> Result<(), Refused> {
    if !shared.app.has_room() {
        return Err(Refused::ApplicationBehind { waiting: shared.app.len() });
    }
    Ok(())
}

/// What peers say causes control, which is never dropped: they wait until it is read.
fn check_transport<N: Network>(shared: &Shared<N>) -> Result<(), Refused> {
    if shared.p2p.is_overfull() {
        return Err(Refused::TransportBehind { waiting: shared.p2p.len() });
    }
    Ok(())
}

/// The bytes that anything but a full message holds while it waits, roughly.
fn weight<N: Network>(network: &N, message: &P2pMessage<N>) -> usize {
    let ids = |ids: &[N::MessageId]| ids.iter().map(|id| network.message_id_size(id)).sum::<usize>();
    let contents = match message {
        P2pMessage::IHave { message_ids, .. }
        | P2pMessage::IWant { message_ids }
        | P2pMessage::IDontWant { message_ids } => ids(message_ids),
        P2pMessage::Prune { px, .. } => size_of_val(px.as_slice()),
        _ => 0,
    };
    contents.saturating_add(size_of::<TopicItem<N>>() + size_of::<Saying<N>>())
}

/// The bytes that a full message holds while it waits, roughly.
#[inline]
fn weight_of_full<N: Network>(shared: &Shared<N>, message: &FullMessage<N>) -> usize {
    message.size(&shared.network).saturating_add(size_of::<TopicItem<N>>())
}

fn report<N: Network>(shared: &Shared<N>, refused: Refused) {
    shared.metrics.refused(refused);
    shared.note_overload();
    if refused != Refused::Stopped && shared.refusal_reports.allows(shared.now()) {
        shared.observe(&Event::InputRefused { depth: refused.depth(), reason: refused.reason() });
    }
}

fn connect<N: Network>(shared: &Shared<N>, peer: N::Peer, kind: PeerKind) {
    let told = peer.clone();
    shared.directory.connect(&peer, kind, |link| {
        tell(shared, SupervisorItem::Connect { peer: told, kind, link });
    });
}

fn disconnect<N: Network>(shared: &Shared<N>, peer: N::Peer) {
    let (told, at) = (peer.clone(), shared.now());
    shared.directory.disconnect(&peer, || tell(shared, SupervisorItem::Disconnect { peer: told, at }));
}

/// An IWANT may ask for messages of many topics; each gets its part. A topic without an actor has no
/// messages.
fn iwant<N: Network>(
    shared: &Shared<N>,
    from: &N::Peer,
    ids: Vec<N::MessageId>,
    credit: Credit,
    at: Timestamp,
) -> Result<(), Refused> {
    let mut by_topic: BTreeMap<N::Topic, Vec<N::MessageId>> = BTreeMap::new();
    let asked = ids.len();
    let mut found = 0;
    for id in ids {
        let topic = shared.network.topic_of(&id).or_else(|| shared.directory.home(&id));
        if let Some(topic) = topic.filter(|topic| shared.directory.topics.contains_key(topic)) {
            by_topic.entry(topic).or_default().push(id);
            found += 1;
        }
    }
    shared.metrics.not_found(asked - found);
    let credit = Arc::new(credit);
    for (topic, message_ids) in by_topic {
        let message = P2pMessage::IWant { message_ids };
        let credit = Held::Part(Arc::clone(&credit));
        let saying = Saying { from: from.clone(), message, at, credit };
        to_topic(shared, &topic, TopicItem::Peer(Box::new(saying)))?;
    }
    Ok(())
}

/// Puts an item where its topic finds it; into the supervisor's inbox, when the topic has no actor.
fn to_topic<N: Network>(shared: &Shared<N>, topic: &N::Topic, mut item: TopicItem<N>) -> Result<(), Refused> {
    loop {
        // Who has an entry can't go while it is held here.
        if let Some(entry) = shared.directory.topics.get(topic) {
            shared.post(&entry.address, item);
            return Ok(());
        }
        match to_absent_topic(shared, topic, item) {
            Ok(()) => return Ok(()),
            // The topic was spawned meanwhile: look again.
            Err(refused) => item = refused,
        }
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

/// Publications have a bound of their own: they are never refused because of peers.
fn publish<N: Network>(
    shared: &Shared<N>,
    message: Arc<FullMessage<N>>,
    promise: Promise,
    at: Timestamp,
) -> Result<(), Refused> {
    let bytes = weight_of_full(shared, &message);
    let account = Account::Strangers(Arc::clone(&shared.publications));
    let credit = shared
        .publications
        .admit(account, bytes, Till::own(), || 0)
        .inspect_err(|refused| report(shared, *refused))?;
    shared.record(Heard::Publish(&message));
    let topic = message.topic.clone();
    with_actor(shared, topic, TopicItem::Publish { message, at, credit, promise }, |_| {});
    Ok(())
}

fn join<N: Network>(shared: &Shared<N>, topic: N::Topic, at: Timestamp) {
    shared.topic_labels.claim(&topic, true, &shared.network);
    shared.record(Heard::Join(&topic));
    with_actor(shared, topic, TopicItem::Join { at }, |entry| entry.joined = true);
}

/// A topic without an actor is not joined: there is nothing to leave.
fn leave<N: Network>(shared: &Shared<N>, topic: &N::Topic, at: Timestamp) {
    shared.record(Heard::Leave(topic));
    if let Some(mut entry) = shared.directory.topics.get_mut(topic) {
        entry.joined = false;
        entry.command(TopicItem::Leave { at });
    }
}

/// Gives a topic a command; a topic without an actor gets one, and this command first. The topic's place is held
/// meanwhile: joins and leaves keep their order.
fn with_actor<N: Network>(
    shared: &Shared<N>,
    topic: N::Topic,
    item: TopicItem<N>,
    mark: impl FnOnce(&mut TopicEntry<N>),
) {
    match shared.directory.topics.entry(topic.clone()) {
        Entry::Occupied(mut entry) => {
            mark(entry.get_mut());
            entry.get_mut().command(item);
        }
        Entry::Vacant(place) => {
            // Here and not by its actor: the recorder may be this thread's.
            if matches!(item, TopicItem::Publish { .. }) {
                shared.topic_labels.claim(&topic, false, &shared.network);
            }
            let address = shared.desks.assign();
            let mut entry = TopicEntry { address: address.clone(), commands: 0, joined: false };
            entry.command(item);
            mark(&mut entry);
            let _place = place.insert(entry);
            tell(shared, SupervisorItem::Spawn { topic, address });
        }
    }
}

/// A closed supervisor: the engine has ended.
fn tell<N: Network>(shared: &Shared<N>, item: SupervisorItem<N>) {
    let _ = shared.supervisor.push(item);
}
