//! `publish`: each line of standard input is a message.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    FullMessage, P2pInput, P2pMessage, RouteResult,
    libp2p::{Libp2pNetwork, NodeEvent, TopicName},
};
use clap::Args;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{encoding::Encoding, input};
use crate::cli::{
    Failure,
    config::{ConfigArguments, Configuration},
    node::running::{LocalNode, Observer, RunningNode},
    shutdown::cancelled_by_signals,
};

#[derive(Args)]
pub struct PublishArguments {
    #[command(flatten)]
    pub config: ConfigArguments,
    /// How the payload is written on a line
    #[arg(long, value_enum, default_value_t = Encoding::Raw)]
    format: Encoding,
    /// How long to wait for a subscriber, and at the end for the last message to be sent
    #[arg(long, value_name = "S", default_value_t = 10)]
    wait: u64,
}

/// Notices subscriptions to the topic.
#[derive(Clone)]
struct Subscribers {
    topic: TopicName,
    subscribed: Arc<Notify>,
}

impl Observer for Subscribers {
    fn on_event(&mut self, event: &NodeEvent<'_>) {
        if let NodeEvent::Input(P2pInput::InMessage { message: P2pMessage::Subscribe { topic, .. }, .. }) =
            event
            && *topic == self.topic
        {
            self.subscribed.notify_one();
        }
    }

    async fn on_message(&mut self, _: &FullMessage<Libp2pNetwork>) {}
}

/// Publishes the lines, and ends when the last one is sent.
///
/// # Errors
/// The node can't start, nobody subscribes in time, or a line can't be published.
pub async fn publish(arguments: PublishArguments, configuration: Configuration) -> Result<(), Failure> {
    let shutdown = cancelled_by_signals()?;
    let [topic] = &configuration.sections.topics.join[..] else {
        return Err(match configuration.sections.topics.join.len() {
            0 => Failure::NoTopic,
            _ => Failure::Invalid("publish takes one topic: give --topic once".to_owned()),
        });
    };
    let local = LocalNode::new(&configuration)?;
    let observer = Subscribers { topic: topic.clone(), subscribed: Arc::default() };
    let running = RunningNode::start(&local, &configuration, observer.clone(), None, &shutdown).await?;
    let outcome = tokio::select! {
        outcome = publish_lines(&arguments, &configuration, &local, &running, &observer) => outcome,
        () = shutdown.cancelled() => Ok(()),
    };
    let (_, stopped) = running.stop().await;
    outcome.and(stopped)
}

async fn publish_lines(
    arguments: &PublishArguments,
    configuration: &Configuration,
    local: &LocalNode,
    running: &RunningNode,
    observer: &Subscribers,
) -> Result<(), Failure> {
    let topic = &observer.topic;
    let wait = Duration::from_secs(arguments.wait);
    if timeout(wait, observer.subscribed.notified()).await.is_err() {
        return Err(Failure::NoSubscriber { topic: topic.to_string(), seconds: arguments.wait });
    }
    // The first message reaches more peers once some are in the mesh, which takes a heartbeat.
    sleep(configuration.limits.heartbeat_interval.min(wait)).await;
    // A JSON or hexadecimal line is longer than its payload.
    let mut lines = input::lines(4 * configuration.sections.network.max_frame_out)?;
    let mut last = None;
    let mut unsent = 0;
    while let Some(line) = lines.recv().await {
        let payload = line
            .map_err(|error| error.to_string())
            .and_then(|line| arguments.format.payload(line))
            .map_err(|reason| Failure::Invalid(format!("standard input: {reason}")))?;
        let message = local.network.message(topic.clone(), payload)?;
        // Waits while too many messages are not sent.
        let ticket = running.worker.publish_when_room(message).await.map_err(Failure::Publish)?;
        if ticket.routed().await.routed != Some(RouteResult::Queued) {
            unsent += 1;
        }
        last = Some(ticket);
    }
    if let Some(ticket) = last {
        let _ = timeout(wait, ticket.completed()).await;
    }
    match unsent {
        0 => Ok(()),
        count => Err(Failure::NotPublished { count, reason: "no peer was subscribed then".to_owned() }),
    }
}
