//! `publish`: each line of standard input is a message.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use actix_gossipsub::{
    FullMessage, P2pInput, P2pMessage, PublishTicket,
    libp2p::{Libp2pNetwork, NodeEvent, TopicName},
};
use clap::Args;
use libp2p::PeerId;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{encoding::Encoding, input};
use crate::cli::{
    Failure,
    config::{ConfigArguments, Configuration},
    node::running::{LocalNode, Observer, RunningNode},
    shutdown::cancelled_by_signals,
};

/// Publications of which it is not known yet whether a peer was sent them. The node has fewer on the way to its peers.
const MAX_UNSENT: usize = 1_024;

#[derive(Args)]
pub struct PublishArguments {
    #[command(flatten)]
    pub config: ConfigArguments,
    /// How the payload is written on a line
    #[arg(long, value_enum, default_value_t = Encoding::Raw)]
    format: Encoding,
    /// How long to wait for a subscriber, and for a message to be sent to a peer
    #[arg(long, value_name = "S", default_value_t = 10)]
    wait: u64,
}

/// Notices subscriptions to the topic.
#[derive(Clone)]
struct Subscribers {
    local: PeerId,
    topic: TopicName,
    subscribed: Arc<Notify>,
}

impl Observer for Subscribers {
    fn on_event(&mut self, event: &NodeEvent<'_>) {
        match event {
            NodeEvent::Listening(address) => tracing::info!("listening on {address}/p2p/{}", self.local),
            NodeEvent::Input(P2pInput::InMessage {
                message: P2pMessage::Subscribe { topic, .. }, ..
            }) if *topic == self.topic => {
                self.subscribed.notify_one();
            }
            _ => {}
        }
    }

    async fn on_message(&mut self, _: &FullMessage<Libp2pNetwork>) {}
}

/// The publications of which it is not known yet whether a peer was sent them, the oldest first: a bounded number.
struct Unsent {
    tickets: VecDeque<(Instant, PublishTicket<Libp2pNetwork>)>,
    wait: Duration,
    /// Publications that no peer was sent within `wait`.
    lost: u64,
}

impl Unsent {
    fn new(wait: Duration) -> Self {
        Self { tickets: VecDeque::new(), wait, lost: 0 }
    }

    /// Adds a publication. If there are too many, waits until a peer was sent the oldest one.
    async fn add(&mut self, ticket: PublishTicket<Libp2pNetwork>) {
        self.tickets.push_back((Instant::now(), ticket));
        while let Some((since, oldest)) = self.tickets.front() {
            let report = oldest.report();
            let is_full = self.tickets.len() > MAX_UNSENT;
            if !report.is_complete() && !is_full {
                return;
            }
            // A slow peer does not delay what another one was sent.
            let end = if report.sent > 0 { Instant::now() } else { after(*since, self.wait) };
            self.wait_for_oldest(end).await;
        }
    }

    /// Waits until the oldest publication is sent to all peers, until `end`.
    async fn wait_for_oldest(&mut self, end: Instant) {
        let Some((_, ticket)) = self.tickets.pop_front() else { return };
        // In both cases the report has the number of peers so far.
        let _ = timeout_at(end, ticket.completed()).await;
        self.lost += u64::from(ticket.report().sent == 0);
    }

    /// Waits for all of them. Returns how many no peer was sent.
    async fn finish(mut self) -> u64 {
        let end = after(Instant::now(), self.wait);
        while !self.tickets.is_empty() {
            self.wait_for_oldest(end).await;
        }
        self.lost
    }
}

/// The end of a wait. One of more than 30 years is one of 30 years: a time has a maximum.
fn after(start: Instant, wait: Duration) -> Instant {
    start + wait.min(Duration::from_secs(30 * 365 * 24 * 3_600))
}

/// Publishes the lines, and ends when all are sent.
///
/// # Errors
/// The node can't start, nobody subscribes in time, a line can't be published, or no peer was sent it.
pub async fn publish(arguments: PublishArguments, configuration: Configuration) -> Result<(), Failure> {
    let shutdown = cancelled_by_signals()?;
    let [topic] = &configuration.sections.topics.join[..] else {
        return Err(match configuration.sections.topics.join.len() {
            0 => Failure::NoTopic,
            _ => Failure::Invalid("publish takes one topic: give --topic once".to_owned()),
        });
    };
    let local = LocalNode::new(&configuration)?;
    let observer = Subscribers { local: local.peer, topic: topic.clone(), subscribed: Arc::default() };
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
    let mut unsent = Unsent::new(wait);
    while let Some(line) = lines.recv().await {
        let payload = line
            .map_err(|error| error.to_string())
            .and_then(|line| arguments.format.payload(line))
            .map_err(|reason| Failure::Invalid(format!("standard input: {reason}")))?;
        let message = local.network.message(topic.clone(), payload)?;
        // Waits while too many messages are not sent.
        unsent.add(running.worker.publish_when_room(message).await.map_err(Failure::Publish)?).await;
    }
    match unsent.finish().await {
        0 => Ok(()),
        count => {
            let reason =
                format!("no peer was subscribed then, or none took them within {} s", arguments.wait);
            Err(Failure::NotPublished { count, reason })
        }
    }
}
