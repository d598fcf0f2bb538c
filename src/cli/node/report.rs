//! The output of a node, as JSON or as text. Scripts and tests parse the JSON: its events and fields are stable.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Instant, SystemTime},
};

use actix_gossipsub::{FullMessage, libp2p::Libp2pNetwork};
use libp2p::{Multiaddr, PeerId};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::cli::{
    escaped::Escaped,
    output::{Printer, json},
};

/// A line of output.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Line {
    Listening { addr: String, peer_id: String },
    Serving { url: String },
    Connected { peer: String },
    Subscribed { peer: String, topic: String },
    Published(Published),
    Message(Message),
    Disconnected { peer: String },
    Summary { received: u64, published: u64, mesh: BTreeMap<String, Vec<String>> },
}

#[derive(Serialize)]
pub struct Published {
    topic: String,
    id: String,
    data_sha256: String,
    len: usize,
    /// Milliseconds since the start of the report.
    t_ms: u64,
}

#[derive(Serialize)]
pub struct Message {
    topic: String,
    /// The author; `None` for an anonymous message.
    from: Option<String>,
    id: String,
    /// Of the payload as it is on the wire, like `len`.
    data_sha256: String,
    len: usize,
    t_ms: u64,
}

impl Line {
    pub fn listening(address: &Multiaddr, peer: PeerId) -> Self {
        Self::Listening { addr: address.to_string(), peer_id: peer.to_string() }
    }
}

/// Writes lines to standard output. Clones share the printer and the start time.
#[derive(Clone)]
pub struct Report {
    printer: Printer,
    json: bool,
    start: Instant,
}

impl Report {
    /// Starts a report. The times of its lines count from now.
    pub fn new(printer: Printer, json: bool) -> Self {
        Self { printer, json, start: Instant::now() }
    }

    /// Prints the line that `line` returns, if there is room for it. Never blocks.
    pub fn line(&self, line: impl FnOnce() -> Line) {
        self.printer.line(|| self.text(&line()));
    }

    /// Prints a message that the engine delivered.
    pub fn message(&self, full: &FullMessage<Libp2pNetwork>) {
        self.line(|| {
            let Published { topic, id, data_sha256, len, t_ms } = self.published(full);
            let from = full.message.source().map(ToString::to_string);
            Line::Message(Message { topic, from, id, data_sha256, len, t_ms })
        });
    }

    /// Prints the summary, which is never dropped.
    pub fn summary(&self, summary: &Line) {
        self.printer.last_line(self.text(summary));
    }

    /// The line with its time, which is that of the log.
    fn text(&self, line: &Line) -> String {
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        if self.json {
            return json(&Timed { time: time.to_string(), line });
        }
        format!("{time} {line}")
    }

    /// Describes a message of this node. Print it as [`Line::Published`] when the message is published.
    pub fn published(&self, full: &FullMessage<Libp2pNetwork>) -> Published {
        Published {
            topic: full.topic.to_string(),
            id: full.message_id.to_string(),
            data_sha256: hex::encode(Sha256::digest(full.message.data())),
            len: full.message.data().len(),
            t_ms: u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A line of JSON with its time.
#[derive(Serialize)]
struct Timed<'a> {
    #[serde(flatten)]
    line: &'a Line,
    time: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening { addr, peer_id } => write!(f, "listening on {addr}/p2p/{peer_id}"),
            Self::Serving { url } => write!(f, "page at {url}, metrics at {url}metrics"),
            Self::Connected { peer } => write!(f, "connected to {peer}"),
            Self::Subscribed { peer, topic } => write!(f, "{peer} subscribed to {}", Escaped(topic)),
            Self::Published(Published { topic, id, len, .. }) => {
                write!(f, "published {len} bytes on {}, id {id}", Escaped(topic))
            }
            Self::Message(Message { topic, from, id, len, .. }) => {
                let from = from.as_deref().unwrap_or("an anonymous author");
                write!(f, "message of {len} bytes on {} from {from}, id {id}", Escaped(topic))
            }
            Self::Disconnected { peer } => write!(f, "disconnected from {peer}"),
            Self::Summary { received, published, mesh } => {
                write!(f, "received {received}, published {published}; mesh peers:")?;
                mesh.iter().try_for_each(|(topic, peers)| write!(f, " {} {}", Escaped(topic), peers.len()))
            }
        }
    }
}
