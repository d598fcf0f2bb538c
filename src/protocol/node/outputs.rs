//! Draining the outputs of a node. Announcements are expanded and connection ids resolved when they are drained.

use super::{Node, NodeOutputs};
use crate::{
    network::Network,
    protocol::output::{
        OutputBatch,
        expand::OutputBatchIter,
        pending::{PendingOutput, Resolved},
    },
};

impl<N: Network> Node<N> {
    /// Drains the outputs for the p2p layer as batches: one output to many peers is one item, for transports that
    /// encode a message once. Gossip and control messages to closed connections are left out. Outputs that are not read
    /// before the iterator is dropped are lost.
    pub fn drain_batches(&mut self) -> impl Iterator<Item = OutputBatch<N>> + '_ {
        let Self { emitted, announcements, connected, peers, .. } = self;
        let is_connected = |peer: &N::Peer| peers.connection_id(peer).is_some();
        let mut outputs = emitted.drain(..);
        let mut expanded = None;
        std::iter::from_fn(move || {
            loop {
                if let Some(output) = expanded.as_mut().and_then(OutputBatchIter::next) {
                    return Some(OutputBatch::Output(output));
                }
                match outputs.next()?.resolve(announcements, || &*connected, is_connected) {
                    Some(Resolved::Batch(batch)) => return Some(batch),
                    Some(Resolved::Announcements(outputs)) => expanded = Some(outputs),
                    None => {}
                }
            }
        })
    }

    /// Drains all outputs, with one output for each peer.
    pub fn drain(&mut self) -> NodeOutputs<N> {
        let mut drained = std::mem::take(&mut self.drained);
        drained.p2p.reserve_exact(self.emitted.iter().map(PendingOutput::count).sum());
        for batch in self.drain_batches() {
            batch.into_iter().for_each(|output| drained.p2p.push(output));
        }
        // Reserves room for as many messages as were drained, since drains are often of similar size.
        self.drained.app.reserve(drained.app.len());
        drained
    }
}
