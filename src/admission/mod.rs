//! Admission control: every input takes a [`Credit`] for one item and its bytes, and returns it when it is handled.
//! An input that gets no credit is refused at once, so that queues are bounded and callers never block.

pub(crate) mod amount;
pub(crate) mod refused;
mod sharded_counter;
mod thread_slot;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use self::{
    amount::{AtomicItemsAndBytes, ItemsAndBytes},
    refused::Refused,
    sharded_counter::ShardedCounter,
};
use crate::limits::Bounds;

/// The queued inputs of one engine and their limits.
#[derive(Debug)]
pub(crate) struct Admission {
    max_items: usize,
    max_bytes: usize,
    /// From these amounts on, half of the limits, an owner is limited to its fair share.
    fair_share_above_items: usize,
    fair_share_above_bytes: usize,
    total: ShardedCounter,
    released: Notify,
    /// The number of tasks that wait in [`CreditOwner::ready`]. A release notifies nobody while it is 0.
    waiters: AtomicUsize,
}

/// Counts the queued inputs of one connection, or of all peers without a connection together.
#[derive(Debug)]
pub(crate) struct CreditOwner {
    admission: Arc<Admission>,
    queued: AtomicItemsAndBytes,
}

/// The permission for one input to be queued. Dropping it returns it.
#[derive(Debug)]
pub(crate) struct Credit {
    /// `None` once it is returned.
    owner: Option<Arc<CreditOwner>>,
    bytes: u32,
}

impl Credit {
    /// Returns the owner's part and its amount.
    #[inline]
    fn release_owner(&mut self) -> Option<(Arc<CreditOwner>, ItemsAndBytes)> {
        let owner = self.owner.take()?;
        let amount = ItemsAndBytes::one(self.bytes as usize);
        owner.queued.remove(amount);
        Some((owner, amount))
    }

    /// Returns the owner's part at once and adds the amount to `released`. The caller [releases](Admission::release)
    /// that after a batch of inputs.
    #[inline]
    pub(crate) fn release_into(mut self, released: &mut ItemsAndBytes) {
        if let Some((_, amount)) = self.release_owner() {
            *released = released.plus(amount);
        }
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        if let Some((owner, amount)) = self.release_owner() {
            owner.admission.release(amount);
        }
    }
}

impl Admission {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self {
            max_items: bounds.max_input_items,
            max_bytes: bounds.max_input_bytes,
            fair_share_above_items: bounds.max_input_items.div_ceil(2),
            fair_share_above_bytes: bounds.max_input_bytes.div_ceil(2),
            total: ShardedCounter::new(bounds),
            released: Notify::new(),
            waiters: AtomicUsize::new(0),
        }
    }

    /// The queued inputs of all owners.
    pub(crate) fn queued(&self) -> ItemsAndBytes {
        self.total.queued()
    }

    /// Whether the queue is less than half full with this input, so that every owner may add it. Reads one atomic that
    /// seldom changes.
    #[inline]
    fn has_headroom(&self, input: ItemsAndBytes) -> bool {
        let with = self.total.upper_bound().plus(input);
        with.items() <= self.fair_share_above_items && with.bytes() < self.fair_share_above_bytes
    }

    /// Owners that have at most their fair share may fill the queue, the others only half of it.
    #[cold]
    fn check(&self, owner: &CreditOwner, input_bytes: usize, peers: usize) -> Result<(), Refused> {
        let total = self.total.queued();
        let (items, bytes) = (total.items(), total.bytes());
        if items >= self.max_items {
            return Err(Refused::TooManyInputs { waiting: items });
        }
        // An empty queue takes one input of any size: the transport bounds it.
        if bytes > 0 && bytes.saturating_add(input_bytes) > self.max_bytes {
            return Err(Refused::TooManyBytes { waiting: bytes });
        }
        if items < self.fair_share_above_items && bytes < self.fair_share_above_bytes {
            return Ok(());
        }
        let shares = peers.saturating_add(1);
        let own = owner.queued.amount();
        if own.items() > self.max_items / shares || own.bytes() > self.max_bytes / shares {
            return Err(Refused::PeerOverShare { waiting: own.items() });
        }
        Ok(())
    }

    /// Stops counting handled inputs, whose owners' parts are returned already.
    pub(crate) fn release(&self, inputs: ItemsAndBytes) {
        if inputs != ItemsAndBytes::default() {
            self.total.release(inputs);
            self.notify_waiters();
        }
    }

    /// Lets all tasks in [`CreditOwner::ready`] check again: this queue or an output stream has room.
    pub(crate) fn notify_waiters(&self) {
        if self.waiters.load(Ordering::Acquire) > 0 {
            self.released.notify_waiters();
        }
    }

    /// Lets all tasks in [`CreditOwner::ready`] return: the engine has ended.
    pub(crate) fn close(&self) {
        self.released.notify_waiters();
    }
}

impl CreditOwner {
    pub(crate) fn new(admission: Arc<Admission>) -> Self {
        Self { admission, queued: AtomicItemsAndBytes::default() }
    }

    /// The limits and the total that this owner's inputs count for.
    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Takes a credit for an input of `bytes`. `peers` is the number of connected peers, by which the queue is shared.
    ///
    /// Threads that call this at the same time may exceed a limit by one input each.
    ///
    /// # Errors
    /// The queue is full, or this owner has more than its share of a queue that is half full.
    #[inline(always)]
    pub(crate) fn admit(
        self: Arc<Self>,
        bytes: usize,
        peers: impl FnOnce() -> usize,
    ) -> Result<Credit, Refused> {
        let input = ItemsAndBytes::one(bytes);
        let headroom = self.admission.has_headroom(input);
        if !headroom {
            self.admission.check(&self, input.bytes(), peers())?;
        }
        self.admission.total.add(input, headroom);
        self.queued.add(input);
        Ok(Credit { owner: Some(self), bytes: input.bytes() as u32 })
    }

    /// Waits until [`admit`](Self::admit) would accept a small input and `open` returns true, or until `ended` returns
    /// true. Both are called again after each [`Admission::notify_waiters`] and [`Admission::close`].
    ///
    /// Cancellation safe: dropping the future changes nothing.
    pub(crate) async fn ready(
        &self,
        peers: impl Fn() -> usize,
        open: impl Fn() -> bool,
        ended: impl Fn() -> bool,
    ) {
        let admission = &self.admission;
        admission.waiters.fetch_add(1, Ordering::AcqRel);
        let _guard = WaiterGuard(&admission.waiters);
        loop {
            let released = admission.released.notified();
            tokio::pin!(released);
            // Registers before the check, so that no release in between is missed.
            released.as_mut().enable();
            if ended() || (open() && admission.check(self, 0, peers()).is_ok()) {
                return;
            }
            released.await;
        }
    }
}

/// Counts a waiting task down when it stops waiting or is cancelled.
struct WaiterGuard<'a>(&'a AtomicUsize);

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
