//! The index of the mesh actors of one arbiter: which slot has which actor, and which items wait for it. Runs the
//! topics in turn; a panic ends only the topic that it happened in.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use actix::Addr;
use derive_where::derive_where;

use super::{
    burst::{Burst, MessageList},
    mailbox::{ArbiterMailbox, Envelope, SlotId, StartTopic, TopicAddr},
    outgoing::Outgoing,
};
use crate::{
    actors::{
        inbox::{BusyCount, BusyGuard},
        mesh::{
            actor::{MeshActor, RunningTopic, TopicCell},
            messages::TopicItem,
            peer_message::observes_messages,
            run::{Next, RunContext, RunResult},
        },
        shared::{Shared, catch_panic},
        supervisor::messages::SupervisorItem,
    },
    network::{Network, hooks::drop_panic},
    protocol::{
        exchange::{Context, Outbox, command::TopicCommand},
        topic::interest::Interest,
    },
    timestamp::Timestamp,
};

/// After this many items of a batch, a topic that has not finished its part moves the rest into its own queue, so that
/// the mailbox is drained and other topics get their new items. Few batches are as long, and deferring costs a move.
const MAX_ITEMS_BEFORE_POLL: usize = 4096;

/// The mesh actors of one arbiter.
pub(super) struct TopicSlab<N: Network> {
    slots: Vec<TopicSlot<N>>,
    /// The last drained batch, until all of it is handled.
    burst: Burst<N>,
    /// The indices of the topics that have items, in turn.
    ready: VecDeque<u32>,
    /// The effects of the topic that runs. Topics share it one after the other: so it stays in the processor's cache
    /// and keeps its capacity. Empty between runs.
    outbox: Outbox<N>,
    outgoing: Outgoing<N>,
    /// The number of items handled since the mailbox was drained.
    processed: usize,
    busy_count: Arc<BusyCount>,
    /// Guards of items that are handled and whose results are not sent.
    busy: Vec<BusyGuard>,
}

/// A slot for one topic at a time.
#[derive_where(Default)]
struct TopicSlot<N: Network> {
    generation: u32,
    entry: Option<Box<TopicEntry<N>>>,
}

/// The topic of a slot.
#[derive_where(Default)]
struct TopicEntry<N: Network> {
    /// The topic's items in the batch.
    list: MessageList,
    /// The topic is in `ready`.
    is_ready: bool,
    /// The number of commands of the application that reached the topic.
    commands: u32,
    /// The topic's actor and the cell with its state. None before the actor starts, and between a panic and the
    /// restart.
    mesh: Option<(Addr<MeshActor<N>>, TopicCell<N>)>,
    /// Items that arrived while there was no actor, and the guard that counts them as work.
    pending: VecDeque<TopicItem<N>>,
    busy: Option<BusyGuard>,
}

/// What all topics share while they run on one batch.
struct BatchContext<'a, N: Network> {
    mailbox: &'a ArbiterMailbox<N>,
    cx: &'a Context<'a, N>,
    observe_messages: bool,
}

impl<N: Network> TopicSlab<N> {
    pub(super) fn new(busy_count: Arc<BusyCount>) -> Self {
        Self {
            slots: Vec::new(),
            burst: Burst::default(),
            ready: VecDeque::new(),
            outbox: Outbox::default(),
            outgoing: Outgoing::default(),
            processed: 0,
            busy_count,
            busy: Vec::new(),
        }
    }

