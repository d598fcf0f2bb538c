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
    amount::{Amount, Waiting},
    refused::Refused,
    reserve::Reserve,
    thread_slot::Till,
};
use crate::{directory::connection::PeerRecord, limits::Bounds};

/// The door of one engine.
#[derive(Debug)]
pub(crate) struct Admission {
    max_items: usize,
    max_bytes: usize,
    /// From here on room is scarce: half of the bounds.
    scarce_items: usize,
    scarce_bytes: usize,
    total: Reserve,
    /// What waits of peers without a connection, together.
    strangers: Waiting,
    released: Notify,
    /// How many wait for room: to wake nobody costs nothing.
    hopeful: AtomicUsize,
}

/// Whose inputs are counted together.
#[derive(Clone, Debug)]
pub(crate) enum Account {
    /// Those of one connection.
    Peer(Arc<PeerRecord>),
    /// Those of all without one.
    Strangers(Arc<Admission>),
}

impl Account {
    fn admission(&self) -> &Admission {
        match self {
            Self::Peer(record) => record.admission(),
            Self::Strangers(admission) => admission,
        }
    }

    fn waiting(&self) -> &Waiting {
        match self {
            Self::Peer(record) => record.waiting(),
            Self::Strangers(admission) => &admission.strangers,
        }
    }

    /// The connection, if it is one's.
    pub(crate) fn record(&self) -> Option<&PeerRecord> {
        match self {
            Self::Peer(record) => Some(record),
            Self::Strangers(_) => None,
        }
    }
}

/// What an input holds while it waits: returned when it is dropped.
#[derive(Debug)]
pub(crate) struct Credit {
    account: Account,
    bytes: u32,
    /// It has not been returned.
    held: bool,
    /// Whose thread brought the input.
    till: Till,
}

impl Credit {
    pub(crate) fn record(&self) -> Option<&PeerRecord> {
        self.account.record()
    }

    /// The thread that brought the input.
    pub(crate) fn till(&self) -> Till {
        self.till
    }

    /// Returns the peer's share of it, and answers how much it is.
    #[inline]
    fn return_share(&mut self) -> Amount {
        let amount = Amount::one(self.bytes as usize);
        self.account.waiting().remove(amount);
        self.held = false;
        amount
    }

    /// Returns the peer's share of it at once; the rest is [released](Admission::release) with that of others, by
    /// whoever handles many.
    #[inline]
    pub(crate) fn return_with(mut self, others: &mut Amount) {
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
            total: Reserve::new(bounds),
            strangers: Waiting::default(),
            released: Notify::new(),
            hopeful: AtomicUsize::new(0),
        }
    }

    /// What waits of all peers together.
    pub(crate) fn waiting(&self) -> Amount {
        self.total.waiting()
    }

    /// Takes a credit for an input of `bytes`, on `account`, brought by the thread `till`. `peers` are connected.
    ///
    /// Several threads at once may overstep a bound by one input each.
    #[inline(always)]
    pub(crate) fn admit(
        &self,
        account: Account,
        bytes: usize,
        till: Till,
        peers: impl FnOnce() -> usize,
    ) -> Result<Credit, Refused> {
        let amount = Amount::one(bytes);
        let plenty = self.has_plenty(amount);
        if !plenty {
            self.check(account.waiting(), amount.bytes(), peers())?;
        }
        self.total.take(amount, till, plenty);
        account.waiting().add(amount);
        Ok(Credit { account, bytes: amount.bytes() as u32, held: true, till })
    }

    /// Whether so little waits that anybody's input is taken: a look at one word that seldom changes.
    #[inline]
    fn has_plenty(&self, input: Amount) -> bool {
        let with = self.total.at_most().plus(input);
        with.items() <= self.scarce_items && with.bytes() < self.scarce_bytes
    }

    /// Whoever has no more than its fair share may fill the bounds; the others, half of them.
    #[cold]
    fn check(&self, of: &Waiting, bytes: usize, peers: usize) -> Result<(), Refused> {
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

    /// Waits until an input of some bytes, on `account`, would be taken: until there is room here, and `open` says that nothing else is in the way. Returns at once when the engine has `ended`.
    pub(crate) async fn ready(
        &self,
        account: &Account,
        peers: impl Fn() -> usize,
        open: impl Fn() -> bool,
        ended: impl Fn() -> bool,
    ) {
        self.hopeful.fetch_add(1, Ordering::AcqRel);
        let _hope = Hope(&self.hopeful);
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
    pub(crate) fn release(&self, amount: Amount) {
        if amount != Amount::default() {
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

struct Hope<'a>(&'a AtomicUsize);

impl Drop for Hope<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
