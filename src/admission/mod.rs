//! Admission control: every input takes a [`Credit`] for one item and its bytes, and returns it when it is handled. A
//! message that the engine holds longer is [charged](charge::Charge) until it is delivered, forwarded or dropped. An input
//! that gets no credit is refused at once, so that queues are bounded and callers never block.

pub(crate) mod amount;
pub(crate) mod budget;
pub(crate) mod charge;
pub(crate) mod refused;
pub(crate) mod totals;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crossbeam_utils::CachePadded;
use tokio::sync::Notify;

use self::{
    amount::{AtomicItemsAndBytes, ItemsAndBytes},
    charge::Charge,
    refused::Refused,
};
use crate::limits::Bounds;

/// The queued inputs and the held messages of one engine, and their limits.
#[derive(Debug)]
pub(crate) struct Admission {
    max_items: usize,
    max_bytes: usize,
    /// From these amounts on, half of the limits, an owner is limited to its fair share.
    fair_share_above_items: usize,
    fair_share_above_bytes: usize,
    /// The queued inputs, and the bytes of the messages that are held. Every thread changes it, so it has a cache line of
    /// its own.
    total: CachePadded<AtomicItemsAndBytes>,
    released: Notify,
}

/// Counts the queued inputs and held messages of one connection, or of all peers without a connection together.
#[derive(Debug)]
pub(crate) struct CreditOwner {
    admission: Arc<Admission>,
    queued: AtomicItemsAndBytes,
    /// Nothing that the peer sends is handled, what is queued included.
    graylisted: AtomicBool,
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
    /// that after a batch of inputs. If the message is held longer, the result charges it to the same owner.
    #[inline]
    pub(crate) fn release_into(mut self, released: &mut ItemsAndBytes) -> Charge {
        match self.release_owner() {
            Some((owner, amount)) => {
                *released = released.plus(amount);
                Charge::to(owner)
            }
            None => Charge::default(),
        }
    }

    /// Whether the peer was graylisted after it got this credit.
    #[inline]
    pub(crate) fn is_graylisted(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.is_graylisted())
    }

    /// The charge for the message of this input, if it is held after this credit is returned.
    pub(crate) fn charge(&self) -> Charge {
        self.owner.as_ref().map_or_else(Charge::default, |owner| Charge::to(Arc::clone(owner)))
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
    /// The limits on the inputs of peers.
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self::with_limits(bounds.max_input_items, bounds.max_input_bytes)
    }

    /// The limits on publications. At most seven eighths of the bytes of the p2p stream, which drops everything else first:
    /// so a publication that is accepted seldom lacks bytes there. Its recipients may exceed the items of the stream; what is
    /// dropped then is in the report of the publication.
    pub(crate) fn of_publications(bounds: &Bounds) -> Self {
        let max_output = bounds.max_output_bytes - bounds.max_output_bytes / 8;
        Self::with_limits(bounds.max_input_items, bounds.max_input_bytes.min(max_output))
    }

    fn with_limits(max_items: usize, max_bytes: usize) -> Self {
        Self {
            max_items,
            max_bytes,
            fair_share_above_items: max_items.div_ceil(2),
            fair_share_above_bytes: max_bytes.div_ceil(2),
            total: CachePadded::default(),
            released: Notify::new(),
        }
    }

    /// The queued inputs and held messages of all owners.
    pub(crate) fn queued(&self) -> ItemsAndBytes {
        self.total.amount()
    }

    /// The limit on the bytes.
    pub(crate) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Whether the queue is less than half full with an input that makes it `total`, so that every owner may add it.
    #[inline]
    fn has_headroom(&self, total: ItemsAndBytes) -> bool {
        total.items() <= self.fair_share_above_items && total.bytes() < self.fair_share_above_bytes
    }

    /// Checks whether an owner may add an input of `input_bytes` to `total`. Owners that have at most their fair share may
    /// fill the queue, the others only half of it.
    #[cold]
    fn check(
        &self,
        owner: &CreditOwner,
        total: ItemsAndBytes,
        input_bytes: usize,
        peers: usize,
    ) -> Result<(), Refused> {
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
            return Err(Refused::PeerOverShare { waiting: own.items(), bytes: own.bytes() });
        }
        Ok(())
    }

    /// Stops counting handled inputs, whose owners' parts are returned already.
    pub(crate) fn release(&self, inputs: ItemsAndBytes) {
        if inputs != ItemsAndBytes::default() {
            self.total.remove(inputs);
            self.notify_waiters();
        }
    }

    /// Lets all tasks in [`CreditOwner::ready`] check again: this queue or an output stream has room.
    pub(crate) fn notify_waiters(&self) {
        self.released.notify_waiters();
    }

    /// Lets all tasks in [`CreditOwner::ready`] return: the engine has ended.
    pub(crate) fn close(&self) {
        self.released.notify_waiters();
    }
}

