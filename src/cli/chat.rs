//! The command `chat`: a line of standard input is published, and messages are shown with their sender and time.

use std::time::{Duration, SystemTime};

use actix_gossipsub::{
    FullMessage, P2pInput, RouteResult,
    libp2p::{Libp2pNetwork, NodeEvent, TopicName},
};
use clap::Args;
use libp2p::PeerId;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    Failure,
    config::{ConfigArguments, Configuration},
    escaped::Escaped,
    node::running::{LocalNode, Observer, RunningNode},
    output::Printer,
    pipes::input,
    shutdown::cancelled_by_signals,
};

/// Time limit for the last line to be sent.
const LAST_LINE: Duration = Duration::from_secs(2);

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    pub config: ConfigArguments,
}

/// Shows what happens.
#[derive(Clone)]
struct Screen {
    local: PeerId,
    network: Libp2pNetwork,
    topics: usize,
    printer: Printer,
}

impl Screen {
    fn line(&self, text: impl FnOnce() -> String) {
        let time = humantime::format_rfc3339_seconds(SystemTime::now());
        self.printer.line(|| format!("{time} {}", text()));
    }
}

impl Observer for Screen {
    fn on_event(&mut self, event: &NodeEvent<'_>) {
        match event {
            NodeEvent::Listening(address) => {
                self.line(|| format!("* others join with --dial {address}/p2p/{}", self.local));
            }
            NodeEvent::Input(P2pInput::NewConnection { peer, .. }) => {
                self.line(|| format!("* {} is here ({peer})", short(peer)));
            }
            NodeEvent::Input(P2pInput::Disconnection { peer }) => {
                self.line(|| format!("* {} is gone", short(peer)));
            }
            _ => {}
        }
    }

    async fn on_message(&mut self, full: &FullMessage<Libp2pNetwork>) {
        self.line(|| {
            let from = full.message.source().map_or_else(|| "anonymous".to_owned(), short);
            let payload = self.network.payload(full);
            let text = String::from_utf8_lossy(&payload);
            let topic =
                if self.topics > 1 { format!("[{}] ", Escaped(full.topic.as_str())) } else { String::new() };
            format!("{topic}{from}: {}", Escaped(&text))
        });
    }
}

/// The end of a peer id. The ids of one key type begin alike.
fn short(peer: &PeerId) -> String {
    let text = peer.to_string();
    text.get(text.len().saturating_sub(8)..).unwrap_or(&text).to_owned()
}

/// Runs until the end of the input, or a signal.
///
/// # Errors
/// The node can't start, or its engine failed.
pub async fn run(configuration: Configuration) -> Result<(), Failure> {
    let topics = configuration.sections.topics.join.clone();
    let Some(topic) = topics.first() else { return Err(Failure::NoTopic) };
    let shutdown = cancelled_by_signals()?;
    let local = LocalNode::new(&configuration)?;
    let (printer, printed) = Printer::start(shutdown.clone(), false)?;
    let screen = Screen { local: local.peer, network: local.network.clone(), topics: topics.len(), printer };
    let outcome = match RunningNode::start(&local, &configuration, screen.clone(), None, &shutdown).await {
        Ok(running) => {
            let max_line = configuration.sections.network.max_frame_out;
            let outcome = talk(topic, max_line, &local, &running, &screen, &shutdown).await;
            outcome.and(running.stop().await.1)
        }
        Err(failure) => Err(failure),
    };
    printed.wait();
    outcome
}

/// Publishes the lines on the first topic, and says so when nobody gets one.
async fn talk(
    topic: &TopicName,
    max_line: usize,
    local: &LocalNode,
    running: &RunningNode,
    screen: &Screen,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    let mut lines = input::lines(max_line)?;
    let mut last = None;
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            () = shutdown.cancelled() => return Ok(()),
        };
        let Some(line) = line else { break };
        let line = line.map_err(|error| Failure::Invalid(format!("standard input: {error}")))?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match local.network.message(topic.clone(), line) {
            Ok(message) => {
                let ticket = running.worker.publish_when_room(message).await.map_err(Failure::Publish)?;
                if ticket.routed().await.routed == Some(RouteResult::NoPeers) {
                    screen.line(|| format!("* nobody else is on {} yet", Escaped(topic.as_str())));
                }
                last = Some(ticket);
            }
            Err(error) => screen.line(|| format!("* not sent: {error}")),
        }
    }
    if let Some(ticket) = last {
        let _ = timeout(LAST_LINE, ticket.completed()).await;
    }
    Ok(())
}
