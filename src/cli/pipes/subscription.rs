//! `subscribe`: each message of the topics is a line of standard output.

use std::{
    io::{self, Write},
    thread,
    time::{Duration, SystemTime},
};

use actix_gossipsub::{
    FullMessage,
    libp2p::{Libp2pNetwork, NodeEvent},
};
use clap::Args;
use libp2p::PeerId;
use tokio::{
    sync::{
        mpsc::{Receiver, Sender, channel},
        oneshot,
    },
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::encoding::{Encoding, Received};
use crate::cli::{
    Failure,
    config::{ConfigArguments, Configuration},
    node::running::{LocalNode, Observer, RunningNode},
    shutdown::cancelled_by_signals,
};

/// Lines that are not written yet. Beyond them the engine's queue of deliveries fills, and the engine then reads its peers
/// no further: nothing is lost here.
const MAX_QUEUED: usize = 64;

/// Time limit for the last lines to be written.
const END_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Args)]
pub struct SubscribeArguments {
    #[command(flatten)]
    pub config: ConfigArguments,
    /// How a message is printed
    #[arg(long, value_enum, default_value_t = Encoding::Raw)]
    format: Encoding,
    /// Exit after this many messages [default: run until a signal]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
}

/// Passes the messages to the thread that writes them.
#[derive(Clone)]
struct Messages {
    local: PeerId,
    network: Libp2pNetwork,
    format: Encoding,
    lines: Sender<Vec<u8>>,
}

impl Observer for Messages {
    fn on_event(&mut self, event: &NodeEvent<'_>) {
        if let NodeEvent::Listening(address) = event {
            tracing::info!("listening on {address}/p2p/{}", self.local);
        }
    }

    async fn on_message(&mut self, full: &FullMessage<Libp2pNetwork>) {
        let message = Received {
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            topic: full.topic.as_str(),
            from: full.message.source().map(ToString::to_string),
            id: full.message_id.to_string(),
            data: &self.network.payload(full),
        };
        // The receiver is gone when the command ends.
        let _ = self.lines.send(self.format.line(&message)).await;
    }
}

/// Prints the messages until a signal, `--count` or the end of the reader.
///
/// # Errors
/// The node can't start, or standard output can't be written.
pub async fn subscribe(arguments: SubscribeArguments, configuration: Configuration) -> Result<(), Failure> {
    if configuration.sections.topics.join.is_empty() {
        return Err(Failure::NoTopic);
    }
    let shutdown = cancelled_by_signals()?;
    let local = LocalNode::new(&configuration)?;
    let (lines, queue) = channel(MAX_QUEUED);
    let observer =
        Messages { local: local.peer, network: local.network.clone(), format: arguments.format, lines };
    let running = RunningNode::start(&local, &configuration, observer, None, &shutdown).await?;
    let (count, done) = (arguments.count.unwrap_or(usize::MAX), shutdown.clone());
    let (sender, written) = oneshot::channel();
    let write = move || {
        // The receiver is gone if the command has stopped waiting.
        let _ = sender.send(write_lines(queue, count, &done));
    };
    // A thread that blocks for ever ends with the process; the runtime would wait for one of its own.
    thread::Builder::new().name("printer".to_owned()).spawn(write).map_err(Failure::Thread)?;
    shutdown.cancelled().await;
    let (_, stopped) = running.stop().await;
    // The senders are gone: the thread has ended, or writes what is left.
    let unread = || Failure::Output(io::Error::new(io::ErrorKind::TimedOut, "its reader does not read"));
    let written = timeout(END_TIMEOUT, written).await.map_err(|_| unread());
    written.and_then(|written| written.unwrap_or(Ok(()))).and(stopped)
}

/// Writes until the channel ends, `count` lines are written or writing fails.
fn write_lines(mut queue: Receiver<Vec<u8>>, count: usize, done: &CancellationToken) -> Result<(), Failure> {
    let _cancel = done.clone().drop_guard();
    let mut out = io::stdout().lock();
    for _ in 0..count {
        let Some(line) = queue.blocking_recv() else { break };
        match out.write_all(&line).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            // Unlike the lines of `node`, these are the data themselves.
            Err(error) => return Err(Failure::Output(error)),
        }
    }
    Ok(())
}
