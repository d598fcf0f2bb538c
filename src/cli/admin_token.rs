//! The token of the admin scope: a file with one line.

use std::path::{Path, PathBuf};

use actix_gossipsub::http::{AdminToken, InvalidToken};

use super::secret_file::{self, SecretFileError};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error(transparent)]
    File(#[from] SecretFileError),
    #[error("{}: {error}: remove the file, and a new token is made", file.display())]
    Malformed { file: PathBuf, error: InvalidToken },
}

/// The token in `file`, which is created with a random one if there is none.
pub fn load_or_create(file: &Path) -> Result<AdminToken, TokenError> {
    match load(file) {
        Err(TokenError::File(error)) if error.is_missing() => {
            let token = AdminToken::random();
            match secret_file::create(file, token.reveal()) {
                // Another process made it meanwhile.
                Err(error) if error.is_there() => load(file),
                created => Ok(created.map(|()| token)?),
            }
        }
        loaded => loaded,
    }
}

fn load(file: &Path) -> Result<AdminToken, TokenError> {
    let bytes = secret_file::read(file)?;
    AdminToken::new(String::from_utf8_lossy(&bytes).trim())
        .map_err(|error| TokenError::Malformed { file: file.to_owned(), error })
}
