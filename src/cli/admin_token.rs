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
    match secret_file::read(file) {
        Err(error) if error.is_missing() => {
            let token = AdminToken::random();
            secret_file::create(file, token.reveal())?;
            Ok(token)
        }
        Err(error) => Err(error.into()),
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            AdminToken::new(text.trim())
                .map_err(|error| TokenError::Malformed { file: file.to_owned(), error })
        }
    }
}
