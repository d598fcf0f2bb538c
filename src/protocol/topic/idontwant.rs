//! IDONTWANT (v1.2): peers say which messages they have already, or are about to have, so that nobody sends them
//! another copy. Large messages only: others cost less than the word. What a peer said is heeded, never answered.

use std::collections::HashSet;

use derive_where::derive_where;
use foldhash::fast::RandomState;

use super::TopicState;
use crate::{
    network::{FullMessage, Network},
    protocol::{
        exchange::{Context, Outbox},
        outcome::counters::InputCounters,
    },
};

/// What a topic said itself in this heartbeat: of a message whose verdict takes its time, or that is refused, more
/// than one copy is a first one.
#[derive_where(Debug, Default)]
pub(super) struct SentIDontWant<N: Network>(HashSet<N::MessageId, RandomState>);

impl<N: Network> SentIDontWant<N> {
    /// A heartbeat is over.
    pub(super) fn advance(&mut self) {
        if !self.0.is_empty() {
            self.0 = HashSet::default();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Whether a message is worth an IDONTWANT.
#[inline]
fn is_large<N: Network>(message: &FullMessage<N>, cx: &Context<'_, N>) -> bool {
    let size = cx.limits.extensions.idontwant_message_size;
    size > 0 && cx.network.message_size(&message.message) >= size
}

impl<N: Network> TopicState<N> {
    /// A first copy came from `sender`: the mesh need not send others. Said before the verdict, which may take its
    /// time.
    #[inline]
    pub(super) fn decline(
        &mut self,
        message: &FullMessage<N>,
        sender: &N::Peer,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        if is_large(message, cx) {
            self.decline_once(message, sender, cx, outbox);
        }
    }

    fn decline_once(
        &mut self,
        message: &FullMessage<N>,
        sender: &N::Peer,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        let id = &message.message_id;
        let room = self.declined.len() < cx.limits.extensions.max_idontwant_per_heartbeat;
        if room && self.declined.0.insert(id.clone()) {
            let others = self
                .mesh
                .iter()
                .flatten()
                .filter(|(peer, connection_id)| *peer != sender && !connection_id.is_bootstrap());
            outbox.decline(others.map(|(_, connection_id)| *connection_id).collect(), id.clone());
        }
    }
}

/// Leaves out of `sent` those who said that they don't want the message.
#[inline]
pub(super) fn spare<N: Network>(
    sent: &mut Vec<N::Peer>,
    message: &FullMessage<N>,
    cx: &Context<'_, N>,
    tally: &mut InputCounters,
) {
    if is_large(message, cx) && cx.peer_view.has_idontwant() {
        let meant = sent.len();
        sent.retain(|peer| !cx.peer_view.declined_by(peer, &message.message_id));
        if sent.len() < meant {
            tally.spared(meant - sent.len());
        }
    }
}
