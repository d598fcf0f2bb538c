//! What was asked for: which rows, how often, how long, in which form.

use super::plan::{Load, Mode, Row, Side};

/// The default takes some three minutes.
pub struct Arguments {
    modes: Vec<Mode>,
    topics: Vec<usize>,
    sizes: Vec<usize>,
    loads: Vec<Wanted>,
    pub sides: Vec<Side>,
    pub rounds: usize,
    /// Measured in each phase.
    pub seconds: u64,
    pub json: bool,
}

#[derive(Clone, Copy)]
enum Wanted {
    /// A rate that suits the size.
    Fixed,
    Load(Load),
}

impl Arguments {
    /// `None`: this process is to be one node.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Option<Self>, String> {
        let mut parsed = Self {
            modes: vec![Mode::Threads],
            topics: vec![1, 100],
            sizes: vec![1_024, 32_768],
            loads: vec![Wanted::Fixed, Wanted::Load(Load::Saturation)],
            sides: Side::ALL.to_vec(),
            rounds: 2,
            seconds: 2,
            json: false,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut next = || arguments.next().unwrap_or_default();
            match argument.as_str() {
                "--node" => return Ok(None),
                // Cargo says so.
                "--bench" => {}
                "--json" => parsed.json = true,
                "--rounds" => parsed.rounds = number(&next())?.max(1),
                "--seconds" => parsed.seconds = number(&next())?.max(1) as u64,
                filter => parsed.filter(filter)?,
            }
        }
        Ok(Some(parsed))
    }

    fn filter(&mut self, filter: &str) -> Result<(), String> {
        let (key, values) = filter.split_once('=').unwrap_or((filter, ""));
        let values = values.split(',');
        match key {
            "mode" => self.modes = values.map(mode).collect::<Result<Vec<_>, _>>()?.concat(),
            "topics" => self.topics = values.map(number).collect::<Result<_, _>>()?,
            "size" => self.sizes = values.map(number).collect::<Result<_, _>>()?,
            "load" => self.loads = values.map(load).collect::<Result<_, _>>()?,
            "side" => self.sides = values.map(side).collect::<Result<_, _>>()?,
            _ => {
                return Err(unknown(
                    filter,
                    "mode=, topics=, size=, load=, side=, --rounds, --seconds, --json",
                ));
            }
        }
        Ok(())
    }

    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for mode in &self.modes {
            for topics in &self.topics {
                for size in &self.sizes {
                    for wanted in &self.loads {
                        let load = match wanted {
                            Wanted::Fixed if *size > 16_384 => Load::Fixed(100),
                            Wanted::Fixed => Load::Fixed(500),
                            Wanted::Load(load) => *load,
                        };
                        rows.push(Row { mode: *mode, topics: *topics, size: *size, load });
                    }
                }
            }
        }
        rows
    }
}

fn mode(text: &str) -> Result<Vec<Mode>, String> {
    match text {
        "threads" => Ok(vec![Mode::Threads]),
        "processes" => Ok(vec![Mode::Processes]),
        "both" => Ok(vec![Mode::Threads, Mode::Processes]),
        _ => Err(unknown(text, "threads, processes, both")),
    }
}

fn load(text: &str) -> Result<Wanted, String> {
    match text {
        "fixed" => Ok(Wanted::Fixed),
        "saturation" => Ok(Wanted::Load(Load::Saturation)),
        rate => {
            let rate = rate.parse().ok().filter(|rate| *rate > 0);
            let rate = rate.ok_or_else(|| unknown(text, "fixed, saturation, or messages a second"))?;
            Ok(Wanted::Load(Load::Fixed(rate)))
        }
    }
}

fn side(text: &str) -> Result<Side, String> {
    let found = Side::ALL.into_iter().find(|side| side.name() == text);
    found.ok_or_else(|| unknown(text, "ours, rust-libp2p"))
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| unknown(text, "a number"))
}

fn unknown(text: &str, known: &str) -> String {
    format!("{text:?} is not one of: {known}")
}
