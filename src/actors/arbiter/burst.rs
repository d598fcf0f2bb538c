//! A burst as it was taken out of a desk's inbox: sorted by whom it is for without being moved. Each letter knows the
//! next one for the same seat. Opens none.

use std::collections::VecDeque;

use derive_where::derive_where;

use super::mailbox::{Envelope, SlotId};
use crate::{
    actors::mesh::messages::{IncomingMessage, TopicItem},
    network::Network,
    timestamp::Timestamp,
};

/// What came at once.
#[derive_where(Default)]
pub(in crate::actors) struct Burst<N: Network> {
    letters: VecDeque<Envelope<N>>,
    /// For each letter, the next one of its chain.
    next: Vec<u32>,
    /// How many are in a chain, and not taken out.
    left: usize,
    /// When the first full message of it came; see [`Inbox::push_stamped`](crate::actors::inbox::Inbox::push_stamped).
    pub(in crate::actors) since: Timestamp,
}

/// The letters for one seat, in order.
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
    /// Where the next letters are put, once all of these are taken out.
    pub(in crate::actors) fn refill(&mut self) -> &mut VecDeque<Envelope<N>> {
        self.letters.clear();
        self.next.clear();
        self.left = 0;
        &mut self.letters
    }

    pub(in crate::actors) fn len(&self) -> usize {
        self.letters.len()
    }

    /// Whom a letter is for, and what it says; the last letter is for nobody.
    #[inline]
    pub(in crate::actors) fn letter(&self, number: usize) -> Option<(SlotId, &TopicItem<N>)> {
        match &self.letters[number] {
            Envelope::To(seat, item) => Some((*seat, item)),
            Envelope::Stop => None,
        }
    }

    /// Puts the letter of this number, the next in turn, at the end of a chain; of none, if it is for nobody.
    #[inline]
    pub(in crate::actors) fn sort(&mut self, chain: Option<&mut MessageList>) {
        let number = self.next.len() as u32;
        self.next.push(NONE);
        let Some(chain) = chain else { return };
        match chain.is_empty() {
            true => chain.first = number,
            false => self.next[chain.last as usize] = number,
        }
        chain.last = number;
        self.left += 1;
    }

    /// Whether all of it is taken out.
    pub(in crate::actors) fn is_done(&self) -> bool {
        self.left == 0
    }

    /// Takes out the first of a chain, if it is a full message.
    #[inline(always)]
    pub(in crate::actors) fn take_message(&mut self, chain: &mut MessageList) -> Option<IncomingMessage<N>> {
        let first = self.letters.get(chain.first as usize)?;
        if !matches!(first, Envelope::To(_, TopicItem::Message(_))) {
            return None;
        }
        match self.take(chain) {
            Some(TopicItem::Message(arrival)) => Some(arrival),
            _ => None,
        }
    }

    /// Takes out the first of a chain.
    #[inline(always)]
    pub(in crate::actors) fn take(&mut self, chain: &mut MessageList) -> Option<TopicItem<N>> {
        let number = chain.first as usize;
        let letter = self.letters.get_mut(number)?;
        chain.first = self.next[number];
        self.left -= 1;
        match std::mem::replace(letter, Envelope::Stop) {
            Envelope::To(_, item) => Some(item),
            Envelope::Stop => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain::PlainNetwork;

    fn join(at: u64) -> TopicItem<PlainNetwork> {
        TopicItem::Join { at: Timestamp::from_nanos(at) }
    }

    fn when(item: Option<TopicItem<PlainNetwork>>) -> Option<u64> {
        item.and_then(|item| item.since(Timestamp::default())).map(Timestamp::as_nanos)
    }

    #[test]
    fn each_chain_is_taken_in_order_and_nothing_is_left() {
        let seat = |number| SlotId { number, turn: 0 };
        let mut pile = Burst::<PlainNetwork>::default();
        let letters = [(0, 1), (1, 2), (0, 3), (2, 4), (0, 5), (1, 6)];
        pile.refill().extend(letters.map(|(number, at)| Envelope::To(seat(number), join(at))));
        pile.letters.push_back(Envelope::Stop);
        let mut chains = [MessageList::default(); 2];
        for number in 0..pile.len() {
            let of = pile.letter(number).map(|(seat, _)| seat.number as usize);
            // Nobody has the third seat.
            pile.sort(of.and_then(|of| chains.get_mut(of)));
        }
        let [mut first, mut second] = chains;
        assert!(pile.take_message(&mut first).is_none(), "it is no message");
        assert_eq!(when(pile.take(&mut first)), Some(1));
        assert_eq!([when(pile.take(&mut second)), when(pile.take(&mut second))], [Some(2), Some(6)]);
        assert!(second.is_empty() && when(pile.take(&mut second)).is_none());
        assert!(!pile.is_done());
        assert_eq!([when(pile.take(&mut first)), when(pile.take(&mut first))], [Some(3), Some(5)]);
        assert!(first.is_empty() && pile.is_done());
    }
}
