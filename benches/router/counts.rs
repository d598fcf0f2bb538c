//! This module counts the inputs and outputs of one run, and reports whether an output is missing.

use actix_gossipsub::{Network, protocol::OutputBatch};

use super::topology::DEGREE;

/// The inputs and outputs of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub inputs: u64,
    /// Copies sent to peers.
    pub forwards: u64,
    /// Messages handed to the application.
    pub deliveries: u64,
}

impl Counts {
    /// Adds an output for the transport. A message to many peers is one output, because a transport encodes it once.
    pub fn add<N: Network>(&mut self, batch: &OutputBatch<N>) {
        if let OutputBatch::Broadcast { to, .. } = batch {
            self.forwards += to.len() as u64;
        }
    }

    /// True if each message was delivered once and forwarded to the whole mesh except the sender.
    pub fn is_complete(self) -> bool {
        self.deliveries == self.messages() && self.forwards == self.expected_forwards()
    }

    /// True if outputs are still to come.
    pub fn is_short(self) -> bool {
        self.deliveries < self.messages() || self.forwards < self.expected_forwards()
    }

    fn messages(self) -> u64 {
        self.inputs / DEGREE as u64
    }

    fn expected_forwards(self) -> u64 {
        self.messages() * (DEGREE as u64 - 1)
    }
}
