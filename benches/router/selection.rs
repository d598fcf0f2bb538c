//! Which cells of the matrix are to be measured. Words of one kind are alternatives; without a word of a kind
//! all of it is meant.

use std::fmt;

/// Who routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The bare loop.
    Floor,
    /// The protocol without actors.
    Node,
    /// The actors on one arbiter.
    Engine1,
    /// The actors on as many arbiters as there are cores.
    EngineN,
    /// The actors on one arbiter, and beside them on the same their transport.
    Beside1,
    /// The same on as many arbiters as there are cores.
    BesideN,
}

impl Engine {
    /// Whether it runs on threads other than the bench's.
    pub fn has_threads(self) -> bool {
        !matches!(self, Self::Floor | Self::Node)
    }

    /// Whether its instructions can be counted: those of one thread.
    pub fn is_counted(self) -> bool {
        matches!(self, Self::Floor | Self::Node | Self::Engine1)
    }
}

/// What differs from the plain workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    Plain,
    /// Each new message is judged for 5 us.
    Validator,
    /// Bodies of 2 KiB.
    Payload,
}

/// A word that is one of a kind.
pub trait Word: Copy + PartialEq + 'static {
    const ALL: &'static [Self];

    fn word(self) -> &'static str;
}

impl Word for Engine {
    const ALL: &'static [Self] =
        &[Self::Floor, Self::Node, Self::Engine1, Self::EngineN, Self::Beside1, Self::BesideN];

    fn word(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Node => "node",
            Self::Engine1 => "engine_1",
            Self::EngineN => "engine_n",
            Self::Beside1 => "beside_1",
            Self::BesideN => "beside_n",
        }
    }
}

impl Word for Variant {
    const ALL: &'static [Self] = &[Self::Plain, Self::Validator, Self::Payload];

    fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Validator => "validator_5us",
            Self::Payload => "payload_2k",
        }
    }
}

/// What is measured unless something is chosen; `W_named` must be asked for.
const WORKLOADS: [&str; 2] = ["R", "W"];
const ALL_WORKLOADS: [&str; 3] = ["R", "W", "W_named"];
const TOPICS: [usize; 5] = [10, 100, 1000, 5000, 32_000];
const PEERS: [usize; 2] = [50, 200];

/// The chosen cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    pub workloads: Vec<&'static str>,
    pub engines: Vec<Engine>,
    pub topics: Vec<usize>,
    pub peers: Vec<usize>,
    pub variants: Vec<Variant>,
}

/// A word that means nothing.
#[derive(Debug)]
pub struct UnknownWord(String);

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is none of: R W W_named, floor node engine_1 engine_n beside_1 beside_n, \
             topics=10,100,1000,5000,32000, peers=50,200, plain validator_5us payload_2k, --json, --instructions, --guard, --record, --recording, \
             --chart FILE.svg LINES.jsonl, --table LINES.jsonl",
            self.0
        )
    }
}

impl Selection {
    /// # Errors
    /// The first word that is not understood.
    pub fn parse(words: &[String]) -> Result<Self, UnknownWord> {
        let mut chosen = Self {
            workloads: Vec::new(),
            engines: Vec::new(),
            topics: Vec::new(),
            peers: Vec::new(),
            variants: Vec::new(),
        };
        for word in words {
            chosen.add(word).ok_or_else(|| UnknownWord(word.clone()))?;
        }
        or_all(&mut chosen.workloads, &WORKLOADS);
        or_all(&mut chosen.engines, Engine::ALL);
        or_all(&mut chosen.topics, &TOPICS);
        or_all(&mut chosen.peers, &PEERS);
        or_all(&mut chosen.variants, Variant::ALL);
        Ok(chosen)
    }

    fn add(&mut self, word: &str) -> Option<()> {
        if let Some(numbers) = word.strip_prefix("topics=") {
            self.topics.extend(parse_numbers(numbers)?);
        } else if let Some(numbers) = word.strip_prefix("peers=") {
            self.peers.extend(parse_numbers(numbers)?);
        } else if let Some(workload) = ALL_WORKLOADS.into_iter().find(|name| *name == word) {
            self.workloads.push(workload);
        } else if let Some(engine) = find(word) {
            self.engines.push(engine);
        } else {
            self.variants.push(find(word)?);
        }
        Some(())
    }
}

/// The value that `word` names.
pub fn find<T: Word>(word: &str) -> Option<T> {
    T::ALL.iter().copied().find(|value| value.word() == word)
}

/// Meshes have 8 peers, and there is at least one topic.
fn parse_numbers(numbers: &str) -> Option<Vec<usize>> {
    numbers.split(',').map(|number| number.parse().ok().filter(|number| *number >= 8)).collect()
}

fn or_all<T: Clone>(chosen: &mut Vec<T>, all: &[T]) {
    if chosen.is_empty() {
        chosen.extend_from_slice(all);
    }
}

impl std::error::Error for UnknownWord {}
