//! The engine's door: resolves topic and peer on the caller's thread, and puts each input where it
//! belongs. Who is let in is [`admission`](crate::admission)'s. Never blocks.

pub(crate) mod peer;

use std::{collections::BTreeMap, sync::Arc};

use dashmap::Entry;

use crate::{
    actors::{
        mesh::{
            messages::{IncomingMessage, PeerMessage, SharedCredit, TopicItem},
            peer_message::handle_idontwant,
        },
        shared::Shared,
        supervisor::messages::SupervisorItem,
        topic_table::TopicEntry,
    },
    admission::{Credit, CreditOwner, refused::Refused, thread_slot::ThreadSlot},
    input_recorder::RecordedInput,
    network::{AppInput, ConnectionInfo, FullMessage, Network, P2pInput, P2pMessage, PxPeer},
    outputs::publication::{PublishResponder, PublishState},
    protocol::event::Event,
    timestamp::Timestamp,
};

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
    shared.record(RecordedInput::Connection(&input));
    match input {
        P2pInput::NewConnection { peer, info } => connect(shared, peer, &info),
        P2pInput::Disconnection { peer } => disconnect(shared, peer),
        P2pInput::InMessage { .. } => {}
    }
    Ok(())
}

/// What a peer says, counted on `account`.
#[inline(always)]
pub(super) fn in_message<N: Network>(
    shared: &Shared<N>,
    account: CreditOwner,
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
    account: CreditOwner,
    from: &N::Peer,
    message: Arc<FullMessage<N>>,
) -> Result<(), Refused> {
    let thread_slot = ThreadSlot::own();
    shared.returns.take(thread_slot);
    let bytes = weight_of_full(shared, &message);
    let room = check_application(shared);
    let credit = room
        .and_then(|()| admit(shared, account, bytes, thread_slot))
        .inspect_err(|why| report(shared, *why))?;
    shared.metrics.received_message();
    if shared.observes_inputs || shared.input_recorder.is_some() {
        show(shared, from, &P2pMessage::FullMessage(Arc::clone(&message)));
    }
    let entry = shared.topic_table.get(&message.topic);
    if let Some(entry) = &entry {
        // Nothing is copied, and a look at the clock costs as much as a tenth of all else that a message takes.
        let arrival = || IncomingMessage { from: from.clone(), message, credit };
        entry.address.push_message(|| shared.now(), arrival);
        return Ok(());
    }
    drop(entry);
    let topic = message.topic.clone();
    to_topic(shared, &topic, TopicItem::Message(IncomingMessage { from: from.clone(), message, credit }))
}

/// Anything else that a peer says.
fn control<N: Network>(
    shared: &Shared<N>,
    account: CreditOwner,
    from: &N::Peer,
    message: P2pMessage<N>,
) -> Result<(), Refused> {
    let bytes = weight(&*shared.network, &message);
    let credit = admit(shared, account, bytes, ThreadSlot::own()).inspect_err(|why| report(shared, *why))?;
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
            let saying = PeerMessage {
                from: from.clone(),
                message,
                at: shared.now(),
                credit: SharedCredit::Whole(credit),
            };
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
    shared.record(RecordedInput::PeerMessage { from, message });
}

pub(super) fn app_input<N: Network>(shared: &Shared<N>, input: AppInput<N>) -> Result<(), Refused> {
    open(shared)?;
    if shared.observes_inputs {
        shared.observe(&Event::AppInput(input.clone()));
    }
    let at = shared.now();
    match input {
        AppInput::Publish(message) => publish(shared, Arc::new(message), PublishResponder::new(None), at),
        AppInput::Join(topic) => {
            join(shared, topic, at);
            Ok(())
        }
        AppInput::Leave(topic) => {
            leave(shared, &topic, at);
            Ok(())
        }
        AppInput::SetApplicationScore { peer, score } => {
            shared.record(RecordedInput::SetApplicationScore { peer: &peer, score });
            tell(shared, SupervisorItem::SetApplicationScore { peer, score });
            Ok(())
        }
    }
}

/// As [`app_input`] of a publication, with somebody who wants to hear what becomes of it.
pub(super) fn publish_with_ticket<N: Network>(
    shared: &Shared<N>,
    message: FullMessage<N>,
    publication: Arc<PublishState>,
) -> Result<(), Refused> {
    open(shared)?;
    if shared.observes_inputs {
        shared.observe(&Event::AppInput(AppInput::Publish(message.clone())));
    }
    publish(shared, Arc::new(message), PublishResponder::new(Some(publication)), shared.now())
}

