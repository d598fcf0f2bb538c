//! The files with what a node stores: JSON with a version. They are replaced as a whole, so that a crash leaves the former
//! content. A file that can't be used is set aside, and the node starts without it.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::DataDir;
use crate::cli::private_file;

/// The version of the files that this binary reads and writes.
const VERSION: u32 = 1;
/// Most bytes of a file.
pub const MAX_BYTES: usize = 16 << 20;

/// The content of a file.
pub trait Stored: Serialize + DeserializeOwned {
    /// The name of the file.
    const FILE: &'static str;
    /// The consequence of a missing file, for a warning.
    const WITHOUT: &'static str;
}

#[derive(Serialize)]
struct Written<'a, T> {
    version: u32,
    content: &'a T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read<T> {
    #[serde(rename = "version")]
    _version: u32,
    content: T,
}

#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

impl DataDir {
    /// The stored content; `None` if there is none, or if it can't be used. That is logged, and the file is renamed.
    pub fn read<T: Stored>(&self) -> Option<T> {
        let file = self.path.join(T::FILE);
        match read(&file) {
            Ok(content) => content,
            Err(problem) => {
                self.set_aside::<T>(&problem);
                None
            }
        }
    }

    /// Renames a file that can't be used, and says so.
    pub fn set_aside<T: Stored>(&self, problem: &str) {
        let file = self.path.join(T::FILE);
        let aside = self.path.join(format!("{}.unusable", T::FILE));
        let (shown, without) = (file.display(), T::WITHOUT);
        match fs::rename(&file, &aside) {
            Ok(()) => tracing::warn!(
                "{shown}: {problem}; it was renamed to {}, and the node starts without {without}",
                aside.display()
            ),
            Err(error) => tracing::warn!(
                "{shown}: {problem}; the node starts without {without}, and the file can't be renamed: {error}"
            ),
        }
    }

    /// Replaces the stored content. The bytes are on the disk afterwards.
    ///
    /// # Errors
    /// The file can't be written. The former content is there then.
    pub fn write<T: Stored>(&self, content: &T) -> io::Result<()> {
        let text = serde_json::to_vec(&Written { version: VERSION, content })?;
        let (file, new) = (self.path.join(T::FILE), self.path.join(format!("{}.new", T::FILE)));
        // One that is left of a crash, or a link that others have put there: it is not followed.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        private_file::write_new(&new, &text)?;
        fs::rename(&new, &file)?;
        private_file::sync_name(&file)
    }
}

fn read<T: Stored>(file: &Path) -> Result<Option<T>, String> {
    let text = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("can't be read ({error})")),
        Ok(file) => {
            let mut text = String::new();
            let longest = MAX_BYTES as u64 + 1;
            io::Read::read_to_string(&mut io::Read::take(file, longest), &mut text)
                .map_err(|error| format!("can't be read ({error})"))?;
            text
        }
    };
    if text.len() > MAX_BYTES {
        return Err(format!("has more than {MAX_BYTES} bytes"));
    }
    let damaged = |error: serde_json::Error| format!("is damaged, or of another program ({error})");
    let AnyVersion { version } = serde_json::from_str(&text).map_err(damaged)?;
    if version != VERSION {
        return Err(format!("is of version {version}, and this binary reads version {VERSION}"));
    }
    let read: Read<T> = serde_json::from_str(&text).map_err(damaged)?;
    Ok(Some(read.content))
}
