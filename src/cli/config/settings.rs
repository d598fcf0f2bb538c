//! The values of a configuration file, except the limits: names, types and defaults.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use actix_gossipsub::libp2p::{AddressFilter, TopicName, TransportConfig, WireLimits};
use clap::ValueEnum;
use libp2p::Multiaddr;
use serde::{Deserialize, Serialize};

/// The sections of a file.
pub const SECTIONS: [&str; 7] = ["identity", "network", "topics", "limits", "http", "log", "metrics"];

/// The limits that a frame may have, in bytes: from twice the control that one carries, to what the transport has room for
/// with half a GiB of memory.
const FRAMES: RangeInclusive<usize> = (32 << 10)..=(16 << 20);

/// Shortest time between two status lines.
const MIN_STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// The sections without `limits`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sections {
    pub identity: Identity,
    pub network: Network,
    pub topics: Topics,
    pub http: Http,
    pub log: Log,
    pub metrics: Metrics,
}

/// A value that violates a rule, for a message.
pub struct Violation {
    pub key: &'static str,
    pub value: String,
    /// The end of a sentence that begins with "must".
    pub rule: String,
}

impl Sections {
    /// All violated rules. Those of the limits are elsewhere.
    pub fn violations(&self) -> Vec<Violation> {
        let network = &self.network;
        let frames = [
            ("network.max_frame_out", network.max_frame_out),
            ("network.max_frame_in", network.max_frame_in),
        ];
        let unfit = frames.into_iter().filter(|(_, bytes)| !FRAMES.contains(bytes));
        let unfit = unfit.map(|(key, bytes)| Violation {
            key,
            value: bytes.to_string(),
            rule: format!("be from {} to {}", FRAMES.start(), FRAMES.end()),
        });
        let longest = WireLimits::default().max_topic_length;
        let is_unusable = |topic: &&TopicName| topic.as_str().is_empty() || topic.as_str().len() > longest;
        let unusable = self.topics.join.iter().filter(is_unusable).map(|topic| Violation {
            key: "topics.join",
            value: format!("a topic of {} bytes", topic.as_str().len()),
            rule: format!("have names of 1 to {longest} bytes"),
        });
        let interval = self.log.status_interval;
        let short = (interval < MIN_STATUS_INTERVAL && !interval.is_zero()).then(|| Violation {
            key: "log.status_interval",
            value: humantime::format_duration(interval).to_string(),
            rule: "be 0s (no status lines), or at least 1s".to_owned(),
        });
        unfit.chain(network.violated_format()).chain(unusable).chain(short).collect()
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// Without a file the node has a new identity at each start.
    pub key: Option<PathBuf>,
    /// The type of a key that is created.
    pub key_type: KeyKind,
    /// What the node stores for its next start. Without a directory it stores nothing.
    pub data_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum KeyKind {
    #[default]
    Ed25519,
    Secp256k1,
    Ecdsa,
    Rsa,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    pub listen: Vec<Multiaddr>,
    pub dial: Vec<Multiaddr>,
    pub addresses: Addresses,
    pub signing: Signing,
    pub message_format: MessageFormat,
    /// Whether peers that speak floodsub only are served.
    pub floodsub: bool,
    pub on_stop: OnStop,
    /// The largest frame that is written, in bytes.
    pub max_frame_out: usize,
    /// The largest frame that is read, in bytes.
    pub max_frame_in: usize,
}

impl Default for Network {
    fn default() -> Self {
        let wire = WireLimits::default();
        Self {
            listen: vec![super::arguments::default_listen()],
            dial: Vec::new(),
            addresses: Addresses::default(),
            signing: Signing::default(),
            message_format: MessageFormat::default(),
            floodsub: false,
            on_stop: OnStop::default(),
            max_frame_out: wire.max_frame_out,
            max_frame_in: wire.max_frame_in,
        }
    }
}

impl Network {
    pub fn transport(&self) -> TransportConfig {
        let addresses = match self.addresses {
            Addresses::Global => AddressFilter::Global,
            Addresses::Loopback => AddressFilter::GlobalAndLoopback,
            Addresses::Any => AddressFilter::Any,
        };
        TransportConfig::default().with(|c| {
            c.gossipsub = c.gossipsub.clone().with_room_for(self.max_frame_out.max(self.max_frame_in));
            c.gossipsub.addresses = addresses;
            c.gossipsub.floodsub = self.floodsub;
        })
    }

    pub fn wire(&self) -> WireLimits {
        WireLimits::default().with(|wire| {
            wire.max_frame_out = self.max_frame_out;
            wire.frame_target = wire.frame_target.min(self.max_frame_out);
            wire.max_frame_in = self.max_frame_in;
        })
    }

    /// The networks with a format of their own have one signature policy.
    fn violated_format(&self) -> Option<Violation> {
        let demanded = match self.message_format {
            MessageFormat::Default => return None,
            MessageFormat::Ethereum => Signing::None,
            MessageFormat::Filecoin => Signing::Strict,
        };
        (self.signing != demanded).then(|| Violation {
            key: "network.signing",
            value: name(&self.signing),
            rule: format!(
                "be {} if network.message_format is {}",
                name(&demanded),
                name(&self.message_format)
            ),
        })
    }
}

/// The text of a value in a file.
fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The message ids and the compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum MessageFormat {
    /// Ids of source and sequence number, or of the payload of anonymous messages; no compression
    #[default]
    Default,
    /// Ids and compression (snappy) of the consensus layer of Ethereum
    Ethereum,
    /// Ids of Filecoin
    Filecoin,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Signing {
    /// StrictSign: sign messages, and require valid signatures
    #[default]
    Strict,
    /// StrictNoSign: publish anonymously, and reject signed messages
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnStop {
    /// Leave the topics: peers graft this node again only after their unsubscribe backoff, 10 s by default
    #[default]
    Leave,
    /// Close the connections alone: a node that starts again with the same key is back in the meshes at once
    Restart,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Addresses {
    /// Addresses that are routed in the whole internet
    #[default]
    Global,
    /// Those, and loopback addresses
    Loopback,
    /// All addresses, for private networks
    Any,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Topics {
    pub join: Vec<TopicName>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Without an address nothing is served.
    pub listen: Option<SocketAddr>,
    /// The names by which clients reach the server, besides IP addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Without a file there is no admin scope.
    pub admin_token_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// As in RUST_LOG, which is used if this is missing.
    pub filter: Option<String>,
    pub format: LogFormat,
    /// Time between two status lines; zero: none are written.
    #[serde(with = "humantime_serde")]
    pub status_interval: Duration,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: None, format: LogFormat::default(), status_interval: Duration::from_secs(60) }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line of text for each event
    #[default]
    Text,
    /// A JSON object for each event
    Json,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// How many topics have series of their own; the others are counted together.
    pub max_topic_labels: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { max_topic_labels: 100 }
    }
}
