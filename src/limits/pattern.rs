//! Patterns of topic names. Their only special character is `*`: names of topics contain `?`, `[` and `/` as themselves, so
//! that the patterns of files and shells would not fit.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A pattern of topic names. `*` stands for any characters, also for none and also for `/`; every other character
/// stands for itself. A pattern without `*` matches the topic of this name only.
///
/// ```
/// use actix_gossipsub::limits::TopicPattern;
///
/// let blocks = TopicPattern::new("/eth2/*/beacon_block/*");
/// assert!(blocks.matches("/eth2/8c9f62fe/beacon_block/ssz_snappy"));
/// assert!(!blocks.matches("/eth2/8c9f62fe/voluntary_exit/ssz_snappy"));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicPattern(String);

impl TopicPattern {
    /// A pattern of topic names.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern matches the name of a topic. The time is in proportion to the length of the name, times the
    /// number of `*`.
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, others)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let (between, last) = others.rsplit_once('*').unwrap_or(("", others));
        // The first place where a part occurs leaves most to the parts after it.
        for part in between.split('*') {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

impl From<&str> for TopicPattern {
    fn from(pattern: &str) -> Self {
        Self::new(pattern)
    }
}

impl fmt::Debug for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by trying every split of the name.
    fn matches_slowly(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|from| matches_slowly(rest, &name[from..])),
            Some((first, rest)) => {
                name.split_first().is_some_and(|(at, name)| at == first && matches_slowly(rest, name))
            }
        }
    }

    #[test]
    fn a_pattern_matches_what_some_split_of_the_name_matches() {
        let texts = |characters: [char; 3]| {
            (0..6).flat_map(move |length| {
                (0..3_usize.pow(length)).map(move |number| {
                    (0..length).map(|digit| characters[number / 3_usize.pow(digit) % 3]).collect::<String>()
                })
            })
        };
        for pattern in texts(['a', 'b', '*']) {
            for name in texts(['a', 'b', 'c']) {
                let expected = matches_slowly(pattern.as_bytes(), name.as_bytes());
                assert_eq!(TopicPattern::new(&*pattern).matches(&name), expected, "{pattern} {name}");
            }
        }
    }
}
