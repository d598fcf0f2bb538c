//! The limits of a configuration: a preset, a file or the defaults, and the values of `[limits]` over them.

use std::{convert::Infallible, path::Path};

use actix_gossipsub::{
    Limits, LimitsConfig,
    libp2p::{TopicName, WireLimits},
    limits::Violation,
};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::{
    document::{Document, explain},
    layers::{Origins, invalid},
    settings::{MessageFormat, Signing},
};
use crate::cli::Failure;

/// A known network: its limits, and what its messages are.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    Default,
    Ethereum,
    Filecoin,
    TezosDal,
}

impl Preset {
    fn limits(self) -> LimitsConfig {
        match self {
            Self::Default => LimitsConfig::default(),
            Self::Ethereum => LimitsConfig::ethereum(),
            Self::Filecoin => LimitsConfig::filecoin(),
            Self::TezosDal => LimitsConfig::tezos_dal(),
        }
    }

    /// What the network demands of the section `network`. Tezos has a p2p layer of its own.
    fn network(self) -> Option<NetworkOfPreset> {
        let (signing, message_format, wire) = match self {
            Self::Default | Self::TezosDal => return None,
            Self::Ethereum => (Signing::None, MessageFormat::Ethereum, WireLimits::ethereum()),
            Self::Filecoin => (Signing::Strict, MessageFormat::Filecoin, WireLimits::filecoin()),
        };
        let (max_frame_out, max_frame_in) = (wire.max_frame_out, wire.max_frame_in);
        Some(NetworkOfPreset { signing, message_format, max_frame_out, max_frame_in })
    }
}

/// The values of the section `network` that a preset has defaults for.
#[derive(Serialize)]
struct NetworkOfPreset {
    signing: Signing,
    message_format: MessageFormat,
    max_frame_out: usize,
    max_frame_in: usize,
}

/// The defaults of the section `network` by the preset that the section `limits` names, if any.
pub fn network_of_preset(limits: Option<&Value>) -> Table {
    let preset = limits.and_then(|limits| limits.get("preset")).cloned();
    let preset = preset.and_then(|preset| Preset::deserialize(preset).ok());
    let network = preset.and_then(Preset::network);
    network.and_then(|network| Table::try_from(network).ok()).unwrap_or_default()
}

/// The default limits, except that a peer which is not up yet is dialled again after 1, 2, 4, … heartbeats.
fn interactive_defaults() -> LimitsConfig {
    LimitsConfig::default().with(|config| {
        config.bounds.reconnect_interval_ticks = 1;
        config.bounds.first_reconnect_ticks = 1;
    })
}

/// Joins the section `limits` with its preset or file, and checks the names and types.
pub fn resolve(mut section: Table) -> Result<LimitsConfig, Failure> {
    let base = base(section.remove("preset"), section.remove("file"))?;
    let mut table = Table::try_from(&base).map_err(|error| invalid(error.to_string()))?;
    merge(&mut table, section);
    LimitsConfig::deserialize(Value::Table(table))
        .map_err(|error| invalid(explain(error.message(), &["preset", "file"])))
}

/// Checks all rules.
pub fn check(config: LimitsConfig, origins: &Origins) -> Result<Limits<TopicName>, Failure> {
    let described = |violation: &Violation| origins.describe(violation);
    let limits =
        Limits::try_from(config).map_err(|error| Failure::Rules(error.0.iter().map(described).collect()))?;
    let Ok(limits) = limits.map_topics(|name| Ok::<_, Infallible>(TopicName::from(name)));
    Ok(limits)
}

fn base(preset: Option<Value>, file: Option<Value>) -> Result<LimitsConfig, Failure> {
    match (preset, file) {
        (None, None) => Ok(interactive_defaults()),
        (Some(_), Some(_)) => Err(invalid("limits: `preset` and `file` exclude each other".to_owned())),
        (Some(preset), None) => Preset::deserialize(preset)
            .map(Preset::limits)
            .map_err(|error| invalid(format!("limits.preset: {}", explain(error.message(), &[])))),
        (None, Some(file)) => {
            let file = file.as_str().ok_or_else(|| invalid("limits.file: must be a path".to_owned()))?;
            let mut document = Document::read(Path::new(file))?;
            let limits = document.table.remove("limits").unwrap_or(Value::Table(Table::new()));
            LimitsConfig::deserialize(limits).map_err(|error| {
                invalid(format!("limits.file: {file}: {}: give a file with limits alone", error.message()))
            })
        }
    }
}

/// Replaces the values of `table` by those of `over`. A table of another kind is replaced as a whole.
fn merge(table: &mut Table, over: Table) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) if same_kind(old, &new) => merge(old, new),
            (_, value) => drop(table.insert(key, value)),
        }
    }
}

fn same_kind(old: &Table, new: &Table) -> bool {
    new.get("kind").is_none_or(|kind| old.get("kind") == Some(kind))
}
