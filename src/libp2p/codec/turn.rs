//! The work that a connection does before it lets the other connections of its thread go on. It is bounded by work and
//! not by frames, since a frame may have 20,000 entries or 5,000 signatures. Two things are not divided: the check of a whole
//! frame before its first entry is handled, one pass over at most `max_frame_in` bytes, and a single entry.

use super::encode::Kind;

/// Bytes read from the stream: one grant of a small yamux window. Decrypting and splitting them takes some 0.1 ms.
const BYTES: usize = 64 << 10;
/// Bytes of control entries. This is what an RPC of the known implementations contains at most, and some 400 ids, for
/// each of which memory is allocated.
const CONTROL_BYTES: usize = 16 << 10;
/// Full messages, as many as an RPC for the strictest implementation contains.
const MESSAGES: usize = 500;
/// Subscriptions, as many as an RPC for the strictest implementation contains.
const SUBSCRIPTIONS: usize = 100;
/// Signatures that are verified. Each takes some 50 us with an Ed25519 key, so that these take 0.4 ms, more than all other
/// work. Other types of keys take longer, by an estimate at most some hundreds of us: the longest RSA key has 8,192 bits.
const SIGNATURE_CHECKS: usize = 8;
/// The control bytes that a frame or a control entry counts for at least: a turn handles at most 512 empty ones.
const MIN_CONTROL: usize = 32;

/// The remaining budget of one turn. The entry that exhausts it is still handled completely.
#[derive(Debug)]
pub(in crate::libp2p) struct TurnBudget {
    bytes: usize,
    control_bytes: usize,
    messages: usize,
    subscriptions: usize,
    signature_checks: usize,
}

/// The cost of the check of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::libp2p) enum SignatureCheck {
    /// No signature was verified: the policy has none, or the same bytes were verified before.
    None,
    /// A signature was verified, and is right.
    Passed,
    /// The message breaks the policy.
    Failed,
}

impl Default for TurnBudget {
    fn default() -> Self {
        Self {
            bytes: BYTES,
            control_bytes: CONTROL_BYTES,
            messages: MESSAGES,
            subscriptions: SUBSCRIPTIONS,
            signature_checks: SIGNATURE_CHECKS,
        }
    }
}

impl TurnBudget {
    /// A budget that is never exhausted, for frames that are decoded at once.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn unlimited() -> Self {
        Self {
            bytes: usize::MAX,
            control_bytes: usize::MAX,
            messages: usize::MAX,
            subscriptions: usize::MAX,
            signature_checks: usize::MAX,
        }
    }

    /// Whether the turn ends.
    pub(in crate::libp2p) fn is_exhausted(&self) -> bool {
        let Self { bytes, control_bytes, messages, subscriptions, signature_checks } = *self;
        [bytes, control_bytes, messages, subscriptions, signature_checks].contains(&0)
    }

    /// Bytes were read from the stream.
    pub(in crate::libp2p) fn charge_read(&mut self, bytes: usize) {
        subtract(&mut self.bytes, bytes);
    }

    /// A frame begins.
    pub(in crate::libp2p) fn charge_frame(&mut self) {
        subtract(&mut self.control_bytes, MIN_CONTROL);
    }

    /// An entry of `bytes` bytes is decoded.
    pub(super) fn charge_entry(&mut self, kind: Kind, bytes: usize) {
        match kind {
            Kind::Subscription => subtract(&mut self.subscriptions, 1),
            Kind::Message => subtract(&mut self.messages, 1),
            _ => subtract(&mut self.control_bytes, bytes.max(MIN_CONTROL)),
        }
    }

    /// A message was checked. One that breaks the policy ends the turn, so that a peer that forges messages gets one check
    /// a turn.
    pub(super) fn charge_check(&mut self, check: SignatureCheck) {
        match check {
            SignatureCheck::None => {}
            SignatureCheck::Passed => subtract(&mut self.signature_checks, 1),
            SignatureCheck::Failed => subtract(&mut self.signature_checks, SIGNATURE_CHECKS),
        }
    }
}

fn subtract(left: &mut usize, work: usize) {
    *left = left.saturating_sub(work);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many times `charge` is called before the turn ends.
    fn count(mut charge: impl FnMut(&mut TurnBudget)) -> usize {
        let mut turn = TurnBudget::default();
        std::iter::from_fn(|| (!turn.is_exhausted()).then(|| charge(&mut turn))).count()
    }

    #[test]
    fn each_kind_of_work_ends_a_turn() {
        assert_eq!(count(|turn| turn.charge_read(8_192)), 8);
        assert_eq!(count(TurnBudget::charge_frame), 512);
        assert_eq!(count(|turn| turn.charge_entry(Kind::Subscription, 20)), 100);
        assert_eq!(count(|turn| turn.charge_entry(Kind::Message, 1)), 500);
        assert_eq!(count(|turn| turn.charge_entry(Kind::IHave, 1_024)), 16);
        assert_eq!(count(|turn| turn.charge_entry(Kind::IWant, 1 << 20)), 1);
        assert_eq!(count(|turn| turn.charge_entry(Kind::Graft, 0)), 512);
        assert_eq!(count(|turn| turn.charge_check(SignatureCheck::Passed)), 8);
        assert_eq!(count(|turn| turn.charge_check(SignatureCheck::Failed)), 1);
    }
}
