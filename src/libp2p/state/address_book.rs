//! The addresses at which peers may be reached: those we dialled, those that identify reported, and those that peer
//! exchange recommended. A recommended address counts only if the recommended peer itself signed it, and nothing that
//! one peer sends replaces what is known of another before that is checked.

use std::net::{IpAddr, SocketAddr};

use ::libp2p::{Multiaddr, PeerId, core::multiaddr::Protocol};

use super::{
    address_filter::AddressFilter,
    peer_records::{VerifiedRecord, verify},
};
use crate::{libp2p::bounded_map::BoundedMap, network::PeerRecordOutcome};

/// Most peers whose addresses are known, beside direct, trusted and bootstrap peers.
const MAX_PEERS: usize = 4_096;
/// Most addresses of one peer that identify reported or a record contains.
const MAX_ADDRESSES: usize = 8;
/// Most addresses in a report of identify that are considered.
const MAX_REPORTED: usize = 64;

#[derive(Debug)]
pub(in crate::libp2p) struct AddressBook {
    /// The address of the last connection that we dialled, without `/p2p/…`.
    dialled: BoundedMap<PeerId, Multiaddr>,
    /// The listen addresses that a peer reported itself, by identify.
    listen: BoundedMap<PeerId, Vec<Multiaddr>>,
    /// The verified record of a peer with the highest sequence number.
    signed: BoundedMap<PeerId, VerifiedRecord>,
}

impl Default for AddressBook {
    fn default() -> Self {
        Self {
            dialled: BoundedMap::new(MAX_PEERS),
            listen: BoundedMap::new(MAX_PEERS),
            signed: BoundedMap::new(MAX_PEERS),
        }
    }
}

impl AddressBook {
    /// Never forgets the addresses of these peers.
    pub(in crate::libp2p) fn keep(&mut self, peers: impl IntoIterator<Item = PeerId> + Clone) {
        self.dialled.keep(peers.clone());
        self.listen.keep(peers.clone());
        self.signed.keep(peers);
    }

    /// Stores the address of a connection to `peer` that we dialled.
    pub(in crate::libp2p) fn add_dialled(&mut self, peer: PeerId, address: Multiaddr) {
        self.dialled.insert(peer, without_peer(address));
    }

    /// Stores the listen addresses that `peer` reported and that may be dialled. Returns one that may not.
    pub(in crate::libp2p) fn add_listen(
        &mut self,
        peer: PeerId,
        addresses: impl IntoIterator<Item = Multiaddr>,
        filter: AddressFilter,
    ) -> Option<Multiaddr> {
        let (allowed, refused) = allowed(addresses.into_iter().take(MAX_REPORTED), filter);
        if !allowed.is_empty() {
            self.listen.insert(peer, allowed);
        }
        refused
    }

    /// Stores one more listen address of `peer` in front of the others, if it may be dialled; otherwise returns it.
    pub(in crate::libp2p) fn add_listen_address(
        &mut self,
        peer: PeerId,
        address: Multiaddr,
        filter: AddressFilter,
    ) -> Option<Multiaddr> {
        if !filter.allows(&address) {
            return Some(address);
        }
        let mut known = self.listen.remove(&peer).unwrap_or_default();
        known.retain(|known| *known != address);
        known.insert(0, address);
        known.truncate(MAX_ADDRESSES);
        self.listen.insert(peer, known);
        None
    }

    /// Verifies the signed record that came with `peer` in a PRUNE, and stores those of its addresses that may be dialled if
    /// it is newer than what is known. Called only for peers that are to be dialled, so that a PRUNE costs a bounded number of
    /// checks. Returns with the outcome an address that may not be dialled.
    pub(in crate::libp2p) fn add_record(
        &mut self,
        peer: PeerId,
        record: &[u8],
        filter: AddressFilter,
    ) -> (PeerRecordOutcome, Option<Multiaddr>) {
        let VerifiedRecord { sequence, addresses } = match verify(&peer, record) {
            Ok(record) => record,
            Err(outcome) => return (outcome, None),
        };
        if self.signed.get(&peer).is_some_and(|known| known.sequence >= sequence) {
            return (PeerRecordOutcome::NotNewer, None);
        }
        let (addresses, refused) = allowed(addresses, filter);
        self.signed.insert(peer, VerifiedRecord { sequence, addresses });
        (PeerRecordOutcome::Stored, refused)
    }

