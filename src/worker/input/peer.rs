//! Inputs of the p2p layer: connections, disconnections and the messages of peers. A peer's message is refused when a
//! queue that it would add to is full.

use std::sync::Arc;

use derive_where::derive_where;

use super::{check_open, connections::change_connections, report_refused, send_to_supervisor, send_to_topic};
use crate::{
    actors::{
        mesh::{
            messages::{IncomingMessage, PeerMessage, SharedCredit, TopicItem},
            peer_message::handle_idontwant,
        },
        router::messages::RouterItem,
        shared::Shared,
        supervisor::messages::{Connect, Disconnect, SupervisorItem},
    },
    admission::{Credit, CreditOwner, refused::Refused},
    directory::connection::ConnectionRecord,
    input_recorder::RecordedInput,
    network::{ConnectionInfo, FullMessage, Network, P2pInput, P2pMessage, hooks::Hooks},
    protocol::{event::Event, iwant::IWantByTopic, output::pending::PendingOutput},
    worker::lifecycle::Lifetime,
};

/// The input of one peer's messages, for transports that have a task or an actor for each connection: the peer's
/// connection is looked up once and not for each message. Made by [`Worker::peer_inputs`](crate::Worker::peer_inputs)
/// once the engine has accepted the connection.
///
/// [`input`](Self::input) is equivalent to [`Worker::p2p_input`](crate::Worker::p2p_input) with an
/// [`InMessage`](crate::P2pInput::InMessage) of this peer, and takes about 200 instructions less. After the connection
/// has ended, the peer's current connection is looked up for each message.
#[derive_where(Clone)]
pub struct PeerInputs<N: Network> {
    shared: Arc<Shared<N>>,
    /// The engine runs as long as its messages may come.
    _lifetime: Arc<Lifetime<N>>,
    peer: N::Peer,
    /// The peer's connection when this was made; `None` if it had none.
    connection: Option<Arc<ConnectionRecord>>,
}

impl<N: Network> PeerInputs<N> {
    pub(in crate::worker) fn new(shared: Arc<Shared<N>>, lifetime: Arc<Lifetime<N>>, peer: N::Peer) -> Self {
        let connection = shared.directory.connection(&peer);
        Self { shared, _lifetime: lifetime, peer, connection }
    }

    /// The peer whose messages this takes.
    pub fn peer(&self) -> &N::Peer {
        &self.peer
    }

    /// Queues a message of the peer. Never blocks.
    ///
    /// # Errors
    /// As [`Worker::p2p_input`](crate::Worker::p2p_input).
    pub fn input(&self, message: P2pMessage<N>) -> Result<(), Refused> {
        let Self { shared, peer, connection, .. } = self;
        check_open(shared)?;
        let connection = connection.as_ref().filter(|connection| connection.is_connected());
        match message {
            P2pMessage::FullMessage(message) => {
                let owner = match connection {
                    Some(connection) if connection.is_graylisted() => Err(Refused::Graylisted),
                    Some(connection) => Ok(Arc::clone(connection.credit_owner())),
                    None => shared.directory.credit_owner(peer),
                };
                full_message(shared, owner, peer, message)
            }
            other => {
                let connection = connection.cloned().or_else(|| shared.directory.connection(peer));
                control(shared, connection, peer, other)
            }
        }
    }
}

/// See [`Worker::p2p_input`](crate::Worker::p2p_input).
pub(in crate::worker) fn p2p_input<N: Network>(
    shared: &Shared<N>,
    input: P2pInput<N>,
) -> Result<(), Refused> {
    check_open(shared)?;
    match input {
        P2pInput::InMessage { from_peer, message: P2pMessage::FullMessage(message) } => {
            full_message(shared, shared.directory.credit_owner(&from_peer), &from_peer, message)
        }
        P2pInput::InMessage { from_peer, message } => {
            control(shared, shared.directory.connection(&from_peer), &from_peer, message)
        }
        P2pInput::NewConnection { ref peer, ref info } => {
            observe_connection(shared, &input);
            connect(shared, peer, info);
            Ok(())
        }
        P2pInput::Disconnection { ref peer } => {
            observe_connection(shared, &input);
            disconnect(shared, peer);
            Ok(())
        }
        P2pInput::RemoteAddresses { .. } | P2pInput::FurtherConnection { .. } => {
            observe_connection(shared, &input);
            change_connections(shared, input);
            Ok(())
        }
    }
}

