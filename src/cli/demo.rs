//! `demo`: many nodes over real TCP in this process, and the proof that every subscriber got every message
//! exactly once. Its arguments, and its course.

mod display;
mod feed;
mod latency;
mod member;
mod network;
mod summary;
mod tally;
mod topology;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use clap::Args;
use tokio::time::Instant;

use self::{display::Display, feed::Feed, network::Demonstration, summary::Summary, tally::Tally};
use super::{Failure, number::between, printer::Printer, stop::Stop};

/// How long the last messages are waited for.
const STRAGGLERS: Duration = Duration::from_secs(15);
/// Between two looks at what has arrived.
const LOOK: Duration = Duration::from_secs(1);
/// Deliveries that can be told apart: a bit each, 256 MiB.
const MAX_DELIVERIES: u64 = 1 << 31;

#[derive(Args, Clone)]
pub struct Arguments {
    /// Nodes, each with an engine and a TCP port of its own
    #[arg(long, default_value_t = 8,
        value_parser = between(2, 128, "messages go from one to others; each has some ten sockets"))]
    nodes: u64,
    /// Topics; every node joins all
    #[arg(long, default_value_t = 20,
        value_parser = between(1, 1024, "a peer may subscribe to so many"))]
    topics: u64,
    /// Messages published a second, in all
    #[arg(long, default_value_t = 50,
        value_parser = between(1, 100_000, "without messages there is nothing to see"))]
    rate: u64,
    /// Seconds of publishing
    #[arg(long, default_value_t = 20,
        value_parser = between(1, 86_400, "up to a day"))]
    seconds: u64,
    /// Length of a message in bytes
    #[arg(long, default_value_t = 256,
        value_parser = between(16, 65_536, "a message carries its number and its time"))]
    size: u64,
    /// Who dials whom, and who publishes what, follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the first node's live page and metrics are served; by default at 127.0.0.1:9898, or at any port if
    /// that is taken
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn nodes(&self) -> usize {
        usize::try_from(self.nodes).unwrap_or(usize::MAX)
    }

    fn topics(&self) -> usize {
        usize::try_from(self.topics).unwrap_or(usize::MAX)
    }

    /// Messages, in all.
    fn messages(&self) -> u64 {
        self.rate.saturating_mul(self.seconds)
    }

    fn check(&self) -> Result<(), Failure> {
        if self.messages().saturating_mul(self.nodes) <= MAX_DELIVERIES {
            return Ok(());
        }
        let (nodes, rate, seconds) = (self.nodes(), self.rate, self.seconds);
        Err(Failure::TooMuch { nodes, rate, seconds, max: MAX_DELIVERIES })
    }
}

/// Runs the demonstration; fails unless every delivery was made, once.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    arguments.check()?;
    let stop = Stop::on_signals()?;
    let (printer, printed) = Printer::start(stop.clone())?;
    let outcome = demonstrate(arguments, &stop, printer).await;
    printed.all().await;
    outcome
}

async fn demonstrate(arguments: Arguments, stop: &Stop, printer: Printer) -> Result<(), Failure> {
    let tally = Arc::new(Tally::new(arguments.topics(), arguments.nodes()));
    let display = Display::new(printer, arguments.clone(), Arc::clone(&tally));
    let mut nodes = Demonstration::start(&arguments, &tally).await?;
    display.serving(&nodes).await;
    nodes.form(stop).await;
    display.started(&nodes).await;

    let feed = Feed::new(&arguments, nodes.publishers(), Arc::clone(&tally), stop.clone());
    let feeding = actix::spawn(feed.run());
    while !feeding.is_finished() {
        tokio::time::sleep(LOOK).await;
        nodes.look().await;
        display.progress(&nodes).await;
    }
    wait_for_the_last(&tally, &display, &nodes).await;
    nodes.look_at_all().await;
    let summary = Summary::new(&tally, &nodes, arguments.topics());
    display.summary(&summary).await;
    nodes.end().await;
    // It can't panic, and nobody aborts it.
    feeding.await.unwrap_or(Ok(()))?;
    summary.verdict()
}

/// Lost messages come by gossip, some heartbeats later.
async fn wait_for_the_last(tally: &Tally, display: &Display, nodes: &Demonstration) {
    let deadline = Instant::now() + STRAGGLERS;
    // What must not come has a heartbeat's time to come all the same.
    tokio::time::sleep(LOOK).await;
    while tally.total().missing() > 0 && Instant::now() < deadline {
        display.progress(nodes).await;
        tokio::time::sleep(LOOK).await;
    }
}