/// Leaves every topic: the engine shuts down.
pub(super) fn leave_all<N: Network>(shared: &Shared<N>) {
    let joined = shared.topic_table.iter().filter(|entry| entry.joined);
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
    account: CreditOwner,
    bytes: usize,
    thread_slot: ThreadSlot,
) -> Result<Credit, Refused> {
    check_transport(shared)?;
    shared.admission.admit(account, bytes, thread_slot, || shared.directory.connected())
}

/// What a peer's inputs are counted on.
pub(super) fn account<N: Network>(shared: &Shared<N>, peer: &N::Peer) -> CreditOwner {
    let record = shared.directory.connection(peer);
    record.map_or_else(|| CreditOwner::Unconnected(Arc::clone(&shared.admission)), CreditOwner::Peer)
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
        P2pMessage::Prune { px, .. } => px.iter().map(PxPeer::size).sum(),
        _ => 0,
    };
    contents.saturating_add(size_of::<TopicItem<N>>() + size_of::<PeerMessage<N>>())
}

/// The bytes that a full message holds while it waits, roughly.
#[inline]
fn weight_of_full<N: Network>(shared: &Shared<N>, message: &FullMessage<N>) -> usize {
    message.size(&shared.network).saturating_add(size_of::<TopicItem<N>>())
}

fn report<N: Network>(shared: &Shared<N>, refused: Refused) {
    shared.metrics.refused(refused);
    shared.note_overload();
    if refused != Refused::Stopped && shared.refusal_reports.try_acquire(shared.now()) {
        shared.observe(&Event::InputRefused { depth: refused.depth(), reason: refused.reason() });
    }
}

fn connect<N: Network>(shared: &Shared<N>, peer: N::Peer, info: &ConnectionInfo) {
    let (told, direction, kind) = (peer.clone(), info.direction, info.kind);
    shared.directory.connect(&peer, info, |connection_id| {
        tell(shared, SupervisorItem::Connect { peer: told, direction, kind, connection_id });
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
        if let Some(topic) = topic.filter(|topic| shared.topic_table.contains_key(topic)) {
            by_topic.entry(topic).or_default().push(id);
            found += 1;
        }
    }
    shared.metrics.not_found(asked - found);
    let credit = Arc::new(credit);
    for (topic, message_ids) in by_topic {
        let message = P2pMessage::IWant { message_ids };
        let credit = SharedCredit::Part(Arc::clone(&credit));
        let saying = PeerMessage { from: from.clone(), message, at, credit };
        to_topic(shared, &topic, TopicItem::Peer(Box::new(saying)))?;
    }
    Ok(())
}

/// Puts an item where its topic finds it; into the supervisor's inbox, when the topic has no actor.
fn to_topic<N: Network>(shared: &Shared<N>, topic: &N::Topic, mut item: TopicItem<N>) -> Result<(), Refused> {
    loop {
        // Who has an entry can't go while it is held here.
        if let Some(entry) = shared.topic_table.get(topic) {
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
    match shared.topic_table.entry(topic.clone()) {
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
    promise: PublishResponder,
    at: Timestamp,
) -> Result<(), Refused> {
    let bytes = weight_of_full(shared, &message);
    let account = CreditOwner::Unconnected(Arc::clone(&shared.publications));
    let credit = shared
        .publications
        .admit(account, bytes, ThreadSlot::own(), || 0)
        .inspect_err(|refused| report(shared, *refused))?;
    shared.record(RecordedInput::Publish(&message));
    let topic = message.topic.clone();
    with_actor(shared, topic, TopicItem::Publish { message, at, credit, promise }, |_| {});
    Ok(())
}

fn join<N: Network>(shared: &Shared<N>, topic: N::Topic, at: Timestamp) {
    shared.topic_labels.claim(&topic, true, &shared.network);
    shared.record(RecordedInput::Join(&topic));
    with_actor(shared, topic, TopicItem::Join { at }, |entry| entry.joined = true);
}

/// A topic without an actor is not joined: there is nothing to leave.
fn leave<N: Network>(shared: &Shared<N>, topic: &N::Topic, at: Timestamp) {
    shared.record(RecordedInput::Leave(topic));
    if let Some(mut entry) = shared.topic_table.get_mut(topic) {
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
    match shared.topic_table.entry(topic.clone()) {
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
