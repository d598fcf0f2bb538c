//! This module defines the rows of the table, and the plan that a node gets of its row.

use std::{fmt, time::Duration};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Nodes in a network, each connected to all others.
pub const NODES: usize = 5;
/// The time between the start and the measurement.
pub const WARM_UP: Duration = Duration::from_secs(1);
/// The longest wait for messages that are in flight at the end.
pub const DRAIN: Duration = Duration::from_secs(10);
/// The wait for in-flight messages ends after this time without one. It is longer than a heartbeat, since gossip
/// brings lost messages.
pub const QUIET: Duration = Duration::from_millis(1_200);

/// The implementation of a network's nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Implementation {
    /// This crate
    #[value(name = "actix-gossipsub")]
    ActixGossipsub,
    /// rust-libp2p's gossipsub
    #[value(name = "rust-libp2p")]
    RustLibp2p,
}

/// Where the nodes run, each on one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// In this process
    Threads,
    /// Each in a process of its own
    Processes,
}

/// The name of a value on the command line, in JSON and in the table.
pub fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().expect("no value is hidden").get_name().to_owned()
}

/// The rate at which messages are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Load {
    /// The messages per second of all nodes together.
    Fixed(u32),
    /// The greatest possible rate: a node publishes while it is less than [a window](Load::window) ahead of the messages
    /// that it received from each other node.
    Saturation,
}

impl Load {
    /// The window for messages of this size, in messages.
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
    /// The size of a message in bytes.
    pub size: usize,
    pub load: Load,
}

/// The configuration of one node. A process gets it as JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub implementation: Implementation,
    /// The index of the node in its network.
    pub index: usize,
    pub topics: usize,
    pub size: usize,
    pub load: Load,
    /// The duration of the measurement.
    pub measured: Duration,
}

impl Plan {
    pub fn topic(index: usize) -> String {
        format!("topic-{index:03}")
    }
}