    /// The address of the last connection to `peer` that we dialled.
    pub(in crate::libp2p) fn dialled(&self, peer: &PeerId) -> Option<Multiaddr> {
        self.dialled.get(peer).cloned()
    }

    /// The peers that we dialled and those that reported addresses of themselves, the latest first and at most `max`, with these
    /// addresses. What others recommend is left out, unless we dialled it.
    pub(in crate::libp2p) fn known_peers(&self, max: usize) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let dialled: Vec<_> = self.dialled.keys().copied().collect();
        let reported: Vec<_> =
            self.listen.keys().filter(|peer| self.dialled.get(peer).is_none()).copied().collect();
        let peers = dialled.into_iter().rev().chain(reported.into_iter().rev()).take(max);
        let addresses = |peer: &PeerId| {
            let mut addresses: Vec<_> = self.dialled.get(peer).cloned().into_iter().collect();
            let reported = self.listen.get(peer).into_iter().flatten();
            addresses.extend(reported.filter(|address| Some(*address) != self.dialled.get(peer)).cloned());
            addresses
        };
        peers.map(|peer| (peer, addresses(&peer))).collect()
    }

    /// All addresses at which `peer` may be dialled, the most reliable first.
    pub(in crate::libp2p) fn addresses(&mut self, peer: &PeerId) -> Vec<Multiaddr> {
        let mut found: Vec<_> = self.dialled.touch(peer).cloned().into_iter().collect();
        found.extend(self.listen.touch(peer).into_iter().flatten().map(|address| address.clone()));
        found.extend(self.signed.touch(peer).into_iter().flat_map(|signed| signed.addresses.clone()));
        found
    }
}

