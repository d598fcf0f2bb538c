//! The errors of the commands. Each text says what the user can do about it.

use std::{error::Error, io, net::SocketAddr, path::PathBuf};

use actix_gossipsub::{
    EngineError, InvalidLimits, Refused, StartError,
    libp2p::{AuthorError, CommandError, TransportError},
    recording::Mistake,
};
use libp2p::Multiaddr;

/// The error of a command, printed after "error: ".
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{}: can't be read ({error}): check the path and its permissions", file.display())]
    Unreadable { file: PathBuf, error: io::Error },
    #[error(
        "{}: line {line}, column {column}: {message}\ncorrect or remove this part; config/default.toml \
         explains every parameter",
        file.display()
    )]
    Unparsable { file: PathBuf, line: usize, column: usize, message: String },
    #[error("{}: {error}\nchange these values; config/default.toml explains every parameter", file.display())]
    Limits { file: PathBuf, error: InvalidLimits },
    #[error("{0}\nchange these options")]
    Options(InvalidLimits),
    #[error("{address}: {error}: choose another address with --listen, or port 0 for any free port")]
    Listen { address: Multiaddr, error: String },
    #[error("{address}: {error}: correct --dial")]
    Dial { address: Multiaddr, error: String },
    #[error("{address}: {error}: choose another address with --http, or port 0 for any free port")]
    Http { address: SocketAddr, error: io::Error },
    #[error("can't listen for signals: {0}")]
    Signals(io::Error),
    #[error("can't start a thread: {0}: the system has too many threads or too little memory")]
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
        "{nodes} nodes, {rate} messages per second and {seconds} seconds exceed the limit of {max} deliveries: lower \
         --nodes, --rate or --seconds"
    )]
    TooManyDeliveries { nodes: usize, rate: u64, seconds: u64, max: u64 },
    #[error("a node of the demonstration did not start: see the log above, and set RUST_LOG=debug for more")]
    NodeDown,
    #[error("{}: {error}", file.display())]
    Trace { file: PathBuf, error: Mistake },
    #[error("{}: the recording can't be written ({error}) and ends at this point", file.display())]
    Untraceable { file: PathBuf, error: io::Error },
    #[error("can't write to standard output: {0}")]
    Output(io::Error),
    #[error("{0}")]
    Incomplete(String),
}

impl Failure {
    /// Listening on `address` failed.
    pub fn listen(address: &Multiaddr, error: &CommandError) -> Self {
        Self::Listen { address: address.clone(), error: with_causes(error) }
    }

    /// Dialling `address` failed.
    pub fn dial(address: &Multiaddr, error: &CommandError) -> Self {
        Self::Dial { address: address.clone(), error: with_causes(error) }
    }
}

/// The texts of an error and its causes, joined. Some errors of libp2p have an empty text of their own, and others
/// repeat the text of their cause.
fn with_causes(error: &dyn Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string().trim_end_matches([':', ' ']).to_owned();
        if !texts.iter().any(|earlier| earlier.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}