/// Like [`p2p_input`], and gives back an input that is refused. A message that was admitted and then finds the engine
/// ending is dropped, like all queued messages.
pub(in crate::worker) fn try_p2p_input<N: Network>(
    shared: &Shared<N>,
    input: P2pInput<N>,
) -> Result<(), (Refused, P2pInput<N>)> {
    if let Err(refused) = check_open(shared) {
        return Err((refused, input));
    }
    let P2pInput::InMessage { from_peer, message } = input else {
        // Other inputs are refused only above.
        let _ = p2p_input(shared, input);
        return Ok(());
    };
    let _ = match message {
        P2pMessage::FullMessage(message) => {
            match admit_full(shared, shared.directory.credit_owner(&from_peer), &message) {
                Ok(credit) => route_full(shared, &from_peer, message, credit),
                Err(refused) => {
                    return Err((refused, P2pInput::message(from_peer, P2pMessage::FullMessage(message))));
                }
            }
        }
        message => {
            let connection = shared.directory.connection(&from_peer);
            match admit_control(shared, connection.as_ref(), &from_peer, &message) {
                Ok(credit) => route_control(shared, connection, &from_peer, message, credit),
                Err(refused) => return Err((refused, P2pInput::message(from_peer, message))),
            }
        }
    };
    Ok(())
}

fn connect<N: Network>(shared: &Shared<N>, peer: &N::Peer, info: &ConnectionInfo) {
    shared.directory.connect(peer, info, &shared.limits.load(), |connection_id, is_new| {
        if is_new {
            // Before the supervisor and the topics know the connection, and so before any other output for it. A closed
            // router drops it: the engine has ended.
            let _ =
                shared.router.push(RouterItem::p2p(PendingOutput::Connected(connection_id), &shared.network));
        }
        let (peer, direction, kind, remote_ip) = (peer.clone(), info.direction, info.kind, info.remote_ip());
        let connect = Connect { peer, direction, kind, remote_ip, connection_id };
        send_to_supervisor(shared, SupervisorItem::message(connect));
    });
}

fn disconnect<N: Network>(shared: &Shared<N>, peer: &N::Peer) {
    let item = SupervisorItem::message(Disconnect { peer: peer.clone(), disconnected_at: shared.now() });
    shared.directory.disconnect(peer, || send_to_supervisor(shared, item));
}

/// Queues a full message for its topic. This is the hot path of an engine. There is no `owner` if the peer is graylisted.
#[inline(always)]
fn full_message<N: Network>(
    shared: &Shared<N>,
    owner: Result<Arc<CreditOwner>, Refused>,
    from: &N::Peer,
    message: Arc<FullMessage<N>>,
) -> Result<(), Refused> {
    let credit = admit_full(shared, owner, &message)?;
    route_full(shared, from, message, credit)
}

#[inline(always)]
fn admit_full<N: Network>(
    shared: &Shared<N>,
    owner: Result<Arc<CreditOwner>, Refused>,
    message: &FullMessage<N>,
) -> Result<Credit, Refused> {
    owner
        .and_then(|owner| {
            check_app_queue(shared, &message.topic)?;
            admit(shared, owner, queued_bytes_of_full(shared, message))
        })
        .inspect_err(|refused| report_refused(shared, *refused))
}

#[inline(always)]
fn route_full<N: Network>(
    shared: &Shared<N>,
    from: &N::Peer,
    message: Arc<FullMessage<N>>,
    credit: Credit,
) -> Result<(), Refused> {
    shared.metrics.message_received();
    if shared.observes_inputs || shared.input_recorder.is_some() {
        observe(shared, from, &P2pMessage::FullMessage(Arc::clone(&message)));
    }
    let entry = shared.topic_table.get(&message.topic);
    if let Some(entry) = &entry {
        // The item is made inside the mailbox, which also reads the clock, once a burst: neither moving the item nor
        // reading the clock for each message is cheap here.
        let incoming = || IncomingMessage { from: from.clone(), message, credit };
        entry.address.push_message(|| shared.now(), incoming);
        return Ok(());
    }
    drop(entry);
    let topic = message.topic.clone();
    let incoming = IncomingMessage { from: from.clone(), message, credit };
    send_to_topic(shared, &topic, TopicItem::Message(incoming))
}

