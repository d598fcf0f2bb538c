//! The topics of one arbiter, and what waits for each. Lets them work in turn; a topic that panics loses what is its
//! own, and nobody else's.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use actix::Addr;
use derive_where::derive_where;

use super::{
    burst::{Burst, MessageList},
    mailbox::{ArbiterMailbox, Envelope, SlotId},
    outgoing::Outgoing,
};
use crate::{
    actors::{
        inbox::{BusyCount, BusyGuard},
        mesh::{
            actor::MeshActor,
            messages::TopicItem,
            peer_message::watches_messages,
            topic::{Next, Topic, Work, Worked},
        },
        shared::Shared,
        supervisor::messages::SupervisorItem,
    },
    network::Network,
    protocol::exchange::{Context, Outbox},
    timestamp::Timestamp,
};

/// After so many items of a burst, what topics have not handled when their turn is over is put off until the next
/// burst was looked at: a flood of one topic keeps the others waiting no longer. Few bursts are as long, and to put
/// off costs a move.
const PATIENCE: usize = 4096;

/// The seats at one desk.
pub(in crate::actors) struct TopicSlab<N: Network> {
    slots: Vec<Slot<N>>,
    /// What came last, until all of it is handled.
    pile: Burst<N>,
    /// The numbers of those for whom something waits, in turn.
    ready: VecDeque<u32>,
    /// Where a topic writes down what follows from what it handles, one after the other. Shared, it stays in the
    /// processor's cache and keeps its room. Empty in between.
    outbox: Outbox<N>,
    outgoing: Outgoing<N>,
    /// On how many items topics worked since the last burst was looked at.
    worked: usize,
    load: Arc<BusyCount>,
    /// Of what was handled, and is load until all that follows is sent.
    tickets: Vec<BusyGuard>,
}

/// A place for a topic, over and over.
#[derive_where(Default)]
struct Slot<N: Network> {
    turn: u32,
    seat: Option<Box<Seat<N>>>,
}

/// Where one topic works, once its actor has begun.
#[derive_where(Default)]
struct Seat<N: Network> {
    /// What waits for it of the pile.
    chain: MessageList,
    /// It has a turn.
    is_ready: bool,
    /// How many of the application's commands reached it.
    commands: u32,
    /// None before its actor has begun, and between a panic and the restart.
    topic: Option<Topic<N>>,
    /// Its actor lives as long as this is held.
    actor: Option<Addr<MeshActor<N>>>,
    /// What came while there was no topic, and a share of the load for it.
    early: VecDeque<TopicItem<N>>,
    ticket: Option<BusyGuard>,
}

/// What does not change while topics work in turn.
#[derive_where(Clone, Copy)]
struct Turn<'a, N: Network> {
    desk: &'a ArbiterMailbox<N>,
    cx: &'a Context<'a, N>,
    watched: bool,
}

impl<N: Network> TopicSlab<N> {
    pub(in crate::actors) fn new(load: Arc<BusyCount>) -> Self {
        Self {
            slots: Vec::new(),
            pile: Burst::default(),
            ready: VecDeque::new(),
            outbox: Outbox::default(),
            outgoing: Outgoing::default(),
            worked: 0,
            load,
            tickets: Vec::new(),
        }
    }

