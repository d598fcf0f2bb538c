//! The bound on what waits: each input of a peer holds a credit, in items and in bytes, until it is
//! handled. Without one it is refused at the door. Queues nothing itself; never blocks.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use crate::limits::Bounds;

/// Why an input was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// As many inputs of peers wait as may (`bounds.max_input_items`).
    #[error("{waiting} inputs wait already: read less until they are handled")]
    TooManyInputs {
        /// How many.
        waiting: usize,
    },
    /// The inputs of peers that wait hold as many bytes as they may (`bounds.max_input_bytes`).
    #[error("{waiting} bytes wait already: read less until they are handled")]
    TooManyBytes {
        /// How many.
        waiting: usize,
    },
    /// This peer has more than its fair share of what waits, and there is too little room for that:
    /// half of the bounds is kept for those who have less.
    #[error(
        "{waiting} inputs of this peer wait, more than its share: read less from it until they are handled"
    )]
    PeerOverShare {
        /// How many.
        waiting: usize,
    },
    /// The application's stream is full (`bounds.max_output_items`): messages would be lost.
    #[error("{waiting} messages wait for the application: read the application stream")]
    ApplicationBehind {
        /// How many.
        waiting: usize,
    },
    /// The p2p stream is full of control (`bounds.max_output_items`): there would be more of it.
    #[error("{waiting} outputs wait for the p2p layer: read the p2p stream")]
    TransportBehind {
        /// How many.
        waiting: usize,
    },
    /// The engine has ended or is about to.
    #[error("the engine has ended")]
    Stopped,
}

impl Refused {
    /// The reason as a word, for labels.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooManyInputs { .. } => "too_many_inputs",
            Self::TooManyBytes { .. } => "too_many_bytes",
            Self::PeerOverShare { .. } => "peer_over_share",
            Self::ApplicationBehind { .. } => "application_behind",
            Self::TransportBehind { .. } => "transport_behind",
            Self::Stopped => "stopped",
        }
    }

    /// What waits, for the event.
    pub(crate) fn depth(self) -> usize {
        match self {
            Self::TooManyInputs { waiting }
            | Self::TooManyBytes { waiting }
            | Self::PeerOverShare { waiting }
            | Self::TransportBehind { waiting }
            | Self::ApplicationBehind { waiting } => waiting,
            Self::Stopped => 0,
        }
    }
}

/// What waits of one peer, or of all together.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    items: AtomicUsize,
    bytes: AtomicUsize,
}

impl Waiting {
    fn add(&self, bytes: usize) {
        self.items.fetch_add(1, Ordering::AcqRel);
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    fn remove(&self, bytes: usize) {
        self.items.fetch_sub(1, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    pub(crate) fn items(&self) -> usize {
        self.items.load(Ordering::Acquire)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }
}

/// The door of one engine.
#[derive(Debug)]
pub(crate) struct Admission {
    max_items: usize,
    max_bytes: usize,
    total: Waiting,
    /// What waits of peers without a connection, together.
    pub(crate) strangers: Arc<Waiting>,
    released: Notify,
    /// How many wait for room: to wake nobody costs nothing.
    hopeful: AtomicUsize,
}

/// A credit: returned when the input that holds it is handled, in all its parts. A part of an input
/// holds a clone: what was admitted as a whole counts as one.
pub(crate) type Credit = Arc<Held>;

#[derive(Debug)]
pub(crate) struct Held {
    admission: Arc<Admission>,
    of: Arc<Waiting>,
    bytes: usize,
}

impl Admission {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self {
            max_items: bounds.max_input_items,
            max_bytes: bounds.max_input_bytes,
            total: Waiting::default(),
            strangers: Arc::default(),
            released: Notify::new(),
            hopeful: AtomicUsize::new(0),
        }
    }

    /// What waits of all peers together.
    pub(crate) fn total(&self) -> &Waiting {
        &self.total
    }

    /// Takes a credit for an input of `bytes`, of the peer whose inputs `of` counts. `peers` are
    /// connected.
    ///
    /// Several threads at once may overstep a bound by one input each.
    pub(crate) fn admit(
        self: &Arc<Self>,
        of: &Arc<Waiting>,
        bytes: usize,
        peers: usize,
    ) -> Result<Credit, Refused> {
        self.check(of, bytes, peers)?;
        self.total.add(bytes);
        of.add(bytes);
        Ok(Arc::new(Held { admission: Arc::clone(self), of: Arc::clone(of), bytes }))
    }

    /// Whoever has no more than its fair share may fill the bounds; the others, half of them.
    fn check(&self, of: &Waiting, bytes: usize, peers: usize) -> Result<(), Refused> {
        let (items, held) = (self.total.items(), self.total.bytes());
        if items >= self.max_items {
            return Err(Refused::TooManyInputs { waiting: items });
        }
        // One input is always taken, however large: the transport bounds its size.
        if held > 0 && held.saturating_add(bytes) > self.max_bytes {
            return Err(Refused::TooManyBytes { waiting: held });
        }
        let shares = peers.saturating_add(1);
        let over_share = of.items() > self.max_items / shares || of.bytes() > self.max_bytes / shares;
        let scarce = items >= self.max_items.div_ceil(2) || held >= self.max_bytes.div_ceil(2);
        if over_share && scarce {
            return Err(Refused::PeerOverShare { waiting: of.items() });
        }
        Ok(())
    }

    /// Waits until an input of some bytes, of the peer whose inputs `of` counts, would be taken: until there is
    /// room here, and `open` says that nothing else is in the way. Returns at once when the engine has `ended`.
    pub(crate) async fn ready(
        &self,
        of: &Waiting,
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
            if ended() || (open() && self.check(of, 0, peers()).is_ok()) {
                return;
            }
            released.await;
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

impl Drop for Held {
    fn drop(&mut self) {
        self.of.remove(self.bytes);
        self.admission.total.remove(self.bytes);
        self.admission.room_made();
    }
}

struct Hope<'a>(&'a AtomicUsize);

impl Drop for Hope<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
