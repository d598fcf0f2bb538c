//! P6, IP colocation (v1.1 "peer scoring"): many peers at one address lose score, since identities cost nothing and
//! addresses do.
//!
//! An IPv6 address is counted by its first 64 bits, which one host can have for itself. The number of peers of an address
//! changes when a peer connects, when its connections change, and when its score is forgotten. As in go-libp2p, a peer
//! whose score is retained still counts at its address: otherwise an attacker could take a new identity for each
//! connection and never exceed the threshold.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

use foldhash::fast::RandomState;

use super::{Scores, peer::PeerScore};
use crate::{limits::ScoreLimits, network::Network};

/// The number of addresses at which one peer is counted. The transport bounds its connections too.
const MAX_ADDRESSES: usize = 8;

/// The number of peers at each address.
#[derive(Clone, Debug, Default)]
pub(super) struct Colocation {
    /// By [`group`]. Used only for lookups, so the hash map's order reaches no output.
    peers: HashMap<IpAddr, u32, RandomState>,
}

/// The addresses that count as one: an IPv4 address alone, IPv6 addresses with the same first 64 bits.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

impl Colocation {
    /// Replaces the addresses at which a peer is counted. Of several in one group the first is stored.
    fn replace(&mut self, of_peer: &mut Vec<IpAddr>, addresses: &[IpAddr]) {
        self.remove(of_peer);
        of_peer.clear();
        for address in addresses.iter().map(IpAddr::to_canonical) {
            let is_counted = of_peer.iter().any(|other| group(*other) == group(address));
            if of_peer.len() < MAX_ADDRESSES && !is_counted {
                of_peer.push(address);
                *self.peers.entry(group(address)).or_default() += 1;
            }
        }
    }

    /// A peer with these addresses is not counted any more.
    pub(super) fn remove(&mut self, addresses: &[IpAddr]) {
        for address in addresses {
            let group = group(*address);
            if let Some(peers) = self.peers.get_mut(&group) {
                *peers -= 1;
                if *peers == 0 {
                    self.peers.remove(&group);
                }
            }
        }
    }

    /// P6 before its weight: the sum of the squares of the peers above the threshold at each address.
    fn factor<T>(&self, addresses: &[IpAddr], limits: &ScoreLimits<T>) -> f64 {
        let surplus = |address: &IpAddr| {
            let peers = self.peers.get(&group(*address)).copied().unwrap_or_default();
            let surplus = f64::from(peers) - limits.ip_colocation_threshold;
            let counts = surplus > 0.0 && !limits.is_colocation_allowed(*address);
            if counts { surplus * surplus } else { 0.0 }
        };
        if limits.ip_colocation_weight == 0.0 { 0.0 } else { addresses.iter().map(surplus).sum() }
    }

    /// Computes the factor of a peer anew.
    pub(super) fn update<P, T>(&self, score: &mut PeerScore<P>, limits: &ScoreLimits<T>) {
        score.colocation = self.factor(&score.addresses, limits);
    }

    /// Gives back memory after many addresses have gone.
    pub(super) fn shrink(&mut self) {
        if self.peers.capacity() > 4 * self.peers.len() {
            self.peers.shrink_to(2 * self.peers.len());
        }
    }
}

impl<N: Network> Scores<N> {
    /// A connected peer has connections from these addresses, in place of those before. Its own P6 follows at once, that
    /// of other peers at these addresses at the next refresh: so a connection costs the same however many peers share its
    /// address.
    pub(crate) fn set_addresses(&mut self, peer: &N::Peer, addresses: &[IpAddr]) {
        let Some(key) = self.keys.get(peer).copied() else { return };
        let score = &mut self.peers[key as usize];
        self.colocation.replace(&mut score.addresses, addresses);
        let before = score.colocation;
        self.colocation.update(score, &self.limits.score);
        if score.colocation != before {
            self.mark_changed(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(colocation: &Colocation, address: &str) -> u32 {
        colocation.peers.get(&group(address.parse().unwrap())).copied().unwrap_or_default()
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_peer_counts_once_at_each_group_of_its_addresses() {
        let mut colocation = Colocation::default();
        let (mut one, mut two) = (Vec::new(), Vec::new());
        colocation
            .replace(&mut one, &addresses(&["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8::2"]));
        colocation.replace(&mut two, &addresses(&["192.0.2.1", "2001:db8:0:1::1"]));
        let count = |colocation: &Colocation| {
            ["192.0.2.1", "2001:db8::ffff", "2001:db8:0:1::2", "192.0.2.2"].map(|it| counted(colocation, it))
        };
        assert_eq!(count(&colocation), [2, 1, 1, 0]);
        colocation.replace(&mut one, &addresses(&["192.0.2.2"]));
        assert_eq!(count(&colocation), [1, 0, 1, 1]);
        colocation.remove(&one);
        colocation.remove(&two);
        assert!(colocation.peers.is_empty(), "{colocation:?}");
    }

    #[test]
    fn the_addresses_of_one_peer_are_bounded() {
        let mut colocation = Colocation::default();
        let many: Vec<IpAddr> = (0..100).map(|n| IpAddr::from([192, 0, 2, n])).collect();
        let mut stored = Vec::new();
        colocation.replace(&mut stored, &many);
        assert_eq!((stored.as_slice(), colocation.peers.len()), (&many[..MAX_ADDRESSES], MAX_ADDRESSES));
    }
}
