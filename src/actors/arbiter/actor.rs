//! The actor that runs the topics of one arbiter on what arrives in the arbiter's mailbox, in turn. A panic ends only the topic
//! that it happened in.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Waker,
};

use actix::{Actor, AsyncContext};

use super::{
    burst::Burst,
    mailbox::{ArbiterMailbox, Envelope, SlotId, StartTopic, TopicAddr},
    slot::{TopicEntry, TopicSlot, add_slots, new_entry},
};
use crate::{
    actors::{
        inbox::{BusyCount, BusyGuard, InboxActor, PollInbox},
        mesh::{
            actor::{MeshActor, RunningTopic},
            messages::TopicItem,
            run::{Next, Outgoing, RunContext, RunResult, observes_messages},
        },
        shared::Shared,
        supervisor::messages::SupervisorItem,
    },
    network::{
        Network,
        hooks::{catch_panic, drop_panic},
    },
    protocol::{
        exchange::{Context, Outbox},
        topic::interest::Interest,
    },
    timestamp::Timestamp,
};

/// The number of items after which the actor yields to the other tasks of its arbiter. Actix does not interrupt an
/// actor whose mailbox keeps filling.
const BUDGET: usize = 256;

/// After this many items of a batch, a topic that has not finished its part moves the rest into its own queue, so that
/// the mailbox is drained and other topics get their new items. Few batches are as long, and deferring costs a move.
const MAX_ITEMS_BEFORE_POLL: usize = 4096;

/// The actor that all topics of one arbiter share.
pub(crate) struct ArbiterActor<N: Network> {
    shared: Arc<Shared<N>>,
    mailbox: Arc<ArbiterMailbox<N>>,
    topics: Topics<N>,
}

impl<N: Network> ArbiterActor<N> {
    pub(crate) fn new(shared: Arc<Shared<N>>, mailbox: Arc<ArbiterMailbox<N>>) -> Self {
        let topics = Topics::new(Arc::clone(&shared.busy_count));
        Self { shared, mailbox, topics }
    }
}

impl<N: Network> Actor for ArbiterActor<N> {
    type Context = actix::Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(PollInbox);
    }
}

impl<N: Network> InboxActor for ArbiterActor<N> {
    fn poll_inbox(&mut self, _: &mut actix::Context<Self>, waker: &Waker) -> bool {
        let Self { shared, mailbox, topics } = self;
        if topics.needs_poll() {
            let first_arrival = mailbox.inbox.drain(topics.buffer(), waker);
            topics.dispatch(first_arrival, mailbox, shared);
        }
        if topics.has_work() {
            topics.run(BUDGET, mailbox, shared);
            topics.send(shared);
            // The other tasks run, then the mailbox is drained once more before the actor sleeps: a wake-up costs both
            // sides more than a drain.
            return true;
        }
        drop(mailbox.inbox.try_idle(topics.buffer()));
        false
    }

    fn is_inbox_closed(&self) -> bool {
        self.mailbox.inbox.is_closed()
    }
}

/// The mesh actors of one arbiter.
struct Topics<N: Network> {
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

/// What all topics share while they run on one batch.
struct BatchContext<'a, N: Network> {
    mailbox: &'a ArbiterMailbox<N>,
    cx: &'a Context<'a, N>,
    observe_messages: bool,
}

impl<N: Network> Topics<N> {
    fn new(busy_count: Arc<BusyCount>) -> Self {
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
    fn has_work(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether the batch is used up and the mailbox may be drained.
    fn needs_poll(&self) -> bool {
        self.burst.is_done()
    }

    /// The empty queue for the next batch.
    fn buffer(&mut self) -> &mut VecDeque<Envelope<N>> {
        self.burst.buffer()
    }

    /// Assigns the envelopes of the batch to their topics and starts new topics. `first_arrival` is the arrival time of
    /// the first full message.
    fn dispatch(
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
        let subscription = || shared.topic_table.get(state.name())?.subscription.clone();
        let rejoin: Vec<_> = rejoin
            .iter()
            .map(|interest| TopicItem::Join {
                interest,
                received_at: shared.now(),
                subscription: if interest == Interest::Deliver { subscription() } else { None },
            })
            .collect();
        let now = shared.now();
        let rejoin = rejoin.into_iter().map(|item| (item, now));
        let pending = rejoin.chain(std::mem::take(&mut entry.pending));
        let topic = RunningTopic::new(state, TopicAddr::new(mailbox, id), Arc::clone(shared), pending);
        entry.mesh = Some(MeshActor::start_topic(topic));
        if !std::mem::replace(&mut entry.is_ready, true) {
            self.ready.push_back(id.index);
        }
    }

    /// Runs ready topics round-robin for at most `budget` items. A topic may use the whole budget and is then queued
    /// last.
    fn run(&mut self, budget: usize, mailbox: &ArbiterMailbox<N>, shared: &Shared<N>) {
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
    fn send(&mut self, shared: &Shared<N>) {
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
