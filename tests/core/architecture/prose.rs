//! These tests check the names and the prose of the repository. They find private metaphors in names, comments, messages
//! and documents, and Rust files without a header or with too many lines.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::source::{Kind, Token, starts_with, tokens};

/// Where a word is forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// In names, and in all text.
    Everywhere,
    /// In names only: as English it is plain.
    Names,
}

use Scope::{Everywhere, Names};

/// The forbidden words, each with the standard term of gossipsub, libp2p, actix or Rust that replaces it.
const WORDS: &[(Scope, &str, &str)] = &[
    (Everywhere, "beat beats", "heartbeat, tick"),
    (Everywhere, "company", "peers summary"),
    (Everywhere, "debt debts debtor debtors owe owed owes", "permit, acquire"),
    (Everywhere, "deed deeds", "action"),
    (Everywhere, "desk desks", "mailbox"),
    (Everywhere, "door doors", "admission"),
    (Everywhere, "everybody somebody", "all peers, a peer"),
    (Everywhere, "farewell farewells", "leave confirmed"),
    (Everywhere, "hear heard hears", "receive"),
    (Everywhere, "heed heeded heeds", "apply"),
    (Everywhere, "home homes", "topic of a message"),
    (Everywhere, "hope hopes hoped hopeful", "waiter, readiness"),
    (Everywhere, "letter letters", "envelope"),
    (Everywhere, "lonely", "without peers"),
    (Everywhere, "patience", "stall detector, limit"),
    (Everywhere, "pile piles", "burst"),
    (Everywhere, "said saying sayings", "sent, message"),
    (Everywhere, "seat seats", "slot"),
    (Everywhere, "sheet sheets", "counter table"),
    (Everywhere, "siege sieges besieged", "attack scenario"),
    (Everywhere, "spare spared spares", "suppressed"),
    (Everywhere, "stranger strangers", "unconnected peer"),
    (Everywhere, "tape tapes", "input recorder"),
    (Everywhere, "tell tells told untold", "send, report"),
    (Everywhere, "till tills", "thread slot, until"),
    (Everywhere, "toll tolls", "cost"),
    (Everywhere, "trouble troubles", "errors"),
    (Everywhere, "vacate vacated vacates", "free"),
    (Everywhere, "void", "expired, fulfilled"),
    (Everywhere, "welcome welcomes", "join confirmed"),
    (Everywhere, "whoever whomever", "caller, any peer"),
    (Everywhere, "wrongs", "violations"),
    (Names, "held hold holds", "queued, pending, deferred"),
    (Names, "look looks", "query"),
    (Names, "lot lots", "prefetch"),
    (Names, "say says", "send, report"),
    (Names, "show shown shows", "publish, report"),
    (Names, "word words", "message"),
];

/// Forbidden phrases, each with a better one. They are found within one line.
const PHRASES: [(&str, &str); 1] = [("so many", "the number, `count`")];

/// Names in which such a word has its plain meaning.
const ALLOWED: &[&str] = &["look_up", "lookup", "keyword", "say_ok"];

/// The folders of the user interface, where `show` has its plain meaning.
const DISPLAYS: [&str; 2] = ["src/http", "src/cli"];

/// This file contains the forbidden words.
const THIS_FILE: &str = "tests/core/architecture/prose.rs";

/// The documents outside of the folders that are read as a whole. The tables of CHANGELOG.md have the former names.
const DOCUMENTS: [&str; 5] =
    ["README.md", "CONTRIBUTING.md", "SECURITY.md", "benches/README.md", "benches/method.md"];

/// The section of CONTRIBUTING.md that quotes forbidden words.
const QUOTES: &str = "\n## Names and prose\n";

/// Words that make a sentence a negation.
const NEGATIONS: [&str; 17] = [
    "no", "not", "nor", "none", "never", "nothing", "nobody", "neither", "nowhere", "cannot", "can't",
    "don't", "doesn't", "isn't", "aren't", "won't", "needn't",
];

/// The position of a text: its file and its first line.
struct Position<'a> {
    file: &'a Path,
    line: usize,
}

