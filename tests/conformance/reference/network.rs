//! This module defines the network of the reference's traces: its types, and an application whose answers the traces
//! set.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use actix_gossipsub::{Delivery, Network, PeerAction, Validity, recording::Recordable};
use serde::{Deserialize, Serialize};

/// The network of a trace. Clones share their application, so that a trace can change what the engine's copy answers.
#[derive(Clone, Debug, Default)]
pub struct TraceNetwork(Arc<RwLock<Application>>);

/// A message id: `["t0", 12]` in JSON. FORMAT.md, 1: the number is compared before the topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(from = "(Arc<str>, i64)", into = "(Arc<str>, i64)")]
pub struct ReferenceId {
    pub number: i64,
    pub topic: Arc<str>,
}

impl From<(Arc<str>, i64)> for ReferenceId {
    fn from((topic, number): (Arc<str>, i64)) -> Self {
        Self { number, topic }
    }
}

impl From<ReferenceId> for (Arc<str>, i64) {
    fn from(id: ReferenceId) -> Self {
        (id.topic, id.number)
    }
}

#[derive(Debug, Default)]
struct Application {
    default: Option<Validity>,
    ids: BTreeMap<ReferenceId, Validity>,
    messages: BTreeMap<ReferenceId, Validity>,
    batches: BTreeMap<ReferenceId, Validity>,
    denied: BTreeMap<i64, BTreeSet<Filter>>,
    batch_mode: BatchMode,
    initial_points: Vec<i64>,
}

/// An op that changes the application, not the engine (FORMAT.md, 3 and 5).
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
#[allow(clippy::enum_variant_names, reason = "the names are those of the ops")]
pub enum Setting {
    SetValidity {
        message_id: ReferenceId,
        id: Option<Validity>,
        message: Option<Validity>,
        batch: Option<Validity>,
    },
    SetDefaultValidity {
        validity: Validity,
    },
    SetPeerFilter {
        peer: i64,
        deny: BTreeSet<Filter>,
    },
    SetBatchMode {
        mode: BatchMode,
    },
    SetInitialPoints {
        points: Vec<i64>,
    },
}

impl Setting {
    /// The names of the ops.
    pub const NAMES: [&str; 5] =
        ["set_validity", "set_default_validity", "set_peer_filter", "set_batch_mode", "set_initial_points"];
}

/// An action that a peer may be denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    Ihave,
    Iwant,
    Graft,
}

/// How many verdicts a batch gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchMode {
    /// One for each message.
    #[default]
    Normal,
    /// One too many.
    WrongLength,
}

impl Application {
    fn verdict(&self, table: &BTreeMap<ReferenceId, Validity>, id: &ReferenceId) -> Validity {
        table.get(id).copied().or(self.default).unwrap_or(Validity::Valid)
    }
}

impl TraceNetwork {
    /// Changes the application.
    pub fn set(&self, setting: Setting) {
        let mut app = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match setting {
            Setting::SetValidity { message_id, id, message, batch } => {
                // A verdict on the content alone is the verdict inside a batch too.
                let batch = batch.or(message);
                id.map(|verdict| app.ids.insert(message_id.clone(), verdict));
                message.map(|verdict| app.messages.insert(message_id.clone(), verdict));
                batch.map(|verdict| app.batches.insert(message_id, verdict));
            }
            Setting::SetDefaultValidity { validity } => app.default = Some(validity),
            Setting::SetPeerFilter { peer, deny } => {
                app.denied.insert(peer, deny);
            }
            Setting::SetBatchMode { mode } => app.batch_mode = mode,
            Setting::SetInitialPoints { points } => app.initial_points = points,
        }
    }

    // The tables are consistent also after a panic of another thread.
    fn read(&self) -> RwLockReadGuard<'_, Application> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network for TraceNetwork {
    type Peer = i64;
    type Topic = Arc<str>;
    type MessageId = ReferenceId;
    type Message = Arc<str>;
    type Point = i64;

    fn topic_of(&self, id: &ReferenceId) -> Option<Arc<str>> {
        Some(Arc::clone(&id.topic))
    }

    fn topic_size(&self, topic: &Arc<str>) -> usize {
        size_of_val(topic) + topic.len()
    }

    fn message_size(&self, message: &Arc<str>) -> usize {
        message.len()
    }

    fn message_id_size(&self, id: &ReferenceId) -> usize {
        size_of_val(id)
    }

    fn validate_id(&self, id: &ReferenceId) -> Validity {
        let app = self.read();
        app.verdict(&app.ids, id)
    }

    fn validate(&self, delivery: &Delivery<Self>) -> Validity {
        let app = self.read();
        app.verdict(&app.messages, &delivery.message.message_id)
    }

    fn validate_batch(&self, batch: &[Delivery<Self>]) -> Vec<Validity> {
        let app = self.read();
        let verdict = |delivery: &Delivery<Self>| app.verdict(&app.batches, &delivery.message.message_id);
        let mut verdicts: Vec<_> = batch.iter().map(verdict).collect();
        if app.batch_mode == BatchMode::WrongLength {
            // The list is too long rather than too short, because `zip` would hide that error.
            verdicts.push(Validity::Valid);
        }
        verdicts
    }

    fn peer_filter(&self, peer: &i64, action: PeerAction<'_, Self>) -> bool {
        let filter = match action {
            PeerAction::IHave(_) => Filter::Ihave,
            PeerAction::IWant(_) => Filter::Iwant,
            PeerAction::Graft => Filter::Graft,
            // The reference does not ask.
            PeerAction::Subscribe(_) => return true,
            other => panic!("the reference does not filter {other:?}"),
        };
        !self.read().denied.get(peer).is_some_and(|denied| denied.contains(&filter))
    }

    fn reachable_point(&self, peer: &i64) -> Option<i64> {
        Some(peer + 1000)
    }

    fn persistent_points(&self) -> Vec<i64> {
        self.read().initial_points.clone()
    }
}

impl Recordable for TraceNetwork {
    const NAME: &'static str = "reference";
}
