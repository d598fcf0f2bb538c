//! The sources of a configuration, one over the other: the file, the environment, the flags. Each is checked when it is
//! added, so that an error names the source that is wrong.

use std::{
    collections::BTreeMap,
    env, fmt,
    path::{Path, PathBuf},
};

use actix_gossipsub::{Limits, LimitsConfig, libp2p::TopicName, limits::Violation};
use serde::Deserialize;
use toml::{Table, Value};

use super::{
    arguments::ConfigArguments,
    document::{Document, explain},
    limits,
    settings::Sections,
};
use crate::cli::Failure;

/// A variable is this, a section, two underscores and a key: `GOSSIPSUB_NETWORK__LISTEN`. Variables without two underscores
/// are not ours: Kubernetes sets `GOSSIPSUB_PORT` for a service of that name.
const PREFIX: &str = "GOSSIPSUB_";
/// Keys with a list, which a variable may separate by commas.
const LISTS: [&str; 4] = ["network.listen", "network.dial", "topics.join", "http.hosts"];

/// Where a value was set.
#[derive(Clone, Debug)]
enum Origin {
    File(PathBuf, usize),
    Variable(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file, line) => write!(f, "{}, line {line}", file.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => write!(f, "option {flag}"),
        }
    }
}

/// The last source of each value, by its key.
#[derive(Clone, Default)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// A violated rule of the limits with the source of the value.
    pub fn describe(&self, violation: &Violation) -> String {
        let Violation { field, value, rule, .. } = violation;
        // A duration of zero is written so by Rust.
        let value = if value == "0ns" { "0s" } else { value };
        self.describe_value(&format!("limits.{field}"), field, value, rule)
    }

    /// The violated rules of all other sections.
    fn describe_sections(&self, sections: &Sections) -> Vec<String> {
        let violations = sections.violations().into_iter();
        violations.map(|one| self.describe_value(one.key, one.key, &one.value, &one.rule)).collect()
    }

    fn describe_value(&self, key: &str, name: &str, value: &str, rule: &str) -> String {
        match self.0.get(key) {
            Some(origin) => format!("{name} = {value}: must {rule} ({origin})"),
            None => format!("{name} = {value}: must {rule} (default, or value of the preset or limits file)"),
        }
    }
}

/// An error without a position.
pub fn invalid(message: String) -> Failure {
    Failure::Invalid(message)
}

/// The values of all sources that were added.
#[derive(Clone, Default)]
pub struct Layers {
    table: Table,
    origins: Origins,
}

impl Layers {
    /// Joins the file, the environment and the flags.
    pub fn read(arguments: &ConfigArguments) -> Result<Self, Failure> {
        let mut layers = Self::default();
        if let Some(file) = arguments.file() {
            layers.add_file(file)?;
        }
        layers.add_environment()?;
        for (key, value) in arguments.assignments() {
            layers.set_text(key, value, Origin::Flag(format!("--set {key}")))?;
        }
        for given in arguments.overrides() {
            layers = layers.with(given.key, given.value, Origin::Flag(given.flag.to_owned()))?;
        }
        Ok(layers)
    }

    /// Adds a file. Its names and types are right afterwards.
    pub fn add_file(&mut self, file: &Path) -> Result<(), Failure> {
        let Document { table, lines } = Document::read(file)?;
        let origins = lines.into_iter().map(|(key, line)| (key, Origin::File(file.to_owned(), line)));
        *self = Self { table, origins: Origins(origins.collect()) };
        let checked = self.check_types();
        checked.map_err(|failure| Failure::Source {
            origin: file.display().to_string(),
            failure: Box::new(failure),
        })
    }

    fn add_environment(&mut self) -> Result<(), Failure> {
        let variables: BTreeMap<_, _> = env::vars_os().collect();
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            let Some(key) = name.strip_prefix(PREFIX).filter(|key| key.contains("__")) else { continue };
            let key = key.to_lowercase().replace("__", ".");
            let origin = Origin::Variable(name.to_owned());
            let value =
                value.to_str().ok_or_else(|| invalid(format!("{origin}: the value is not Unicode")))?;
            self.set_text(&key, value, origin)?;
        }
        Ok(())
    }

    /// Sets a value that is given as text: a string if the key takes one, or else TOML.
    fn set_text(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), Failure> {
        let parsed = parse_value(text);
        let as_text = match LISTS.contains(&key) {
            true if text.starts_with('[') => None,
            true => Some(Value::Array(text.split(',').map(|part| part.trim().into()).collect())),
            false => Some(Value::String(text.to_owned())),
        };
        let mut failure = None;
        for value in [as_text, parsed].into_iter().flatten() {
            match self.clone().with(key, value, origin.clone()) {
                Ok(layers) => {
                    *self = layers;
                    return Ok(());
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| invalid(format!("{origin}: write a list like [\"a\", \"b\"]"))))
    }

    /// Sets one value.
    fn with(mut self, key: &str, value: Value, origin: Origin) -> Result<Self, Failure> {
        self.insert(key, value)
            .and_then(|()| self.check_types())
            .map_err(|failure| Failure::Source { origin: origin.to_string(), failure: Box::new(failure) })?;
        self.origins.0.insert(key.to_owned(), origin);
        Ok(self)
    }

    fn insert(&mut self, key: &str, value: Value) -> Result<(), Failure> {
        let mut path: Vec<_> = key.split('.').collect();
        let Some(name) = path.pop() else { return Ok(()) };
        let mut table = &mut self.table;
        for part in path {
            let inner = table.entry(part).or_insert_with(|| Value::Table(Table::new()));
            table =
                inner.as_table_mut().ok_or_else(|| invalid(format!("`{part}` in {key} is not a section")))?;
        }
        // A preset replaces a file with limits, and the other way around.
        if key == "limits.preset" {
            table.remove("file");
        } else if key == "limits.file" {
            table.remove("preset");
        }
        table.insert(name.to_owned(), value);
        Ok(())
    }

    /// Checks the names and types. Rules between values are checked when all sources are joined.
    fn check_types(&self) -> Result<(), Failure> {
        self.sections()?;
        self.limits_config().map(drop)
    }

    /// The sections without the limits, which keep all rules.
    pub fn checked_sections(&self) -> Result<Sections, Failure> {
        let sections = self.sections()?;
        let violations = self.origins.describe_sections(&sections);
        if violations.is_empty() { Ok(sections) } else { Err(Failure::Rules(violations)) }
    }

    fn sections(&self) -> Result<Sections, Failure> {
        let mut table = self.table.clone();
        let defaults = limits::network_of_preset(table.remove("limits").as_ref());
        let network = table.entry("network").or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(network) = network {
            for (key, value) in defaults {
                network.entry(key).or_insert(value);
            }
        }
        Sections::deserialize(Value::Table(table))
            .map_err(|error| invalid(explain(error.message(), &["limits"])))
    }

    /// The limits, which keep all rules.
    pub fn limits(&self) -> Result<Limits<TopicName>, Failure> {
        limits::check(self.limits_config()?, &self.origins)
    }

    fn limits_config(&self) -> Result<LimitsConfig, Failure> {
        match self.table.get("limits") {
            None => limits::resolve(Table::new()),
            Some(Value::Table(section)) => limits::resolve(section.clone()),
            Some(_) => Err(invalid("`limits` must be a section".to_owned())),
        }
    }
}

/// The text as a TOML value, if it is one.
fn parse_value(text: &str) -> Option<Value> {
    toml::from_str::<Table>(&format!("value = {text}")).ok()?.remove("value")
}
