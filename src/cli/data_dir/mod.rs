//! The data directory of a node: what it needs to be the same peer again after a restart. It has the key, the known peers
//! with their addresses, and the backoffs; one process at a time uses it.

mod backoffs;
mod file;
mod peers;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

pub use self::{
    backoffs::StoredBackoffs,
    peers::{KnownPeer, StoredPeers},
};

use super::{failure::is_lasting, private_file::for_owner_alone};

/// The name of the file that the process locks.
const LOCK: &str = "lock";

/// Why a data directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("{}: can't be used as a data directory ({error}): check the path and its permissions", dir.display())]
    Unusable { dir: PathBuf, error: io::Error },
    #[error(
        "{}: another process uses this data directory: stop it, or give each node a directory of its own with --data-dir",
        dir.display()
    )]
    Locked { dir: PathBuf },
    #[error("{}: others may write to this data directory (mode {mode:o}): chmod 700 it", dir.display())]
    Open { dir: PathBuf, mode: u32 },
    #[error(
        "{}: this data directory is of another user (id {owner}): run the node as that user, or chown the directory",
        dir.display()
    )]
    Foreign { dir: PathBuf, owner: u32 },
}

impl DataDirError {
    /// Whether another attempt fails the same way, until someone changes the directory or its path.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Unusable { error, .. } => is_lasting(error),
            Self::Locked { .. } => false,
            Self::Open { .. } | Self::Foreign { .. } => true,
        }
    }
}

/// A data directory that this process has locked, until it is dropped.
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if there is none, for its owner alone, and locks it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let unusable = |error| DataDirError::Unusable { dir: path.to_owned(), error };
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(unusable)?;
        check_owner(path, &fs::metadata(path).map_err(unusable)?)?;
        let lock = for_owner_alone(OpenOptions::new().write(true).create(true).truncate(false))
            .open(path.join(LOCK))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::Locked { dir: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// The file of the key, which is used unless another one is configured.
    pub fn key(&self) -> PathBuf {
        self.path.join("key")
    }
}

/// All who can write to the directory can replace its files.
#[cfg(unix)]
fn check_owner(dir: &Path, metadata: &fs::Metadata) -> Result<(), DataDirError> {
    use std::os::unix::fs::MetadataExt;
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o777);
    if owner != rustix::process::geteuid().as_raw() {
        return Err(DataDirError::Foreign { dir: dir.to_owned(), owner });
    }
    if mode & 0o022 == 0 { Ok(()) } else { Err(DataDirError::Open { dir: dir.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn check_owner(_: &Path, _: &fs::Metadata) -> Result<(), DataDirError> {
    Ok(())
}
