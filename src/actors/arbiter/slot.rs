//! The slots of the topics of one arbiter: each has at most one mesh actor, and the items that wait for it.

use std::{collections::VecDeque, sync::Arc};

use actix::Addr;
use derive_where::derive_where;

use super::{
    burst::{Burst, MessageList},
    mailbox::{ArbiterMailbox, SlotId},
};
use crate::{
    actors::{
        inbox::{BusyCount, BusyGuard},
        mesh::{
            actor::{MeshActor, TopicCell},
            messages::TopicItem,
        },
    },
    network::{Network, hooks::catch_panic},
    protocol::exchange::command::TopicCommand,
    timestamp::Timestamp,
};

/// A slot for one topic at a time.
#[derive_where(Default)]
pub(super) struct TopicSlot<N: Network> {
    pub(super) generation: u32,
    pub(super) entry: Option<Box<TopicEntry<N>>>,
}

/// The topic of a slot.
#[derive_where(Default)]
pub(super) struct TopicEntry<N: Network> {
    /// The topic's items in the batch.
    pub(super) list: MessageList,
    /// The topic is in `ready`.
    pub(super) is_ready: bool,
    /// The number of commands of the application that reached the topic.
    pub(super) commands: u32,
    /// The topic's actor and the cell with its state. None before the actor starts, and between a panic and the
    /// restart.
    pub(super) mesh: Option<(Addr<MeshActor<N>>, TopicCell<N>)>,
    /// Items that arrived while there was no actor, each with the time of its arrival, and the guard that counts them as work.
    pub(super) pending: VecDeque<(TopicItem<N>, Timestamp)>,
    pub(super) busy: Option<BusyGuard>,
}

#[cold]
pub(super) fn add_slots<N: Network>(slots: &mut Vec<TopicSlot<N>>, len: usize) {
    slots.resize_with(len, TopicSlot::default);
}

#[cold]
pub(super) fn new_entry<N: Network>() -> Box<TopicEntry<N>> {
    Box::default()
}

impl<N: Network> TopicSlot<N> {
    /// Ends the topic with its actor, and makes the slot available for another one.
    pub(super) fn free(&mut self, index: u32, mailbox: &ArbiterMailbox<N>) {
        self.entry = None;
        self.generation = self.generation.wrapping_add(1);
        mailbox.free(SlotId { index, generation: self.generation });
    }
}

impl<N: Network> TopicEntry<N> {
    /// Buffers the items for a topic that has not started; returns true if it was stopped and must not start any more.
    pub(super) fn buffer(&mut self, burst: &mut Burst<N>, busy_count: &Arc<BusyCount>) -> bool {
        self.busy.get_or_insert_with(|| BusyGuard::new(busy_count));
        while let Some(item) = burst.take(&mut self.list) {
            if matches!(item, TopicItem::Stop) {
                self.drain(burst);
                return true;
            }
            self.wait(item, burst.first_arrival);
        }
        false
    }

    /// Keeps an item until the topic starts. After a panic, what belongs to the state that was lost is dropped: a joined
    /// topic joins again, and the heartbeat in progress does not wait for the topic any more.
    fn wait(&mut self, item: TopicItem<N>, arrival: Timestamp) {
        use TopicCommand::{FinishHeartbeat, JoinConfirmed, StartHeartbeat};
        if !matches!(item, TopicItem::Command(JoinConfirmed | StartHeartbeat(_) | FinishHeartbeat)) {
            self.pending.push_back((item, arrival));
        }
    }

    /// Drops the topic's items of the batch.
    pub(super) fn drain(&mut self, burst: &mut Burst<N>) {
        while burst.take(&mut self.list).is_some() {}
    }

    /// Drops the state of a topic that panicked. Its items wait until the supervisor restarts the topic in this slot,
    /// except queries, which are returned: if the supervisor does not restart it, it answers them.
    pub(super) fn restart_after_panic(
        &mut self,
        deferred: VecDeque<(TopicItem<N>, Timestamp)>,
        burst: &mut Burst<N>,
        busy_count: &Arc<BusyCount>,
    ) -> Vec<TopicItem<N>> {
        // Dropping an inconsistent state may panic again.
        let _ = catch_panic(|| self.end());
        self.mesh = None;
        self.busy.get_or_insert_with(|| BusyGuard::new(busy_count));
        let mut queries = Vec::new();
        let batch = std::iter::from_fn(|| Some((burst.take(&mut self.list)?, burst.first_arrival)))
            .collect::<Vec<_>>();
        for (item, arrival) in deferred.into_iter().chain(batch) {
            match item {
                TopicItem::Query(_) => queries.push(item),
                item => self.wait(item, arrival),
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
