//! The network of the traces: integer peers, and an application whose verdicts the trace sets.
//! Knows nothing of the engine that asks it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock, RwLockReadGuard},
};

use actix_gossipsub::{Delivery, Network, PeerAction, Validity};
use serde::{Deserialize, Serialize};

use super::op::{BatchMode, Filter, Setting};

pub type Topic = Arc<str>;

/// `["t0", 12]` in JSON; ordered by number first, then by topic (FORMAT.md, 1): hence the field order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(from = "(Topic, i64)", into = "(Topic, i64)")]
pub struct Id {
    pub number: i64,
    pub topic: Topic,
}

impl From<(Topic, i64)> for Id {
    fn from((topic, number): (Topic, i64)) -> Self {
        Self { number, topic }
    }
}

impl From<Id> for (Topic, i64) {
    fn from(id: Id) -> Self {
        (id.topic, id.number)
    }
}

/// Clones share their application, so that the replay can change what the engine's copy answers.
#[derive(Clone, Default)]
pub struct TraceNetwork(Arc<RwLock<Application>>);

struct Application {
    default: Validity,
    ids: BTreeMap<Id, Validity>,
    messages: BTreeMap<Id, Validity>,
    batches: BTreeMap<Id, Validity>,
    denied: BTreeMap<i64, BTreeSet<Filter>>,
    batch_mode: BatchMode,
    initial_points: Vec<i64>,
}

impl Default for Application {
    fn default() -> Self {
        Self {
            default: Validity::Valid,
            ids: BTreeMap::new(),
            messages: BTreeMap::new(),
            batches: BTreeMap::new(),
            denied: BTreeMap::new(),
            batch_mode: BatchMode::Normal,
            initial_points: Vec::new(),
        }
    }
}

impl Application {
    fn verdict(&self, table: &BTreeMap<Id, Validity>, id: &Id) -> Validity {
        table.get(id).copied().unwrap_or(self.default)
    }
}

impl TraceNetwork {
    pub fn set(&self, setting: Setting) {
        let mut app = self.0.write().expect("no hook panics");
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

    fn read(&self) -> RwLockReadGuard<'_, Application> {
        self.0.read().expect("no hook panics")
    }
}

impl Network for TraceNetwork {
    type Peer = i64;
    type Topic = Topic;
    type MessageId = Id;
    type Message = Arc<str>;
    type Point = i64;

    fn topic_of(&self, id: &Id) -> Option<Topic> {
        Some(id.topic.clone())
    }

    fn validate_id(&self, id: &Id) -> Validity {
        let app = self.read();
        app.verdict(&app.ids, id)
    }

    fn validate(&self, id: &Id, _: &Arc<str>) -> Validity {
        let app = self.read();
        app.verdict(&app.messages, id)
    }

    fn validate_batch(&self, batch: &[Delivery<Self>]) -> Vec<Validity> {
        let app = self.read();
        let verdict = |d: &Delivery<Self>| app.verdict(&app.batches, &d.message.message_id);
        let mut verdicts: Vec<_> = batch.iter().map(verdict).collect();
        if app.batch_mode == BatchMode::WrongLength {
            // Too long rather than too short: a `zip` would swallow it.
            verdicts.push(Validity::Valid);
        }
        verdicts
    }

    fn peer_filter(&self, peer: &i64, action: PeerAction<'_, Self>) -> bool {
        let filter = match action {
            PeerAction::IHave(_) => Filter::Ihave,
            PeerAction::IWant(_) => Filter::Iwant,
            PeerAction::Graft => Filter::Graft,
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
