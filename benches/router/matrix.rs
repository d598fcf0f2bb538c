//! This module defines the dimensions of the measured matrix: workload, engine, topics, peers, variant. Each value has
//! one name, on the command line, in JSON and in tables.

use clap::{Args, ValueEnum, builder::RangedU64ValueParser};
use serde::{Deserialize, Serialize};

use super::topology::DEGREE;

/// Identifiers, bodies and order of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "verbatim")]
pub enum Workload {
    /// As in the measurements of the reference (Octez)
    R,
    /// As in a libp2p node
    W,
    /// W with ids that name their topic
    #[value(name = "W_named")]
    #[serde(rename = "W_named")]
    WNamed,
}

/// The implementation that routes the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// A bare loop
    Baseline,
    /// The protocol without actors
    Node,
    /// The actors on one arbiter, fed from another thread
    #[value(name = "engine_1")]
    #[serde(rename = "engine_1")]
    Engine1,
    /// The actors on one arbiter a core, fed from another thread
    #[value(name = "engine_n")]
    #[serde(rename = "engine_n")]
    EngineN,
    /// The actors and their transport on one arbiter
    #[value(name = "colocated_1")]
    #[serde(rename = "colocated_1")]
    Colocated1,
    /// The actors and their transport on one arbiter a core
    #[value(name = "colocated_n")]
    #[serde(rename = "colocated_n")]
    ColocatedN,
}

impl Engine {
    /// Whether it runs on threads other than the bench's.
    pub fn has_threads(self) -> bool {
        !matches!(self, Self::Baseline | Self::Node)
    }

    /// Whether its instructions are counted. The engine is counted on one thread.
    pub fn is_counted(self) -> bool {
        matches!(self, Self::Baseline | Self::Node | Self::Engine1)
    }
}

/// A change to the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// The workload as it is
    Plain,
    /// Validation takes 5 µs a message
    #[value(name = "validator_5us")]
    #[serde(rename = "validator_5us")]
    Validator,
    /// Bodies of 2 KiB
    #[value(name = "payload_2k")]
    #[serde(rename = "payload_2k")]
    Payload,
}

/// The name of a value on the command line, in JSON and in tables.
pub fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().expect("no value is hidden").get_name().to_owned()
}

const MIN_PEERS: u64 = DEGREE as u64;

/// The cells to measure: each combination of these values.
#[derive(Args, Clone, Debug)]
pub struct Selection {
    /// Workloads
    #[arg(long = "workload", value_enum, value_delimiter = ',', default_values_t = [Workload::R, Workload::W])]
    pub workloads: Vec<Workload>,
    /// Engines
    #[arg(long = "engine", value_enum, value_delimiter = ',', default_values_t = Engine::value_variants().to_vec())]
    pub engines: Vec<Engine>,
    /// Numbers of topics
    #[arg(long, value_delimiter = ',', default_values_t = [10_usize, 100, 1000, 5000, 32_000])]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub topics: Vec<usize>,
    /// Numbers of peers, at least the mesh size
    #[arg(long, value_delimiter = ',', default_values_t = [50_usize, 200])]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(MIN_PEERS..))]
    pub peers: Vec<usize>,
    /// Variants of the workload
    #[arg(long = "variant", value_enum, value_delimiter = ',', default_values_t = Variant::value_variants().to_vec())]
    pub variants: Vec<Variant>,
}
