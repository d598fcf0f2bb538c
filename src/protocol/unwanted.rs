//! IDONTWANT (v1.2): peers say which messages they have already, or are about to have, so that nobody sends them
//! another copy. Large messages only: others cost less than the word. What a peer said is heeded, never answered.

use std::collections::HashSet;

use derive_where::derive_where;
use foldhash::fast::RandomState;

use super::{
    gossip::{LowScore, check_score},
    outbox::{Context, Outbox},
    outcome::IDontWantOutcome,
    peers::Standing,
    tally::Tally,
    topic::TopicState,
    window::Window,
};
use crate::{
    limits::{Extensions, Limits},
    network::{FullMessage, Network},
};

/// What one connected peer said that it does not want, of any topics: ids need not name theirs.
#[derive_where(Debug)]
pub(crate) struct Unwanted<N: Network> {
    ids: Window<N::MessageId, ()>,
    /// How many ids it named in this heartbeat.
    named: usize,
}

/// Whether a peer's IDONTWANT is heeded at all.
pub(crate) fn check_idontwant<T>(standing: Standing, limits: &Limits<T>) -> Result<(), IDontWantOutcome> {
    let Extensions { idontwant_message_size, max_idontwant_per_heartbeat, idontwant_ticks, .. } =
        limits.extensions;
    if [idontwant_message_size, max_idontwant_per_heartbeat, idontwant_ticks].contains(&0) {
        return Err(IDontWantOutcome::SwitchedOff);
    }
    if standing.link.is_none() {
        return Err(IDontWantOutcome::UnknownPeer);
    }
    check_score(standing, limits)
        .map_err(|LowScore { score, threshold }| IDontWantOutcome::LowScore { score, threshold })
}

impl<N: Network> Unwanted<N> {
    pub(crate) fn new<T>(limits: &Limits<T>) -> Self {
        Self { ids: Window::new(limits.extensions.idontwant_ticks), named: 0 }
    }

    /// The peer, whose word is heeded, named these.
    pub(crate) fn note<T>(&mut self, ids: Vec<N::MessageId>, limits: &Limits<T>) -> IDontWantOutcome {
        let max = limits.extensions.max_idontwant_per_heartbeat;
        let (asked, room) = (ids.len(), max.saturating_sub(self.named));
        self.named = self.named.saturating_add(asked);
        for id in ids.into_iter().take(room) {
            self.ids.insert(id, |known| known.is_none().then_some(()));
        }
        match asked.saturating_sub(room) {
            0 => IDontWantOutcome::Noted { ids: asked },
            ignored => IDontWantOutcome::TooMany { ignored, max },
        }
    }

    pub(crate) fn contains(&self, id: &N::MessageId) -> bool {
        self.ids.get(id).is_some()
    }

    /// A heartbeat is over.
    pub(crate) fn shift(&mut self) {
        self.named = 0;
        self.ids.shift(|_, ()| {});
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// What a topic said itself in this heartbeat: of a message whose verdict takes its time, or that is refused, more
/// than one copy is a first one.
#[derive_where(Debug, Default)]
pub(super) struct Declined<N: Network>(HashSet<N::MessageId, RandomState>);

impl<N: Network> Declined<N> {
    /// A heartbeat is over.
    pub(super) fn shift(&mut self) {
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
            let others =
                self.mesh.iter().flatten().filter(|(peer, link)| *peer != sender && !link.is_bootstrap());
            outbox.decline(others.map(|(_, link)| *link).collect(), id.clone());
        }
    }
}

/// Leaves out of `sent` those who said that they don't want the message.
#[inline]
pub(super) fn spare<N: Network>(
    sent: &mut Vec<N::Peer>,
    message: &FullMessage<N>,
    cx: &Context<'_, N>,
    tally: &mut Tally,
) {
    if is_large(message, cx) && cx.roster.has_unwanted() {
        let meant = sent.len();
        sent.retain(|peer| !cx.roster.is_unwanted(peer, &message.message_id));
        if sent.len() < meant {
            tally.suppressed_by_idontwant(meant - sent.len());
        }
    }
}
