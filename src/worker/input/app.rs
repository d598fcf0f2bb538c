//! Inputs of the application: join, leave, publish, application scores. Publications have a queue limit of their own,
//! so that peers cannot cause their refusal.

use std::sync::Arc;

use super::{check_open, command_topic, peer::queued_bytes_of_full, report_refused, send_to_supervisor};
use crate::{
    actors::{
        mesh::messages::TopicItem,
        router::messages::RouterItem,
        shared::Shared,
        supervisor::messages::{SetApplicationScore, SupervisorItem},
        topic_table::TopicEntry,
    },
    admission::refused::Refused,
    input_recorder::RecordedInput,
    network::{AppInput, FullMessage, Network},
    outputs::{
        publication::{PublishResponder, PublishState},
        publish_batch::PublishBatch,
        topic_queue::{TopicQueue, TopicSender},
    },
    protocol::{event::Event, output::pending::PendingOutput, topic::interest::Interest},
    timestamp::Timestamp,
};

/// See [`Worker::app_input`](crate::Worker::app_input).
pub(in crate::worker) fn app_input<N: Network>(
    shared: &Shared<N>,
    input: AppInput<N>,
) -> Result<(), Refused> {
    check_open(shared)?;
    if shared.observes_inputs {
        shared.observe(&Event::AppInput(input.clone()));
    }
    let received_at = shared.now();
    match input {
        AppInput::Publish(message) => {
            let responder = PublishResponder::without_ticket();
            publish(shared, Arc::new(message), 0, responder, received_at)?
        }
        AppInput::Join(topic) => join(shared, topic, Interest::Deliver, None, received_at),
        AppInput::Leave(topic) => leave(shared, &topic, Interest::Deliver, received_at),
        AppInput::Relay(topic) => join(shared, topic, Interest::Relay, None, received_at),
        AppInput::StopRelay(topic) => leave(shared, &topic, Interest::Relay, received_at),
        AppInput::SetApplicationScore { peer, score } => {
            shared.record(RecordedInput::SetApplicationScore { peer: &peer, score });
            send_to_supervisor(shared, SupervisorItem::message(SetApplicationScore { peer, score }));
        }
    }
    Ok(())
}

/// As [`app_input`] of a publication to at least `min_peers` peers, which reports to `state`.
pub(in crate::worker) fn publish_with_ticket<N: Network>(
    shared: &Shared<N>,
    message: Arc<FullMessage<N>>,
    min_peers: usize,
    state: &Arc<PublishState<N>>,
) -> Result<(), Refused> {
    check_open(shared)?;
    if shared.observes_inputs {
        shared.observe(&Event::AppInput(AppInput::Publish(FullMessage::clone(&message))));
    }
    publish(shared, message, min_peers, PublishResponder::new(state), shared.now())
}

/// Waits until [`publish_with_ticket`] would accept this message, or the engine ends.
pub(in crate::worker) async fn publication_ready<N: Network>(shared: &Shared<N>, message: &FullMessage<N>) {
    let bytes = queued_bytes_of_full(shared, message);
    shared.publications.ready(bytes, || 0, || true, || shared.is_closing()).await;
}

/// Leaves all joined topics, and relays none: the engine shuts down. In the order of the topics, since that of the table is
/// random.
pub(in crate::worker) fn leave_all<N: Network>(shared: &Shared<N>) {
    let mut topics: Vec<_> =
        shared.topic_table.iter().map(|entry| (entry.key().clone(), entry.interests)).collect();
    topics.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    for (topic, interests) in topics {
        for interest in interests.iter() {
            leave(shared, &topic, interest, shared.now());
        }
    }
}

fn publish<N: Network>(
    shared: &Shared<N>,
    message: Arc<FullMessage<N>>,
    min_peers: usize,
    responder: PublishResponder<N>,
    received_at: Timestamp,
) -> Result<(), Refused> {
    let bytes = queued_bytes_of_full(shared, &message);
    let credit = Arc::clone(&shared.publications)
        .admit(bytes, || 0)
        .inspect_err(|refused| report_refused(shared, *refused))?;
    shared.record(match min_peers {
        0 => RecordedInput::Publish(&message),
        _ => RecordedInput::PublishToAtLeast { min_peers, message: &message },
    });
    let topic = message.topic.clone();
    let item = TopicItem::Publish { message, min_peers, received_at, credit, responder, batch: None };
    command_topic(shared, topic, item, |_| {});
    Ok(())
}

