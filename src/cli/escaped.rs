//! Text of peers for a terminal or a log of lines.

use std::fmt::{self, Write};

/// Displays text of a peer, such as the name of a topic, on one line: without characters that move the cursor, start an escape
/// sequence or change the direction of writing. A backslash is doubled, so that an escaped text is distinct from all others.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            c if c.is_control() || is_invisible(c) => write!(f, "{}", c.escape_default()),
            c => f.write_char(c),
        })
    }
}

/// Line separators, marks and overrides of direction, and characters without width.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_peers_stays_on_its_line() {
        assert_eq!(Escaped("news/ä").to_string(), "news/ä");
        assert_eq!(Escaped("a\n[1 s] b\u{1b}[2J\u{202e}").to_string(), "a\\n[1 s] b\\u{1b}[2J\\u{202e}");
        assert_ne!(Escaped("a\\n").to_string(), Escaped("a\n").to_string());
    }
}
