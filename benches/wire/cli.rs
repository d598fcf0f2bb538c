//! The command line selects which rows of the table are measured, for how long, and in which form they are printed.

use std::str::FromStr;

use clap::{Parser, ValueEnum};
use testkit::wire::plan::{Implementation, Load, Mode, Row};

/// Compares nodes of this crate with nodes of rust-libp2p's gossipsub. The defaults take about three minutes.
#[derive(Parser)]
pub struct Cli {
    /// Where the nodes run
    #[arg(long = "mode", value_enum, value_delimiter = ',', default_values_t = [Mode::Threads])]
    modes: Vec<Mode>,
    /// Numbers of topics
    #[arg(long, value_delimiter = ',', default_values_t = [1_usize, 100])]
    topics: Vec<usize>,
    /// Sizes of a message in bytes
    #[arg(long = "size", value_delimiter = ',', default_values_t = [1_024_usize, 32_768])]
    sizes: Vec<usize>,
    /// Loads: `fixed` (a rate that suits the size), `saturation`, or messages a second
    #[arg(long = "load", value_delimiter = ',', default_values = ["fixed", "saturation"])]
    loads: Vec<LoadArg>,
    /// Implementations
    #[arg(long = "implementation", value_enum, value_delimiter = ',')]
    #[arg(default_values_t = Implementation::value_variants().to_vec())]
    pub implementations: Vec<Implementation>,
    /// Networks a row and implementation
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Measured seconds of each network
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Print JSON in place of a table
    #[arg(long)]
    pub json: bool,
    /// Run one node, controlled by standard input
    #[arg(long, hide = true)]
    pub node: bool,
    /// Added by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy)]
enum LoadArg {
    FixedBySize,
    Load(Load),
}

impl FromStr for LoadArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "fixed" => Ok(Self::FixedBySize),
            "saturation" => Ok(Self::Load(Load::Saturation)),
            rate => match rate.parse() {
                Ok(rate) if rate > 0 => Ok(Self::Load(Load::Fixed(rate))),
                _ => Err("expected `fixed`, `saturation` or a positive number of messages a second"),
            },
        }
    }
}

impl LoadArg {
    fn for_size(self, size: usize) -> Load {
        match self {
            Self::FixedBySize if size > 16_384 => Load::Fixed(100),
            Self::FixedBySize => Load::Fixed(500),
            Self::Load(load) => load,
        }
    }
}

impl Cli {
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for mode in &self.modes {
            for topics in &self.topics {
                for size in &self.sizes {
                    let loads = self.loads.iter().map(|load| load.for_size(*size));
                    rows.extend(loads.map(|load| Row { mode: *mode, topics: *topics, size: *size, load }));
                }
            }
        }
        rows
    }
}
