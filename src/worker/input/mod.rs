//! The entry of all inputs: on the caller's thread, each is admitted and queued for its topic or for the supervisor.
//! Each call returns at once.

mod app;
mod connections;
mod peer;

use dashmap::Entry;

pub use self::peer::PeerInputs;
pub(super) use self::{
    app::{
        app_input, leave_all, publication_ready, publish_batch, publish_with_ticket, subscribe, unsubscribe,
    },
    peer::{p2p_input, ready, try_p2p_input},
};
use crate::{
    actors::{
        mesh::messages::TopicItem, shared::Shared, supervisor::messages::SupervisorItem,
        topic_table::TopicEntry,
    },
    admission::refused::Refused,
    network::Network,
    protocol::event::Event,
};

/// # Errors
/// The engine has ended or is shutting down.
fn check_open<N: Network>(shared: &Shared<N>) -> Result<(), Refused> {
    if shared.is_closing() { Err(Refused::Stopped) } else { Ok(()) }
}

/// Counts a refused input, and reports it at most once an interval (`bounds.event_interval`).
#[cold]
pub(super) fn report_refused<N: Network>(shared: &Shared<N>, refused: Refused) {
    shared.metrics.input_refused(refused);
    // A graylisted peer says nothing about the load of this node.
    if refused == Refused::Graylisted {
        return;
    }
    // The reader of one topic is behind, not the engine.
    if !matches!(refused, Refused::SubscriberBehind { .. }) {
        shared.note_overload();
    }
    if refused != Refused::Stopped && shared.refusal_reports.try_acquire(shared.now()) {
        shared.observe(&Event::InputRefused { depth: refused.depth(), reason: refused.reason() });
    }
}

/// Sends an item to a topic. A topic without an actor is the supervisor's, which gets the item then.
fn send_to_topic<N: Network>(
    shared: &Shared<N>,
    topic: &N::Topic,
    mut item: TopicItem<N>,
) -> Result<(), Refused> {
    loop {
        // The guard keeps the entry from being removed before the item is in the topic's mailbox.
        if let Some(entry) = shared.topic_table.get(topic) {
            shared.send_to_topic(&entry.address, item);
            return Ok(());
        }
        match send_to_inactive_topic(shared, topic, item) {
            Ok(()) => return Ok(()),
            // The topic got an actor in the meantime.
            Err(returned) => item = returned,
        }
        check_open(shared)?;
    }
}

/// Sends an item for a topic without an actor to the supervisor, or returns it if the topic has one by now. The topic's
/// entry is locked meanwhile, so that the supervisor gets the item before the `Spawn` of a later join or publication.
fn send_to_inactive_topic<N: Network>(
    shared: &Shared<N>,
    topic: &N::Topic,
    item: TopicItem<N>,
) -> Result<(), TopicItem<N>> {
    match shared.topic_table.entry(topic.clone()) {
        Entry::Occupied(_) => Err(item),
        Entry::Vacant(_vacant) => {
            send_to_supervisor(shared, SupervisorItem::Topic { topic: topic.clone(), item });
            Ok(())
        }
    }
}

/// Sends a command of the application to a topic and applies `update` to the topic's entry. A topic without an actor
/// gets one, for which this command is the first. The topic's entry is locked meanwhile, so that commands keep their
/// order.
fn command_topic<N: Network>(
    shared: &Shared<N>,
    topic: N::Topic,
    item: TopicItem<N>,
    update: impl FnOnce(&mut TopicEntry<N>),
) {
    match shared.topic_table.entry(topic.clone()) {
        Entry::Occupied(mut entry) => {
            update(entry.get_mut());
            entry.get_mut().command(item);
        }
        Entry::Vacant(vacant) => {
            // On the caller's thread and not in the topic's actor: the metrics recorder may be local to this thread.
            if matches!(item, TopicItem::Publish { .. }) {
                shared.topic_labels.label_for(&topic, false, &shared.network);
            }
            let address = shared.mailboxes.allocate();
            let mut entry = TopicEntry::new(address.clone());
            entry.command(item);
            update(&mut entry);
            let _entry = vacant.insert(entry);
            send_to_supervisor(shared, SupervisorItem::Spawn { topic, address });
        }
    }
}

/// Drops the item if the supervisor is closed: the engine has ended.
pub(super) fn send_to_supervisor<N: Network>(shared: &Shared<N>, item: SupervisorItem<N>) {
    let _ = shared.supervisor.push(item);
}
