//! `init`: writes a commented configuration file.

use std::{fs::OpenOptions, io::Write, path::PathBuf};

use clap::Args;

use crate::cli::{Failure, output::print};

/// The file that is written. A test compares its values with the defaults and its keys with the flags.
const TEMPLATE: &str = include_str!("template.toml");

#[derive(Args)]
pub struct InitArguments {
    /// The file to write; `-` is standard output
    #[arg(default_value = "gossipsub.toml")]
    file: PathBuf,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
}

/// Writes the file.
pub fn run_init(arguments: &InitArguments) -> Result<(), Failure> {
    let InitArguments { file, force } = arguments;
    if file.as_os_str() == "-" {
        return print(TEMPLATE);
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).create_new(!force);
    let written = options.open(file).and_then(|mut out| out.write_all(TEMPLATE.as_bytes()));
    written.map_err(|error| Failure::Unwritable { file: file.clone(), error })?;
    print(&format!("{}: written; start with: actix-gossipsub node --config {0}\n", file.display()))
}