/// The first addresses that may be dialled, so that others don't use up their room, and one that may not.
fn allowed(
    addresses: impl IntoIterator<Item = Multiaddr>,
    filter: AddressFilter,
) -> (Vec<Multiaddr>, Option<Multiaddr>) {
    let (mut allowed, refused): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| filter.allows(address));
    allowed.truncate(MAX_ADDRESSES);
    (allowed, refused.into_iter().next())
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
    use ::libp2p::{core::PeerRecord, identity::Keypair};

    use super::*;

    fn add_record(book: &mut AddressBook, peer: PeerId, record: &[u8]) -> PeerRecordOutcome {
        book.add_record(peer, record, AddressFilter::Any).0
    }

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
    fn only_a_record_that_the_peer_signed_is_used_and_the_newest_one_wins() {
        let (key, other) = (Keypair::generate_ed25519(), Keypair::generate_ed25519());
        let peer = key.public().to_peer_id();
        let record = |key: &Keypair, port: u16| {
            let address = format!("/ip4/8.8.8.8/tcp/{port}").parse().unwrap();
            let record = PeerRecord::new_interop(key, vec![address]).unwrap();
            (record.seq(), record.into_signed_envelope().into_protobuf_encoding())
        };
        let (first, old) = record(&key, 1);
        // The sequence number is the time, in seconds.
        let (_, new) = std::iter::repeat_with(|| record(&key, 2)).find(|(next, _)| *next > first).unwrap();
        let port = |book: &mut AddressBook| {
            let found = book.addresses(&peer);
            found.first().and_then(socket_address).map(|address| address.port())
        };
        for order in [[&old, &new], [&new, &old]] {
            let mut book = AddressBook::default();
            for record in order {
                add_record(&mut book, peer, record);
                // A record of another peer and an unsigned one change nothing.
                assert_eq!(add_record(&mut book, peer, &other_record(&other)), PeerRecordOutcome::OtherPeer);
                assert_eq!(add_record(&mut book, peer, b"garbage"), PeerRecordOutcome::Malformed);
            }
            assert_eq!(port(&mut book), Some(2));
        }
    }

    fn other_record(key: &Keypair) -> Vec<u8> {
        let record = PeerRecord::new_interop(key, vec!["/ip4/8.8.8.8/tcp/3".parse().unwrap()]).unwrap();
        record.into_signed_envelope().into_protobuf_encoding()
    }

    #[test]
    fn what_others_report_is_filtered_and_what_was_dialled_is_not() {
        let (key, private) =
            (Keypair::generate_ed25519(), "/ip4/10.0.0.1/tcp/22".parse::<Multiaddr>().unwrap());
        let peer = key.public().to_peer_id();
        let global: Multiaddr = "/ip4/8.8.8.8/tcp/4001".parse().unwrap();
        let mut book = AddressBook::default();
        // The private ones don't use up the room of the others.
        let reported = || std::iter::repeat_n(private.clone(), 20).chain([global.clone()]);
        assert_eq!(book.add_listen(peer, reported(), AddressFilter::Global), Some(private.clone()));
        let record = PeerRecord::new_interop(&key, reported().collect()).unwrap();
        let record = record.into_signed_envelope().into_protobuf_encoding();
        let stored = (PeerRecordOutcome::Stored, Some(private.clone()));
        assert_eq!(book.add_record(peer, &record, AddressFilter::Global), stored);
        // The same record again is not a second report of addresses.
        let known = (PeerRecordOutcome::NotNewer, None);
        assert_eq!(book.add_record(peer, &record, AddressFilter::Global), known);
        assert_eq!(book.addresses(&peer), [global.clone(), global]);
        book.add_dialled(peer, private.clone());
        assert_eq!(book.addresses(&peer)[0], private);
    }

    #[test]
    fn addresses_that_come_one_by_one_add_up() {
        let (peer, mut book) = (PeerId::random(), AddressBook::default());
        let address = |port: usize| format!("/ip4/8.8.8.8/tcp/{port}").parse::<Multiaddr>().unwrap();
        for port in [1, 2, 1] {
            assert_eq!(book.add_listen_address(peer, address(port), AddressFilter::Global), None);
        }
        assert_eq!(book.addresses(&peer), [address(1), address(2)]);
        let private: Multiaddr = "/ip4/10.0.0.1/tcp/22".parse().unwrap();
        let refused = book.add_listen_address(peer, private.clone(), AddressFilter::Global);
        assert_eq!(refused, Some(private));
        (3..20).for_each(|port| drop(book.add_listen_address(peer, address(port), AddressFilter::Any)));
        assert_eq!(book.addresses(&peer).len(), MAX_ADDRESSES);
    }

    #[test]
    fn addresses_of_kept_peers_are_never_forgotten_and_used_ones_last() {
        let [kept, used, other] = std::array::from_fn(|_| PeerId::random());
        let address: Multiaddr = "/ip4/8.8.8.8/tcp/4001".parse().unwrap();
        let mut book = AddressBook::default();
        book.keep([kept]);
        [kept, used, other].into_iter().for_each(|peer| book.add_dialled(peer, address.clone()));
        for _ in 0..MAX_PEERS - 1 {
            assert_eq!(book.addresses(&used).len(), 1);
            book.add_dialled(PeerId::random(), address.clone());
        }
        assert!(book.dialled(&used).is_some() && book.dialled(&kept).is_some());
        assert_eq!(book.dialled(&other), None);
    }

    #[test]
    fn known_peers_are_those_that_were_dialled_or_reported_themselves() {
        let mut book = AddressBook::default();
        let address = |port: usize| format!("/ip4/8.8.8.8/tcp/{port}").parse::<Multiaddr>().unwrap();
        let key = Keypair::generate_ed25519();
        let (recommended, record) = (key.public().to_peer_id(), other_record(&key));
        assert_eq!(add_record(&mut book, recommended, &record), PeerRecordOutcome::Stored);
        let [first, second, reported] = std::array::from_fn(|_| PeerId::random());
        book.add_dialled(first, address(1));
        book.add_dialled(second, address(2));
        book.add_listen(second, [address(2), address(3)], AddressFilter::Global);
        book.add_listen(reported, [address(4)], AddressFilter::Global);
        let known =
            [(second, vec![address(2), address(3)]), (first, vec![address(1)]), (reported, vec![address(4)])];
        assert_eq!(book.known_peers(10), known);
        assert_eq!(book.known_peers(1), known[..1]);
    }

    #[test]
    fn dialled_addresses_are_stored_without_the_peer_id() {
        let peer = PeerId::random();
        let mut book = AddressBook::default();
        book.add_dialled(peer, format!("/ip4/10.0.0.1/tcp/4001/p2p/{peer}").parse().unwrap());
        assert_eq!(book.dialled(&peer), Some("/ip4/10.0.0.1/tcp/4001".parse().unwrap()));
    }
}