/// Queues any other message for its topics. An IDONTWANT belongs to no topic and is handled at once.
fn control<N: Network>(
    shared: &Shared<N>,
    connection: Option<Arc<ConnectionRecord>>,
    from: &N::Peer,
    message: P2pMessage<N>,
) -> Result<(), Refused> {
    let credit = admit_control(shared, connection.as_ref(), from, &message)?;
    route_control(shared, connection, from, message, credit)
}

fn admit_control<N: Network>(
    shared: &Shared<N>,
    connection: Option<&Arc<ConnectionRecord>>,
    from: &N::Peer,
    message: &P2pMessage<N>,
) -> Result<Credit, Refused> {
    let owner = match connection {
        Some(connection) if connection.is_graylisted() => Err(Refused::Graylisted),
        Some(connection) => Ok(Arc::clone(connection.credit_owner())),
        None => shared.directory.credit_owner(from),
    };
    owner
        .and_then(|owner| check_offer(shared, message).map(|()| owner))
        .and_then(|owner| admit(shared, owner, queued_bytes_of_control(&shared.network, message)))
        .inspect_err(|refused| report_refused(shared, *refused))
}

fn route_control<N: Network>(
    shared: &Shared<N>,
    connection: Option<Arc<ConnectionRecord>>,
    from: &N::Peer,
    message: P2pMessage<N>,
    credit: Credit,
) -> Result<(), Refused> {
    shared.metrics.rpc_received(&message);
    observe(shared, from, &message);
    match message {
        P2pMessage::IWant { message_ids } => iwant(shared, connection, from, message_ids, credit),
        P2pMessage::IDontWant { message_ids } => {
            handle_idontwant(shared, from, connection.as_deref(), message_ids, shared.now());
            Ok(())
        }
        // A ping has no effect. Full messages do not get here.
        P2pMessage::Ping | P2pMessage::FullMessage(_) => Ok(()),
        message => {
            let Some(topic) = message.topic().cloned() else { return Ok(()) };
            let (from, received_at, credit) = (from.clone(), shared.now(), SharedCredit::Whole(credit));
            let message = PeerMessage { from, connection, message, received_at, credit };
            send_to_topic(shared, &topic, TopicItem::Peer(Box::new(message)))
        }
    }
}

/// Queues the ids of an IWANT for the topics that may have the messages. A topic without an actor has none.
fn iwant<N: Network>(
    shared: &Shared<N>,
    connection: Option<Arc<ConnectionRecord>>,
    from: &N::Peer,
    ids: Vec<N::MessageId>,
    credit: Credit,
) -> Result<(), Refused> {
    let received_at = shared.now();
    let by_message_id = |id: &N::MessageId| shared.directory.topic_of_message(id);
    let can_answer = |topic: &N::Topic| shared.topic_table.contains_key(topic);
    let IWantByTopic { topics, unknown } =
        IWantByTopic::split(ids, &shared.network, by_message_id, can_answer);
    shared.metrics.iwant_not_found(unknown.len());
    let credit = Arc::new(credit);
    for (topic, message_ids) in topics {
        let (from, connection) = (from.clone(), connection.clone());
        let (message, credit) = (P2pMessage::IWant { message_ids }, SharedCredit::Part(Arc::clone(&credit)));
        let message = PeerMessage { from, connection, message, received_at, credit };
        send_to_topic(shared, &topic, TopicItem::Peer(Box::new(message)))?;
    }
    Ok(())
}

// === Admission ===

#[inline(always)]
fn admit<N: Network>(shared: &Shared<N>, owner: Arc<CreditOwner>, bytes: usize) -> Result<Credit, Refused> {
    check_p2p_queue(shared)?;
    owner.admit(bytes, || shared.directory.connected())
}

