//! Parameter files: reads them, checks them with the library's rules, and runs the command `check-config`.

use std::{fs, path::Path};

use actix_gossipsub::{Limits, LimitsConfig};

use super::Failure;

/// Runs `check-config`: prints "ok", or fails with a list of all violations.
pub fn run_check(file: &Path) -> Result<(), Failure> {
    check(read(file)?, file)?;
    println!("ok");
    Ok(())
}

/// Reads a file without checking its values.
pub fn read(file: &Path) -> Result<LimitsConfig, Failure> {
    let text =
        fs::read_to_string(file).map_err(|error| Failure::Unreadable { file: file.to_owned(), error })?;
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let (line, column) = line_and_column(&text, error.span().map_or(0, |span| span.start));
        let message = error.message().to_owned();
        Failure::Unparsable { file: file.to_owned(), line, column, message }
    })
}

/// Checks the values that were read from `file`.
pub fn check(config: LimitsConfig, file: &Path) -> Result<Limits<String>, Failure> {
    Limits::try_from(config).map_err(|error| Failure::Limits { file: file.to_owned(), error })
}

/// Line and column of a byte offset, both counted from 1.
fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_from_one() {
        assert_eq!(line_and_column("ab\ncd", 0), (1, 1));
        assert_eq!(line_and_column("ab\ncd", 4), (2, 2));
        assert_eq!(line_and_column("ä\nö x", 6), (2, 3));
        assert_eq!(line_and_column("ab", 99), (1, 3));
    }
}
