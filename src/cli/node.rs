//! The command `node`: one engine with a libp2p swarm, from its arguments to its summary.

mod dialling;
mod events;
mod publishing;
mod recording;
mod redial;
mod report;
pub mod running;
mod state;
mod status;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::{Args, builder::RangedU64ValueParser};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use self::{
    events::EventReporter,
    publishing::Publishing,
    report::{Line, Report},
    running::{LocalNode, RunningNode},
    status::Activity,
};
use super::{
    Failure,
    config::{ConfigArguments, Configuration},
    output::Printer,
    shutdown::{cancel_after, cancelled_by_signals},
    systemd,
};

/// The largest message that `--size` allows: no frame is larger.
const MAX_SIZE: u64 = 4 << 20;

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    pub config: ConfigArguments,
    /// Number of test messages to publish on each topic
    #[arg(long, value_name = "N", default_value_t = 0)]
    publish: u64,
    /// Size of each test message, up to 4 MiB; a message must fit into a frame (network.max_frame_out)
    #[arg(long, value_name = "BYTES", default_value_t = 64,
        value_parser = RangedU64ValueParser::<usize>::new().range(..=MAX_SIZE))]
    size: usize,
    /// Time between two test messages of a topic
    #[arg(long, value_name = "MS", default_value_t = 100)]
    interval_ms: u64,
    /// Prefix of each test message: PREFIX/TOPIC/NUMBER/
    #[arg(long, value_name = "TEXT", default_value = "m")]
    prefix: String,
    /// Time from the first subscription of a peer to the first test message
    #[arg(long, value_name = "MS", default_value_t = 3000)]
    settle_ms: u64,
    /// Exit after this time [default: run until a signal]
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Record all inputs to this file, for `replay`; an existing file is overwritten [default: no recording]
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// Runs a node until a signal, `--seconds`, a closed pipe or an error stops it.
///
/// # Errors
/// The node can't start, or its engine failed.
pub async fn run(arguments: Arguments, configuration: Configuration) -> Result<(), Failure> {
    if configuration.sections.topics.join.is_empty() {
        return Err(Failure::NoTopic);
    }
    let max_frame = configuration.sections.network.max_frame_out;
    if arguments.publish > 0 && arguments.size > max_frame {
        return Err(Failure::Invalid(format!(
            "--size {}: a message of this size can't be sent, since a frame has at most {max_frame} bytes \
             (network.max_frame_out)",
            arguments.size
        )));
    }
    let shutdown = cancelled_by_signals()?;
    if let Some(seconds) = arguments.seconds {
        cancel_after(&shutdown, Duration::from_secs(seconds));
    }
    let local = LocalNode::new(&configuration)?;
    let (printer, printed) = Printer::start(shutdown.clone(), arguments.json)?;
    let report = Report::new(printer, arguments.json);
    let outcome = serve(&arguments, &local, &configuration, report, &shutdown).await;
    printed.wait();
    outcome
}

async fn serve(
    arguments: &Arguments,
    local: &LocalNode,
    configuration: &Configuration,
    report: Report,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    let (subscribed, received, activity) = (Arc::new(Notify::new()), Arc::default(), Activity::default());
    let topics = configuration.sections.topics.join.iter().cloned().collect();
    let reporter = EventReporter {
        local_peer: local.peer,
        topics,
        subscribed: Arc::clone(&subscribed),
        received: Arc::clone(&received),
        activity: activity.clone(),
        report: report.clone(),
    };
    let trace = arguments.trace.as_deref();
    let running = RunningNode::start(local, configuration, reporter.clone(), trace, shutdown).await?;
    if let Some(url) = running.url() {
        report.line(|| Line::Serving { url });
    }
    systemd::ready(&format!("listening as {}", local.peer));
    let interval = configuration.sections.log.status_interval;
    let reporting = actix::spawn(status::report(running.worker.clone(), activity, interval));
    let watching = actix::spawn(systemd::watch(running.worker.clone()));
    let published = Arc::<AtomicU64>::default();
    let publishing = Publishing {
        topics: reporter.topics.into_iter().collect(),
        count: arguments.publish,
        size: arguments.size,
        prefix: arguments.prefix.clone(),
        interval: Duration::from_millis(arguments.interval_ms),
        settle: Duration::from_millis(arguments.settle_ms),
        network: local.network.clone(),
        worker: running.worker.clone(),
        report: report.clone(),
        published: Arc::clone(&published),
    };
    let publishing = actix::spawn(publish(publishing, subscribed, shutdown.clone()));
    shutdown.cancelled().await;
    systemd::stopping();
    reporting.abort();
    watching.abort();
    let outcome = abort_publishing(publishing).await;
    let (mesh, stopped) = running.stop().await;
    let (received, published) = (received.load(Ordering::Relaxed), published.load(Ordering::Relaxed));
    report.summary(&Line::Summary { received, published, mesh });
    outcome.and(stopped)
}

/// Publishes the test messages, and cancels `shutdown` if that fails.
async fn publish(
    publishing: Publishing,
    subscribed: Arc<Notify>,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let outcome = publishing.run(subscribed).await;
    if outcome.is_err() {
        shutdown.cancel();
    }
    outcome
}

/// Aborts the publishing task, and returns its error if it had failed before.
async fn abort_publishing(publishing: JoinHandle<Result<(), Failure>>) -> Result<(), Failure> {
    publishing.abort();
    publishing.await.unwrap_or(Ok(()))
}
