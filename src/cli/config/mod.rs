//! The configuration of a node: one file, environment variables over it, and flags over both.

mod arguments;
mod document;
mod init;
mod layers;
mod limits;
mod settings;
mod unfit;

use std::{
    io::{self, Write},
    path::Path,
};

use actix_gossipsub::{Limits, libp2p::TopicName};

pub use self::{
    arguments::ConfigArguments,
    document::Position,
    init::{InitArguments, run_init},
    settings::{KeyKind, Log, LogFormat, MessageFormat, Network, OnStop, Sections, Signing},
};
use self::{layers::Layers, unfit::unfit};
use super::{Failure, output::print};

/// A configuration whose values are checked.
pub struct Configuration {
    pub sections: Sections,
    pub limits: Limits<TopicName>,
    /// What the values do not fit, in words.
    pub warnings: Vec<String>,
}

impl Configuration {
    /// Reads all sources.
    ///
    /// # Errors
    /// A source is unreadable or wrong. The error names it.
    pub fn load(arguments: &ConfigArguments) -> Result<Self, Failure> {
        Self::join(&Layers::read(arguments)?)
    }

    fn join(layers: &Layers) -> Result<Self, Failure> {
        let (sections, limits) = (layers.checked_sections()?, layers.limits()?);
        let warnings = unfit(&sections, &limits);
        Ok(Self { sections, limits, warnings })
    }
}

/// Runs `check-config`: prints "ok", and to standard error what does not fit; or fails with a list of all violations. The
/// environment is left out: the file is checked and not this shell.
pub fn run_check(file: &Path) -> Result<(), Failure> {
    let mut layers = Layers::default();
    layers.add_file(file)?;
    for warning in Configuration::join(&layers)?.warnings {
        // Nothing can be reported without standard error.
        let _ = writeln!(io::stderr(), "warning: {warning}");
    }
    print("ok\n")
}
