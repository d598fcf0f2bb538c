//! The commands of the binary and their arguments. Each command has a module of its own; `init` and `check-config` are in
//! `config`.

mod admin_token;
mod chat;
mod config;
mod data_dir;
mod demo;
mod escaped;
mod failure;
mod identity;
mod key;
mod line_writer;
mod log;
mod node;
mod output;
mod pipes;
mod private_file;
mod replay;
mod secret_file;
mod shutdown;
mod status_server;
mod systemd;
mod version;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use self::{
    config::{ConfigArguments, Configuration, InitArguments, Log},
    failure::Failure,
    log::log_to_stderr,
};

/// What `--help` says after the commands.
const AFTER_HELP: &str = "\
Configuration: a file (--config; `init` writes one), environment variables over it (GOSSIPSUB_NETWORK__LISTEN sets
network.listen), flags over both.

Finding others: a node dials what --dial names, keeps these connections, and dials peers that others recommend when they
prune it (limits.do_px). It has no discovery of its own. Behind a NAT it can dial but not be dialled: forward a port to it,
or let all dial one node with a public address. docs/operating.md has more.

Exit codes:
  0  ended as asked: by SIGINT or SIGTERM, by --seconds, at the end of the input, or because the reader of the output has
     closed its pipe
  1  failed: an address or the data directory is in use, a disk is full or fails, the engine or the demonstration failed,
     nobody took what was to be published
  2  wrong arguments or configuration; a key, token or data directory with wrong content, permissions or path: starting
     again does not help";

/// A gossipsub engine on actix: a node, a chat, pipes to and from topics, a demonstration, and the replay of recordings.
#[derive(Parser)]
#[command(version = version::text(), about, after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs several nodes in this process, connected over TCP, and checks deliveries, meshes, penalties and bounds
    Demo(demo::Arguments),
    /// Runs one node that speaks gossipsub with any libp2p peer
    #[command(after_help = AFTER_HELP)]
    Node(Box<node::Arguments>),
    /// Publishes the lines that you type on a topic, and shows the messages of others
    #[command(after_help = AFTER_HELP)]
    Chat(Box<chat::Arguments>),
    /// Publishes each line of standard input on a topic, and ends when all are sent
    #[command(after_help = AFTER_HELP)]
    Publish(Box<pipes::PublishArguments>),
    /// Prints the messages of topics to standard output
    #[command(after_help = AFTER_HELP)]
    Subscribe(Box<pipes::SubscribeArguments>),
    /// Makes or shows the key of a node
    Key(key::Arguments),
    /// Writes a commented configuration file
    Init(InitArguments),
    /// Checks a configuration file or a file with limits, and lists every violated rule
    CheckConfig {
        /// The file in TOML: of `init`, or with limits alone as those in config/
        file: PathBuf,
    },
    /// Performs a recording on a node, without a network, and prints the effects of each line
    Replay(replay::Arguments),
}

impl Command {
    /// The arguments of a command that runs a node.
    fn config(&self) -> Option<&ConfigArguments> {
        match self {
            Self::Node(arguments) => Some(&arguments.config),
            Self::Chat(arguments) => Some(&arguments.config),
            Self::Publish(arguments) => Some(&arguments.config),
            Self::Subscribe(arguments) => Some(&arguments.config),
            Self::Demo(_) | Self::Key(_) | Self::Init(_) | Self::CheckConfig { .. } | Self::Replay(_) => None,
        }
    }

    fn run(self, configuration: Option<Configuration>) -> Result<(), Failure> {
        match (self, configuration) {
            (Self::Node(arguments), Some(configuration)) => block_on(node::run(*arguments, configuration)),
            (Self::Chat(_), Some(configuration)) => block_on(chat::run(configuration)),
            (Self::Publish(arguments), Some(configuration)) => {
                block_on(pipes::publish(*arguments, configuration))
            }
            (Self::Subscribe(arguments), Some(configuration)) => {
                block_on(pipes::subscribe(*arguments, configuration))
            }
            (Self::Demo(arguments), _) => block_on(demo::run(arguments)),
            (Self::Key(arguments), _) => key::run(&arguments),
            (Self::Init(arguments), _) => config::run_init(&arguments),
            (Self::CheckConfig { file }, _) => config::run_check(&file),
            (Self::Replay(arguments), _) => replay::run(&arguments),
            // `config` returns the arguments of these.
            (Self::Node(_) | Self::Chat(_) | Self::Publish(_) | Self::Subscribe(_), None) => Ok(()),
        }
    }
}

fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    actix::System::new().block_on(command)
}

/// Runs a command until it ends, and says why it failed.
pub fn run(arguments: Arguments) -> ExitCode {
    let command = arguments.command;
    let loaded = command.config().map(Configuration::load).transpose();
    let prepared = loaded.and_then(|configuration| {
        let log = configuration.as_ref().map_or_else(Log::default, |one| one.sections.log.clone());
        Ok((configuration, log_to_stderr(&log)?))
    });
    let (configuration, log) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => {
            // Nothing can be done without standard error.
            let _ = writeln!(io::stderr(), "error: {failure}");
            return ExitCode::from(failure.exit_code());
        }
    };
    for warning in configuration.iter().flat_map(|configuration| &configuration.warnings) {
        tracing::warn!("{warning}");
    }
    let outcome = command.run(configuration);
    if let Err(failure) = &outcome {
        log.last_line(&format!("error: {failure}"));
    }
    log.wait();
    outcome.map_or_else(|failure| ExitCode::from(failure.exit_code()), |()| ExitCode::SUCCESS)
}
