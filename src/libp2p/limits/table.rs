//! The open connections and the decisions on new ones. Pure: addresses, scores and the time are arguments.
//!
//! A connection is pending until its peer is identified. Then it counts on the system and on its peer. The addresses of
//! inbound connections are counted from the beginning.

use std::{collections::HashMap, net::IpAddr, time::Instant};

use ::libp2p::{PeerId, swarm::ConnectionId};

use super::{
    config::ConnectionLimits,
    scope::{Cost, Usage},
    subnets::Subnets,
};
use crate::network::ConnectionRefusal;

/// Most connections that close at a time because they gave way. A connection may take the write timeout to close, and
/// the one that it gave way to is open meanwhile.
const MAX_GIVING_WAY: usize = 32;

/// Where a connection comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    /// `None` for names, relayed addresses and transports without IP.
    pub(super) ip: Option<IpAddr>,
    /// Whether the connection has a socket of its own.
    pub(super) has_socket: bool,
}

/// The priority of a peer when the system is full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum PeerPriority {
    /// A direct, trusted or bootstrap peer: it is always admitted, and another connection gives way.
    Privileged,
    /// If it is above 0, an inbound connection of a peer with a lower score gives way. 0 if the peer has no score.
    Score(f64),
}

/// One connection.
#[derive(Debug)]
struct Entry {
    cost: Cost,
    /// The address that it is counted on.
    ip: Option<IpAddr>,
    /// Set once the peer is identified.
    peer: Option<(PeerId, PeerPriority)>,
    /// Another connection must close for this one.
    needs_room: bool,
    /// It is closing for another one.
    gives_way: bool,
}

#[derive(Debug)]
pub(super) struct ConnectionTable {
    limits: ConnectionLimits,
    connections: HashMap<ConnectionId, Entry>,
    system: Usage,
    pending: Usage,
    peers: HashMap<PeerId, Usage>,
    subnets: Subnets,
    giving_way: usize,
}

