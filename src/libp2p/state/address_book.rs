//! Where peers may be reached: what we dialled, what identify told, and what px recommended. Bounded; it
//! never dials, and believes a recommended address only if the peer itself signed it.

use ::libp2p::{
    Multiaddr, PeerId,
    core::{PeerRecord, SignedEnvelope, multiaddr::Protocol},
};

use super::bounded_map::Recent;

/// Peers of each sort that are remembered.
const MAX_PEERS: usize = 4_096;
/// Addresses of one peer that are remembered.
const MAX_ADDRESSES: usize = 8;
/// Largest signed peer record that is remembered, in bytes.
const MAX_RECORD: usize = 2_048;

#[derive(Debug)]
pub(in crate::libp2p) struct AddressBook {
    dialled: Recent<PeerId, Multiaddr>,
    listed: Recent<PeerId, Vec<Multiaddr>>,
    /// Unverified: they are looked at only if we dial the peer. Kept apart, so that a peer that
    /// recommends thousands of others displaces only what other px brought.
    records: Recent<PeerId, Box<[u8]>>,
}

impl Default for AddressBook {
    fn default() -> Self {
        Self {
            dialled: Recent::new(MAX_PEERS),
            listed: Recent::new(MAX_PEERS),
            records: Recent::new(MAX_PEERS),
        }
    }
}

impl AddressBook {
    /// We reached `peer` at `address`.
    pub(in crate::libp2p) fn dialled(&mut self, peer: PeerId, address: Multiaddr) {
        self.dialled.insert(peer, without_peer(address));
    }

    /// `peer` says that it listens at these.
    pub(in crate::libp2p) fn listed(&mut self, peer: PeerId, addresses: impl IntoIterator<Item = Multiaddr>) {
        self.listed.insert(peer, addresses.into_iter().take(MAX_ADDRESSES).collect());
    }

    /// A prune recommended `peer` with this signed record.
    pub(in crate::libp2p) fn recommended(&mut self, peer: PeerId, record: &[u8]) {
        if record.len() <= MAX_RECORD {
            self.records.insert(peer, record.into());
        }
    }

    /// Where we last reached `peer`.
    pub(in crate::libp2p) fn point(&self, peer: &PeerId) -> Option<Multiaddr> {
        self.dialled.get(peer).cloned()
    }

    /// All addresses at which `peer` might be reached, the likeliest first.
    pub(in crate::libp2p) fn addresses(&mut self, peer: &PeerId) -> Vec<Multiaddr> {
        let mut found: Vec<Multiaddr> = self.point(peer).into_iter().collect();
        found.extend(self.listed.get(peer).into_iter().flatten().cloned());
        if let Some(record) = self.records.remove(peer) {
            let signed = signed_addresses(peer, &record);
            // Verified once: from now on it is as good as what identify tells.
            if self.listed.get(peer).is_none() && !signed.is_empty() {
                self.listed.insert(*peer, signed.clone());
            }
            found.extend(signed);
        }
        found
    }
}

/// The addresses in a record, if it is signed by `peer`. Both signature domains in use are tried.
fn signed_addresses(peer: &PeerId, record: &[u8]) -> Vec<Multiaddr> {
    let envelope = || SignedEnvelope::from_protobuf_encoding(record).ok();
    let standard = || PeerRecord::from_signed_envelope_interop(envelope()?).ok();
    let legacy = || PeerRecord::from_signed_envelope(envelope()?).ok();
    standard()
        .or_else(legacy)
        .filter(|record| record.peer_id() == *peer)
        .map(|record| record.addresses().iter().take(MAX_ADDRESSES).cloned().collect())
        .unwrap_or_default()
}

/// `address` without the peer's id at its end: with or without it, an address is the same one.
pub(in crate::libp2p) fn without_peer(mut address: Multiaddr) -> Multiaddr {
    if let Some(Protocol::P2p(_)) = address.iter().last() {
        address.pop();
    }
    address
}

#[cfg(test)]
mod tests {
    use ::libp2p::identity::Keypair;

    use super::*;

    #[test]
    fn only_the_peers_own_record_is_believed() {
        let (key, other) = (Keypair::generate_ed25519(), PeerId::random());
        let peer = key.public().to_peer_id();
        let address: Multiaddr = "/ip4/10.0.0.1/tcp/4001".parse().unwrap();
        for record in [
            PeerRecord::new_interop(&key, vec![address.clone()]).unwrap(),
            PeerRecord::new(&key, vec![address.clone()]).unwrap(),
        ] {
            let bytes = record.into_signed_envelope().into_protobuf_encoding();
            let mut book = AddressBook::default();
            book.recommended(peer, &bytes);
            book.recommended(other, &bytes);
            for _ in 0..2 {
                assert_eq!(book.addresses(&peer), std::slice::from_ref(&address));
            }
            assert!(book.addresses(&other).is_empty());
        }
        let mut book = AddressBook::default();
        book.recommended(peer, &[1, 2, 3]);
        assert!(book.addresses(&peer).is_empty());
    }

    #[test]
    fn points_are_kept_without_the_peers_id() {
        let peer = PeerId::random();
        let mut book = AddressBook::default();
        book.dialled(peer, format!("/ip4/10.0.0.1/tcp/4001/p2p/{peer}").parse().unwrap());
        assert_eq!(book.point(&peer), Some("/ip4/10.0.0.1/tcp/4001".parse().unwrap()));
    }
}
