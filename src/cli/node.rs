//! `node`: its arguments, and one engine on a libp2p swarm from start to summary. It decides nothing about
//! gossip.

mod hearing;
mod recording;
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
    libp2p::{Libp2pNetwork, SignaturePolicy, TopicName},
};
use clap::{Args, ValueEnum};
use libp2p::{Multiaddr, identity::Keypair};

use self::running::Running;
use super::{
    Failure, limits_file, number::between, printer::Printer, publishing::Publishing, report::Report, serving,
    stop::Stop,
};

#[derive(Args)]
pub struct Arguments {
    /// Where to listen; may be given several times
    #[arg(long, value_name = "MULTIADDR", value_parser = address, default_value = "/ip4/127.0.0.1/tcp/0")]
    listen: Vec<Multiaddr>,
    /// A peer to connect to, again and again if it is lost; may be given several times
    #[arg(long, value_name = "MULTIADDR", value_parser = address)]
    dial: Vec<Multiaddr>,
    /// A topic to join; may be given several times
    #[arg(long, value_name = "TOPIC", required = true, value_parser = topic)]
    topic: Vec<TopicName>,
    /// Messages to publish on each topic
    #[arg(long, value_name = "N", default_value_t = 0)]
    publish: u64,
    /// Length of each message
    #[arg(long, value_name = "BYTES", default_value_t = 64,
        value_parser = between(0, 1 << 24, "no peer takes more than some megabytes"))]
    size: u64,
    /// Time between two messages of a topic
    #[arg(long, value_name = "MS", default_value_t = 100)]
    interval_ms: u64,
    /// How messages begin: PREFIX/TOPIC/NUMBER/
    #[arg(long, value_name = "TEXT", default_value = "m")]
    prefix: String,
    /// Time from the first subscription of a peer to the first message
    #[arg(long, value_name = "MS", default_value_t = 3000)]
    settle_ms: u64,
    /// End after this time
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Who may publish: those who sign, or those who don't
    #[arg(long, value_enum, default_value_t = Signing::Strict)]
    signing: Signing,
    /// Time between two heartbeats, in place of the parameter file's
    #[arg(long, value_name = "MS", value_parser = between(1, 3_600_000, "a heartbeat takes 1 ms to an hour"))]
    heartbeat_ms: Option<u64>,
    /// Parameters: a toml file as those in config/
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Record all inputs to this file, for `replay`; an old one is written over
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Serve a live page, questions and metrics over HTTP. Whoever reaches the address can read them
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = serving::DEFAULT)]
    http: Option<SocketAddr>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Signing {
    /// Messages carry their source and its signature
    Strict,
    /// Messages are anonymous
    None,
}

fn address(text: &str) -> Result<Multiaddr, String> {
    text.parse().map_err(|error| format!("{error}: write it like /ip4/127.0.0.1/tcp/4001"))
}

fn topic(text: &str) -> Result<TopicName, String> {
    if text.is_empty() { Err("a topic has a name".to_owned()) } else { Ok(text.into()) }
}

impl Arguments {
    fn limits(&self) -> Result<Limits<TopicName>, Failure> {
        let mut config = match &self.config {
            Some(file) => {
                let config = limits_file::read(file)?;
                limits_file::check(config.clone(), file)?;
                config
            }
            None => impatient(),
        };
        if let Some(heartbeat) = self.heartbeat_ms {
            config.heartbeat_interval = Duration::from_millis(heartbeat);
        }
        let limits = Limits::try_from(config).map_err(Failure::Options)?;
        let Ok(limits) = limits.map_topics(|name| Ok::<_, Infallible>(TopicName::from(name)));
        Ok(limits)
    }

    fn network(&self, key: &Keypair) -> Libp2pNetwork {
        let policy = match self.signing {
            Signing::Strict => SignaturePolicy::StrictSign(Box::new(key.clone())),
            Signing::None => SignaturePolicy::StrictNoSign,
        };
        Libp2pNetwork::builder(policy).persistent_points(self.dial.iter().cloned()).build()
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
            size: usize::try_from(self.size).unwrap_or(usize::MAX),
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

/// Defaults for someone who watches: peers that are not up yet are tried after 1, 2, 4 … ticks.
fn impatient() -> LimitsConfig {
    let mut config = LimitsConfig::default();
    config.bounds.reconnect_interval_ticks = 1;
    config.bounds.first_reconnect_ticks = 1;
    config
}

/// Runs a node until it is told to stop.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let limits = arguments.limits()?;
    let stop = Stop::on_signals()?;
    if let Some(seconds) = arguments.seconds {
        stop.after(Duration::from_secs(seconds));
    }
    let (printer, printed) = Printer::start(stop.clone())?;
    let report = Report::new(printer, arguments.json);
    let outcome = match Running::start(&arguments, limits, report, &stop).await {
        Ok(running) => {
            stop.said().await;
            running.end().await
        }
        Err(failure) => Err(failure),
    };
    printed.all().await;
    outcome
}
