//! The flags that stand for keys of a configuration file.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use actix_gossipsub::libp2p::TopicName;
use clap::{Args, value_parser};
use libp2p::Multiaddr;
use serde::Serialize;
use toml::Value;

use super::{
    limits::Preset,
    settings::{Addresses, KeyKind, LogFormat, OnStop, Signing},
};
use crate::cli::status_server;

/// What a node of any command is configured with. Each flag replaces the value of its key in the file and in the
/// environment; a list replaces the whole list.
#[derive(Args, Clone)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArguments {
    /// Configuration file in TOML; `init` writes one, and a file with limits alone (config/tezos-dal.toml) is one too
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Limits of a known network, and for ethereum and filecoin its signing, message format and frames [default: those of config/default.toml, except that lost peers are dialled again sooner]
    /// [key: limits.preset]
    #[arg(long, value_enum, value_name = "NAME", conflicts_with = "limits")]
    preset: Option<Preset>,
    /// File with limits, in the format of config/default.toml [default: none] [key: limits.file]
    #[arg(long, value_name = "FILE")]
    limits: Option<PathBuf>,
    /// Heartbeat interval, up to an hour [default: 1000, or that of the preset] [key: limits.heartbeat_interval]
    #[arg(long, value_name = "MS", value_parser = value_parser!(u64).range(1..=3_600_000))]
    heartbeat_ms: Option<u64>,
    /// File with the private key, created if there is none; refused if others may read it [default: none, a new identity
    /// at each start] [key: identity.key]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Type of a key that is created [default: ed25519] [key: identity.key_type]
    #[arg(long, value_enum, value_name = "TYPE")]
    key_type: Option<KeyKind>,
    /// Directory for what the node needs to be the same peer after a restart: key (unless --key names one), known peers,
    /// backoffs; created if there is none, and used by one process at a time [default: none, nothing is stored]
    /// [key: identity.data_dir]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address to listen on; may be repeated [default: /ip4/127.0.0.1/tcp/0] [key: network.listen]
    #[arg(long, value_name = "MULTIADDR", value_parser = address)]
    listen: Vec<Multiaddr>,
    /// Peer to dial, and to dial again when the connection is lost; may be repeated. Without it, and without peer exchange
    /// (limits.do_px), the node waits to be dialled: it has no discovery of its own [default: none] [key: network.dial]
    #[arg(long, value_name = "MULTIADDR", value_parser = address)]
    dial: Vec<Multiaddr>,
    /// Topic to join; may be repeated [default: none] [key: topics.join]
    #[arg(long, value_name = "TOPIC", value_parser = topic)]
    topic: Vec<TopicName>,
    /// Signature policy of all topics [default: strict] [key: network.signing]
    #[arg(long, value_enum)]
    signing: Option<Signing>,
    /// What the node does with its topics when it is stopped (SIGTERM, SIGINT, --seconds) [default: leave]
    /// [key: network.on_stop]
    #[arg(long, value_enum, value_name = "HOW")]
    on_stop: Option<OnStop>,
    /// Which addresses are dialled that peers report or recommend; those of --dial always are [default: global]
    /// [key: network.addresses]
    #[arg(long, value_enum)]
    addresses: Option<Addresses>,
    /// Serve a status page, a query API and metrics over HTTP, without authentication; without ADDRESS at 127.0.0.1:9898
    /// [default: nothing is served] [key: http.listen]
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = status_server::DEFAULT)]
    http: Option<SocketAddr>,
    /// Also serve /admin, which publishes messages, streams them, and changes the node, to those who send the token in this
    /// file (Authorization: Bearer TOKEN); the file is created with a random token if there is none, and refused if others
    /// may read it [default: none, no /admin] [key: http.admin_token_file]
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// Format of the log on standard error [default: text] [key: log.format]
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// What is logged, in the syntax of RUST_LOG [default: RUST_LOG, or else warnings, the addresses of `publish` and
    /// `subscribe`, and the status lines] [key: log.filter]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Time between two lines of the log with the state of the node, such as 60s or 5m; 0: none [default: 60s]
    /// [key: log.status_interval]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    status_interval: Option<Duration>,
    /// Sets any key of the file; may be repeated [default: none] [key: the one that is named]
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

/// A flag, its key and its value.
pub struct Override {
    pub flag: &'static str,
    pub key: &'static str,
    pub value: Value,
}

impl ConfigArguments {
    pub fn file(&self) -> Option<&PathBuf> {
        self.config.as_ref()
    }

    /// The assignments of --set, in their order.
    pub fn assignments(&self) -> &[(String, String)] {
        &self.set
    }

    /// The other flags that were given.
    pub fn overrides(&self) -> Vec<Override> {
        let heartbeat = self.heartbeat_ms.map(|ms| format!("{ms}ms"));
        let status_interval =
            self.status_interval.map(|interval| humantime::format_duration(interval).to_string());
        let values = [
            ("--preset", "limits.preset", value(&self.preset)),
            ("--limits", "limits.file", value(&self.limits)),
            ("--heartbeat-ms", "limits.heartbeat_interval", value(&heartbeat)),
            ("--key", "identity.key", value(&self.key)),
            ("--key-type", "identity.key_type", value(&self.key_type)),
            ("--data-dir", "identity.data_dir", value(&self.data_dir)),
            ("--listen", "network.listen", list(&self.listen)),
            ("--dial", "network.dial", list(&self.dial)),
            ("--topic", "topics.join", list(&self.topic)),
            ("--signing", "network.signing", value(&self.signing)),
            ("--on-stop", "network.on_stop", value(&self.on_stop)),
            ("--addresses", "network.addresses", value(&self.addresses)),
            ("--http", "http.listen", value(&self.http)),
            ("--admin-token-file", "http.admin_token_file", value(&self.admin_token_file)),
            ("--log-format", "log.format", value(&self.log_format)),
            ("--log", "log.filter", value(&self.log)),
            ("--status-interval", "log.status_interval", value(&status_interval)),
        ];
        values
            .into_iter()
            .filter_map(|(flag, key, value)| Some(Override { flag, key, value: value? }))
            .collect()
    }
}

/// The value as TOML; `None` if the flag was not given. All of them can be written as TOML, except a path that is not
/// Unicode, which a file could not name either.
fn value(flag: &Option<impl Serialize>) -> Option<Value> {
    flag.as_ref().and_then(|value| Value::try_from(value).ok())
}

fn list(flag: &[impl Serialize]) -> Option<Value> {
    if flag.is_empty() { None } else { Value::try_from(flag).ok() }
}

/// Any free port of this machine.
pub fn default_listen() -> Multiaddr {
    use libp2p::multiaddr::Protocol;
    Multiaddr::empty().with(Protocol::Ip4(std::net::Ipv4Addr::LOCALHOST)).with(Protocol::Tcp(0))
}

fn address(text: &str) -> Result<Multiaddr, String> {
    text.parse().map_err(|error| format!("{error}: write it like /ip4/127.0.0.1/tcp/4001"))
}

fn topic(text: &str) -> Result<TopicName, String> {
    if text.is_empty() { Err("the name of a topic can't be empty".to_owned()) } else { Ok(text.into()) }
}

/// A number alone means seconds.
fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    humantime::parse_duration(text).map_err(|error| format!("{error}: write it like 60s or 5m"))
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it like limits.degree_optimal=8")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}
