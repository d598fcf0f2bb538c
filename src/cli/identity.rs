//! The identity of a node: its key file. The file has the private key as rust- and go-libp2p encode it (protobuf), in
//! base64; an RSA key is a PKCS#8 file in PEM, as openssl writes it.

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use libp2p::identity::Keypair;

use super::{
    config::KeyKind,
    secret_file::{self, SecretFileError},
};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    File(#[from] SecretFileError),
    #[error(
        "{}: not a private key ({problem}): expected is the base64 of a libp2p private key, or an RSA key in PEM (PKCS#8)",
        file.display()
    )]
    Malformed { file: PathBuf, problem: String },
    #[error(
        "an RSA key can't be made here: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out FILE makes one \
         that --key reads"
    )]
    Rsa,
}

/// The key in `file`, which is created if there is none; a new key without a file.
pub fn load_or_create(file: Option<&Path>, kind: KeyKind) -> Result<Keypair, KeyError> {
    let Some(file) = file else { return generate(kind) };
    match load(file) {
        Err(KeyError::File(error)) if error.is_missing() => match create(file, kind) {
            // Another process made it meanwhile.
            Err(KeyError::File(error)) if error.is_there() => load(file),
            created => created,
        },
        loaded => loaded,
    }
}

/// A new key in a new file, which only its owner may read.
pub fn create(file: &Path, kind: KeyKind) -> Result<Keypair, KeyError> {
    let key = generate(kind)?;
    let encoded = key.to_protobuf_encoding().map_err(|error| malformed(file, &error))?;
    secret_file::create(file, &STANDARD.encode(encoded))?;
    Ok(key)
}

/// The key in `file`.
pub fn load(file: &Path) -> Result<Keypair, KeyError> {
    decode(&secret_file::read(file)?).map_err(|problem| malformed(file, &problem))
}

fn generate(kind: KeyKind) -> Result<Keypair, KeyError> {
    match kind {
        KeyKind::Ed25519 => Ok(Keypair::generate_ed25519()),
        KeyKind::Secp256k1 => Ok(Keypair::generate_secp256k1()),
        KeyKind::Ecdsa => Ok(Keypair::generate_ecdsa()),
        KeyKind::Rsa => Err(KeyError::Rsa),
    }
}

fn decode(bytes: &[u8]) -> Result<Keypair, String> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Keypair::from_protobuf_encoding(bytes).map_err(|error| error.to_string());
    };
    let lines: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let mut key = STANDARD.decode(lines.trim()).map_err(|error| error.to_string())?;
    if text.starts_with("-----BEGIN PRIVATE KEY-----") {
        return Keypair::rsa_from_pkcs8(&mut key).map_err(|error| error.to_string());
    }
    Keypair::from_protobuf_encoding(&key).map_err(|error| error.to_string())
}

fn malformed(file: &Path, problem: &impl ToString) -> KeyError {
    KeyError::Malformed { file: file.to_owned(), problem: problem.to_string() }
}
