//! The identity of a node: its key file. The file has the private key as rust- and go-libp2p encode it (protobuf), in
//! base64; an RSA key is a PKCS#8 file in PEM, as openssl writes it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use libp2p::identity::Keypair;

use super::config::KeyKind;

/// Longest key file, in bytes: an RSA key of 8,192 bits has some 6,500.
const MAX_LENGTH: u64 = 64 << 10;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{}: can't be read ({error}): check the path and its permissions", file.display())]
    Unreadable { file: PathBuf, error: io::Error },
    #[error("{}: can't be written: {error}", file.display())]
    Unwritable { file: PathBuf, error: io::Error },
    #[error("{}: there is a key already: remove the file if you want another one", file.display())]
    Exists { file: PathBuf },
    #[error(
        "{}: others may read or write this private key (mode {mode:o}): chmod 600 it, and make a new key if someone may \
         have read it", file.display()
    )]
    Open { file: PathBuf, mode: u32 },
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
        Err(KeyError::Unreadable { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            create(file, kind)
        }
        loaded => loaded,
    }
}

/// A new key in a new file, which only its owner may read.
pub fn create(file: &Path, kind: KeyKind) -> Result<Keypair, KeyError> {
    let key = generate(kind)?;
    let encoded = key.to_protobuf_encoding().map_err(|error| malformed(file, &error))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut out| {
        out.write_all(format!("{}\n", STANDARD.encode(encoded)).as_bytes())?;
        out.sync_all()
    });
    match written {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(KeyError::Exists { file: file.to_owned() })
        }
        Err(error) => Err(KeyError::Unwritable { file: file.to_owned(), error }),
    }
}

/// The key in `file`.
pub fn load(file: &Path) -> Result<Keypair, KeyError> {
    let unreadable = |error| KeyError::Unreadable { file: file.to_owned(), error };
    let metadata = fs::metadata(file).map_err(unreadable)?;
    check_mode(file, &metadata)?;
    if metadata.len() > MAX_LENGTH {
        return Err(malformed(file, &format!("{} bytes are too many", metadata.len())));
    }
    decode(&fs::read(file).map_err(unreadable)?).map_err(|problem| malformed(file, &problem))
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

#[cfg(unix)]
fn check_mode(file: &Path, metadata: &fs::Metadata) -> Result<(), KeyError> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeyError::Open { file: file.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &fs::Metadata) -> Result<(), KeyError> {
    Ok(())
}

fn malformed(file: &Path, problem: &impl ToString) -> KeyError {
    KeyError::Malformed { file: file.to_owned(), problem: problem.to_string() }
}