impl ConnectionTable {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        let subnets = Subnets::new(limits.ipv4.clone(), limits.ipv6.clone(), limits.max_subnets);
        Self {
            limits,
            connections: HashMap::new(),
            system: Usage::default(),
            pending: Usage::default(),
            peers: HashMap::new(),
            subnets,
            giving_way: 0,
        }
    }

    /// A peer connects to us. Its id is not known yet.
    pub(super) fn add_inbound(
        &mut self,
        id: ConnectionId,
        remote: Remote,
        now: Instant,
    ) -> Result<(), ConnectionRefusal> {
        let cost = self.cost(true, remote);
        self.check_pending(cost)?;
        let exempt = |ip: &IpAddr| self.limits.exempt_loopback && ip.is_loopback();
        let ip = remote.ip.map(|ip| ip.to_canonical()).filter(|ip| !exempt(ip));
        if let Some(ip) = ip {
            self.subnets.add(ip, now)?;
        }
        self.insert_pending(id, cost, ip);
        Ok(())
    }

    /// We are about to dial. `priority` is that of the peer, if it is known. `recommended`: another peer recommended it
    /// (px), so that the reserve for our dials is not for it.
    pub(super) fn add_outbound(
        &mut self,
        id: ConnectionId,
        priority: Option<PeerPriority>,
        recommended: bool,
    ) -> Result<(), ConnectionRefusal> {
        // The address that answers is known later.
        let cost = self.cost(false, Remote { ip: None, has_socket: true });
        if priority != Some(PeerPriority::Privileged) {
            self.check_pending(cost)?;
            self.system.check(cost, &self.limits.system)?;
            if recommended && self.system.connections() >= self.limits.system.inbound {
                return Err(ConnectionRefusal::PxBudget);
            }
        }
        self.insert_pending(id, cost, None);
        Ok(())
    }

    /// The peer of a pending connection is identified. `score` returns the scores of other peers, infinity if one is
    /// privileged now.
    pub(super) fn identify(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        priority: PeerPriority,
        score: impl Fn(&PeerId) -> f64,
    ) -> Result<(), ConnectionRefusal> {
        let Some(cost) = self.connections.get(&id).map(|entry| entry.cost) else { return Ok(()) };
        let of_peer = self.peers.get(&peer).copied().unwrap_or_default();
        of_peer.check(cost, &self.limits.peer).map_err(|_| ConnectionRefusal::Peer)?;
        // The connection has its file descriptor and its memory already.
        let added = Cost { file_descriptors: 0, memory: 0, ..cost };
        let fits = self.system.with_resources_of(&self.pending).check(added, &self.limits.system);
        let needs_room = fits.is_err();
        if let Err(full) = fits {
            match priority {
                PeerPriority::Privileged => {}
                PeerPriority::Score(own) if self.lowest_inbound(own, id, &score).is_some() => {}
                PeerPriority::Score(_) => return Err(full),
            }
        }
        self.pending.remove(cost);
        self.system.add(cost);
        self.peers.entry(peer).or_default().add(cost);
        if let Some(entry) = self.connections.get_mut(&id) {
            entry.peer = Some((peer, priority));
            entry.needs_room = needs_room;
        }
        Ok(())
    }

    /// A connection is established: no one refused it. Returns the connection that must close for it.
    pub(super) fn on_established(
        &mut self,
        id: ConnectionId,
        score: impl Fn(&PeerId) -> f64,
    ) -> Option<(PeerId, ConnectionId)> {
        let entry = self.connections.get_mut(&id)?;
        if !std::mem::take(&mut entry.needs_room) {
            return None;
        }
        let below = match entry.peer?.1 {
            PeerPriority::Privileged => f64::INFINITY,
            PeerPriority::Score(own) => own,
        };
        let (peer, victim) = self.lowest_inbound(below, id, &score)?;
        self.connections.get_mut(&victim)?.gives_way = true;
        self.giving_way += 1;
        Some((peer, victim))
    }

    /// A connection was closed, refused, or failed.
    pub(super) fn remove(&mut self, id: ConnectionId) {
        let Some(Entry { cost, ip, peer, gives_way, .. }) = self.connections.remove(&id) else { return };
        self.giving_way -= usize::from(gives_way);
        if let Some(ip) = ip {
            self.subnets.remove(ip);
        }
        let Some((peer, _)) = peer else { return self.pending.remove(cost) };
        self.system.remove(cost);
        if let Some(usage) = self.peers.get_mut(&peer) {
            usage.remove(cost);
            if usage.is_empty() {
                self.peers.remove(&peer);
            }
        }
    }

    /// The inbound connection whose peer has the lowest score, if that is below `limit`, which must be above 0. Of equal
    /// ones the latest: peers that connected last have shown the least. Privileged peers, whose score is infinite, closing
    /// connections and that of the `newcomer` don't count.
    fn lowest_inbound(
        &self,
        limit: f64,
        newcomer: ConnectionId,
        score: &impl Fn(&PeerId) -> f64,
    ) -> Option<(PeerId, ConnectionId)> {
        if limit <= 0.0 || self.giving_way >= MAX_GIVING_WAY {
            return None;
        }
        let candidates = self.connections.iter().filter_map(|(id, entry)| match entry.peer {
            Some((peer, _)) if entry.cost.inbound && !entry.gives_way && *id != newcomer => {
                Some((score(&peer), *id, peer))
            }
            _ => None,
        });
        let lowest = candidates.min_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        lowest.filter(|(lowest, ..)| *lowest < limit).map(|(_, id, peer)| (peer, id))
    }

    fn check_pending(&self, cost: Cost) -> Result<(), ConnectionRefusal> {
        self.pending.check(cost, &self.limits.pending).map_err(|_| ConnectionRefusal::Pending)?;
        let in_total = Usage::default().with_resources_of(&self.system).with_resources_of(&self.pending);
        in_total.check(cost, &self.limits.system)
    }

    fn insert_pending(&mut self, id: ConnectionId, cost: Cost, ip: Option<IpAddr>) {
        self.pending.add(cost);
        let entry = Entry { cost, ip, peer: None, needs_room: false, gives_way: false };
        self.connections.insert(id, entry);
    }

    fn cost(&self, inbound: bool, remote: Remote) -> Cost {
        let file_descriptors = u32::from(remote.has_socket);
        Cost { inbound, file_descriptors, memory: self.limits.connection_memory }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn table(connections: u32, inbound: u32) -> ConnectionTable {
        ConnectionTable::new(ConnectionLimits::default().with(|c| {
            c.system.connections = connections;
            c.system.inbound = inbound;
        }))
    }

    fn id(n: usize) -> ConnectionId {
        ConnectionId::new_unchecked(n)
    }

    fn tcp(ip: [u8; 4]) -> Remote {
        Remote { ip: Some(ip.into()), has_socket: true }
    }

    /// Connects peer `n` from an address of its own.
    fn connect(
        table: &mut ConnectionTable,
        n: usize,
        priority: PeerPriority,
        score: impl Fn(&PeerId) -> f64 + Copy,
    ) -> Result<Option<(PeerId, ConnectionId)>, ConnectionRefusal> {
        let [.., high, low] = n.to_be_bytes();
        table.add_inbound(id(n), tcp([10, 0, high, low]), Instant::now())?;
        let admitted = table.identify(id(n), PeerId::random(), priority, score);
        if admitted.is_err() {
            table.remove(id(n));
        }
        admitted.map(|()| table.on_established(id(n), score))
    }

    fn is_empty(table: &ConnectionTable) -> bool {
        table.connections.is_empty()
            && table.peers.is_empty()
            && (table.system, table.pending) == Default::default()
            && table.subnets.sizes().0 == 0
    }

    #[test]
    fn silent_connections_of_one_address_leave_pending_slots_to_others() {
        let (mut table, start) = (table(1_024, 896), Instant::now());
        // 900 a second from one address, each closed after 10 s. Every 200 ms another address connects.
        let (mut refused, mut admitted) = (0, 0);
        for n in 0..18_000 {
            let now = start + Duration::from_micros(n * 1_111);
            refused += usize::from(table.add_inbound(id(n as usize), tcp([10, 0, 0, 1]), now).is_err());
            if n % 180 == 0 {
                let other = tcp([10, 1, 0, (n / 180) as u8]);
                admitted += usize::from(table.add_inbound(id(100_000 + n as usize), other, now).is_ok());
            }
            if n >= 9_000 {
                table.remove(id(n as usize - 9_000));
            }
        }
        // 8 of the address are admitted, and 8 others when these have closed.
        assert_eq!((admitted, 18_000 - refused), (100, 16));
    }

    #[test]
    fn inbound_connections_leave_a_reserve_for_our_dials() {
        let mut table = table(20, 16);
        let score = |_: &PeerId| 0.0;
        for n in 0..16 {
            assert_eq!(connect(&mut table, n, PeerPriority::Score(0.0), score), Ok(None));
        }
        assert_eq!(connect(&mut table, 16, PeerPriority::Score(0.0), score), Err(ConnectionRefusal::Inbound));
        assert_eq!(table.add_outbound(id(19), None, true), Err(ConnectionRefusal::PxBudget));
        for n in 20..24 {
            assert_eq!(table.add_outbound(id(n), None, false), Ok(()));
            assert_eq!(table.identify(id(n), PeerId::random(), PeerPriority::Score(0.0), score), Ok(()));
        }
        assert_eq!(table.add_outbound(id(24), None, false), Err(ConnectionRefusal::Connections));
        assert_eq!(table.add_outbound(id(24), Some(PeerPriority::Privileged), false), Ok(()));
        (0..25).for_each(|n| table.remove(id(n)));
        assert!(is_empty(&table));
    }

    #[test]
    fn the_inbound_connection_with_the_lowest_score_gives_way() {
        let mut table = table(4, 3);
        let peers: Vec<_> = (0..3).map(|_| PeerId::random()).collect();
        let score = |peer: &PeerId| peers.iter().position(|known| known == peer).map_or(5.0, |n| n as f64);
        for (n, peer) in peers.iter().enumerate() {
            table.add_inbound(id(n), tcp([10, 0, 0, n as u8]), Instant::now()).unwrap();
            table.identify(id(n), *peer, PeerPriority::Score(score(peer)), score).unwrap();
            assert_eq!(table.on_established(id(n), score), None);
        }
        // A peer without a score and one whose score is no better are refused.
        for own in [0.0, -1.0] {
            assert_eq!(
                connect(&mut table, 3, PeerPriority::Score(own), score),
                Err(ConnectionRefusal::Inbound)
            );
        }
        assert_eq!(connect(&mut table, 4, PeerPriority::Score(0.5), score), Ok(Some((peers[0], id(0)))));
        // It closes already: the next one gives way to a trusted peer.
        assert_eq!(connect(&mut table, 5, PeerPriority::Privileged, score), Ok(Some((peers[1], id(1)))));
        assert_eq!(
            connect(&mut table, 6, PeerPriority::Score(1.0), score),
            Err(ConnectionRefusal::Connections)
        );
        (0..7).for_each(|n| table.remove(id(n)));
        assert!(is_empty(&table) && table.giving_way == 0);
    }

    #[test]
    fn a_trusted_peer_is_admitted_even_if_nothing_can_give_way() {
        let mut table = table(2, 1);
        let privileged = |_: &PeerId| f64::INFINITY;
        for n in 0..5 {
            assert_eq!(connect(&mut table, n, PeerPriority::Privileged, privileged), Ok(None));
        }
        let refused = connect(&mut table, 5, PeerPriority::Score(9.0), privileged);
        assert_eq!(refused, Err(ConnectionRefusal::Connections));
    }

    #[test]
    fn a_connection_of_a_peer_that_ceased_to_be_privileged_gives_way_as_any_other() {
        let mut table = table(1, 1);
        let privileged = |_: &PeerId| f64::INFINITY;
        assert_eq!(connect(&mut table, 0, PeerPriority::Privileged, privileged), Ok(None));
        let gave_way = connect(&mut table, 1, PeerPriority::Privileged, |_| 0.0).unwrap();
        assert_eq!(gave_way.map(|(_, connection)| connection), Some(id(0)));
    }

    #[test]
    fn one_peer_has_4_connections() {
        let (mut table, peer) = (table(1_024, 896), PeerId::random());
        let score = |_: &PeerId| 0.0;
        for n in 0..5 {
            table.add_inbound(id(n), tcp([10, 0, 0, n as u8]), Instant::now()).unwrap();
            let admitted = table.identify(id(n), peer, PeerPriority::Privileged, score);
            assert_eq!(admitted, if n < 4 { Ok(()) } else { Err(ConnectionRefusal::Peer) });
        }
    }

    #[test]
    fn pending_connections_use_no_slot_of_an_identified_one() {
        let mut table = table(4, 4);
        for n in 0..256 {
            table.add_inbound(id(n), tcp([10, 0, 1, n as u8]), Instant::now()).unwrap();
        }
        let full = table.add_inbound(id(256), tcp([10, 0, 2, 0]), Instant::now());
        assert_eq!(full, Err(ConnectionRefusal::Pending));
        // Our own dials still have pending slots.
        assert_eq!(table.add_outbound(id(257), None, false), Ok(()));
        assert_eq!(table.identify(id(257), PeerId::random(), PeerPriority::Score(0.0), |_| 0.0), Ok(()));
    }

    #[test]
    fn loopback_is_exempt_unless_the_switch_is_off() {
        for (exempt_loopback, expected) in [(true, 100), (false, 8)] {
            let limits = ConnectionLimits::default().with(|c| c.exempt_loopback = exempt_loopback);
            let mut table = ConnectionTable::new(limits);
            let mapped = Remote { ip: Some("::ffff:127.0.0.1".parse().unwrap()), has_socket: true };
            let admitted = (0..100).filter(|n| table.add_inbound(id(*n), mapped, Instant::now()).is_ok());
            assert_eq!(admitted.count(), expected);
        }
    }
}