/// All files below some folders of the repository that have one of these extensions.
fn files(folders: &[&str], extensions: &[&str]) -> Vec<(PathBuf, String)> {
    fn below(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("a readable entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_built = name == "target" && path.join("CACHEDIR.TAG").exists();
            if path.is_dir() && !is_built && !["traces", "corpus"].contains(&name) {
                below(&path, extensions, found);
            } else if path.extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted)) {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    folders.iter().for_each(|folder| below(&root.join(folder), extensions, &mut found));
    found.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a readable file");
        (path.strip_prefix(root).expect("below the root").to_owned(), text)
    };
    found.into_iter().map(read).collect()
}

/// A document, without the section that quotes forbidden words.
fn document(name: &str) -> (PathBuf, String) {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("a readable file");
    (PathBuf::from(name), text.split(QUOTES).next().expect("the start").to_owned())
}

/// The words of a name, in lower case: `SendQueue` and `send_queue` have two.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for next in name.chars() {
        if next == '_' || next.is_uppercase() && after_lower {
            words.push(String::new());
        }
        after_lower = next.is_lowercase();
        words.last_mut().expect("not empty").extend(next.to_lowercase().filter(|next| *next != '_'));
    }
    words
}

/// The forbidden words of a text.
fn forbidden(text: &str, is_name: bool, file: &Path) -> Vec<(String, &'static str)> {
    let displays = DISPLAYS.iter().any(|folder| file.starts_with(folder));
    let mut text = text.to_owned();
    ALLOWED.iter().for_each(|allowed| text = text.replace(allowed, ""));
    let names = text.split(|next: char| next != '_' && next != '\'' && !next.is_alphanumeric());
    let words = names.flat_map(words_of);
    let wrong = |word: String| {
        let is_meant = |(scope, forms, _): &&(Scope, &str, &str)| {
            let display = displays && forms.starts_with("show");
            (is_name || *scope == Everywhere) && !display && forms.split(' ').any(|form| form == word)
        };
        let found = WORDS.iter().find(is_meant).map(|(_, _, instead)| *instead);
        found.map(|instead| (word, instead))
    };
    words.filter_map(wrong).collect()
}

fn report(position: &Position<'_>, text: &str, is_name: bool, wrong: &mut Vec<String>) {
    for (nth, line) in text.lines().enumerate() {
        let lower = line.to_lowercase();
        let phrases = PHRASES.iter().filter(|(phrase, _)| lower.contains(phrase));
        let phrases = phrases.map(|(phrase, instead)| ((*phrase).to_owned(), *instead));
        for (word, instead) in forbidden(line, is_name, position.file).into_iter().chain(phrases) {
            wrong.push(format!(
                "{}:{}: `{word}` (better: {instead}): {}",
                position.file.display(),
                position.line + nth,
                line.trim()
            ));
        }
    }
}

/// The first paragraph of the `//!` lines of a file, in one line.
fn header(tokens: &[Token]) -> Option<String> {
    let lines = tokens.iter().map_while(|token| {
        let is_comment = token.kind == Kind::Comment;
        is_comment.then(|| token.text.strip_prefix("//!")).flatten().map(str::trim)
    });
    let lines: Vec<_> =
        lines.skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty()).collect();
    (!lines.is_empty()).then(|| lines.join(" "))
}

/// The last sentence of a paragraph, if its first or second word negates, as in "Decides nothing.".
fn negation(paragraph: &str) -> Option<&str> {
    let ends = [". ", "? ", "! ", "; ", ": "].iter().filter_map(|end| paragraph.rfind(end));
    let last = paragraph[ends.max().map_or(0, |end| end + 2)..].trim();
    let lower = last.to_lowercase();
    let words = lower.split(|next: char| next != '\'' && !next.is_alphanumeric());
    words.take(2).any(|word| NEGATIONS.contains(&word)).then_some(last)
}