    /// Whether a topic has items to handle.
    pub(super) fn has_work(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether the batch is used up and the mailbox may be drained.
    pub(super) fn needs_poll(&self) -> bool {
        self.burst.is_done()
    }

    /// The empty queue for the next batch.
    pub(super) fn buffer(&mut self) -> &mut VecDeque<Envelope<N>> {
        self.burst.buffer()
    }

    /// Assigns the envelopes of the batch to their topics and starts new topics. `first_arrival` is the arrival time of
    /// the first full message.
    pub(super) fn dispatch(
        &mut self,
        first_arrival: Option<Timestamp>,
        mailbox: &Arc<ArbiterMailbox<N>>,
        shared: &Arc<Shared<N>>,
    ) {
        self.processed = 0;
        let latest = &mut self.burst.first_arrival;
        *latest = first_arrival.map_or(*latest, |arrival| arrival.max(*latest));
        for index in 0..self.burst.len() {
            let Self { burst, slots, ready, .. } = self;
            match burst.envelope(index) {
                Envelope::To(id, item) => {
                    let (id, is_command) = (*id, item.is_command());
                    // An item for a former topic of the slot stays without a list and is dropped.
                    let Some(entry) = entry_of(slots, id) else {
                        burst.link(None);
                        continue;
                    };
                    if is_command {
                        entry.commands = entry.commands.wrapping_add(1);
                    }
                    burst.link(Some(&mut entry.list));
                    if !std::mem::replace(&mut entry.is_ready, true) {
                        ready.push_back(id.index);
                    }
                }
                Envelope::Start(_) => {
                    burst.link(None);
                    let start = burst.take_start(index);
                    start.into_iter().for_each(|start| self.install(*start, mailbox, shared));
                }
                Envelope::Taken => burst.link(None),
            }
        }
    }

    /// Starts the mesh actor of a topic. Items that arrived before are handled first, and a rejoin before them. The
    /// slot has a later generation if the topic was stopped before it started.
    fn install(&mut self, start: StartTopic<N>, mailbox: &Arc<ArbiterMailbox<N>>, shared: &Arc<Shared<N>>) {
        let StartTopic { slot: id, state, rejoin } = start;
        let Some(entry) = entry_of(&mut self.slots, id) else { return };
        let subscription = || shared.topic_table.get(&state.topic)?.subscription.clone();
        let rejoin: Vec<_> = rejoin
            .iter()
            .map(|interest| TopicItem::Join {
                interest,
                received_at: shared.now(),
                subscription: if interest == Interest::Deliver { subscription() } else { None },
            })
            .collect();
        let pending = rejoin.into_iter().chain(std::mem::take(&mut entry.pending));
        let topic = RunningTopic::new(state, TopicAddr::new(mailbox, id), Arc::clone(shared), pending);
        entry.mesh = Some(MeshActor::start_topic(topic));
        if !std::mem::replace(&mut entry.is_ready, true) {
            self.ready.push_back(id.index);
        }
    }

    /// Runs ready topics round-robin for at most `budget` items. A topic may use the whole budget and is then queued
    /// last.
    pub(super) fn run(&mut self, budget: usize, mailbox: &ArbiterMailbox<N>, shared: &Shared<N>) {
        let limits = shared.limits.load();
        let cx = shared.context(&limits, self.burst.first_arrival);
        let batch = BatchContext { mailbox, cx: &cx, observe_messages: observes_messages(shared) };
        let mut left = budget;
        while left > 0
            && let Some(index) = self.ready.pop_front()
        {
            let items = self.run_topic(index, left, &batch);
            self.processed += items;
            left -= items;
        }
    }

    /// Runs one topic; returns the number of items that it handled.
    fn run_topic(&mut self, index: u32, budget: usize, batch: &BatchContext<'_, N>) -> usize {
        let BatchContext { mailbox, cx, observe_messages } = *batch;
        let Self { slots, burst, ready, outbox, outgoing, processed, busy_count, busy } = self;
        let slot = &mut slots[index as usize];
        let Some(entry) = &mut slot.entry else { return 0 };
        entry.is_ready = false;
        let Some((actor, cell)) = &entry.mesh else {
            if entry.buffer(burst, busy_count) {
                slot.free(index, mailbox);
            }
            return 0;
        };
        busy.extend(entry.busy.take());
        let mut cell = cell.borrow_mut();
        // Only this index empties the cell, and then forgets it.
        let Some(topic) = &mut *cell else { return 0 };
        let (list, commands) = (&mut entry.list, entry.commands);
        let run = RunContext { burst, list, commands, cx, budget, observe_messages, actor, outbox, outgoing };
        match catch_unwind(AssertUnwindSafe(|| topic.run(run))) {
            Ok(RunResult { items, next: Next::Stopped }) => {
                drop(cell);
                entry.drain(burst);
                slot.free(index, mailbox);
                items
            }
            Ok(RunResult { items, next }) => {
                if next == Next::Ready {
                    if *processed >= MAX_ITEMS_BEFORE_POLL {
                        topic.defer_rest(burst, &mut entry.list);
                    }
                    entry.is_ready = true;
                    ready.push_back(index);
                }
                items
            }
            Err(payload) => {
                drop_panic(payload);
                // What the items before this one left is sent. Sending may panic again; then the rest is lost.
                let _ = catch_panic(|| topic.flush_after_panic(outbox, outgoing));
                *outbox = Outbox::default();
                if topic.is_stopping() {
                    // The supervisor has the state.
                    drop(cell);
                    slot.free(index, mailbox);
                    return 1;
                }
                let (name, unconfirmed) = (topic.name().clone(), topic.is_awaiting_supervisor());
                let deferred = topic.take_deferred();
                drop(cell);
                let panicked = SupervisorItem::Panicked { topic: name.clone(), unconfirmed };
                outgoing.supervisor_items.push(panicked);
                let queries = entry.restart_after_panic(deferred, burst, busy_count);
                let forward = |item| SupervisorItem::Topic { topic: name.clone(), item };
                outgoing.supervisor_items.extend(queries.into_iter().map(forward));
                1
            }
        }
    }

    /// Sends the results of the topics that ran.
    pub(super) fn send(&mut self, shared: &Shared<N>) {
        self.outgoing.send(shared);
        self.busy.clear();
    }
}

/// The entry of this id, if the slot has not passed to another topic.
#[inline]
fn entry_of<N: Network>(slots: &mut Vec<TopicSlot<N>>, id: SlotId) -> Option<&mut TopicEntry<N>> {
    let index = id.index as usize;
    if index >= slots.len() {
        add_slots(slots, index + 1);
    }
    let slot = &mut slots[index];
    (slot.generation == id.generation).then(|| &mut **slot.entry.get_or_insert_with(new_entry))
}

#[cold]
fn add_slots<N: Network>(slots: &mut Vec<TopicSlot<N>>, len: usize) {
    slots.resize_with(len, TopicSlot::default);
}

#[cold]
fn new_entry<N: Network>() -> Box<TopicEntry<N>> {
    Box::default()
}

impl<N: Network> TopicSlot<N> {
    /// Ends the topic with its actor, and makes the slot available for another one.
    fn free(&mut self, index: u32, mailbox: &ArbiterMailbox<N>) {
        self.entry = None;
        self.generation = self.generation.wrapping_add(1);
        mailbox.free(SlotId { index, generation: self.generation });
    }
}

impl<N: Network> TopicEntry<N> {
    /// Buffers the items for a topic that has not started; returns true if it was stopped and must not start any more.
    fn buffer(&mut self, burst: &mut Burst<N>, busy_count: &Arc<BusyCount>) -> bool {
        self.busy.get_or_insert_with(|| BusyGuard::new(busy_count));
        while let Some(item) = burst.take(&mut self.list) {
            if matches!(item, TopicItem::Stop) {
                self.drain(burst);
                return true;
            }
            self.wait(item);
        }
        false
    }

