//! The command `demo`: several nodes in this process, connected over TCP. It succeeds only if every check passes:
//! that every subscriber receives every message exactly once, and those of `checks.rs`.

mod checks;
mod deliveries;
mod network;
mod node;
mod publisher;
mod report;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use clap::{Args, builder::RangedU64ValueParser, value_parser};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::{
    deliveries::DeliveryLog,
    network::DemoNetwork,
    publisher::Publisher,
    report::{Report, Summary},
};
use super::{Failure, output::Printer, shutdown::cancelled_by_signals};

/// Time limit for the last deliveries, which may need gossip at several heartbeats.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(15);
/// Interval of progress lines.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// Limit of expected deliveries. Each takes one bit, 256 MiB in all.
const MAX_DELIVERIES: u64 = 1 << 31;

#[derive(Args, Clone)]
pub struct Arguments {
    /// Number of nodes, from 2 to 128; each has an engine and a TCP port
    #[arg(long, default_value_t = 8, value_parser = RangedU64ValueParser::<usize>::new().range(2..=128))]
    nodes: usize,
    /// Number of topics, from 1 to 1024; every node joins all of them
    #[arg(long, default_value_t = 20, value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024))]
    topics: usize,
    /// Messages published per second, over all nodes
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u64).range(1..=100_000))]
    rate: u64,
    /// Duration of publishing in seconds, up to a day
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Size of a message in bytes, from 16 to 65536
    #[arg(long, default_value_t = 256, value_parser = RangedU64ValueParser::<usize>::new().range(16..=65_536))]
    size: usize,
    /// Seed of the random topology and of the random publishers and topics
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Address of the first node's status page and metrics [default: 127.0.0.1:9898, or any free port if that one is in
    /// use]
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// The number of messages to publish.
    fn messages(&self) -> u64 {
        self.rate.saturating_mul(self.seconds)
    }

    fn check(&self) -> Result<(), Failure> {
        let Self { nodes, rate, seconds, .. } = *self;
        if self.messages().saturating_mul(nodes as u64) <= MAX_DELIVERIES {
            return Ok(());
        }
        Err(Failure::TooManyDeliveries { nodes, rate, seconds, max: MAX_DELIVERIES })
    }
}

/// Runs the demonstration.
///
/// # Errors
/// A node can't start, or a check fails.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    arguments.check()?;
    let shutdown = cancelled_by_signals()?;
    let (printer, printed) = Printer::start(shutdown.clone(), arguments.json)?;
    let outcome = demonstrate(arguments, &shutdown, printer).await;
    printed.wait();
    outcome
}

async fn demonstrate(
    arguments: Arguments,
    shutdown: &CancellationToken,
    printer: Printer,
) -> Result<(), Failure> {
    let log = Arc::new(DeliveryLog::new(arguments.topics, arguments.nodes));
    let report = Report::new(printer, arguments.clone(), Arc::clone(&log));
    let mut network = DemoNetwork::start(&arguments, &log).await?;
    report.serving(&network);
    network.form_meshes(shutdown).await;
    report.started(&network);

    let publisher = Publisher::new(&arguments, network.publish_handles(), Arc::clone(&log), shutdown.clone());
    let publishing = actix::spawn(publisher.run());
    while !publishing.is_finished() {
        sleep(PROGRESS_INTERVAL).await;
        network.query_next().await;
        report.progress(&network);
    }
    await_deliveries(&log, &report, &network).await;
    network.query_all().await;
    let summary = Summary::new(&log, &network, arguments.topics).await;
    report.summary(&summary);
    network.stop().await;
    // The task is neither aborted nor expected to panic.
    publishing.await.unwrap_or(Ok(()))?;
    summary.check()
}

/// Waits until no delivery is missing, for at most [`DELIVERY_TIMEOUT`].
async fn await_deliveries(log: &DeliveryLog, report: &Report, network: &DemoNetwork) {
    let deadline = Instant::now() + DELIVERY_TIMEOUT;
    // Waits one heartbeat in any case, so that a duplicate by gossip is counted.
    sleep(PROGRESS_INTERVAL).await;
    while log.totals().missing() > 0 && Instant::now() < deadline {
        report.progress(network);
        sleep(PROGRESS_INTERVAL).await;
    }
}
