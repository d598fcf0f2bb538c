//! Parameters from a file. It finds the place of a mistake; the rules are those of the library.

use std::{fs, path::Path};

use actix_gossipsub::{Limits, LimitsConfig};

use super::Failure;

/// Reads a file without checking its values.
pub fn read(file: &Path) -> Result<LimitsConfig, Failure> {
    let text =
        fs::read_to_string(file).map_err(|error| Failure::Unreadable { file: file.to_owned(), error })?;
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let (line, column) = place(&text, error.span().map_or(0, |span| span.start));
        let message = error.message().to_owned();
        Failure::Unparsable { file: file.to_owned(), line, column, message }
    })
}

/// Checks the values that came from `file`.
pub fn check(config: LimitsConfig, file: &Path) -> Result<Limits<String>, Failure> {
    Limits::try_from(config).map_err(|error| Failure::Limits { file: file.to_owned(), error })
}

/// Line and column, from 1, of a byte.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_from_one() {
        assert_eq!(place("ab\ncd", 0), (1, 1));
        assert_eq!(place("ab\ncd", 4), (2, 2));
        assert_eq!(place("ä\nö x", 6), (2, 3));
        assert_eq!(place("ab", 99), (1, 3));
    }
}
