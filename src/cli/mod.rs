//! The commands of the binary and their arguments. What a command does is in the file of its name.

mod check_config;
mod demo;
mod failure;
mod limits_file;
mod node;
mod number;
mod printer;
mod publishing;
mod replay;
mod report;
mod serving;
mod stop;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use self::failure::Failure;

/// A gossipsub engine on actix: a demonstration, a node, the replay of its recording, and a check for parameter files.
#[derive(Parser)]
#[command(version, about)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs many nodes in this process, over TCP, and checks that every subscriber gets every message
    /// exactly once
    Demo(demo::Arguments),
    /// Runs one node that speaks gossipsub with any libp2p peer
    Node(node::Arguments),
    /// Performs a recording on a node, without a network, and prints the effects of each line
    Replay(replay::Arguments),
    /// Checks a parameter file and lists every rule it breaks
    CheckConfig {
        /// The file: toml, as those in config/
        file: PathBuf,
    },
}

/// Logs go to stderr, as RUST_LOG says. If it says nothing: warnings, but for those of yamux, which warns of
/// every peer that is quicker to close a connection.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,yamux=error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Runs a command to its end.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::CheckConfig { file } => check_config::run(&file),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Node(arguments) => actix::System::new().block_on(node::run(arguments)),
        Command::Demo(arguments) => actix::System::new().block_on(demo::run(arguments)),
    }
}