/// Waits until [`p2p_input`] would accept this input. The future owns what it needs.
pub(in crate::worker) fn ready<N: Network>(
    shared: Arc<Shared<N>>,
    input: &P2pInput<N>,
) -> impl Future<Output = ()> + Send + use<N> {
    let admitted = match input {
        P2pInput::InMessage { from_peer, message } => {
            // A graylisted peer is refused at once.
            shared.directory.credit_owner(from_peer).ok().map(|owner| match message {
                P2pMessage::FullMessage(full) => {
                    (owner, queued_bytes_of_full(&shared, full), Some(full.topic.clone()))
                }
                control => (owner, queued_bytes_of_control(&shared.network, control), None),
            })
        }
        // Connections and disconnections need no credit.
        _ => None,
    };
    async move {
        let Some((owner, bytes, topic)) = admitted else { return };
        let delivers = || topic.as_ref().is_none_or(|topic| check_app_queue(&shared, topic).is_ok());
        let streams_have_room = || check_p2p_queue(&shared).is_ok() && delivers();
        owner.ready(bytes, || shared.directory.connected(), streams_have_room, || shared.is_closing()).await;
    }
}

/// Full messages go to the subscription of their topic or to the stream that all other topics share. Neither drops messages
/// because it is full, unless the subscription says so.
#[inline]
fn check_app_queue<N: Network>(shared: &Shared<N>, topic: &N::Topic) -> Result<(), Refused> {
    if shared.full_queues.is_zero() { Ok(()) } else { check_full_queues(shared, topic) }
}

/// Some queue for the application is full: checks that of this topic.
#[cold]
fn check_full_queues<N: Network>(shared: &Shared<N>, topic: &N::Topic) -> Result<(), Refused> {
    let subscription = shared.topic_table.get(topic).and_then(|entry| entry.subscription.clone());
    match subscription {
        Some(subscription) => match subscription.refuses() {
            Some(waiting) => Err(Refused::SubscriberBehind { waiting }),
            None => Ok(()),
        },
        None if shared.app.is_full() => Err(Refused::ApplicationBehind { waiting: shared.app.len() }),
        None => Ok(()),
    }
}

/// Refuses an IHAVE if the queue of the topic's subscription is full: the requested messages would be refused when they arrive.
fn check_offer<N: Network>(shared: &Shared<N>, message: &P2pMessage<N>) -> Result<(), Refused> {
    let P2pMessage::IHave { topic, .. } = message else { return Ok(()) };
    match check_app_queue(shared, topic) {
        Err(refused @ Refused::SubscriberBehind { .. }) => Err(refused),
        _ => Ok(()),
    }
}

/// Messages of peers cause control messages, which the p2p stream never drops.
fn check_p2p_queue<N: Network>(shared: &Shared<N>) -> Result<(), Refused> {
    if shared.p2p.control_overflow() {
        return Err(Refused::TransportBehind { waiting: shared.p2p.len() });
    }
    Ok(())
}

/// The approximate bytes that a queued message takes, for all but full messages.
fn queued_bytes_of_control<N: Network>(network: &Hooks<N>, message: &P2pMessage<N>) -> usize {
    message.bytes(network).saturating_add(size_of::<TopicItem<N>>() + size_of::<PeerMessage<N>>())
}

/// The approximate bytes that a queued full message takes.
#[inline]
pub(super) fn queued_bytes_of_full<N: Network>(shared: &Shared<N>, message: &FullMessage<N>) -> usize {
    message.size(&shared.network).saturating_add(size_of::<TopicItem<N>>())
}

// === Observation ===

/// Passes a message of a peer to the observer and the input recorder, if there are any.
fn observe<N: Network>(shared: &Shared<N>, from: &N::Peer, message: &P2pMessage<N>) {
    if shared.observes_inputs {
        let input = P2pInput::InMessage { from_peer: from.clone(), message: message.clone() };
        shared.observe(&Event::P2pInput(input));
    }
    shared.record(RecordedInput::PeerMessage { from, message });
}

/// Passes a connection, a disconnection or a change of connections to the observer and the input recorder, if there are any.
fn observe_connection<N: Network>(shared: &Shared<N>, input: &P2pInput<N>) {
    if shared.observes_inputs {
        shared.observe(&Event::P2pInput(input.clone()));
    }
    shared.record(RecordedInput::Connection(input));
}
