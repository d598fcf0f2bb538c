//! The command `node`: one engine with a libp2p swarm, from its arguments to its summary.

mod events;
mod publishing;
mod recording;
mod report;
mod running;

use std::{
    collections::BTreeSet,
    convert::Infallible,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use actix_gossipsub::{
    Limits, LimitsConfig, Worker,
    libp2p::{AddressFilter, Libp2pNetwork, SignaturePolicy, TopicName, TransportConfig},
};
use clap::{Args, ValueEnum, builder::RangedU64ValueParser, value_parser};
use libp2p::{Multiaddr, identity::Keypair};

use self::{publishing::Publishing, report::Report, running::RunningNode};
use super::{
    Failure, config_file,
    output::Printer,
    shutdown::{cancel_after, cancelled_by_signals},
    status_server,
};

/// The largest message that `--size` allows. Peers accept a few MiB.
const MAX_SIZE: u64 = 1 << 24;

#[derive(Args)]
pub struct Arguments {
    /// Address to listen on; may be repeated
    #[arg(long, value_name = "MULTIADDR", value_parser = address, default_value = "/ip4/127.0.0.1/tcp/0")]
    listen: Vec<Multiaddr>,
    /// Peer to dial, and to dial again when the connection is lost; may be repeated
    #[arg(long, value_name = "MULTIADDR", value_parser = address)]
    dial: Vec<Multiaddr>,
    /// Topic to join; may be repeated
    #[arg(long, value_name = "TOPIC", required = true, value_parser = topic)]
    topic: Vec<TopicName>,
    /// Number of messages to publish on each topic
    #[arg(long, value_name = "N", default_value_t = 0)]
    publish: u64,
    /// Size of each message, up to 16 MiB; most peers accept a few MiB
    #[arg(long, value_name = "BYTES", default_value_t = 64,
        value_parser = RangedU64ValueParser::<usize>::new().range(..=MAX_SIZE))]
    size: usize,
    /// Time between two messages of a topic
    #[arg(long, value_name = "MS", default_value_t = 100)]
    interval_ms: u64,
    /// Prefix of each message: PREFIX/TOPIC/NUMBER/
    #[arg(long, value_name = "TEXT", default_value = "m")]
    prefix: String,
    /// Time from the first subscription of a peer to the first message
    #[arg(long, value_name = "MS", default_value_t = 3000)]
    settle_ms: u64,
    /// Exit after this time
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Signature policy of all topics
    #[arg(long, value_enum, default_value_t = Signing::Strict)]
    signing: Signing,
    /// Which addresses are dialled that peers report or recommend; those of --dial always are
    #[arg(long, value_enum, default_value_t = Addresses::Global)]
    addresses: Addresses,
    /// Heartbeat interval, up to an hour; overrides the parameter file
    #[arg(long, value_name = "MS", value_parser = value_parser!(u64).range(1..=3_600_000))]
    heartbeat_ms: Option<u64>,
    /// Parameter file in TOML; config/ has examples
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Record all inputs to this file, for `replay`; an existing file is overwritten
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Serve a status page, a query API and metrics over HTTP, without authentication
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = status_server::DEFAULT)]
    http: Option<SocketAddr>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Signing {
    /// StrictSign: sign messages, and require valid signatures
    Strict,
    /// StrictNoSign: publish anonymously, and reject signed messages
    None,
}

#[derive(Clone, Copy, ValueEnum)]
enum Addresses {
    /// Addresses that are routed in the whole internet
    Global,
    /// Those, and loopback addresses
    Loopback,
    /// All addresses, for private networks
    Any,
}

fn address(text: &str) -> Result<Multiaddr, String> {
    text.parse().map_err(|error| format!("{error}: write it like /ip4/127.0.0.1/tcp/4001"))
}

fn topic(text: &str) -> Result<TopicName, String> {
    if text.is_empty() { Err("the name of a topic can't be empty".to_owned()) } else { Ok(text.into()) }
}

impl Arguments {
    fn limits(&self) -> Result<Limits<TopicName>, Failure> {
        let mut config = match &self.config {
            Some(file) => {
                let config = config_file::read(file)?;
                config_file::check(config.clone(), file)?;
                config
            }
            None => interactive_defaults(),
        };
        if let Some(heartbeat) = self.heartbeat_ms {
            config.heartbeat_interval = Duration::from_millis(heartbeat);
        }
        let limits = Limits::try_from(config).map_err(Failure::Options)?;
        let Ok(limits) = limits.map_topics(|name| Ok::<_, Infallible>(TopicName::from(name)));
        Ok(limits)
    }

    fn transport(&self) -> TransportConfig {
        let addresses = match self.addresses {
            Addresses::Global => AddressFilter::Global,
            Addresses::Loopback => AddressFilter::GlobalAndLoopback,
            Addresses::Any => AddressFilter::Any,
        };
        TransportConfig::default().with(|c| c.gossipsub.addresses = addresses)
    }

    fn network(&self, key: &Keypair, limits: &Limits<TopicName>) -> Libp2pNetwork {
        let policy = match self.signing {
            Signing::Strict => SignaturePolicy::StrictSign(Box::new(key.clone())),
            Signing::None => SignaturePolicy::StrictNoSign,
        };
        Libp2pNetwork::builder(policy)
            .persistent_points(self.dial.iter().cloned())
            .default_backoff(limits.prune_backoff)
            .build()
    }

    fn publishing(
        &self,
        network: Libp2pNetwork,
        worker: Worker<Libp2pNetwork>,
        report: Report,
        published: Arc<AtomicU64>,
    ) -> Publishing {
        Publishing {
            topics: self.topics().into_iter().collect(),
            count: self.publish,
            size: self.size,
            prefix: self.prefix.clone(),
            interval: Duration::from_millis(self.interval_ms),
            settle: Duration::from_millis(self.settle_ms),
            network,
            worker,
            report,
            published,
        }
    }

    fn topics(&self) -> BTreeSet<TopicName> {
        self.topic.iter().cloned().collect()
    }
}

/// The default limits, except that a peer which is not up yet is dialled again after 1, 2, 4, … heartbeats.
fn interactive_defaults() -> LimitsConfig {
    let mut config = LimitsConfig::default();
    config.bounds.reconnect_interval_ticks = 1;
    config.bounds.first_reconnect_ticks = 1;
    config
}

/// Runs a node until a signal, `--seconds`, a closed pipe or an error stops it.
///
/// # Errors
/// The node can't start, or its engine failed.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let limits = arguments.limits()?;
    let shutdown = cancelled_by_signals()?;
    if let Some(seconds) = arguments.seconds {
        cancel_after(&shutdown, Duration::from_secs(seconds));
    }
    let (printer, printed) = Printer::start(shutdown.clone(), arguments.json)?;
    let report = Report::new(printer, arguments.json);
    let outcome = match RunningNode::start(&arguments, limits, report, &shutdown).await {
        Ok(running) => {
            shutdown.cancelled().await;
            running.stop().await
        }
        Err(failure) => Err(failure),
    };
    printed.wait();
    outcome
}
