//! The log of recent decisions, from which operators learn why a peer was grafted, pruned or penalised. Its size is
//! bounded for each peer and in total, so that a peer that causes many decisions displaces its own records first.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use derive_where::derive_where;
use foldhash::fast::RandomState;

use crate::{
    limits::Bounds,
    network::Network,
    outputs::event_queue::{EngineEvent, EventSubscribers},
    protocol::outcome::decision::{EventKind, EventRecord, PeerDecision},
    timestamp::Timestamp,
};

/// The records of one engine.
pub(crate) struct EventLog<N: Network> {
    max: usize,
    max_per_peer: usize,
    max_messages: usize,
    records: Mutex<Records<N>>,
    /// The subscribers that get each record when it is made.
    subscribers: Arc<EventSubscribers<N>>,
}

#[derive_where(Default)]
struct Records<N: Network> {
    last: u64,
    by_seq: BTreeMap<u64, EventRecord<N>>,
    /// The numbers of each peer's records, ascending. Records about no peer are under `None`.
    by_peer: HashMap<Option<N::Peer>, VecDeque<u64>, RandomState>,
    /// The records about full messages, ascending.
    messages: VecDeque<EventRecord<N>>,
    /// The number of events of each kind, by name and reason.
    totals: BTreeMap<(&'static str, &'static str), u64>,
}

/// The peer and the topic of an event.
pub(crate) struct EventContext<'a, N: Network> {
    pub(crate) peer: Option<&'a N::Peer>,
    pub(crate) topic: Option<&'a N::Topic>,
    pub(crate) score: Option<f64>,
    pub(crate) time: Timestamp,
}

impl<N: Network> EventLog<N> {
    pub(crate) fn new(bounds: &Bounds, max_messages: usize, subscribers: Arc<EventSubscribers<N>>) -> Self {
        let max_per_peer = bounds.max_decisions_per_peer.min(bounds.max_decisions);
        let (max, records) = (bounds.max_decisions, Mutex::default());
        Self { max, max_per_peer, max_messages, records, subscribers }
    }

    /// Records a decision about a peer.
    pub(crate) fn record_decision(&self, context: EventContext<'_, N>, decision: PeerDecision) {
        self.record(context, EventKind::Decided(decision));
    }

    /// Records an event that is not about a full message.
    pub(crate) fn record(&self, context: EventContext<'_, N>, kind: EventKind) {
        let mut records = self.lock();
        records.count(kind);
        if self.max_per_peer == 0 {
            return;
        }
        records.last += 1;
        let seq = records.last;
        let EventContext { peer, topic, score, time } = context;
        let peer = peer.cloned();
        let record = match records.merge_repeat(&peer, topic, kind) {
            Some(same) => EventRecord { seq, time, count: same.count.saturating_add(1), score, ..same },
            None => EventRecord {
                seq,
                time,
                first: time,
                count: 1,
                kind,
                peer: peer.clone(),
                topic: topic.cloned(),
                message_id: None,
                score,
            },
        };
        // Queued in the order of the records, and woken without the lock.
        let wakers = self.subscribers.publish(|| EngineEvent::Record(record.clone()));
        records.by_seq.insert(seq, record);
        records.by_peer.entry(peer.clone()).or_default().push_back(seq);
        records.keep_within(&peer, self.max, self.max_per_peer);
        drop(records);
        wakers.wake();
    }

    /// Whether events about full messages are kept. If not, none is assembled.
    pub(crate) fn keeps_messages(&self) -> bool {
        self.max_messages > 0
    }

    /// Records an event about a full message.
    pub(crate) fn record_message(&self, context: EventContext<'_, N>, id: &N::MessageId, kind: EventKind) {
        let mut records = self.lock();
        records.count(kind);
        records.last += 1;
        let EventContext { peer, topic, score, time } = context;
        let record = EventRecord {
            seq: records.last,
            time,
            first: time,
            count: 1,
            kind,
            peer: peer.cloned(),
            topic: topic.cloned(),
            message_id: Some(id.clone()),
            score,
        };
        if records.messages.len() >= self.max_messages {
            records.messages.pop_front();
        }
        let wakers = self.subscribers.publish(|| EngineEvent::Record(record.clone()));
        records.messages.push_back(record);
        drop(records);
        wakers.wake();
    }

    /// The records about a peer, oldest first.
    pub(crate) fn about(&self, peer: &N::Peer) -> Vec<EventRecord<N>> {
        let records = self.lock();
        let seqs = records.by_peer.get(&Some(peer.clone()));
        seqs.into_iter().flatten().filter_map(|seq| records.by_seq.get(seq).cloned()).collect()
    }

    /// The records with numbers above `since`, oldest first, at most `limit`; and the number of the last record.
    pub(crate) fn since(&self, since: u64, limit: usize) -> (Vec<EventRecord<N>>, u64) {
        let records = self.lock();
        let first = records.messages.partition_point(|record| record.seq <= since);
        let mut messages = records.messages.range(first..).peekable();
        let mut others = records.by_seq.range(since.saturating_add(1)..).map(|(_, record)| record).peekable();
        let next = || match (messages.peek(), others.peek()) {
            (Some(message), Some(other)) if message.seq < other.seq => messages.next(),
            (_, Some(_)) => others.next(),
            _ => messages.next(),
        };
        (std::iter::from_fn(next).take(limit).cloned().collect(), records.last)
    }

    /// The number of events of each kind since the start: name, reason (empty if there is none), number.
    pub(crate) fn totals(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.lock().totals.iter().map(|((name, reason), count)| (*name, *reason, *count)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Records<N>> {
        // The records are consistent after every statement that may panic.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<N: Network> Records<N> {
    fn count(&mut self, kind: EventKind) {
        *self.totals.entry((kind.name(), kind.reason().unwrap_or_default())).or_default() += 1;
    }

    /// Removes the last record about a peer if it has the same kind and topic: one record stands for equal events in a
    /// row.
    fn merge_repeat(
        &mut self,
        peer: &Option<N::Peer>,
        topic: Option<&N::Topic>,
        kind: EventKind,
    ) -> Option<EventRecord<N>> {
        let seqs = self.by_peer.get_mut(peer)?;
        let last = self.by_seq.get(seqs.back()?)?;
        if last.kind != kind || last.topic.as_ref() != topic {
            return None;
        }
        seqs.pop_back().and_then(|seq| self.by_seq.remove(&seq))
    }

    fn keep_within(&mut self, peer: &Option<N::Peer>, max: usize, max_per_peer: usize) {
        if let Some(seqs) = self.by_peer.get_mut(peer)
            && seqs.len() > max_per_peer
            && let Some(oldest) = seqs.pop_front()
        {
            self.by_seq.remove(&oldest);
        }
        while self.by_seq.len() > max {
            let Some((_, oldest)) = self.by_seq.pop_first() else { return };
            if let Some(seqs) = self.by_peer.get_mut(&oldest.peer) {
                // The numbers of a peer ascend, so the oldest record is the peer's first.
                seqs.pop_front();
                if seqs.is_empty() {
                    self.by_peer.remove(&oldest.peer);
                }
            }
        }
    }
}