/// Publishes messages whose sends leave together, or none of them if there is no room for all.
pub(in crate::worker) fn publish_batch<N: Network>(
    shared: &Arc<Shared<N>>,
    publications: Vec<(Arc<FullMessage<N>>, Arc<PublishState<N>>)>,
) -> Result<(), Refused> {
    check_open(shared)?;
    let admit = |message: &FullMessage<N>| {
        let bytes = queued_bytes_of_full(shared, message);
        Arc::clone(&shared.publications).admit(bytes, || 0)
    };
    let credits: Result<Vec<_>, _> = publications.iter().map(|(message, _)| admit(message)).collect();
    let credits = credits.inspect_err(|refused| report_refused(shared, *refused))?;
    // Weak, because queued publications are part of it.
    let engine = Arc::downgrade(shared);
    let send = move |outputs: Vec<PendingOutput<N>>| {
        if let Some(shared) = engine.upgrade() {
            let items = outputs.into_iter().map(|output| RouterItem::p2p(output, &shared.network));
            shared.router.extend(items);
        }
    };
    let (batch, received_at) = (Arc::new(PublishBatch::new(send)), shared.now());
    for ((message, state), credit) in publications.into_iter().zip(credits) {
        if shared.observes_inputs {
            shared.observe(&Event::AppInput(AppInput::Publish(FullMessage::clone(&message))));
        }
        shared.record(RecordedInput::Publish(&message));
        let topic = message.topic.clone();
        let (responder, batch) = (PublishResponder::new(&state), Some(Arc::clone(&batch)));
        let item = TopicItem::Publish { message, min_peers: 0, received_at, credit, responder, batch };
        command_topic(shared, topic, item, |_| {});
    }
    Ok(())
}

/// Joins a topic whose messages go to `sender`. If it has a subscription already, that one ends.
pub(in crate::worker) fn subscribe<N: Network>(
    shared: &Shared<N>,
    topic: N::Topic,
    sender: TopicSender<N>,
) -> Result<(), Refused> {
    check_open(shared)?;
    if shared.observes_inputs {
        shared.observe(&Event::AppInput(AppInput::Join(topic.clone())));
    }
    join(shared, topic.clone(), Interest::Deliver, Some(Arc::new(sender)), shared.now());
    // If the engine has ended in the meantime, the topic table was cleared before the subscription was there.
    check_open(shared).inspect_err(|_| drop(take_subscription(shared, &topic, |_| true)))
}

/// Ends the subscription of a topic that sends to `queue`, if it has not ended. Its reader is gone.
pub(in crate::worker) fn unsubscribe<N: Network>(
    shared: &Shared<N>,
    topic: &N::Topic,
    queue: &Arc<TopicQueue<N>>,
) {
    let sends_here = |sender: &TopicSender<N>| sender.sends_to(queue);
    if !queue.config().leave_on_drop {
        drop(take_subscription(shared, topic, sends_here));
    } else if check_open(shared).is_ok() {
        // Another subscription may have taken its place.
        let applies = |entry: &TopicEntry<N>| entry.subscription.as_deref().is_some_and(sends_here);
        let has_left = leave_if(shared, topic, Interest::Deliver, shared.now(), applies);
        if has_left && shared.observes_inputs {
            shared.observe(&Event::AppInput(AppInput::Leave(topic.clone())));
        }
    }
}

/// Takes the subscription out of the topic table. The result is dropped without a lock, since that wakes the reader.
fn take_subscription<N: Network>(
    shared: &Shared<N>,
    topic: &N::Topic,
    is_meant: impl FnOnce(&TopicSender<N>) -> bool,
) -> Option<Arc<TopicSender<N>>> {
    let mut entry = shared.topic_table.get_mut(topic)?;
    entry.subscription.take_if(|sender| is_meant(sender))
}

fn join<N: Network>(
    shared: &Shared<N>,
    topic: N::Topic,
    interest: Interest,
    subscription: Option<Arc<TopicSender<N>>>,
    received_at: Timestamp,
) {
    shared.topic_labels.label_for(&topic, true, &shared.network);
    shared.record(match interest {
        Interest::Deliver => RecordedInput::Join(&topic),
        Interest::Relay => RecordedInput::Relay(&topic),
    });
    let mut replaced = None;
    let item = TopicItem::Join { interest, received_at, subscription: subscription.clone() };
    command_topic(shared, topic, item, |entry| {
        entry.interests.add(interest);
        if subscription.is_some() {
            replaced = std::mem::replace(&mut entry.subscription, subscription);
        }
    });
    // Without a lock, since it may wake a reader.
    drop(replaced);
}

fn leave<N: Network>(shared: &Shared<N>, topic: &N::Topic, interest: Interest, received_at: Timestamp) {
    leave_if(shared, topic, interest, received_at, |_| true);
}

/// Leaves a topic if `applies`, and returns whether it did. Only then the leave is recorded. A topic without an actor is
/// not joined, so that there is nothing to leave.
fn leave_if<N: Network>(
    shared: &Shared<N>,
    topic: &N::Topic,
    interest: Interest,
    received_at: Timestamp,
    applies: impl FnOnce(&TopicEntry<N>) -> bool,
) -> bool {
    let Some(mut entry) = shared.topic_table.get_mut(topic).filter(|entry| applies(entry)) else {
        return false;
    };
    entry.interests.remove(interest);
    let ended = entry.subscription.take_if(|_| interest == Interest::Deliver);
    entry.command(TopicItem::Leave { interest, received_at });
    drop(entry);
    // Without a lock, since it may wake a reader.
    drop(ended);
    shared.record(match interest {
        Interest::Deliver => RecordedInput::Leave(topic),
        Interest::Relay => RecordedInput::StopRelay(topic),
    });
    true
}
