//! Files with a secret: a private key or a token. Only their owner may read them.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{failure::is_lasting, private_file};

/// Longest file, in bytes: an RSA key of 8,192 bits has some 6,500.
const MAX_LENGTH: u64 = 64 << 10;

/// Why a secret can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    #[error("{}: can't be read ({error}): check the path and its permissions", file.display())]
    Unreadable { file: PathBuf, error: io::Error },
    #[error("{}: can't be written: {error}", file.display())]
    Unwritable { file: PathBuf, error: io::Error },
    #[error("{}: there is a file already: remove it if you want another one", file.display())]
    Exists { file: PathBuf },
    #[error(
        "{}: others may read or write this secret (mode {mode:o}): chmod 600 it, and make a new one if someone may have \
         read it", file.display()
    )]
    Open { file: PathBuf, mode: u32 },
    #[error("{}: this secret is of another user (id {owner}): chown it, or run the node as that user", file.display())]
    Foreign { file: PathBuf, owner: u32 },
    #[error("{}: not a regular file", file.display())]
    NotAFile { file: PathBuf },
    #[error("{}: more than {MAX_LENGTH} bytes are too many", file.display())]
    TooLong { file: PathBuf },
}

impl SecretFileError {
    /// Whether there is no file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Unreadable { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether another attempt fails the same way, until someone changes the file or its path.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Unreadable { error, .. } | Self::Unwritable { error, .. } => is_lasting(error),
            Self::Exists { .. }
            | Self::Open { .. }
            | Self::Foreign { .. }
            | Self::NotAFile { .. }
            | Self::TooLong { .. } => true,
        }
    }

    /// Whether a file that was to be made is there already.
    pub fn is_there(&self) -> bool {
        matches!(self, Self::Exists { .. })
    }
}

/// Writes a line to a new file with mode 0600. The file has its name only once all of it is on the disk, so that a failure
/// leaves no part of it.
pub fn create(file: &Path, line: &str) -> Result<(), SecretFileError> {
    // A name of its own: another process may create the same file now.
    let temporary = file.with_added_extension(format!("{:016x}.new", rand::random::<u64>()));
    let written = private_file::write_new(&temporary, format!("{line}\n").as_bytes())
        .and_then(|()| fs::hard_link(&temporary, file));
    let _ = fs::remove_file(&temporary);
    written.and_then(|()| private_file::sync_name(file)).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => SecretFileError::Exists { file: file.to_owned() },
        _ => SecretFileError::Unwritable { file: file.to_owned(), error },
    })
}

/// The content of a file that nobody else may read.
pub fn read(file: &Path) -> Result<Vec<u8>, SecretFileError> {
    let unreadable = |error| SecretFileError::Unreadable { file: file.to_owned(), error };
    // To open a pipe would wait for its writer.
    check_regular(file, &fs::metadata(file).map_err(unreadable)?)?;
    let opened = File::open(file).map_err(unreadable)?;
    // What is read is what is checked, even if the path has another file meanwhile.
    let metadata = opened.metadata().map_err(unreadable)?;
    check_regular(file, &metadata)?;
    check_access(file, &metadata)?;
    let mut content = Vec::new();
    opened.take(MAX_LENGTH + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > MAX_LENGTH {
        return Err(SecretFileError::TooLong { file: file.to_owned() });
    }
    Ok(content)
}

fn check_regular(file: &Path, metadata: &fs::Metadata) -> Result<(), SecretFileError> {
    if metadata.is_file() { Ok(()) } else { Err(SecretFileError::NotAFile { file: file.to_owned() }) }
}

#[cfg(unix)]
fn check_access(file: &Path, metadata: &fs::Metadata) -> Result<(), SecretFileError> {
    use std::os::unix::fs::MetadataExt;
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o777);
    if mode & 0o077 != 0 {
        return Err(SecretFileError::Open { file: file.to_owned(), mode });
    }
    if owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(SecretFileError::Foreign { file: file.to_owned(), owner })
}

#[cfg(not(unix))]
fn check_access(_: &Path, _: &fs::Metadata) -> Result<(), SecretFileError> {
    Ok(())
}
