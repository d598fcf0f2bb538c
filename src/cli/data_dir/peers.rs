//! The known peers of a node with their addresses: those that are connected come first. They are dialled at the next start.

use std::collections::BTreeSet;

use libp2p::{Multiaddr, PeerId};
use serde::{Deserialize, Serialize};

use super::file::Stored;

/// Most peers that are stored.
const MAX_PEERS: usize = 256;
/// Most addresses of a peer that are stored.
const MAX_ADDRESSES: usize = 8;
/// Longest address that is stored, in bytes.
const MAX_ADDRESS: usize = 256;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredPeers {
    peers: Vec<KnownPeer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownPeer {
    pub peer: PeerId,
    /// The most reliable first.
    pub addresses: Vec<Multiaddr>,
}

impl Stored for StoredPeers {
    const FILE: &'static str = "peers.json";
    const WITHOUT: &'static str = "the peers that it knew: it dials those of network.dial alone";
}

impl StoredPeers {
    /// The first peers, the connected ones before the others.
    pub fn new(known: Vec<(PeerId, Vec<Multiaddr>)>, connected: &BTreeSet<PeerId>) -> Self {
        let (mut first, others): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|(peer, _)| connected.contains(peer));
        first.extend(others);
        let peers = first.into_iter().filter_map(|(peer, mut addresses)| {
            addresses.retain(|address| address.len() <= MAX_ADDRESS);
            addresses.truncate(MAX_ADDRESSES);
            (!addresses.is_empty()).then_some(KnownPeer { peer, addresses })
        });
        Self { peers: peers.take(MAX_PEERS).collect() }
    }

    /// These peers, and as many of those that the former process knew as there is room for: a process that reached none of them
    /// must not forget them.
    pub fn with_former(mut self, former: &[KnownPeer]) -> Self {
        let known: BTreeSet<_> = self.peers.iter().map(|known| known.peer).collect();
        let others = former.iter().filter(|former| !known.contains(&former.peer)).cloned();
        self.peers.extend(others.take(MAX_PEERS - known.len()));
        self
    }

    /// The peers to dial. The bounds apply to a file of any origin.
    pub fn into_peers(self, local: PeerId) -> impl ExactSizeIterator<Item = KnownPeer> {
        let known = self.peers.into_iter().map(|known| (known.peer, known.addresses));
        let others = known.filter(|(peer, _)| *peer != local).collect();
        Self::new(others, &BTreeSet::new()).peers.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(count: usize) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let address = |port: usize| format!("/ip4/8.8.8.8/tcp/{port}").parse().unwrap();
        (0..count).map(|port| (PeerId::random(), vec![address(port)])).collect()
    }

    #[test]
    fn the_peers_of_a_former_process_are_kept_while_there_is_room() {
        let former = StoredPeers::new(known(3), &BTreeSet::new()).peers;
        let reached_none = StoredPeers::default().with_former(&former);
        assert_eq!(reached_none.peers, former);
        let again = vec![(former[1].peer, former[0].addresses.clone())];
        let merged = StoredPeers::new(again, &BTreeSet::new()).with_former(&former).peers;
        let peers: Vec<_> = merged.iter().map(|known| known.peer).collect();
        assert_eq!(peers, [1, 0, 2].map(|index| former[index].peer));
        assert_eq!(merged[0].addresses, former[0].addresses);
        let full = StoredPeers::new(known(MAX_PEERS), &BTreeSet::new());
        assert_eq!(full.clone().with_former(&former), full);
    }

    #[test]
    fn connected_peers_come_first_and_all_is_bounded() {
        let mut known = known(2 * MAX_PEERS);
        let last = known.last().unwrap().0;
        known[0].1 = vec![known[0].1[0].clone(); 100];
        let long = format!("/dns4/{}/tcp/1", "a".repeat(MAX_ADDRESS));
        known[1].1 = vec![long.parse().unwrap()];
        let stored = StoredPeers::new(known.clone(), &[last].into());
        assert_eq!(stored.peers.len(), MAX_PEERS);
        assert_eq!((stored.peers[0].peer, stored.peers[1].peer), (last, known[0].0));
        assert_eq!(stored.peers[1].addresses.len(), MAX_ADDRESSES);
        // The second one has no address that is short enough.
        assert_eq!(stored.peers[2].peer, known[2].0);
        // A node does not dial itself.
        assert_eq!(stored.into_peers(last).len(), MAX_PEERS - 1);
    }
}
