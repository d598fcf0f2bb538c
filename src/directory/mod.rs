//! What every thread may look up without asking an actor: each peer's
//! connection, name and score. The only shared maps of the engine. Owned copies come out; no guard is held
//! while anything is sent, but where a comment says why.

pub(crate) mod connection;

use std::sync::{
    Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use dashmap::{DashMap, Entry, mapref::multiple::RefMulti};
use foldhash::fast::RandomState;

use self::connection::{ConnectionRecord, NO_SCORE};
use crate::{
    admission::Admission,
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
    /// The connected peers, and those that left with a score that is remembered.
    peers: DashMap<N::Peer, Arc<ConnectionRecord>, RandomState>,
    /// The connected peers by the numbers that topics know them by: read when gossip is, and when peers are chosen;
    /// changed when somebody comes or goes.
    names: RwLock<ConnectionIndex<N::Peer>>,
    /// What peers used up in this heartbeat.
    quotas: DashMap<N::Peer, Quota, RandomState>,
    /// What connected peers said by IDONTWANT.
    unwanted: DashMap<N::Peer, PeerIDontWant<N>, RandomState>,
    /// The ids in it: to look is for free while nobody said any.
    unwanted_ids: AtomicUsize,
    /// Where messages are whose ids don't name their topic.
    homes: DashMap<N::MessageId, N::Topic, RandomState>,
    /// The bits of a score that nobody's is below.
    min_score: AtomicU64,
    generations: AtomicU64,
    connected: AtomicUsize,
    admission: Arc<Admission>,
}

impl<N: Network> Directory<N> {
    pub(crate) fn new(admission: Arc<Admission>) -> Self {
        Self {
            peers: DashMap::default(),
            names: RwLock::default(),
            quotas: DashMap::default(),
            unwanted: DashMap::default(),
            unwanted_ids: AtomicUsize::new(0),
            homes: DashMap::default(),
            min_score: AtomicU64::new(f64::NEG_INFINITY.to_bits()),
            generations: AtomicU64::new(0),
            connected: AtomicUsize::new(0),
            admission,
        }
    }

    /// How many peers are connected.
    pub(crate) fn connected(&self) -> usize {
        self.connected.load(Ordering::Acquire)
    }

    fn record(&self, peer: &N::Peer) -> Option<Arc<ConnectionRecord>> {
        self.peers.get(peer).map(|record| Arc::clone(&record))
    }

    /// The present connection of a peer.
    pub(crate) fn connection(&self, peer: &N::Peer) -> Option<Arc<ConnectionRecord>> {
        self.record(peer).filter(|record| record.is_connected())
    }

    /// How a peer without a connection stands: a score may be remembered.
    pub(crate) fn status_of_disconnected(&self, peer: &N::Peer) -> PeerStatus {
        let score = self.record(peer).and_then(|record| record.status().score);
        PeerStatus { connection_id: None, score }
    }

    /// Enters a connection, unless there is one. `tell` runs before anyone else can enter or remove
    /// this peer, so that the supervisor hears of a peer's connections in their order.
    pub(crate) fn connect(&self, peer: &N::Peer, info: &ConnectionInfo, tell: impl FnOnce(ConnectionId)) {
        let mut record = match self.peers.entry(peer.clone()) {
            Entry::Occupied(entry) => {
                let known = entry.get();
                if known.is_connected() {
                    return tell(known.connection_id);
                }
                let score = known.score.load(Ordering::Acquire);
                let mut record = entry.into_ref();
                *record = self.new_record(info, score);
                record
            }
            Entry::Vacant(entry) => entry.insert(self.new_record(info, NO_SCORE)),
        };
        let connection_id = record.value_mut().connection_id;
        self.names_mut().insert(connection_id, peer.clone());
        self.connected.fetch_add(1, Ordering::AcqRel);
        tell(connection_id);
    }

    fn new_record(&self, info: &ConnectionInfo, score: u64) -> Arc<ConnectionRecord> {
        let generation = self.generations.fetch_add(1, Ordering::AcqRel) + 1;
        let connection_id = ConnectionId::new(generation, info.direction, info.kind);
        Arc::new(ConnectionRecord::new(connection_id, score, Arc::clone(&self.admission)))
    }

    /// Ends a connection. The entry goes when the supervisor says that no score is remembered.
    pub(crate) fn disconnect(&self, peer: &N::Peer, tell: impl FnOnce()) {
        let record = self.peers.get_mut(peer);
        if let Some(record) = record.as_ref().filter(|record| record.connected.swap(false, Ordering::AcqRel))
        {
            self.names_mut().remove(record.connection_id);
            self.connected.fetch_sub(1, Ordering::AcqRel);
        }
        if let Some((_, unwanted)) = self.unwanted.remove(peer) {
            self.unwanted_ids.fetch_sub(unwanted.len(), Ordering::AcqRel);
        }
        tell();
    }

    /// Nothing panics while it is held, and no other map is looked into.
    fn names(&self) -> RwLockReadGuard<'_, ConnectionIndex<N::Peer>> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same.
    fn names_mut(&self) -> RwLockWriteGuard<'_, ConnectionIndex<N::Peer>> {
        self.names.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The peers of those of these connections that are up, in their order.
    pub(crate) fn peers_of(&self, connection_ids: &[ConnectionId]) -> Vec<N::Peer> {
        self.names().resolve(connection_ids)
    }

    /// The scores that are visible to all, of the peers that are wanted; in no order.
    pub(crate) fn scores(&self, wanted: impl Fn(&N::Peer) -> bool) -> Vec<(N::Peer, f64)> {
        let score = |entry: RefMulti<'_, N::Peer, Arc<ConnectionRecord>>| {
            Some((entry.key().clone(), entry.status().score?))
        };
        self.peers.iter().filter(|entry| wanted(entry.key())).filter_map(score).collect()
    }

    /// Makes a score visible to all; forgets a peer that is neither connected nor remembered.
    pub(crate) fn publish_score(&self, peer: &N::Peer, score: Option<f64>) {
        if let Some(record) = self.record(peer) {
            record.publish(score);
            if score.is_none() {
                self.peers.remove_if(peer, |_, record| !record.is_connected());
            }
        }
    }

    /// Says that nobody's score is below this.
    pub(crate) fn publish_min_score(&self, lowest: f64) {
        self.min_score.store(lowest.to_bits(), Ordering::Release);
    }

    /// Runs `take` on what `peer` used up in this heartbeat. As many peers have a place as are connected,
    /// and some strangers; who finds none has used up everything.
    pub(crate) fn with_quota<T>(
        &self,
        peer: &N::Peer,
        limits: &Limits<N::Topic>,
        take: impl FnOnce(&mut Quota) -> T,
    ) -> T {
        let places = self.connected().saturating_add(limits.bounds.max_unconnected_peers);
        let fresh = || if self.quotas.len() < places { Quota::default() } else { Quota::EXHAUSTED };
        let known = self.quotas.get(peer).map(|quota| *quota);
        let mut quota = known.unwrap_or_else(fresh);
        let taken = take(&mut quota);
        if quota.is_tracked() {
            self.quotas.insert(peer.clone(), quota);
        }
        taken
    }

    pub(crate) fn clear_quotas(&self) {
        self.quotas.clear();
    }

    pub(crate) fn quotas(&self) -> Vec<(N::Peer, Quota)> {
        self.quotas.iter().map(|entry| (entry.key().clone(), *entry.value())).collect()
    }

    /// A connected peer, whose word is heeded, does not want these.
    pub(crate) fn note_unwanted(
        &self,
        peer: &N::Peer,
        ids: Vec<N::MessageId>,
        limits: &Limits<N::Topic>,
    ) -> IDontWantOutcome {
        let mut unwanted = self.unwanted.entry(peer.clone()).or_insert_with(|| PeerIDontWant::new(limits));
        let before = unwanted.len();
        let outcome = unwanted.insert(ids, limits);
        self.unwanted_ids.fetch_add(unwanted.len() - before, Ordering::AcqRel);
        outcome
    }

    /// A heartbeat is over: what was said long ago is forgotten.
    pub(crate) fn shift_unwanted(&self) {
        self.unwanted.retain(|_, unwanted| {
            let before = unwanted.len();
            unwanted.advance();
            self.unwanted_ids.fetch_sub(before - unwanted.len(), Ordering::AcqRel);
            !unwanted.is_empty()
        });
    }

    /// The topic that holds a message, if its id doesn't say.
    pub(crate) fn home(&self, id: &N::MessageId) -> Option<N::Topic> {
        self.homes.get(id).map(|topic| topic.clone())
    }

    /// Notes that a message entered (`true`) or left the history of `topic`.
    pub(crate) fn note_home(&self, id: N::MessageId, topic: &N::Topic, entered: bool) {
        if entered {
            self.homes.insert(id, topic.clone());
        } else {
            self.homes.remove_if(&id, |_, home| home == topic);
        }
    }

    /// How much the maps hold that are nowhere but here.
    pub(crate) fn footprint(&self) -> Footprint {
        let unwanted = self.unwanted_ids.load(Ordering::Acquire);
        let names = self.names().len();
        let (quotas, homes) = (self.quotas.len(), self.homes.len());
        Footprint { quotas, unwanted, names, homes, ..Footprint::default() }
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
        self.unwanted_ids.load(Ordering::Acquire) > 0
    }

    fn declined_by(&self, peer: &N::Peer, id: &N::MessageId) -> bool {
        self.unwanted.get(peer).is_some_and(|unwanted| unwanted.contains(id))
    }

    fn resolve(
        &self,
        connection_ids: &mut dyn Iterator<Item = ConnectionId>,
    ) -> Vec<(N::Peer, ConnectionId)> {
        self.names().resolve_with_ids(connection_ids)
    }
}