#[test]
fn names_and_sentences_are_parsed() {
    assert_eq!(words_of("SendQueue_of_ids"), ["send", "queue", "of", "ids"]);
    let of = |text, is_name| forbidden(text, is_name, Path::new("src/a.rs")).len();
    assert_eq!(of("Desk deskAt DESK_COUNT", true), 3);
    assert_eq!(of("the engine says that it holds a lock, and looks it up", false), 0);
    assert_eq!(of("what it was told", false), 1);
    assert_eq!(of("look_up lookup Desktop keyword", true), 0);
    assert_eq!(negation("A queue. Decides nothing."), Some("Decides nothing."));
    assert_eq!(negation("Never blocks. A queue of inputs."), None);
    assert_eq!(negation("A queue that never blocks."), None);
    assert_eq!(header(&tokens("//! One.\n//! Two.\n//!\n//! Three.\nuse a;")), Some("One. Two.".to_owned()));
    assert_eq!(header(&tokens("use a; //! One.")), None);
}

#[test]
fn no_private_word_is_used() {
    let mut wrong = Vec::new();
    let sources = files(&["src", "examples", "tests", "fuzz", "benches"], &["rs"]);
    assert!(sources.iter().any(|(file, _)| file == Path::new(THIS_FILE)), "this file was moved");
    for (file, text) in sources.iter().filter(|(file, _)| file != Path::new(THIS_FILE)) {
        for Token { kind, text, line } in tokens(text) {
            if kind != Kind::Punct {
                report(&Position { file, line }, &text, kind == Kind::Ident, &mut wrong);
            }
        }
    }
    let documents = files(&["config", "dashboards", "docs"], &["toml", "yml", "json", "md"]).into_iter();
    for (file, text) in documents.chain(DOCUMENTS.map(document)) {
        report(&Position { file: &file, line: 1 }, &text, false, &mut wrong);
    }
    assert!(wrong.is_empty(), "{} private words:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_file_has_more_than_400_lines() {
    let mut long = Vec::new();
    for (file, text) in files(&["src", "examples", "tests", "fuzz", "benches"], &["rs"]) {
        let lines = text.lines().count();
        if lines > 400 {
            long.push(format!("{}: {lines} lines", file.display()));
        }
    }
    assert!(long.is_empty(), "{} files:\n{}", long.len(), long.join("\n"));
}

#[test]
fn every_file_has_a_header_that_ends_in_a_statement() {
    let mut wrong = Vec::new();
    for (file, text) in files(&["src", "examples", "tests", "fuzz", "benches"], &["rs"]) {
        match header(&tokens(&text)) {
            None => wrong.push(format!("{}:1: no header", file.display())),
            Some(header) => {
                let negated =
                    negation(&header).map(|last| format!("{}:1: a negation: {last}", file.display()));
                wrong.extend(negated);
            }
        }
    }
    assert!(wrong.is_empty(), "{} headers:\n{}", wrong.len(), wrong.join("\n"));
}

/// The public async functions whose comment does not contain what dropping their future does, with their lines.
fn without_cancellation(tokens: &[Token]) -> Vec<(usize, &str)> {
    let (mut comment, mut found) = (String::new(), Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        if token.kind == Kind::Comment {
            comment.push_str(&token.text);
        } else if starts_with(&tokens[at..], &["pub", "async", "fn"]) {
            let documented = ["ancel", "dropped"].iter().any(|part| comment.contains(part));
            found.extend((!documented).then(|| (token.line, &*tokens[at + 3].text)));
        } else if [";", "{", "}"].iter().any(|end| token.is(end)) {
            comment.clear();
        }
    }
    found
}

#[test]
fn every_async_function_of_a_handle_documents_its_cancellation() {
    let sample =
        "/// Dropped: the future is dropped.\npub async fn a() {}\n/// B.\n#[must_use]\npub async fn b() {}";
    assert_eq!(without_cancellation(&tokens(sample)), [(5, "b")]);
    let mut wrong = Vec::new();
    for (file, text) in files(&["src/worker", "src/libp2p/node"], &["rs"]) {
        let tokens = tokens(&text);
        let found = without_cancellation(&tokens).into_iter();
        wrong.extend(found.map(|(line, name)| format!("{}:{line}: {name}", file.display())));
    }
    assert!(wrong.is_empty(), "{} functions:\n{}", wrong.len(), wrong.join("\n"));
}