    /// Keeps an item until the topic starts. After a panic, what belongs to the state that was lost is dropped: a joined
    /// topic joins again, and the heartbeat in progress does not wait for the topic any more.
    fn wait(&mut self, item: TopicItem<N>) {
        use TopicCommand::{FinishHeartbeat, JoinConfirmed, StartHeartbeat};
        if !matches!(item, TopicItem::Command(JoinConfirmed | StartHeartbeat(_) | FinishHeartbeat)) {
            self.pending.push_back(item);
        }
    }

    /// Drops the topic's items of the batch.
    fn drain(&mut self, burst: &mut Burst<N>) {
        while burst.take(&mut self.list).is_some() {}
    }

    /// Drops the state of a topic that panicked. Its items wait until the supervisor restarts the topic in this slot,
    /// except queries, which are returned: if the supervisor does not restart it, it answers them.
    fn restart_after_panic(
        &mut self,
        deferred: VecDeque<TopicItem<N>>,
        burst: &mut Burst<N>,
        busy_count: &Arc<BusyCount>,
    ) -> Vec<TopicItem<N>> {
        // Dropping an inconsistent state may panic again.
        let _ = catch_panic(|| self.end());
        self.mesh = None;
        self.busy.get_or_insert_with(|| BusyGuard::new(busy_count));
        let mut queries = Vec::new();
        let batch = std::iter::from_fn(|| burst.take(&mut self.list)).collect::<Vec<_>>();
        for item in deferred.into_iter().chain(batch) {
            match item {
                TopicItem::Query(_) => queries.push(item),
                item => self.wait(item),
            }
        }
        queries
    }

    /// Drops the topic's state and ends its actor. The actor ends when its task runs next, so the state does not wait
    /// for that.
    fn end(&mut self) {
        if let Some((_, cell)) = self.mesh.take() {
            drop(cell.take());
        }
    }
}

impl<N: Network> Drop for TopicEntry<N> {
    fn drop(&mut self) {
        self.end();
    }
}
