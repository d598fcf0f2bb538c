//! Signed peer records (libp2p RFC 0002 and 0003): a peer's addresses, signed by the peer itself. Those that connected peers
//! sent of themselves are kept as they came, because a PRUNE that recommends a peer carries its record. What came with a
//! recommended peer is verified when the engine asks to dial that peer, and only its addresses are kept.

use std::{collections::HashMap, sync::Arc};

use ::libp2p::{
    Multiaddr, PeerId,
    core::{PeerRecord, SignedEnvelope, peer_record::FromEnvelopeError, signed_envelope::ReadPayloadError},
};

use crate::{
    libp2p::codec::limits::MAX_PEER_RECORD,
    network::{PeerRecordOutcome, PxPeer},
};

/// The content of a verified record.
#[derive(Clone, Debug)]
pub(super) struct VerifiedRecord {
    /// Of two records of a peer, the one with the higher number is newer.
    pub(super) sequence: u64,
    pub(super) addresses: Vec<Multiaddr>,
}

/// Verifies that `bytes` are a record of `peer` which the peer itself signed.
///
/// The signature domain is `libp2p-peer-record` and the type 0x0301, as in go- and js-libp2p. The domain and type that
/// rust-libp2p's identify has in their place are accepted too.
///
/// # Errors
/// What is wrong with the record.
pub(super) fn verify(peer: &PeerId, bytes: &[u8]) -> Result<VerifiedRecord, PeerRecordOutcome> {
    if bytes.len() > MAX_PEER_RECORD {
        return Err(PeerRecordOutcome::TooLong);
    }
    let envelope = SignedEnvelope::from_protobuf_encoding(bytes).map_err(|_| PeerRecordOutcome::Malformed)?;
    let record = match PeerRecord::from_signed_envelope_interop(envelope.clone()) {
        Err(FromEnvelopeError::BadPayload(ReadPayloadError::UnexpectedPayloadType { .. })) => {
            PeerRecord::from_signed_envelope(envelope)
        }
        record => record,
    };
    let record = record.map_err(|error| outcome_of(&error))?;
    if record.peer_id() != *peer {
        return Err(PeerRecordOutcome::OtherPeer);
    }
    Ok(VerifiedRecord { sequence: record.seq(), addresses: record.addresses().to_vec() })
}

fn outcome_of(error: &FromEnvelopeError) -> PeerRecordOutcome {
    match error {
        FromEnvelopeError::BadPayload(ReadPayloadError::UnexpectedPayloadType { .. }) => {
            PeerRecordOutcome::WrongType
        }
        FromEnvelopeError::BadPayload(ReadPayloadError::InvalidSignature) => PeerRecordOutcome::BadSignature,
        FromEnvelopeError::MismatchedSignature => PeerRecordOutcome::OtherPeer,
        _ => PeerRecordOutcome::Malformed,
    }
}

/// The verified records that peers sent of themselves, at most [`MAX_PEER_RECORD`] bytes each.
#[derive(Debug, Default)]
pub(in crate::libp2p) struct OwnRecords(HashMap<PeerId, OwnRecord>);

#[derive(Debug)]
struct OwnRecord {
    sequence: u64,
    bytes: Arc<[u8]>,
}

/// Most records that are kept. A node with more peers offers some of them without a record.
const MAX_RECORDS: usize = 4_096;

impl OwnRecords {
    /// Verifies and stores the record that `peer` sent of itself.
    pub(super) fn insert(&mut self, peer: PeerId, bytes: &[u8]) -> PeerRecordOutcome {
        let known = self.0.get(&peer);
        if known.is_some_and(|known| *known.bytes == *bytes) {
            return PeerRecordOutcome::NotNewer;
        }
        let record = match verify(&peer, bytes) {
            Ok(record) => record,
            Err(outcome) => return outcome,
        };
        if known.is_some_and(|known| known.sequence >= record.sequence) {
            return PeerRecordOutcome::NotNewer;
        }
        if known.is_none() && self.0.len() >= MAX_RECORDS {
            // Any other one: its peer is offered without a record, until it sends the record again.
            let evicted = self.0.keys().next().copied();
            evicted.map(|peer| self.0.remove(&peer));
        }
        self.0.insert(peer, OwnRecord { sequence: record.sequence, bytes: bytes.into() });
        PeerRecordOutcome::Stored
    }

    /// The recommended peers, each with its record if it is known, as long as the records have at most `max_bytes`
    /// together.
    pub(in crate::libp2p) fn add_to(&self, px: &[PxPeer<PeerId>], max_bytes: usize) -> Vec<PxPeer<PeerId>> {
        let mut left = max_bytes;
        let with_record = |px: &PxPeer<PeerId>| {
            let record = self.get(&px.peer).filter(|record| record.len() <= left);
            left -= record.as_ref().map_or(0, |record| record.len());
            PxPeer { record, ..px.clone() }
        };
        px.iter().map(with_record).collect()
    }

