//! The charge for a message that the engine holds after its input is handled: while its verdict is awaited, while it is
//! parked, and until both streams are read. It travels with the message, so that every way to drop the message ends it.

use std::sync::Arc;

use super::{CreditOwner, amount::ItemsAndBytes};

/// The owner to whom a message is charged, and its bytes. Clones share one charge.
#[derive(Clone, Debug, Default)]
pub(crate) struct Charge(State);

#[derive(Clone, Debug, Default)]
enum State {
    /// No input: the message came from a test or from a [`Node`](crate::protocol::Node), which is not limited.
    #[default]
    Free,
    /// The input is handled and nothing is charged.
    Payer(Arc<CreditOwner>),
    Charged(Arc<ChargedBytes>),
}

#[derive(Debug)]
struct ChargedBytes {
    owner: Arc<CreditOwner>,
    bytes: usize,
}

impl Charge {
    /// Nothing is charged until [`begin`](Self::begin), and then to this owner.
    pub(crate) fn to(payer: Arc<CreditOwner>) -> Self {
        Self(State::Payer(payer))
    }

    /// Charges `bytes`, if nothing is charged yet. Never refused: the input had a credit for them.
    pub(crate) fn begin(&mut self, bytes: impl FnOnce() -> usize) {
        if let State::Payer(owner) = &self.0 {
            let amount = ItemsAndBytes::bytes_only(bytes());
            owner.queued.add(amount);
            owner.admission.total.add(amount);
            self.0 =
                State::Charged(Arc::new(ChargedBytes { owner: Arc::clone(owner), bytes: amount.bytes() }));
        }
    }

    /// The bytes that are charged.
    pub(crate) fn bytes(&self) -> usize {
        if let State::Charged(charged) = &self.0 { charged.bytes } else { 0 }
    }
}

impl Drop for ChargedBytes {
    fn drop(&mut self) {
        let amount = ItemsAndBytes::bytes_only(self.bytes);
        self.owner.queued.remove(amount);
        self.owner.admission.release(amount);
    }
}
