//! One drained batch of the arbiter's mailbox, grouped by topic. Envelopes stay in place; each stores the index of the
//! next envelope for the same topic.

use std::collections::VecDeque;

use derive_where::derive_where;

use super::mailbox::{Envelope, StartTopic};
use crate::{
    actors::mesh::messages::{IncomingMessage, TopicItem},
    network::Network,
    timestamp::Timestamp,
};

/// The envelopes that were drained at once.
#[derive_where(Default)]
pub(in crate::actors) struct Burst<N: Network> {
    envelopes: VecDeque<Envelope<N>>,
    /// For each envelope, the index of the next one in its list.
    next: Vec<u32>,
    /// The number of envelopes that are in a list and not taken out.
    remaining: usize,
    /// When the first full message of the batch arrived; see
    /// [`Inbox::push_with_arrival_time`](crate::actors::inbox::Inbox::push_with_arrival_time).
    pub(in crate::actors) first_arrival: Timestamp,
}

/// The envelopes of one topic, in order.
#[derive(Clone, Copy, Debug)]
pub(in crate::actors) struct MessageList {
    first: u32,
    last: u32,
}

const NONE: u32 = u32::MAX;

impl Default for MessageList {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

impl MessageList {
    #[inline]
    pub(in crate::actors) fn is_empty(self) -> bool {
        self.first == NONE
    }
}

impl<N: Network> Burst<N> {
    /// Clears the batch and returns the queue for the next envelopes.
    pub(in crate::actors) fn buffer(&mut self) -> &mut VecDeque<Envelope<N>> {
        self.envelopes.clear();
        self.next.clear();
        self.remaining = 0;
        &mut self.envelopes
    }

    pub(in crate::actors) fn len(&self) -> usize {
        self.envelopes.len()
    }

    #[inline]
    pub(in crate::actors) fn envelope(&self, index: usize) -> &Envelope<N> {
        &self.envelopes[index]
    }

    /// Takes out the envelope at `index` if it starts a topic.
    pub(in crate::actors) fn take_start(&mut self, index: usize) -> Option<Box<StartTopic<N>>> {
        let envelope = self.envelopes.get_mut(index).filter(|it| matches!(it, Envelope::Start(_)))?;
        match std::mem::replace(envelope, Envelope::Taken) {
            Envelope::Start(start) => Some(start),
            Envelope::To(..) | Envelope::Taken => None,
        }
    }

    /// Links the next envelope, in order, to the end of a list; `None` for an envelope without a topic.
    #[inline]
    pub(in crate::actors) fn link(&mut self, list: Option<&mut MessageList>) {
        let index = self.next.len() as u32;
        self.next.push(NONE);
        let Some(list) = list else { return };
        match list.is_empty() {
            true => list.first = index,
            false => self.next[list.last as usize] = index,
        }
        list.last = index;
        self.remaining += 1;
    }

    /// Whether every linked envelope is taken out.
    pub(in crate::actors) fn is_done(&self) -> bool {
        self.remaining == 0
    }

    /// Takes out the first item of a list if it is a full message.
    #[inline(always)]
    pub(in crate::actors) fn take_message(&mut self, list: &mut MessageList) -> Option<IncomingMessage<N>> {
        let first = self.envelopes.get(list.first as usize)?;
        if !matches!(first, Envelope::To(_, TopicItem::Message(_))) {
            return None;
        }
        match self.take(list) {
            Some(TopicItem::Message(message)) => Some(message),
            _ => None,
        }
    }

    /// Takes out the first item of a list.
    #[inline(always)]
    pub(in crate::actors) fn take(&mut self, list: &mut MessageList) -> Option<TopicItem<N>> {
        let index = list.first as usize;
        let envelope = self.envelopes.get_mut(index)?;
        list.first = self.next[index];
        self.remaining -= 1;
        match std::mem::replace(envelope, Envelope::Taken) {
            Envelope::To(_, item) => Some(item),
            Envelope::Start(_) | Envelope::Taken => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{actors::arbiter::mailbox::SlotId, plain::PlainNetwork, protocol::topic::interest::Interest};

    fn join(received_at: u64) -> TopicItem<PlainNetwork> {
        let received_at = Timestamp::from_nanos(received_at);
        TopicItem::Join { interest: Interest::Deliver, received_at, subscription: None }
    }

    fn when(item: Option<TopicItem<PlainNetwork>>) -> Option<u64> {
        item.and_then(|item| item.arrival(Timestamp::default())).map(Timestamp::as_nanos)
    }

    #[test]
    fn each_list_is_taken_in_order_until_nothing_remains() {
        let slot = |index| SlotId { index, generation: 0 };
        let mut burst = Burst::<PlainNetwork>::default();
        let items = [(0, 1), (1, 2), (0, 3), (2, 4), (0, 5), (1, 6)];
        burst.buffer().extend(items.map(|(index, received_at)| Envelope::To(slot(index), join(received_at))));
        burst.envelopes.push_back(Envelope::Taken);
        let mut lists = [MessageList::default(); 2];
        for index in 0..burst.len() {
            let slot = match burst.envelope(index) {
                Envelope::To(slot, _) => Some(slot.index as usize),
                Envelope::Start(_) | Envelope::Taken => None,
            };
            // The third slot has no topic.
            burst.link(slot.and_then(|slot| lists.get_mut(slot)));
        }
        let [mut first, mut second] = lists;
        assert!(burst.take_message(&mut first).is_none(), "a join is no full message");
        assert_eq!(when(burst.take(&mut first)), Some(1));
        assert_eq!([when(burst.take(&mut second)), when(burst.take(&mut second))], [Some(2), Some(6)]);
        assert!(second.is_empty() && when(burst.take(&mut second)).is_none());
        assert!(!burst.is_done());
        assert_eq!([when(burst.take(&mut first)), when(burst.take(&mut first))], [Some(3), Some(5)]);
        assert!(first.is_empty() && burst.is_done());
    }
}
