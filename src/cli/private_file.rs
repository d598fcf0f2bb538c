//! Files that only their owner may read and write, and that are on the disk before the node relies on them.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
};

/// Files that are created get mode 0600.
pub fn for_owner_alone(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Writes a file that is not there yet. Its bytes are on the disk afterwards.
pub fn write_new(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut out = for_owner_alone(OpenOptions::new().write(true).create_new(true)).open(file)?;
    out.write_all(content)?;
    out.sync_all()
}

/// The name of the file is on the disk afterwards.
#[cfg(unix)]
pub fn sync_name(file: &Path) -> io::Result<()> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    std::fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
pub fn sync_name(_: &Path) -> io::Result<()> {
    Ok(())
}
