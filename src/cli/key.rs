//! The command `key`: makes and shows the key of a node.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use libp2p::identity::Keypair;
use serde_json::json;

use super::{Failure, config::KeyKind, identity, output::print};

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a private key in a new file with mode 0600, and prints its peer id. An RSA key is made with `openssl genpkey
    /// -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out FILE`
    New {
        /// The file to write
        file: PathBuf,
        /// Type of the key
        #[arg(long = "type", value_enum, value_name = "TYPE", default_value_t = KeyKind::Ed25519)]
        kind: KeyKind,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Prints the peer id and the type of a key. The private key is not shown
    Show {
        /// The file with the key
        file: PathBuf,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (key, json) = match &arguments.command {
        Command::New { file, kind, json } => (identity::create(file, *kind)?, json),
        Command::Show { file, json } => (identity::load(file)?, json),
    };
    print(&(describe(&key, *json) + "\n"))
}

fn describe(key: &Keypair, json: bool) -> String {
    let (peer, kind) = (key.public().to_peer_id(), key.key_type().to_string().to_lowercase());
    if json {
        return json!({ "peer_id": peer.to_string(), "type": kind }).to_string();
    }
    format!("{peer} ({kind})")
}
