//! One file: its TOML text with positions. Mistakes are reported with line, column and caret, and with the name that was
//! probably meant.

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use actix_gossipsub::LimitsConfig;
use serde::Deserialize;
use toml::{
    Spanned, Table,
    de::{DeTable, DeValue, Deserializer, ValueDeserializer},
};

use super::{
    limits::Preset,
    settings::{SECTIONS, Sections},
};
use crate::cli::Failure;

/// A file whose names and types are right. Rules between values are checked when all sources are joined.
pub struct Document {
    /// The values, by section.
    pub table: Table,
    /// The line of each value, by its key: `limits.bounds.max_input_items`.
    pub lines: BTreeMap<String, usize>,
}

impl Document {
    /// Reads a file. A file with limits alone, such as those in `config/`, becomes the section `limits`.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let text =
            fs::read_to_string(file).map_err(|error| Failure::Unreadable { file: file.to_owned(), error })?;
        Self::parse(&text).map_err(|mistake| Failure::Unparsable {
            file: file.to_owned(),
            position: mistake.position(&text),
            message: mistake.message,
        })
    }

    fn parse(text: &str) -> Result<Self, Mistake> {
        let parsed = DeTable::parse(text)?;
        let mut lines = BTreeMap::new();
        let table: Table = toml::from_str(text)?;
        if !is_node_file(&table) {
            LimitsConfig::<String>::deserialize(Deserializer::from(parsed.clone()))
                .map_err(|error| Mistake::new(&error, &SECTIONS))?;
            collect_lines("limits", parsed.get_ref(), text, &mut lines);
            return Ok(Self { table: Table::from_iter([("limits".to_owned(), table.into())]), lines });
        }
        collect_lines("", parsed.get_ref(), text, &mut lines);
        let (mut sections, span) = (parsed.get_ref().clone(), parsed.span());
        if let Some(limits) = sections.remove("limits") {
            check_limits(limits)?;
        }
        Sections::deserialize(Deserializer::from(Spanned::new(span, sections)))
            .map_err(|error| Mistake::new(&error, &["limits"]))?;
        Ok(Self { table, lines })
    }
}

/// Whether a file has sections of a node. `topics` is also a part of the limits.
fn is_node_file(table: &Table) -> bool {
    let joins = table.get("topics").is_some_and(|topics| topics.get("join").is_some());
    joins || SECTIONS.iter().any(|section| *section != "topics" && table.contains_key(*section))
}

/// Checks the names and types in `[limits]`, apart from `preset` and `file`, which are not part of the limits themselves.
fn check_limits(limits: Spanned<DeValue<'_>>) -> Result<(), Mistake> {
    let span = limits.span();
    let DeValue::Table(mut table) = limits.into_inner() else {
        return Err(Mistake { message: "`limits` must be a table".to_owned(), span: Some(span) });
    };
    let value = |value| ValueDeserializer::from(value);
    if let Some(preset) = table.remove("preset").map(value) {
        Preset::deserialize(preset)?;
    }
    if let Some(file) = table.remove("file").map(value) {
        PathBuf::deserialize(file)?;
    }
    LimitsConfig::<String>::deserialize(Deserializer::from(Spanned::new(span, table)))
        .map(drop)
        .map_err(|error| Mistake::new(&error, &["preset", "file"]))
}

fn collect_lines(path: &str, table: &DeTable<'_>, text: &str, lines: &mut BTreeMap<String, usize>) {
    for (name, value) in table {
        let name = name.get_ref();
        let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        match value.get_ref() {
            DeValue::Table(inner) => collect_lines(&path, inner, text, lines),
            _ => drop(lines.insert(path, line_and_column(text, value.span().start).0)),
        }
    }
}

/// What is wrong at a place of a text.
struct Mistake {
    message: String,
    span: Option<Range<usize>>,
}

impl Mistake {
    /// `further`: names that are also possible where the error occurred.
    fn new(error: &toml::de::Error, further: &[&str]) -> Self {
        Self { message: explain(error.message(), further), span: error.span() }
    }

    fn position(&self, text: &str) -> Position {
        let span = self.span.clone().unwrap_or(0..0);
        let (line, column) = line_and_column(text, span.start);
        let content = text.lines().nth(line - 1).unwrap_or_default().to_owned();
        let marked = text.get(span).map_or(1, |part| part.lines().next().unwrap_or_default().chars().count());
        Position { line, column, content, marked: marked.max(1) }
    }
}

impl From<toml::de::Error> for Mistake {
    fn from(error: toml::de::Error) -> Self {
        Self::new(&error, &[])
    }
}

/// A place in a file. Line and column are counted from 1.
#[derive(Debug)]
pub struct Position {
    pub line: usize,
    pub column: usize,
    content: String,
    marked: usize,
}

impl Position {
    /// The line with carets below the mistake.
    pub fn excerpt(&self) -> String {
        let Self { line, column, content, marked } = self;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let (indent, carets) = (" ".repeat(column - 1), "^".repeat(*marked));
        format!("{margin} |\n{number} | {content}\n{margin} | {indent}{carets}")
    }
}

/// The text of an error of serde for a person. One about a name has the possible name that resembles it most in place of all
/// possible names, and types have names that are not those of Rust.
pub fn explain(message: &str, further: &[&str]) -> String {
    let Some((begin, expected)) = message.split_once(", expected ") else { return message.to_owned() };
    match expected {
        "usize" | "u32" | "u64" => return format!("{begin}, expected a whole number, at least 0"),
        "f64" => return format!("{begin}, expected a number"),
        "a boolean" => return format!("{begin}, expected true or false"),
        _ => {}
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let Some(wrong) = names.next() else { return message.to_owned() };
    let near = names
        .chain(further.iter().copied())
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    match near {
        Some((_, near)) => format!("{begin}: did you mean `{near}`?"),
        None => message.to_owned(),
    }
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
    fn types_have_no_names_of_rust() {
        let negative = "invalid value: integer `-6`, expected usize";
        assert_eq!(
            explain(negative, &[]),
            "invalid value: integer `-6`, expected a whole number, at least 0"
        );
        let names = "unknown field `a`, expected `bbb` or `ccc`";
        assert_eq!(explain(names, &[]), names);
    }

    #[test]
    fn lines_and_columns_are_counted_from_one() {
        assert_eq!(line_and_column("ab\ncd", 0), (1, 1));
        assert_eq!(line_and_column("ab\ncd", 4), (2, 2));
        assert_eq!(line_and_column("ä\nö x", 6), (2, 3));
        assert_eq!(line_and_column("ab", 99), (1, 3));
    }
}
