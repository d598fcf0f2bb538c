//! A Rust file as tokens with their lines, comments and strings included. It reads what this repository contains, not
//! every valid program.

/// The kind of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Ident,
    /// Punctuation: `::` is one token, and so is each other character.
    Punct,
    /// A string or character literal, without its quotes.
    Text,
    /// A comment, with its slashes.
    Comment,
}

#[derive(Clone, Debug)]
pub struct Token {
    pub kind: Kind,
    pub text: String,
    /// The line number, from 1.
    pub line: usize,
}

impl Token {
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Ident | Kind::Punct) && self.text == text
    }
}

/// All tokens of a file.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut reader = Reader { rest: source, line: 1, tokens: Vec::new() };
    while let Some(first) = reader.rest.chars().next() {
        reader.next(first);
    }
    reader.tokens
}

/// The tokens of code only: without comments, strings, and items under `#[cfg(test)]`.
pub fn code(source: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = tokens(source);
    tokens.retain(|token| matches!(token.kind, Kind::Ident | Kind::Punct));
    let mut code = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if starts_with(&tokens[at..], &["#", "[", "cfg", "(", "test", ")", "]"]) {
            at = end_of_item(&tokens, at + 7);
        } else {
            code.push(tokens[at].clone());
            at += 1;
        }
    }
    code
}

/// Whether the next tokens are these.
pub fn starts_with(tokens: &[Token], texts: &[&str]) -> bool {
    tokens.len() >= texts.len() && tokens.iter().zip(texts).all(|(token, text)| token.is(text))
}

/// The index after the item that starts at `start`: after its `;` or the closing brace of its body.
fn end_of_item(tokens: &[Token], start: usize) -> usize {
    let is_use = tokens[start..].iter().take(4).any(|token| token.is("use"));
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 && (token.is(";") || token.is("}") && !is_use) {
            return at + 1;
        }
    }
    tokens.len()
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl Reader<'_> {
    fn next(&mut self, first: char) {
        let rest = self.rest;
        if rest.starts_with("//") {
            self.take(Kind::Comment, rest.find('\n').unwrap_or(rest.len()), 0);
        } else if rest.starts_with("/*") {
            self.take(Kind::Comment, block_comment(rest), 0);
        } else if let Some((quotes, end)) = string(rest) {
            self.take(Kind::Text, end, quotes);
        } else if first == '\'' {
            match character(rest) {
                Some(end) => self.take(Kind::Text, end, 1),
                // The name of a lifetime is not read.
                None => self.skip(1 + name_length(&rest[1..])),
            }
        } else if first == '_' || first.is_alphabetic() {
            self.take(Kind::Ident, name_length(rest), 0);
        } else if first.is_ascii_digit() {
            self.skip(name_length(rest));
        } else if rest.starts_with("::") {
            self.take(Kind::Punct, 2, 0);
        } else if first.is_whitespace() {
            self.skip(first.len_utf8());
        } else {
            self.take(Kind::Punct, first.len_utf8(), 0);
        }
    }

    /// Adds a token of `length` bytes; the `quotes` bytes on either side are not part of its text.
    fn take(&mut self, kind: Kind, length: usize, quotes: usize) {
        let text =
            self.rest[..length].get(quotes..length - quotes.min(length)).unwrap_or_default().to_owned();
        self.tokens.push(Token { kind, text, line: self.line });
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        self.line += self.rest[..length].matches('\n').count();
        self.rest = &self.rest[length..];
    }
}

/// The length of a name or number at the start.
fn name_length(text: &str) -> usize {
    text.find(|next: char| next != '_' && !next.is_alphanumeric()).unwrap_or(text.len())
}

/// The length of a block comment at the start; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(next) = text[at..].find("/*").into_iter().chain(text[at..].find("*/")).min() {
        at += next;
        depth = if text[at..].starts_with("/*") { depth + 1 } else { depth - 1 };
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// A string literal of any kind at the start: the length of its quotes and the index of its end.
fn string(text: &str) -> Option<(usize, usize)> {
    let prefix = text.find(|next: char| !matches!(next, 'b' | 'c' | 'r')).filter(|length| *length <= 2)?;
    let body = &text[prefix..];
    if text[..prefix].contains('r') {
        let hashes = body.find(|next| next != '#')?;
        let inner = body[hashes..].strip_prefix('"')?;
        let close = format!("\"{}", "#".repeat(hashes));
        let end = inner.find(&close).map_or(text.len(), |at| prefix + hashes + 1 + at + close.len());
        return Some((hashes + 1, end));
    }
    let inner = body.strip_prefix('"')?;
    let mut escaped = false;
    for (at, next) in inner.char_indices() {
        match next {
            '"' if !escaped => return Some((1, prefix + 1 + at + 1)),
            _ => escaped = next == '\\' && !escaped,
        }
    }
    Some((1, text.len()))
}

/// The length of a character literal at the start; `None` if there is a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut inner = text.char_indices().skip(1);
    let (_, first) = inner.next()?;
    if first == '\\' {
        return text[3..].find('\'').map(|at| 3 + at + 1);
    }
    let (at, next) = inner.next()?;
    (next == '\'').then_some(at + 1)
}

#[test]
fn comments_strings_and_test_modules_are_not_code() {
    let source = r##"
        //! crate::in_comment
        use crate::a::{self, B}; /* crate::b /* nested */ */
        const T: (&str, char, &str) = ("crate::c \" {", '{', r#"crate::d " }"#);
        #[cfg(test)]
        mod tests { use crate::e; }
        #[cfg(test)]
        use crate::f::{G, H};
        fn f<'a>(x: &'a str) -> &'a str { crate::i::j(x) }
    "##;
    let code: Vec<_> = code(source).into_iter().map(|token| token.text).collect();
    let code = code.concat();
    for removed in ["in_comment", "nested", "::c", "::d", "::e", "::f", "H"] {
        assert!(!code.contains(removed), "{removed} in {code}");
    }
    for part in ["crate::a::{self,B}", "crate::i::j(x)"] {
        assert!(code.contains(part), "no {part} in {code}");
    }
    let lines: Vec<_> =
        tokens(source).into_iter().filter(|token| token.is("crate")).map(|t| t.line).collect();
    assert_eq!(lines, [3, 6, 8, 9]);
}
