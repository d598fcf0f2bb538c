//! What the bench asks of everything that it measures. Measures nothing itself.

use std::time::Duration;

use super::{population::Population, tally::Tally, traffic::Traffic};

/// Something that routes messages.
pub trait Subject<N: Traffic> {
    /// Takes part in all topics. Nobody is there yet.
    fn join(&mut self, population: &Population<N>);

    /// Takes in the peers and their subscriptions. Nobody is in a mesh yet.
    fn populate(&mut self, population: &Population<N>);

    /// Takes in the peers' grafts.
    fn graft(&mut self, population: &Population<N>);

    /// Makes all copies of so many messages with bodies of so many bytes, to be run next.
    fn load(&mut self, population: &Population<N>, messages: usize, payload: usize);

    /// Feeds them, and takes and drops all that comes out.
    fn run(&mut self) -> Tally;

    /// A heartbeat; answers the CPU time that it took.
    fn heartbeat(&mut self) -> Duration;

    /// A heartbeat too; answers how long a message waited because of it at most.
    fn heartbeat_wait(&mut self, population: &Population<N>) -> Duration;
}