    fn get(&self, peer: &PeerId) -> Option<Arc<[u8]>> {
        self.0.get(peer).map(|record| Arc::clone(&record.bytes))
    }

    /// Forgets the record of a peer that has disconnected: only connected peers are recommended.
    pub(in crate::libp2p) fn remove(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use ::libp2p::identity::Keypair;

    use super::*;

    /// The time in seconds is the sequence number of the records that rust-libp2p signs.
    fn signed(key: &Keypair, sequence: u64, domain: &str, kind: &[u8]) -> Vec<u8> {
        let peer = key.public().to_peer_id().to_bytes();
        let address = "/ip4/8.8.8.8/tcp/4001".parse::<Multiaddr>().unwrap().to_vec();
        let field = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8][..], bytes].concat();
        let address = field(0x1a, &field(0x0a, &address));
        let payload = [&field(0x0a, &peer)[..], &[0x10, sequence as u8], &address].concat();
        let envelope = SignedEnvelope::new(key, domain.to_owned(), kind.to_vec(), payload).unwrap();
        envelope.into_protobuf_encoding()
    }

    const DOMAIN: &str = "libp2p-peer-record";
    const KIND: &[u8] = &[3, 1];

    #[test]
    fn a_record_is_valid_only_with_its_domain_type_signature_and_peer() {
        let (key, other) = (Keypair::generate_ed25519(), Keypair::generate_ed25519());
        let peer = key.public().to_peer_id();
        let legacy = ("libp2p-routing-state", &b"/libp2p/routing-state-record"[..]);
        for (domain, kind) in [(DOMAIN, KIND), legacy] {
            let record = verify(&peer, &signed(&key, 5, domain, kind)).unwrap();
            assert_eq!((record.sequence, record.addresses.len()), (5, 1));
        }
        let mut altered = signed(&key, 5, DOMAIN, KIND);
        *altered.last_mut().unwrap() ^= 1;
        for (record, outcome) in [
            (vec![0; MAX_PEER_RECORD + 1], PeerRecordOutcome::TooLong),
            (b"garbage".to_vec(), PeerRecordOutcome::Malformed),
            (Vec::new(), PeerRecordOutcome::Malformed),
            (signed(&key, 5, DOMAIN, &[3, 2]), PeerRecordOutcome::WrongType),
            (signed(&key, 5, "libp2p-routing-state", KIND), PeerRecordOutcome::BadSignature),
            (altered, PeerRecordOutcome::BadSignature),
            (signed(&other, 5, DOMAIN, KIND), PeerRecordOutcome::OtherPeer),
        ] {
            assert_eq!(verify(&peer, &record).map(|_| ()), Err(outcome), "{record:?}");
        }
    }

    #[test]
    fn only_a_newer_record_of_a_peer_replaces_the_one_that_is_known() {
        let (key, mut records) = (Keypair::generate_ed25519(), OwnRecords::default());
        let peer = key.public().to_peer_id();
        let record = |sequence| signed(&key, sequence, DOMAIN, KIND);
        for (sequence, outcome) in [
            (5, PeerRecordOutcome::Stored),
            (5, PeerRecordOutcome::NotNewer),
            (4, PeerRecordOutcome::NotNewer),
            (6, PeerRecordOutcome::Stored),
        ] {
            assert_eq!(records.insert(peer, &record(sequence)), outcome, "{sequence}");
        }
        assert_eq!(records.insert(peer, b"garbage"), PeerRecordOutcome::Malformed);
        assert_eq!(records.get(&peer).as_deref(), Some(&record(6)[..]));
        let known = record(6).len();
        let unknown = PeerId::random();
        let with_records = |most| records.add_to(&[peer.into(), unknown.into(), peer.into()], most);
        let sizes = |most| with_records(most).into_iter().map(|px| px.record.map_or(0, |bytes| bytes.len()));
        assert_eq!(sizes(2 * known).collect::<Vec<_>>(), [known, 0, known]);
        assert_eq!(sizes(2 * known - 1).collect::<Vec<_>>(), [known, 0, 0]);
        assert_eq!(sizes(0).collect::<Vec<_>>(), [0, 0, 0]);
        records.remove(&peer);
        assert_eq!(records.get(&peer), None);
    }

    #[test]
    fn the_number_of_records_is_bounded() {
        let mut records = OwnRecords::default();
        for n in 0..MAX_RECORDS {
            let empty = OwnRecord { sequence: n as u64, bytes: Arc::default() };
            records.0.insert(PeerId::random(), empty);
        }
        let key = Keypair::generate_ed25519();
        let outcome = records.insert(key.public().to_peer_id(), &signed(&key, 1, DOMAIN, KIND));
        assert_eq!((outcome, records.0.len()), (PeerRecordOutcome::Stored, MAX_RECORDS));
    }
}
