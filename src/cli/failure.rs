//! The errors of the commands. Each text says what the user can do about it.

use std::{error::Error, io, net::SocketAddr, path::PathBuf};

use actix_gossipsub::{
    EngineError, InvalidLimits, Refused, StartError,
    libp2p::{AuthorError, CommandError, TransportError},
    recording::Mistake,
};
use libp2p::Multiaddr;

use super::{admin_token::TokenError, config::Position, data_dir::DataDirError, identity::KeyError};

/// The error of a command, printed after "error: ".
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{}: can't be read ({error}): check the path and its permissions", file.display())]
    Unreadable { file: PathBuf, error: io::Error },
    #[error(
        "{}: line {}, column {}: {message}\n{}\ncorrect or remove this part; `actix-gossipsub init -` and \
         config/default.toml explain every key",
        file.display(), position.line, position.column, position.excerpt()
    )]
    Unparsable { file: PathBuf, position: Position, message: String },
    #[error("{}: can't be written: {error}", file.display())]
    Unwritable { file: PathBuf, error: io::Error },
    #[error("{origin}: {failure}")]
    Source { origin: String, failure: Box<Self> },
    #[error("{0}")]
    Invalid(String),
    #[error(
        "invalid values:\n  {}\nchange them; `actix-gossipsub init -` and config/default.toml explain every key",
        .0.join("\n  ")
    )]
    Rules(Vec<String>),
    #[error("{0}")]
    Options(InvalidLimits),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("no topic: name one with --topic <TOPIC>, or in the file with [topics] join = [\"TOPIC\"]")]
    NoTopic,
    #[error("{address}: {error}: choose another address with --listen, or port 0 for any free port")]
    Listen { address: Multiaddr, error: String },
    #[error("{address}: {error}")]
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
    #[error("no peer subscribed to {topic} within {seconds} s: check --dial, or wait longer with --wait")]
    NoSubscriber { topic: String, seconds: u64 },
    #[error("{count} lines were not published: {reason}")]
    NotPublished { count: u64, reason: String },
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

    /// 2 if a restart can't help: arguments or configuration are wrong, or the key, the token or the data directory has wrong
    /// content, permissions or path. Otherwise 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable { .. }
            | Self::Unparsable { .. }
            | Self::Source { .. }
            | Self::Invalid(_)
            | Self::Rules(_)
            | Self::Options(_)
            | Self::Key(KeyError::Malformed { .. } | KeyError::Rsa)
            | Self::Token(TokenError::Malformed { .. })
            | Self::NoTopic
            | Self::TooManyDeliveries { .. } => 2,
            Self::Key(KeyError::File(error)) | Self::Token(TokenError::File(error)) if error.is_lasting() => {
                2
            }
            Self::DataDir(error) if error.is_lasting() => 2,
            _ => 1,
        }
    }
}

/// Whether an error of a file lasts until someone changes the path or its permissions. A disk that is full or fails may work at
/// the next start.
pub fn is_lasting(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), AlreadyExists | IsADirectory | NotADirectory | NotFound | PermissionDenied)
}

/// The texts of an error and its causes on one line. Some errors of libp2p have an empty text of their own, others repeat
/// the text of their cause, and that of several addresses is a list.
pub fn with_causes(error: &dyn Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string().replace("Multiple dial errors occurred:\n - ", "").replace('\n', " ");
        let text = text.trim_matches([':', ' ']).to_owned();
        if !text.is_empty() && !texts.iter().any(|earlier| earlier.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}
