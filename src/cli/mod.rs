//! The commands of the binary and their arguments. Each command has a module of its own; `check-config` is in
//! `config_file`.

mod config_file;
mod demo;
mod failure;
mod line_writer;
mod log;
mod node;
mod output;
mod replay;
mod shutdown;
mod status_server;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use self::failure::Failure;
pub use self::log::log_to_stderr;

/// A gossipsub engine on actix: a demonstration, a node, the replay of a node's recording, and a check of parameter
/// files.
#[derive(Parser)]
#[command(version, about)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs several nodes in this process, connected over TCP, and checks that every subscriber receives every message
    /// exactly once
    Demo(demo::Arguments),
    /// Runs one node that speaks gossipsub with any libp2p peer
    Node(node::Arguments),
    /// Performs a recording on a node, without a network, and prints the effects of each line
    Replay(replay::Arguments),
    /// Checks a parameter file and lists every violated rule
    CheckConfig {
        /// The parameter file in TOML; config/ has examples
        file: PathBuf,
    },
}

/// Runs a command until it ends.
///
/// # Errors
/// The command failed.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::CheckConfig { file } => config_file::run_check(&file),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Node(arguments) => actix::System::new().block_on(node::run(arguments)),
        Command::Demo(arguments) => actix::System::new().block_on(demo::run(arguments)),
    }
}
