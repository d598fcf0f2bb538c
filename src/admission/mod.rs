//! The bound on what waits: each input of a peer holds a credit, in items and in bytes, until it is
//! handled. Without one it is refused at the door. Queues nothing itself; never blocks.

pub(crate) mod amount;
pub(crate) mod refused;
mod reserve;
pub(crate) mod thread_slot;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use self::{
    amount::{AtomicItemsAndBytes, ItemsAndBytes},
    refused::Refused,
    reserve::ShardedCounter,
    thread_slot::ThreadSlot,
};
use crate::{directory::connection::ConnectionRecord, limits::Bounds};

/// The door of one engine.
#[derive(Debug)]
pub(crate) struct Admission {
    max_items: usize,
    max_bytes: usize,
    /// From here on room is scarce: half of the bounds.
    scarce_items: usize,
    scarce_bytes: usize,
    total: ShardedCounter,
    /// What waits of peers without a connection, together.
    strangers: AtomicItemsAndBytes,
    released: Notify,
    /// How many wait for room: to wake nobody costs nothing.
    hopeful: AtomicUsize,
}

/// Whose inputs are counted together.
#[derive(Clone, Debug)]
pub(crate) enum CreditOwner {
    /// Those of one connection.
    Peer(Arc<ConnectionRecord>),
    /// Those of all without one.
    Unconnected(Arc<Admission>),
}

impl CreditOwner {
    fn admission(&self) -> &Admission {
        match self {
            Self::Peer(record) => record.admission(),
            Self::Unconnected(admission) => admission,
        }
    }

    fn waiting(&self) -> &AtomicItemsAndBytes {
        match self {
            Self::Peer(record) => record.waiting(),
            Self::Unconnected(admission) => &admission.strangers,
        }
    }

    /// The connection, if it is one's.
    pub(crate) fn record(&self) -> Option<&ConnectionRecord> {
        match self {
            Self::Peer(record) => Some(record),
            Self::Unconnected(_) => None,
        }
    }
}

/// What an input holds while it waits: returned when it is dropped.
#[derive(Debug)]
pub(crate) struct Credit {
    account: CreditOwner,
    bytes: u32,
    /// It has not been returned.
    held: bool,
    /// Whose thread brought the input.
    thread_slot: ThreadSlot,
}

impl Credit {
    pub(crate) fn record(&self) -> Option<&ConnectionRecord> {
        self.account.record()
    }

    /// The thread that brought the input.
    pub(crate) fn thread_slot(&self) -> ThreadSlot {
        self.thread_slot
    }

    /// RecycleBins the peer's share of it, and answers how much it is.
    #[inline]
    fn return_share(&mut self) -> ItemsAndBytes {
        let amount = ItemsAndBytes::one(self.bytes as usize);
        self.account.waiting().remove(amount);
        self.held = false;
        amount
    }

    /// RecycleBins the peer's share of it at once; the rest is [released](Admission::release) with that of others, by
    /// whoever handles many.
    #[inline]
    pub(crate) fn return_with(mut self, others: &mut ItemsAndBytes) {
        *others = others.plus(self.return_share());
    }
}

impl Admission {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self {
            max_items: bounds.max_input_items,
            max_bytes: bounds.max_input_bytes,
            scarce_items: bounds.max_input_items.div_ceil(2),
            scarce_bytes: bounds.max_input_bytes.div_ceil(2),
            total: ShardedCounter::new(bounds),
            strangers: AtomicItemsAndBytes::default(),
            released: Notify::new(),
            hopeful: AtomicUsize::new(0),
        }
    }

    /// What waits of all peers together.
    pub(crate) fn waiting(&self) -> ItemsAndBytes {
        self.total.waiting()
    }

    /// Takes a credit for an input of `bytes`, on `account`, brought by the thread `thread_slot`. `peers` are connected.
    ///
    /// Several threads at once may overstep a bound by one input each.
    #[inline(always)]
    pub(crate) fn admit(
        &self,
        account: CreditOwner,
        bytes: usize,
        thread_slot: ThreadSlot,
        peers: impl FnOnce() -> usize,
    ) -> Result<Credit, Refused> {
        let amount = ItemsAndBytes::one(bytes);
        let plenty = self.has_plenty(amount);
        if !plenty {
            self.check(account.waiting(), amount.bytes(), peers())?;
        }
        self.total.take(amount, thread_slot, plenty);
        account.waiting().add(amount);
        Ok(Credit { account, bytes: amount.bytes() as u32, held: true, thread_slot })
    }

    /// Whether so little waits that anybody's input is taken: a look at one word that seldom changes.
    #[inline]
    fn has_plenty(&self, input: ItemsAndBytes) -> bool {
        let with = self.total.at_most().plus(input);
        with.items() <= self.scarce_items && with.bytes() < self.scarce_bytes
    }

    /// Whoever has no more than its fair share may fill the bounds; the others, half of them.
    #[cold]
    fn check(&self, of: &AtomicItemsAndBytes, bytes: usize, peers: usize) -> Result<(), Refused> {
        let total = self.total.waiting();
        let (items, held) = (total.items(), total.bytes());
        if items >= self.max_items {
            return Err(Refused::TooManyInputs { waiting: items });
        }
        // One input is always taken, however large: the transport bounds its size.
        if held > 0 && held.saturating_add(bytes) > self.max_bytes {
            return Err(Refused::TooManyBytes { waiting: held });
        }
        let scarce = items >= self.scarce_items || held >= self.scarce_bytes;
        if !scarce {
            return Ok(());
        }
        let shares = peers.saturating_add(1);
        let own = of.amount();
        if own.items() > self.max_items / shares || own.bytes() > self.max_bytes / shares {
            return Err(Refused::PeerOverShare { waiting: own.items() });
        }
        Ok(())
    }

    /// Waits until an input of some bytes, on `account`, would be taken: until there is room here, and `open` says that nothing else is in the way. RecycleBins at once when the engine has `ended`.
    pub(crate) async fn ready(
        &self,
        account: &CreditOwner,
        peers: impl Fn() -> usize,
        open: impl Fn() -> bool,
        ended: impl Fn() -> bool,
    ) {
        self.hopeful.fetch_add(1, Ordering::AcqRel);
        let _hope = WaiterGuard(&self.hopeful);
        loop {
            let released = self.released.notified();
            tokio::pin!(released);
            // Registered before the look, so that no release is missed.
            released.as_mut().enable();
            if ended() || (open() && self.check(account.waiting(), 0, peers()).is_ok()) {
                return;
            }
            released.await;
        }
    }

    /// Inputs that held so much are handled.
    pub(crate) fn release(&self, amount: ItemsAndBytes) {
        if amount != ItemsAndBytes::default() {
            self.total.give_back(amount);
            self.room_made();
        }
    }

    /// There is more room than before, here or in the way out: whoever waits looks again.
    pub(crate) fn room_made(&self) {
        if self.hopeful.load(Ordering::Acquire) > 0 {
            self.released.notify_waiters();
        }
    }

    /// The engine ends: nobody waits any more.
    pub(crate) fn end(&self) {
        self.released.notify_waiters();
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        if self.held {
            let amount = self.return_share();
            self.account.admission().release(amount);
        }
    }
}

struct WaiterGuard<'a>(&'a AtomicUsize);

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
