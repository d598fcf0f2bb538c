//! What is measured: the rows of the table, and what a node must know of its row. Plain data.

use std::{fmt, time::Duration};

use serde_json::{Value, json};

/// Nodes in a network, each connected to all others.
pub const NODES: usize = 5;
/// Between the start and the first moment that counts.
pub const WARMING: Duration = Duration::from_secs(1);
/// What is on its way at the end may arrive within this time,
pub const DRAINING: Duration = Duration::from_secs(10);
/// or until nothing has come for so long: longer than a heartbeat, since gossip brings what was lost.
pub const QUIET: Duration = Duration::from_millis(1_200);

/// Whose nodes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Ours,
    Theirs,
}

impl Side {
    pub const ALL: [Self; 2] = [Self::Ours, Self::Theirs];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "rust-libp2p",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the nodes run. Each has one thread, on which all of it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In this process.
    Threads,
    /// Each in a process of its own.
    Processes,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::Processes => "processes",
        }
    }
}

/// How much is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// So many messages a second, by all nodes together.
    Fixed(u32),
    /// As much as goes through: each node is so many messages ahead of what it has heard of any other.
    Saturation,
}

impl Load {
    /// How far a node may be ahead.
    pub fn window(size: usize) -> u64 {
        if size > 16_384 { 16 } else { 64 }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(rate) => write!(f, "{rate}/s"),
            Self::Saturation => f.write_str("saturation"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub mode: Mode,
    pub topics: usize,
    /// Of a message, in bytes.
    pub size: usize,
    pub load: Load,
}

/// What a node is told when it begins.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub side: Side,
    pub index: usize,
    pub topics: usize,
    pub size: usize,
    pub load: Load,
    /// How long is measured.
    pub measured: Duration,
}

impl Plan {
    pub fn topic(index: usize) -> String {
        format!("topic-{index:03}")
    }

    /// For a process of its own.
    pub fn to_json(self) -> Value {
        let rate = match self.load {
            Load::Fixed(rate) => rate,
            Load::Saturation => 0,
        };
        json!([
            self.side == Side::Ours,
            self.index,
            self.topics,
            self.size,
            rate,
            self.measured.as_millis() as u64
        ])
    }

    pub fn from_json(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let number = |index: usize| value[index].as_u64().and_then(|n| usize::try_from(n).ok());
        let rate = u32::try_from(number(4)?).ok()?;
        Some(Self {
            side: if value[0].as_bool()? { Side::Ours } else { Side::Theirs },
            index: number(1)?,
            topics: number(2)?,
            size: number(3)?,
            load: if rate == 0 { Load::Saturation } else { Load::Fixed(rate) },
            measured: Duration::from_millis(value[5].as_u64()?),
        })
    }
}