impl CreditOwner {
    pub(crate) fn new(admission: Arc<Admission>) -> Self {
        Self { admission, queued: AtomicItemsAndBytes::default(), graylisted: AtomicBool::new(false) }
    }

    /// Whether nothing that the peer sends is handled.
    #[inline]
    pub(crate) fn is_graylisted(&self) -> bool {
        self.graylisted.load(Ordering::Relaxed)
    }

    /// Sets whether nothing that the peer sends is handled. Returns the former value.
    pub(crate) fn set_graylisted(&self, graylisted: bool) -> bool {
        self.graylisted.swap(graylisted, Ordering::Relaxed)
    }

    /// The limits and the total that this owner's inputs count for.
    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Takes a credit for an input of `bytes`. `peers` is the number of connected peers, by which the queue is shared.
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
        let admission = &*self.admission;
        let total = admission.total.add(input);
        if !admission.has_headroom(total) {
            let before = total.minus(input).unwrap_or_default();
            admission
                .check(&self, before, input.bytes(), peers())
                .inspect_err(|_| admission.total.remove(input))?;
        }
        self.queued.add(input);
        Ok(Credit { owner: Some(self), bytes: input.bytes() as u32 })
    }

    /// Waits until [`admit`](Self::admit) would accept an input of `bytes` and `open` returns true, or until `ended`
    /// returns true. Both are called again after each [`Admission::notify_waiters`] and [`Admission::close`].
    ///
    /// Cancellation safe: dropping the future changes nothing.
    pub(crate) async fn ready(
        &self,
        bytes: usize,
        peers: impl Fn() -> usize,
        open: impl Fn() -> bool,
        ended: impl Fn() -> bool,
    ) {
        let admission = &self.admission;
        let has_room = || admission.check(self, admission.queued(), bytes, peers()).is_ok();
        loop {
            // Made before the check: it completes after any later release, so that none in between is missed.
            let released = admission.released.notified();
            if ended() || (open() && has_room()) {
                return;
            }
            released.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::FutureExt;

    use super::*;

    fn owner() -> CreditOwner {
        CreditOwner::new(Arc::new(Admission::new(&Bounds::default())))
    }

    /// Returns false once, after `before`, and then true.
    fn true_after<'a>(asked: &'a Cell<bool>, before: impl Fn() + 'a) -> impl Fn() -> bool + 'a {
        move || {
            if !asked.get() {
                before();
            }
            asked.replace(true)
        }
    }

    #[test]
    fn a_release_between_the_check_and_the_wait_wakes_the_caller() {
        let (owner, asked) = (owner(), Cell::new(false));
        let open = true_after(&asked, || owner.admission().notify_waiters());
        assert!(owner.ready(0, || 0, open, || false).now_or_never().is_some());
        assert!(asked.get());
    }

    #[test]
    fn an_end_between_the_check_and_the_wait_wakes_the_caller() {
        let (owner, asked) = (owner(), Cell::new(false));
        let ended = true_after(&asked, || owner.admission().close());
        assert!(owner.ready(0, || 0, || false, ended).now_or_never().is_some());
        assert!(asked.get());
    }
}
