//! The network of a trace: the recorded types, and an application whose verdicts the trace sets. Knows nothing
//! of the engine that asks it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use derive_where::derive_where;
use serde::Deserialize;

use super::values::Values;
use crate::network::{Delivery, Network, PeerAction, Validity};

/// Clones share their application, so that a replay can change what the engine's copy answers.
#[derive_where(Clone, Debug, Default)]
pub struct TraceNetwork<V: Values>(Arc<RwLock<Application<V>>>);

#[derive_where(Debug)]
struct Application<V: Values> {
    default: Validity,
    ids: BTreeMap<V::MessageId, Validity>,
    messages: BTreeMap<V::MessageId, Validity>,
    batches: BTreeMap<V::MessageId, Validity>,
    denied: BTreeMap<V::Peer, BTreeSet<Filter>>,
    batch_mode: BatchMode,
    initial_points: Vec<V::Point>,
    points: BTreeMap<V::Peer, V::Point>,
}

/// What changes the application, not the engine (FORMAT.md, 3 and 5).
#[derive_where(Debug)]
#[allow(clippy::enum_variant_names, missing_docs, reason = "the names are the ops' and their arguments'")]
pub enum Setting<V: Values> {
    SetValidity {
        message_id: V::MessageId,
        id: Option<Validity>,
        message: Option<Validity>,
        batch: Option<Validity>,
    },
    SetDefaultValidity {
        validity: Validity,
    },
    SetPeerFilter {
        peer: V::Peer,
        deny: Vec<Filter>,
    },
    SetBatchMode {
        mode: BatchMode,
    },
    SetInitialPoints {
        points: Vec<V::Point>,
    },
}

/// What a peer may be denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the kinds'")]
pub enum Filter {
    Ihave,
    Iwant,
    Graft,
}

/// Whether batches are answered as they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchMode {
    /// One verdict an entry.
    Normal,
    /// One too many.
    WrongLength,
}

impl<V: Values> Default for Application<V> {
    fn default() -> Self {
        Self {
            default: Validity::Valid,
            ids: BTreeMap::new(),
            messages: BTreeMap::new(),
            batches: BTreeMap::new(),
            denied: BTreeMap::new(),
            batch_mode: BatchMode::Normal,
            initial_points: Vec::new(),
            points: BTreeMap::new(),
        }
    }
}

impl<V: Values> Application<V> {
    fn verdict(
        &self,
        table: &BTreeMap<V::MessageId, Validity>,
        id: &V::MessageId,
        message: &V::Message,
    ) -> Validity {
        table.get(id).copied().or_else(|| V::verdict(message)).unwrap_or(self.default)
    }
}

impl<V: Values> TraceNetwork<V> {
    /// Changes the application.
    pub fn set(&self, setting: Setting<V>) {
        let mut app = self.write();
        match setting {
            Setting::SetValidity { message_id, id, message, batch } => {
                // A verdict on the content alone is the verdict inside a batch too.
                let batch = batch.or(message);
                id.map(|verdict| app.ids.insert(message_id.clone(), verdict));
                message.map(|verdict| app.messages.insert(message_id.clone(), verdict));
                batch.map(|verdict| app.batches.insert(message_id, verdict));
            }
            Setting::SetDefaultValidity { validity } => app.default = validity,
            Setting::SetPeerFilter { peer, deny } => {
                app.denied.insert(peer, deny.into_iter().collect());
            }
            Setting::SetBatchMode { mode } => app.batch_mode = mode,
            Setting::SetInitialPoints { points } => app.initial_points = points,
        }
    }

    /// A peer is reached there.
    pub(super) fn set_point(&self, peer: V::Peer, point: V::Point) {
        self.write().points.insert(peer, point);
    }

    // Plain data: a panic elsewhere leaves it whole.

    fn read(&self) -> RwLockReadGuard<'_, Application<V>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Application<V>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Values> Network for TraceNetwork<V> {
    type Peer = V::Peer;
    type Topic = V::Topic;
    type MessageId = V::MessageId;
    type Message = V::Message;
    type Point = V::Point;

    fn topic_of(&self, id: &V::MessageId) -> Option<V::Topic> {
        V::topic_of(id)
    }

    fn validate_id(&self, id: &V::MessageId) -> Validity {
        let app = self.read();
        app.ids.get(id).copied().unwrap_or(app.default)
    }

    fn validate(&self, delivery: &Delivery<Self>) -> Validity {
        let app = self.read();
        app.verdict(&app.messages, &delivery.message.message_id, &delivery.message.message)
    }

    fn validate_batch(&self, batch: &[Delivery<Self>]) -> Vec<Validity> {
        let app = self.read();
        let verdict =
            |d: &Delivery<Self>| app.verdict(&app.batches, &d.message.message_id, &d.message.message);
        let mut verdicts: Vec<_> = batch.iter().map(verdict).collect();
        if app.batch_mode == BatchMode::WrongLength {
            // Too long rather than too short: a `zip` would swallow it.
            verdicts.push(Validity::Valid);
        }
        verdicts
    }

    fn message_size(&self, message: &V::Message) -> usize {
        V::message_size(message)
    }

    fn message_id_size(&self, id: &V::MessageId) -> usize {
        V::message_id_size(id)
    }

    fn peer_filter(&self, peer: &V::Peer, action: PeerAction<'_, Self>) -> bool {
        let filter = match action {
            PeerAction::IHave(_) => Filter::Ihave,
            PeerAction::IWant(_) => Filter::Iwant,
            PeerAction::Graft => Filter::Graft,
        };
        !self.read().denied.get(peer).is_some_and(|denied| denied.contains(&filter))
    }

    fn reachable_point(&self, peer: &V::Peer) -> Option<V::Point> {
        let known = self.read().points.get(peer).cloned();
        known.or_else(|| V::reachable_point(peer))
    }

    fn persistent_points(&self) -> Vec<V::Point> {
        self.read().initial_points.clone()
    }
}
