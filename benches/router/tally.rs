//! What went in and came out of a run.

use actix_gossipsub::{Network, protocol::OutputBatch};

use super::population::DEGREE;

/// Counts of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub inputs: u64,
    /// Copies sent to peers.
    pub forwards: u64,
    /// Messages handed to the application.
    pub deliveries: u64,
}

impl Tally {
    /// What the p2p layer is told. A message to many peers is one output for a transport, which encodes it once.
    pub fn count<N: Network>(&mut self, batch: &OutputBatch<N>) {
        if let OutputBatch::Broadcast { to, .. } = batch {
            self.forwards += to.len() as u64;
        }
    }

    /// Every message went to the application once, and to all its mesh but the sender.
    pub fn is_complete(self) -> bool {
        let messages = self.inputs / DEGREE as u64;
        self.deliveries == messages && self.forwards == messages * (DEGREE as u64 - 1)
    }

    /// More is to come.
    pub fn is_short(self) -> bool {
        let messages = self.inputs / DEGREE as u64;
        self.deliveries < messages || self.forwards < messages * (DEGREE as u64 - 1)
    }
}