    /// Whether somebody is due a turn.
    pub(in crate::actors) fn has_work(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether more letters may come: all that came have reached their topics.
    pub(in crate::actors) fn wants_letters(&self) -> bool {
        self.pile.is_done()
    }

    /// Where the next letters are put.
    pub(in crate::actors) fn refill(&mut self) -> &mut VecDeque<Envelope<N>> {
        self.pile.refill()
    }

    /// Tells the seats what came for them; answers whether more will come. Full messages came at `since`.
    pub(in crate::actors) fn sort(&mut self, since: Option<Timestamp>) -> bool {
        let Self { pile, slots, ready, worked, .. } = self;
        *worked = 0;
        pile.since = since.map_or(pile.since, |since| since.max(pile.since));
        let mut open = true;
        for number in 0..pile.len() {
            let Some((id, item)) = pile.letter(number) else {
                open = false;
                pile.sort(None);
                continue;
            };
            // Who had the seat before is gone.
            let Some(seat) = seat_of(slots, id) else {
                pile.sort(None);
                continue;
            };
            if item.is_command() {
                seat.commands = seat.commands.wrapping_add(1);
            }
            pile.sort(Some(&mut seat.chain));
            if !std::mem::replace(&mut seat.is_ready, true) {
                ready.push_back(id.number);
            }
        }
        open
    }

    /// Lets topics work in turn, on so many items in all: a topic for which more waits leaves nothing to the next, and
    /// is last when the host is back.
    pub(in crate::actors) fn work(&mut self, items: usize, desk: &ArbiterMailbox<N>, shared: &Shared<N>) {
        let cx = shared.context(self.pile.since);
        let turn = Turn { desk, cx: &cx, watched: watches_messages(shared) };
        let mut left = items;
        while left > 0
            && let Some(number) = self.ready.pop_front()
        {
            let items = self.visit(number, left, &turn);
            self.worked += items;
            left -= items;
        }
    }

    /// Lets one topic work; answers on how many items it did.
    fn visit(&mut self, number: u32, share: usize, turn: &Turn<'_, N>) -> usize {
        let Turn { desk, cx, watched } = *turn;
        let Self { slots, pile, ready, outbox, outgoing, worked, load, tickets } = self;
        let slot = &mut slots[number as usize];
        let Some(seat) = &mut slot.seat else { return 0 };
        seat.is_ready = false;
        let Some(topic) = &mut seat.topic else {
            if seat.keep(pile, load) {
                slot.vacate(number, desk);
            }
            return 0;
        };
        tickets.extend(seat.ticket.take());
        let (chain, commands) = (&mut seat.chain, seat.commands);
        let work = Work { pile, chain, commands, cx, share, watched, outbox, outgoing };
        match catch_unwind(AssertUnwindSafe(|| topic.work(work))) {
            Ok(Worked { items, next: Next::End }) => {
                seat.drop_letters(pile);
                slot.vacate(number, desk);
                items
            }
            Ok(Worked { items, next }) => {
                if next == Next::More {
                    if *worked >= PATIENCE {
                        topic.put_off(pile, &mut seat.chain);
                    }
                    seat.is_ready = true;
                    ready.push_back(number);
                }
                items
            }
            Err(_) => {
                outgoing.reports.push(SupervisorItem::Panicked(topic.name().clone()));
                *outbox = Outbox::default();
                seat.lose(pile);
                1
            }
        }
    }

    /// A topic's actor begins; tells whether anybody still waits for it. With `rejoin` the topic joins again before
    /// anything else. `ticket` is held until it has worked.
    pub(in crate::actors) fn take_place(
        &mut self,
        id: SlotId,
        mut topic: Topic<N>,
        actor: Addr<MeshActor<N>>,
        rejoin: Option<Timestamp>,
        ticket: BusyGuard,
    ) -> bool {
        let Some(seat) = seat_of(&mut self.slots, id) else {
            topic.end();
            return false;
        };
        let rejoin = rejoin.map(|at| TopicItem::Join { at });
        topic.begin(rejoin.into_iter().chain(seat.early.drain(..)));
        seat.early = VecDeque::new();
        (seat.topic, seat.actor, seat.ticket) = (Some(topic), Some(actor), Some(ticket));
        if !std::mem::replace(&mut seat.is_ready, true) {
            self.ready.push_back(id.number);
        }
        true
    }

    /// Sends all that followed.
    pub(in crate::actors) fn send(&mut self, shared: &Shared<N>) {
        self.outgoing.send(shared);
        self.tickets.clear();
    }

    /// All topics end, and with them what they hold of the engine.
    pub(in crate::actors) fn clear(&mut self) {
        self.slots.clear();
        self.ready.clear();
        self.pile.refill();
    }
}

/// The seat, if whoever has this address still has it.
#[inline]
fn seat_of<N: Network>(slots: &mut Vec<Slot<N>>, id: SlotId) -> Option<&mut Seat<N>> {
    let number = id.number as usize;
    if number >= slots.len() {
        add_slots(slots, number + 1);
    }
    let slot = &mut slots[number];
    (slot.turn == id.turn).then(|| &mut **slot.seat.get_or_insert_with(take_seat))
}

#[cold]
fn add_slots<N: Network>(slots: &mut Vec<Slot<N>>, len: usize) {
    slots.resize_with(len, Slot::default);
}

#[cold]
fn take_seat<N: Network>() -> Box<Seat<N>> {
    Box::default()
}

impl<N: Network> Slot<N> {
    /// The topic has ended, and its actor with it.
    fn vacate(&mut self, number: u32, desk: &ArbiterMailbox<N>) {
        self.seat = None;
        self.turn = self.turn.wrapping_add(1);
        desk.vacate(SlotId { number, turn: self.turn });
    }
}

impl<N: Network> Seat<N> {
    /// Keeps what came for a topic that has not begun; tells whether it need not begin any more.
    fn keep(&mut self, pile: &mut Burst<N>, load: &Arc<BusyCount>) -> bool {
        self.ticket.get_or_insert_with(|| BusyGuard::new(load));
        while let Some(item) = pile.take(&mut self.chain) {
            if matches!(item, TopicItem::Stop) {
                self.drop_letters(pile);
                return true;
            }
            self.early.push_back(item);
        }
        false
    }

    /// There is nobody any more who would read them.
    fn drop_letters(&mut self, pile: &mut Burst<N>) {
        while pile.take(&mut self.chain).is_some() {}
    }

    /// The topic panicked: its state is lost, and so is what waited for it. It begins anew.
    fn lose(&mut self, pile: &mut Burst<N>) {
        self.actor = None;
        // What is half done may panic again.
        let topic = self.topic.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(topic)));
        self.drop_letters(pile);
    }
}
