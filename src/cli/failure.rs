//! Why a command failed, in words that say what to do. Never shown for a node that was merely ended.

use std::{error::Error, io, net::SocketAddr, path::PathBuf};

use actix_gossipsub::{
    EngineError, InvalidLimits, Refused, StartError,
    libp2p::{AuthorError, CommandError, TransportError},
    recording::Mistake,
};
use libp2p::Multiaddr;

/// Shown after "error: ".
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{}: can't be read ({error}): check the path and its permissions", file.display())]
    Unreadable { file: PathBuf, error: io::Error },
    #[error(
        "{}: line {line}, column {column}: {message}\ncorrect or remove what is there; config/default.toml \
         explains every parameter",
        file.display()
    )]
    Unparsable { file: PathBuf, line: usize, column: usize, message: String },
    #[error("{}: {error}\nchange these values; config/default.toml explains every parameter", file.display())]
    Limits { file: PathBuf, error: InvalidLimits },
    #[error("{0}\nchange these options")]
    Options(InvalidLimits),
    #[error("{address}: {error}: choose another address with --listen, or port 0 for any that is free")]
    Listen { address: Multiaddr, error: String },
    #[error("{address}: {error}: correct --dial")]
    Dial { address: Multiaddr, error: String },
    #[error("{address}: {error}: choose another address with --http, or port 0 for any that is free")]
    Http { address: SocketAddr, error: io::Error },
    #[error("can't listen for signals: {0}")]
    Signals(io::Error),
    #[error("can't start a thread: {0}: the system has too many, or too little memory")]
    Thread(io::Error),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0}")]
    Engine(EngineError),
    #[error("{0}: change --size, --prefix or --topic")]
    Author(#[from] AuthorError),
    #[error("a message could not be published: {0}")]
    Publish(#[from] Refused),
    #[error(
        "{nodes} nodes, {rate} messages a second and {seconds} seconds are more deliveries than can be kept \
         account of ({max}): lower --nodes, --rate or --seconds"
    )]
    TooMuch { nodes: usize, rate: u64, seconds: u64, max: u64 },
    #[error("a node of the demonstration did not come up: see the log above (RUST_LOG=debug shows more)")]
    NodeDown,
    #[error("{}: {error}", file.display())]
    Trace { file: PathBuf, error: Mistake },
    #[error("{}: the recording can't be written ({error}): it ends there", file.display())]
    Untraceable { file: PathBuf, error: io::Error },
    #[error("can't write to standard output: {0}")]
    Output(io::Error),
    #[error("{0}")]
    Incomplete(String),
}

impl Failure {
    /// It can't listen there.
    pub fn listen(address: &Multiaddr, error: &CommandError) -> Self {
        Self::Listen { address: address.clone(), error: with_causes(error) }
    }

    /// It can't dial that.
    pub fn dial(address: &Multiaddr, error: &CommandError) -> Self {
        Self::Dial { address: address.clone(), error: with_causes(error) }
    }
}

/// An error and its causes. Some of libp2p's say nothing themselves.
fn with_causes(error: &dyn Error) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string().trim_end_matches([':', ' ']).to_owned();
        // Others repeat their cause.
        if !told.iter().any(|told| told.contains(&text)) {
            told.push(text);
        }
        next = error.source();
    }
    told.join(": ")
}
