//! Iterates over an output batch as one output for each recipient.

use std::{sync::Arc, vec};

use super::{Lane, OutputBatch};
use crate::network::{FullMessage, Network, P2pMessage, P2pOutput};

/// Iterator over the outputs of an [`OutputBatch`], one for each recipient.
pub struct OutputBatchIter<N: Network>(Remaining<N>);

/// The outputs that have not been returned yet.
enum Remaining<N: Network> {
    Broadcast(vec::IntoIter<N::Peer>, Arc<FullMessage<N>>, Lane),
    /// The same message to each of these peers.
    Same(vec::IntoIter<N::Peer>, P2pMessage<N>),
    /// A SUBSCRIBE of each of these topics to one peer.
    Subscriptions(N::Peer, vec::IntoIter<N::Topic>),
    Output(Option<P2pOutput<N>>),
}

impl<N: Network> IntoIterator for OutputBatch<N> {
    type Item = P2pOutput<N>;
    type IntoIter = OutputBatchIter<N>;

    fn into_iter(self) -> OutputBatchIter<N> {
        OutputBatchIter(match self {
            Self::Broadcast { to, message, lane, .. } => Remaining::Broadcast(to.into_iter(), message, lane),
            Self::Gossip { to, message } => Remaining::Same(to.into_iter(), message),
            Self::Output(output) => Remaining::Output(Some(output)),
        })
    }
}

impl<N: Network> OutputBatchIter<N> {
    /// The same message to each of these peers.
    pub(super) fn same(to: Vec<N::Peer>, message: P2pMessage<N>) -> Self {
        Self(Remaining::Same(to.into_iter(), message))
    }

    /// A SUBSCRIBE of each of these topics to one peer.
    pub(super) fn subscriptions(to: N::Peer, topics: Vec<N::Topic>) -> Self {
        Self(Remaining::Subscriptions(to, topics.into_iter()))
    }

    /// The lane of the outputs, and the message if they are full messages. `None` for a single output that was returned.
    pub(crate) fn remaining(&self) -> Option<(Lane, Option<&Arc<FullMessage<N>>>)> {
        match &self.0 {
            Remaining::Broadcast(_, message, lane) => Some((*lane, Some(message))),
            Remaining::Same(_, message) => Some((Lane::of_message(message), None)),
            Remaining::Subscriptions(..) => Some((Lane::Control, None)),
            Remaining::Output(output) => output.as_ref().map(|output| (Lane::of(output), None)),
        }
    }
}

impl<N: Network> Iterator for OutputBatchIter<N> {
    type Item = P2pOutput<N>;

    #[inline]
    fn next(&mut self) -> Option<P2pOutput<N>> {
        let (to_peer, message) = match &mut self.0 {
            Remaining::Broadcast(to, message, _) => {
                (to.next()?, P2pMessage::FullMessage(Arc::clone(message)))
            }
            Remaining::Same(to, message) => (to.next()?, message.clone()),
            Remaining::Subscriptions(to, topics) => (to.clone(), P2pMessage::subscribe(topics.next()?)),
            Remaining::Output(output) => return output.take(),
        };
        Some(P2pOutput::OutMessage { to_peer, message })
    }

    /// Consumes all outputs without matching on the kind of batch for each.
    fn fold<B, F: FnMut(B, P2pOutput<N>) -> B>(self, first: B, mut fold: F) -> B {
        match self.0 {
            Remaining::Broadcast(to, message, _) => to.fold(first, |folded, to_peer| {
                let message = P2pMessage::FullMessage(Arc::clone(&message));
                fold(folded, P2pOutput::OutMessage { to_peer, message })
            }),
            Remaining::Same(to, message) => to.fold(first, |folded, to_peer| {
                fold(folded, P2pOutput::OutMessage { to_peer, message: message.clone() })
            }),
            Remaining::Subscriptions(to, topics) => topics.fold(first, |folded, topic| {
                let message = P2pMessage::subscribe(topic);
                fold(folded, P2pOutput::OutMessage { to_peer: to.clone(), message })
            }),
            Remaining::Output(output) => output.into_iter().fold(first, fold),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let remaining = match &self.0 {
            Remaining::Broadcast(to, ..) | Remaining::Same(to, _) => to.len(),
            Remaining::Subscriptions(_, topics) => topics.len(),
            Remaining::Output(output) => usize::from(output.is_some()),
        };
        (remaining, Some(remaining))
    }
}

impl<N: Network> ExactSizeIterator for OutputBatchIter<N> {}
