//! The maps that every thread of an engine may read without asking an actor: each peer's connection, score and
//! IDONTWANT ids. Methods release a map's guard before they send to an actor, except where a comment gives the reason.

pub(crate) mod connection;
pub(crate) mod limits;
pub(crate) mod missed;
mod quotas;

use std::sync::{
    Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use dashmap::{DashMap, Entry, mapref::multiple::RefMulti};
use foldhash::fast::RandomState;

use self::{connection::ConnectionRecord, missed::MissedByPeer};
use crate::{
    admission::{
        Admission, CreditOwner,
        refused::Refused,
        totals::{Remembered, Totals},
    },
    limits::Limits,
    network::{ConnectionInfo, Network},
    protocol::{
        connection::{ConnectionId, ConnectionIndex},
        exchange::peer_view::{PeerStatus, PeerView},
        inspect::footprint::Footprint,
        outcome::IDontWantOutcome,
        peers::idontwant::PeerIDontWant,
        quota::Quota,
    },
};

/// The shared maps of one engine.
pub(crate) struct Directory<N: Network> {
    /// The last connection of each peer that is connected or whose score is remembered.
    peers: DashMap<N::Peer, Arc<ConnectionRecord>, RandomState>,
    /// The connected peers by connection id. Written when a peer connects or disconnects; read when gossip leaves the
    /// p2p stream and when a topic selects peers.
    peers_by_connection: RwLock<ConnectionIndex<N::Peer>>,
    /// The quotas that peers have used in the current heartbeat.
    heartbeat_quotas: DashMap<N::Peer, Quota, RandomState>,
    /// The number of times that the quotas were reset.
    heartbeat_epoch: AtomicU64,
    /// The peers of which the application decided whether they are direct peers.
    direct: DashMap<N::Peer, bool, RandomState>,
    /// The ids that connected peers sent in IDONTWANT.
    idontwant: DashMap<N::Peer, PeerIDontWant<N>, RandomState>,
    /// The number of ids in `idontwant`: while it is 0, nothing is looked up there.
    idontwant_ids: AtomicUsize,
    /// The messages that connected peers were not sent because a queue was full.
    missed: MissedByPeer<N>,
    /// The limit of what is stored for peers.
    totals: Totals,
    /// The topics of the messages in the history, if message ids do not name their topics
    /// ([`Network::topic_of`]).
    topic_by_message_id: DashMap<N::MessageId, N::Topic, RandomState>,
    /// The minimum score of all peers, as f64 bits.
    min_score: AtomicU64,
    /// The number of connections so far, from which connection ids are made.
    generations: AtomicU64,
    connected: AtomicUsize,
    admission: Arc<Admission>,
    /// The credit owner of the inputs of all peers without a connection.
    unconnected: Arc<CreditOwner>,
}

impl<N: Network> Directory<N> {
    pub(crate) fn new(admission: Arc<Admission>, totals: Totals) -> Self {
        Self {
            peers: DashMap::default(),
            peers_by_connection: RwLock::default(),
            heartbeat_quotas: DashMap::default(),
            heartbeat_epoch: AtomicU64::new(0),
            direct: DashMap::default(),
            idontwant: DashMap::default(),
            idontwant_ids: AtomicUsize::new(0),
            missed: MissedByPeer::new(totals.clone()),
            totals,
            topic_by_message_id: DashMap::default(),
            min_score: AtomicU64::new(f64::NEG_INFINITY.to_bits()),
            generations: AtomicU64::new(0),
            connected: AtomicUsize::new(0),
            unconnected: Arc::new(CreditOwner::new(Arc::clone(&admission))),
            admission,
        }
    }

    // === Connections ===

    /// The number of connected peers.
    pub(crate) fn connected(&self) -> usize {
        self.connected.load(Ordering::Acquire)
    }

    /// The current connection of `peer`, if it is connected.
    pub(crate) fn connection(&self, peer: &N::Peer) -> Option<Arc<ConnectionRecord>> {
        let record = self.peers.get(peer)?;
        record.is_connected().then(|| Arc::clone(&record))
    }

    /// The credit owner of the inputs of `peer`.
    ///
    /// # Errors
    /// The peer is graylisted.
    pub(crate) fn credit_owner(&self, peer: &N::Peer) -> Result<Arc<CreditOwner>, Refused> {
        match self.peers.get(peer) {
            Some(record) if record.is_graylisted() => Err(Refused::Graylisted),
            Some(record) if record.is_connected() => Ok(Arc::clone(record.credit_owner())),
            _ => Ok(Arc::clone(&self.unconnected)),
        }
    }

    /// Whether nothing that `peer` sends is handled.
    pub(crate) fn is_graylisted(&self, peer: &N::Peer) -> bool {
        self.peers.get(peer).is_some_and(|record| record.is_graylisted())
    }

    /// The status of a peer without a connection, whose score may be remembered.
    pub(crate) fn status_of_disconnected(&self, peer: &N::Peer) -> PeerStatus {
        let score = self.peers.get(peer).and_then(|record| record.score());
        PeerStatus { connection_id: None, direct: false, score }
    }

    /// Adds a connection of `peer`, unless it is connected already. Calls `send` with the id of the current connection, and
    /// whether it is new, while the peer's entry is locked: so the supervisor receives a peer's connections and
    /// disconnections in their order, and no other thread finds the connection before `send` has queued its announcement.
    pub(crate) fn connect(
        &self,
        peer: &N::Peer,
        info: &ConnectionInfo,
        limits: &Limits<N::Topic>,
        send: impl FnOnce(ConnectionId, bool),
    ) {
        let mut record = match self.peers.entry(peer.clone()) {
            Entry::Occupied(entry) => {
                let known = entry.get();
                if known.is_connected() {
                    return send(known.connection_id(), false);
                }
                let score = known.score();
                let mut record = entry.into_ref();
                *record = self.new_record(peer, info, score, limits);
                record
            }
            Entry::Vacant(entry) => entry.insert(self.new_record(peer, info, None, limits)),
        };
        let connection_id = record.value_mut().connection_id();
        self.peers_by_connection_mut().insert(connection_id, peer.clone());
        self.connected.fetch_add(1, Ordering::AcqRel);
        send(connection_id, true);
    }

    /// A peer has a further connection: forgets the ids that it sent in IDONTWANT. Calls `send` with the id of its connection,
    /// while the peer's entry is locked as [`connect`](Self::connect) does, if it is connected.
    pub(crate) fn connect_again(&self, peer: &N::Peer, send: impl FnOnce(ConnectionId)) {
        let Some(record) = self.peers.get_mut(peer) else { return };
        if record.is_connected() {
            self.remove_idontwant(peer);
            send(record.connection_id());
        }
    }

    fn remove_idontwant(&self, peer: &N::Peer) {
        if let Some((_, removed)) = self.idontwant.remove(peer) {
            self.idontwant_ids.fetch_sub(removed.len(), Ordering::AcqRel);
        }
    }

    /// The peers that the application made direct peers, ascending.
    pub(crate) fn direct_peers(&self) -> Vec<N::Peer> {
        let direct = self.direct.iter().filter(|entry| *entry.value());
        let mut peers: Vec<_> = direct.map(|entry| entry.key().clone()).collect();
        peers.sort_unstable();
        peers
    }

    /// Whether the application made a peer a direct peer.
    pub(crate) fn is_direct(&self, peer: &N::Peer) -> bool {
        self.direct.get(peer).is_some_and(|direct| *direct)
    }

    fn new_record(
        &self,
        peer: &N::Peer,
        info: &ConnectionInfo,
        score: Option<f64>,
        limits: &Limits<N::Topic>,
    ) -> Arc<ConnectionRecord> {
        let generation = self.generations.fetch_add(1, Ordering::AcqRel) + 1;
        let connection_id = ConnectionId::new(generation, info);
        let credit_owner = CreditOwner::new(Arc::clone(&self.admission));
        let direct = self.direct.get(peer).map_or(info.kind.direct, |direct| *direct);
        Arc::new(ConnectionRecord::new(connection_id, direct, score, credit_owner, limits))
    }

    /// The application decides whether a peer is a direct peer. Calls `send` while the peer's entry is locked, as
    /// [`connect`](Self::connect) does.
    pub(crate) fn set_direct(&self, peer: &N::Peer, direct: bool, send: impl FnOnce()) {
        let entry = self.peers.entry(peer.clone());
        self.direct.insert(peer.clone(), direct);
        if let Entry::Occupied(record) = &entry {
            record.get().set_direct(direct);
        }
        send();
    }

    /// Ends the connection of `peer`, if there is one. Calls `send` while the peer's entry is locked, as
    /// [`connect`](Self::connect) does. The record stays until the supervisor [publishes](Self::publish_score) that no
    /// score is remembered.
    pub(crate) fn disconnect(&self, peer: &N::Peer, send: impl FnOnce()) {
        let record = self.peers.get_mut(peer);
        if let Some(record) = record.as_ref().filter(|record| record.disconnect()) {
            self.peers_by_connection_mut().remove(record.connection_id());
            self.connected.fetch_sub(1, Ordering::AcqRel);
        }
        self.remove_idontwant(peer);
        self.missed.remove(peer);
        send();
    }

    /// The open connections. No code panics or takes another lock while it has this one.
    pub(crate) fn peers_by_connection(&self) -> RwLockReadGuard<'_, ConnectionIndex<N::Peer>> {
        self.peers_by_connection.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`peers_by_connection`](Self::peers_by_connection).
    fn peers_by_connection_mut(&self) -> RwLockWriteGuard<'_, ConnectionIndex<N::Peer>> {
        self.peers_by_connection.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The peers of these connections, in their order, without those that have ended.
    pub(crate) fn peers_of(&self, connection_ids: &[ConnectionId]) -> Vec<N::Peer> {
        self.peers_by_connection().resolve(connection_ids)
    }

    // === Scores ===

    /// The published scores of the peers for which `filter` is true, in no particular order.
    pub(crate) fn scores(&self, filter: impl Fn(&N::Peer) -> bool) -> Vec<(N::Peer, f64)> {
        let score =
            |entry: RefMulti<'_, N::Peer, Arc<ConnectionRecord>>| Some((entry.key().clone(), entry.score()?));
        self.peers.iter().filter(|entry| filter(entry.key())).filter_map(score).collect()
    }

    /// Calls `visit` for the last connection of each peer that is connected or whose score is remembered, in no particular
    /// order.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&N::Peer, &ConnectionRecord)) {
        self.peers.iter().for_each(|entry| visit(entry.key(), &entry));
    }

    /// Publishes the score of `peer` to all threads. Removes a peer that is not connected and has no score. Returns whether
    /// the peer is graylisted if that has changed.
    pub(crate) fn publish_score(
        &self,
        peer: &N::Peer,
        score: Option<f64>,
        limits: &Limits<N::Topic>,
    ) -> Option<bool> {
        let record = self.peers.get(peer).map(|record| Arc::clone(&record))?;
        let changed = record.set_score(score, limits);
        if score.is_none() {
            self.peers.remove_if(peer, |_, record| !record.is_connected());
        }
        changed
    }

    /// Publishes the minimum score of all peers.
    pub(crate) fn publish_min_score(&self, min_score: f64) {
        self.min_score.store(min_score.to_bits(), Ordering::Release);
    }

    // === IDONTWANT ===

    /// Adds the ids of an IDONTWANT, each with its [bytes](PeerIDontWant::sized), of a connected peer that has passed
    /// [`check_idontwant`](crate::protocol::peers::idontwant::check_idontwant).
    pub(crate) fn insert_idontwant(
        &self,
        peer: &N::Peer,
        ids: Vec<(N::MessageId, usize)>,
        limits: &Limits<N::Topic>,
    ) -> IDontWantOutcome {
        let make = || PeerIDontWant::new(limits, &self.totals);
        let mut idontwant = self.idontwant.entry(peer.clone()).or_insert_with(make);
        let before = idontwant.len();
        let outcome = idontwant.insert(ids, limits);
        self.idontwant_ids.fetch_add(idontwant.len() - before, Ordering::AcqRel);
        outcome
    }

    /// Removes expired IDONTWANT ids: a heartbeat is over.
    pub(crate) fn advance_idontwant(&self) {
        self.idontwant.retain(|_, idontwant| {
            let before = idontwant.len();
            idontwant.advance();
            self.idontwant_ids.fetch_sub(before - idontwant.len(), Ordering::AcqRel);
            !idontwant.is_empty()
        });
    }

    // === Missed messages ===

    /// Stores ids of messages of one topic that `peer` was not sent, if it is connected. See [`MissedByPeer::insert`].
    pub(crate) fn insert_missed(
        &self,
        peer: &N::Peer,
        messages: (&N::Topic, &[(N::MessageId, usize)]),
        blocked: bool,
        limits: &Limits<N::Topic>,
    ) -> usize {
        if limits.extensions.max_missed_ids_per_peer == 0 || self.connection(peer).is_none() {
            return 0;
        }
        let dropped = self.missed.insert(peer, messages, blocked, limits);
        // It may have disconnected before the insertion.
        if self.connection(peer).is_none() {
            self.missed.remove(peer);
        }
        dropped
    }

    pub(crate) fn missed(&self) -> &MissedByPeer<N> {
        &self.missed
    }

    // === Messages ===

    /// The topic that has a message in its history, for ids that do not name their topic.
    pub(crate) fn topic_of_message(&self, id: &N::MessageId) -> Option<N::Topic> {
        self.topic_by_message_id.get(id).map(|topic| topic.clone())
    }

    /// A message entered (`true`) or left the history of `topic`.
    pub(crate) fn on_history_change(&self, id: N::MessageId, topic: &N::Topic, entered: bool) {
        if entered {
            self.topic_by_message_id.insert(id, topic.clone());
        } else {
            self.topic_by_message_id.remove_if(&id, |_, known| known == topic);
        }
    }

    /// The sizes of the maps whose entries only the directory has.
    pub(crate) fn footprint(&self) -> Footprint {
        Footprint {
            heartbeat_quotas: self.heartbeat_quotas.len(),
            missed: self.missed.ids(),
            peer_ids_bytes: self.totals.used(Remembered::PeerIds),
            peer_idontwant: self.idontwant_ids.load(Ordering::Acquire),
            peers_by_connection: self.peers_by_connection().len(),
            topic_by_message_id: self.topic_by_message_id.len(),
            ..Footprint::default()
        }
    }
}

impl<N: Network> PeerView<N> for Directory<N> {
    fn status(&self, peer: &N::Peer) -> PeerStatus {
        self.peers.get(peer).map(|record| record.status()).unwrap_or_default()
    }

    fn min_score_at_least(&self, score: f64) -> bool {
        f64::from_bits(self.min_score.load(Ordering::Acquire)) >= score
    }

    fn has_idontwant(&self) -> bool {
        self.idontwant_ids.load(Ordering::Acquire) > 0
    }

    fn received_idontwant(&self, peer: &N::Peer, id: &N::MessageId) -> bool {
        self.idontwant.get(peer).is_some_and(|idontwant| idontwant.contains(id))
    }

    fn resolve(
        &self,
        connection_ids: &mut dyn Iterator<Item = ConnectionId>,
    ) -> Vec<(N::Peer, ConnectionId)> {
        self.peers_by_connection().resolve_with_ids(connection_ids)
    }
}
