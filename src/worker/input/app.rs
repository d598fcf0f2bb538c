//! Inputs of the application: join, leave, publish, application scores. Publications have a queue limit of their own,
//! so that peers cannot cause their refusal.

use std::sync::Arc;

use super::{check_open, command_topic, peer::queued_bytes_of_full, report_refused, send_to_supervisor};
use crate::{
    actors::{
        mesh::messages::TopicItem,
        shared::Shared,
        supervisor::messages::{SetApplicationScore, SupervisorItem},
    },
    admission::refused::Refused,
    input_recorder::RecordedInput,
    network::{AppInput, FullMessage, Network},
    outputs::publication::{PublishResponder, PublishState},
    protocol::event::Event,
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
            publish(shared, Arc::new(message), PublishResponder::without_ticket(), received_at)?
        }
        AppInput::Join(topic) => join(shared, topic, received_at),
        AppInput::Leave(topic) => leave(shared, &topic, received_at),
        AppInput::SetApplicationScore { peer, score } => {
            shared.record(RecordedInput::SetApplicationScore { peer: &peer, score });
            send_to_supervisor(shared, SupervisorItem::message(SetApplicationScore { peer, score }));
        }
    }
    Ok(())
}

/// As [`app_input`] of a publication, which reports to `state`.
pub(in crate::worker) fn publish_with_ticket<N: Network>(
    shared: &Shared<N>,
    message: Arc<FullMessage<N>>,
    state: &Arc<PublishState<N>>,
) -> Result<(), Refused> {
    check_open(shared)?;
    if shared.observes_inputs {
        shared.observe(&Event::AppInput(AppInput::Publish(FullMessage::clone(&message))));
    }
    publish(shared, message, PublishResponder::new(state), shared.now())
}

/// Waits until [`publish_with_ticket`] would accept this message, or the engine ends.
pub(in crate::worker) async fn publication_ready<N: Network>(shared: &Shared<N>, message: &FullMessage<N>) {
    let bytes = queued_bytes_of_full(shared, message);
    shared.publications.ready(bytes, || 0, || true, || shared.is_closing()).await;
}

/// Leaves all joined topics: the engine shuts down.
pub(in crate::worker) fn leave_all<N: Network>(shared: &Shared<N>) {
    let joined = shared.topic_table.iter().filter(|entry| entry.joined);
    let joined: Vec<_> = joined.map(|entry| entry.key().clone()).collect();
    for topic in joined {
        leave(shared, &topic, shared.now());
    }
}

fn publish<N: Network>(
    shared: &Shared<N>,
    message: Arc<FullMessage<N>>,
    responder: PublishResponder<N>,
    received_at: Timestamp,
) -> Result<(), Refused> {
    let bytes = queued_bytes_of_full(shared, &message);
    let credit = Arc::clone(&shared.publications)
        .admit(bytes, || 0)
        .inspect_err(|refused| report_refused(shared, *refused))?;
    shared.record(RecordedInput::Publish(&message));
    let topic = message.topic.clone();
    let item = TopicItem::Publish { message, received_at, credit, responder };
    command_topic(shared, topic, item, |_| {});
    Ok(())
}

fn join<N: Network>(shared: &Shared<N>, topic: N::Topic, received_at: Timestamp) {
    shared.topic_labels.label_for(&topic, true, &shared.network);
    shared.record(RecordedInput::Join(&topic));
    command_topic(shared, topic, TopicItem::Join { received_at }, |entry| entry.joined = true);
}

/// A topic without an actor is not joined, so that there is nothing to leave.
fn leave<N: Network>(shared: &Shared<N>, topic: &N::Topic, received_at: Timestamp) {
    shared.record(RecordedInput::Leave(topic));
    if let Some(mut entry) = shared.topic_table.get_mut(topic) {
        entry.joined = false;
        entry.command(TopicItem::Leave { received_at });
    }
}
