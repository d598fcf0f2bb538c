//! One emission, item by item: what is said to many peers, as one item for each of them. Orders nothing anew.

use std::{sync::Arc, vec};

use super::OutputBatch;
use crate::network::{FullMessage, Network, P2pMessage, P2pOutput};

/// The items that an [`OutputBatch`] stands for: see its [`IntoIterator`].
pub struct OutputBatchIter<N: Network>(Left<N>);

/// What was not taken out yet.
enum Left<N: Network> {
    Broadcast(vec::IntoIter<N::Peer>, Arc<FullMessage<N>>),
    Gossip(vec::IntoIter<N::Peer>, P2pMessage<N>),
    Output(Option<P2pOutput<N>>),
}

impl<N: Network> IntoIterator for OutputBatch<N> {
    type Item = P2pOutput<N>;
    type IntoIter = OutputBatchIter<N>;

    fn into_iter(self) -> OutputBatchIter<N> {
        OutputBatchIter(match self {
            Self::Broadcast { to, message, .. } => Left::Broadcast(to.into_iter(), message),
            Self::Gossip { to, message } => Left::Gossip(to.into_iter(), message),
            Self::Output(output) => Left::Output(Some(output)),
        })
    }
}

impl<N: Network> Iterator for OutputBatchIter<N> {
    type Item = P2pOutput<N>;

    #[inline]
    fn next(&mut self) -> Option<P2pOutput<N>> {
        let (to_peer, message) = match &mut self.0 {
            Left::Broadcast(to, message) => (to.next()?, P2pMessage::FullMessage(Arc::clone(message))),
            Left::Gossip(to, message) => (to.next()?, message.clone()),
            Left::Output(output) => return output.take(),
        };
        Some(P2pOutput::OutMessage { to_peer, message })
    }

    /// All at once, without a look at what they are for each.
    fn fold<B, F: FnMut(B, P2pOutput<N>) -> B>(self, first: B, mut fold: F) -> B {
        match self.0 {
            Left::Broadcast(to, message) => to.fold(first, |folded, to_peer| {
                let message = P2pMessage::FullMessage(Arc::clone(&message));
                fold(folded, P2pOutput::OutMessage { to_peer, message })
            }),
            Left::Gossip(to, message) => to.fold(first, |folded, to_peer| {
                fold(folded, P2pOutput::OutMessage { to_peer, message: message.clone() })
            }),
            Left::Output(output) => output.into_iter().fold(first, fold),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            Left::Broadcast(to, _) | Left::Gossip(to, _) => to.len(),
            Left::Output(output) => usize::from(output.is_some()),
        };
        (left, Some(left))
    }
}

impl<N: Network> ExactSizeIterator for OutputBatchIter<N> {}
