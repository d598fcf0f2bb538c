//! The addresses at which peers may be reached: those we dialled, those that identify reported, and those that peer
//! exchange recommended. A recommended address counts only if the recommended peer itself signed it.

use std::net::{IpAddr, SocketAddr};

use ::libp2p::{
    Multiaddr, PeerId,
    core::{PeerRecord, SignedEnvelope, multiaddr::Protocol},
};

use crate::libp2p::{bounded_map::BoundedMap, codec::limits::MAX_PEER_RECORD};

/// Most peers in each of the three maps.
const MAX_PEERS: usize = 4_096;
/// Most addresses of one peer that identify reported or a record contains.
const MAX_ADDRESSES: usize = 8;

#[derive(Debug)]
pub(in crate::libp2p) struct AddressBook {
    /// The address of the last connection that we dialled, without `/p2p/…`.
    dialled: BoundedMap<PeerId, Multiaddr>,
    /// The listen addresses that a peer reported itself, by identify or in a verified record.
    listen: BoundedMap<PeerId, Vec<Multiaddr>>,
    /// Signed records, not yet verified: that happens when we dial the peer. A map of their own, so that a peer that
    /// recommends thousands of others evicts only other recommendations.
    records: BoundedMap<PeerId, Box<[u8]>>,
}

impl Default for AddressBook {
    fn default() -> Self {
        Self {
            dialled: BoundedMap::new(MAX_PEERS),
            listen: BoundedMap::new(MAX_PEERS),
            records: BoundedMap::new(MAX_PEERS),
        }
    }
}

impl AddressBook {
    /// Stores the address of a connection to `peer` that we dialled.
    pub(in crate::libp2p) fn add_dialled(&mut self, peer: PeerId, address: Multiaddr) {
        self.dialled.insert(peer, without_peer(address));
    }

    /// Stores the listen addresses that `peer` reported.
    pub(in crate::libp2p) fn add_listen(
        &mut self,
        peer: PeerId,
        addresses: impl IntoIterator<Item = Multiaddr>,
    ) {
        self.listen.insert(peer, addresses.into_iter().take(MAX_ADDRESSES).collect());
    }

    /// Stores the signed record that recommends `peer` in a PRUNE.
    pub(in crate::libp2p) fn add_record(&mut self, peer: PeerId, record: &[u8]) {
        if record.len() <= MAX_PEER_RECORD {
            self.records.insert(peer, record.into());
        }
    }

    /// The address of the last connection to `peer` that we dialled.
    pub(in crate::libp2p) fn dialled(&self, peer: &PeerId) -> Option<Multiaddr> {
        self.dialled.get(peer).cloned()
    }

    /// All addresses at which `peer` may be reached, the most reliable first.
    pub(in crate::libp2p) fn addresses(&mut self, peer: &PeerId) -> Vec<Multiaddr> {
        let mut found: Vec<Multiaddr> = self.dialled(peer).into_iter().collect();
        found.extend(self.listen.get(peer).into_iter().flatten().cloned());
        if let Some(record) = self.records.remove(peer) {
            let signed = signed_addresses(peer, &record);
            // A verified record is as reliable as a report by identify, and is not verified again.
            if self.listen.get(peer).is_none() && !signed.is_empty() {
                self.listen.insert(*peer, signed.clone());
            }
            found.extend(signed);
        }
        found
    }
}

/// The addresses in a record, if `peer` signed it. Peers use two signature domains: both are tried.
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

/// `address` without a peer id at its end, the form in which addresses are compared.
pub(in crate::libp2p) fn without_peer(mut address: Multiaddr) -> Multiaddr {
    if let Some(Protocol::P2p(_)) = address.iter().last() {
        address.pop();
    }
    address
}

/// The IP address and port at the start of `address`. `None` for names, relayed addresses and other transports.
pub(in crate::libp2p) fn socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    let mut protocols = address.iter();
    let ip = match protocols.next()? {
        Protocol::Ip4(ip) => IpAddr::from(ip),
        Protocol::Ip6(ip) => IpAddr::from(ip),
        _ => return None,
    };
    let (Protocol::Tcp(port) | Protocol::Udp(port)) = protocols.next()? else { return None };
    let relayed = protocols.any(|protocol| protocol == Protocol::P2pCircuit);
    (!relayed).then(|| SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use ::libp2p::identity::Keypair;

    use super::*;

    #[test]
    fn only_an_ip_with_a_port_is_a_socket_address() {
        let relay = PeerId::random();
        let of = |address: &str| socket_address(&address.parse().unwrap());
        assert_eq!(of("/ip4/10.0.0.1/tcp/4001"), Some(([10, 0, 0, 1], 4001).into()));
        assert_eq!(of("/ip6/::1/udp/4001/quic-v1"), Some("[::1]:4001".parse().unwrap()));
        assert_eq!(of("/dns4/example.org/tcp/4001"), None);
        assert_eq!(of("/ip4/10.0.0.1"), None);
        assert_eq!(of(&format!("/ip4/10.0.0.1/tcp/4001/p2p/{relay}/p2p-circuit")), None);
    }

    #[test]
    fn only_a_record_that_the_peer_signed_is_used() {
        let (key, other) = (Keypair::generate_ed25519(), PeerId::random());
        let peer = key.public().to_peer_id();
        let address: Multiaddr = "/ip4/10.0.0.1/tcp/4001".parse().unwrap();
        for record in [
            PeerRecord::new_interop(&key, vec![address.clone()]).unwrap(),
            PeerRecord::new(&key, vec![address.clone()]).unwrap(),
        ] {
            let bytes = record.into_signed_envelope().into_protobuf_encoding();
            let mut book = AddressBook::default();
            book.add_record(peer, &bytes);
            book.add_record(other, &bytes);
            for _ in 0..2 {
                assert_eq!(book.addresses(&peer), std::slice::from_ref(&address));
            }
            assert!(book.addresses(&other).is_empty());
        }
        let mut book = AddressBook::default();
        book.add_record(peer, &[1, 2, 3]);
        assert!(book.addresses(&peer).is_empty());
    }

    #[test]
    fn dialled_addresses_are_stored_without_the_peer_id() {
        let peer = PeerId::random();
        let mut book = AddressBook::default();
        book.add_dialled(peer, format!("/ip4/10.0.0.1/tcp/4001/p2p/{peer}").parse().unwrap());
        assert_eq!(book.dialled(&peer), Some("/ip4/10.0.0.1/tcp/4001".parse().unwrap()));
    }
}
