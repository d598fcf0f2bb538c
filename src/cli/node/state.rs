//! The data that a node stores in its data directory while it runs and when it ends: known peers and backoffs.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use actix_gossipsub::{
    Worker, WorkerBuilder,
    libp2p::Libp2pNetwork,
    protocol::{PeerEvent, RemainingBackoff},
};
use libp2p::PeerId;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use super::running::{LocalNode, STOP_TIMEOUT};
use crate::cli::data_dir::{DataDir, KnownPeer, StoredBackoffs, StoredPeers};

/// Shortest time between two writes: what a kill may lose.
const INTERVAL: Duration = Duration::from_secs(2);
/// The pause after a write is at least this many times its duration.
const MIN_PAUSE: u32 = 50;
/// Known peers that are considered.
const MAX_KNOWN: usize = 8_192;

/// The data that the former process stored.
#[derive(Default)]
pub struct Former {
    pub peers: Vec<KnownPeer>,
    pub backoffs: Vec<RemainingBackoff<Libp2pNetwork>>,
}

impl Former {
    /// Reads the data directory, if there is one. Files that can't be used are set aside.
    pub fn read(local: &LocalNode) -> Self {
        let Some(data) = &local.data else { return Self::default() };
        let peers = data.read::<StoredPeers>().map(|peers| peers.into_peers(local.peer).collect());
        let backoffs = data.read::<StoredBackoffs>().and_then(|backoffs| {
            if backoffs.node == local.peer {
                return Some(backoffs.remaining(SystemTime::now()));
            }
            let problem = format!("has the backoffs of {}, and this node is {}", backoffs.node, local.peer);
            data.set_aside::<StoredBackoffs>(&problem);
            None
        });
        Self { peers: peers.unwrap_or_default(), backoffs: backoffs.unwrap_or_default() }
    }
}

/// The connected peers, and whether they or the backoffs have changed since the last write. Clones are the same.
#[derive(Clone, Default)]
pub struct Changes(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    connected: BTreeSet<PeerId>,
    changed: bool,
}

impl Changes {
    /// Makes the engine report changes.
    pub fn follow(&self, builder: WorkerBuilder<Libp2pNetwork>) -> WorkerBuilder<Libp2pNetwork> {
        let changes = self.clone();
        builder.peer_listener(move |event| changes.on_event(&event))
    }

    fn on_event(&self, event: &PeerEvent<Libp2pNetwork>) {
        let mut seen = self.lock();
        seen.changed |= match event {
            PeerEvent::Connected(peer) => seen.connected.insert(*peer),
            PeerEvent::Disconnected(peer) => seen.connected.remove(peer),
            PeerEvent::Pruned(..) => true,
            _ => false,
        };
    }

    /// What has changed is not stored.
    fn put_back(&self) {
        self.lock().changed = true;
    }

    fn take(&self) -> bool {
        std::mem::take(&mut self.lock().changed)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Plain data: a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the state of a running node.
pub struct Saver {
    data: Arc<DataDir>,
    local: PeerId,
    network: Libp2pNetwork,
    worker: Worker<Libp2pNetwork>,
    changes: Changes,
    /// The peers that the former process knew.
    former: Vec<KnownPeer>,
    written: (Option<StoredPeers>, Option<StoredBackoffs>),
}

/// A [`Saver`] at work.
pub struct Saving {
    task: JoinHandle<Saver>,
    end: CancellationToken,
}

impl Saver {
    /// Starts to write whenever something has changed. `None` without a data directory.
    pub fn start(
        local: &LocalNode,
        worker: &Worker<Libp2pNetwork>,
        changes: Changes,
        former: &[KnownPeer],
    ) -> Option<Saving> {
        let saver = Self {
            data: Arc::clone(local.data.as_ref()?),
            local: local.peer,
            network: local.network.clone(),
            worker: worker.clone(),
            changes,
            former: former.to_vec(),
            written: (None, None),
        };
        let end = CancellationToken::new();
        Some(Saving { task: actix::spawn(saver.run(end.clone())), end })
    }

    async fn run(mut self, end: CancellationToken) -> Self {
        let mut pause = INTERVAL;
        while end.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            if !self.changes.take() {
                continue;
            }
            let start = Instant::now();
            if let Ok(backoffs) = self.worker.remaining_backoffs().await {
                let peers = self.peers();
                self = self.save(peers, backoffs).await;
            }
            // A node with very many topics writes less often.
            pause = INTERVAL.max(start.elapsed() * MIN_PAUSE);
        }
        self
    }

    /// The peers to store, the connected ones first, and those of the former process last.
    fn peers(&self) -> StoredPeers {
        let known = StoredPeers::new(self.network.known_peers(MAX_KNOWN), &self.changes.lock().connected);
        known.with_former(&self.former)
    }

    /// Writes the state of a node that ends. A disk that does not answer must not keep the process alive.
    pub async fn save_last(self, peers: StoredPeers, backoffs: Vec<RemainingBackoff<Libp2pNetwork>>) {
        if timeout(STOP_TIMEOUT, self.save(peers, backoffs)).await.is_err() {
            tracing::warn!("the last state of the node may not be stored: the disk does not answer");
        }
    }

    /// Writes what differs from the files. A failure is logged; the former file is there then, and the next attempt follows.
    async fn save(mut self, peers: StoredPeers, backoffs: Vec<RemainingBackoff<Libp2pNetwork>>) -> Self {
        let data = Arc::clone(&self.data);
        let (backoffs, omitted) = StoredBackoffs::new(self.local, backoffs, SystemTime::now());
        if omitted > 0 {
            tracing::warn!(omitted, "backoffs are not stored: there are too many");
        }
        let (last_peers, last_backoffs) = self.written;
        let write = move || {
            let same = last_peers.as_ref() == Some(&peers);
            let peers_written = if same { Ok(()) } else { data.write(&peers) };
            let like = last_backoffs.as_ref().is_some_and(|last| last.is_like(&backoffs));
            let backoffs_written = if like { Ok(()) } else { data.write(&backoffs) };
            for error in
                [&peers_written, &backoffs_written].into_iter().filter_map(|written| written.as_ref().err())
            {
                tracing::warn!("the state of the node can't be stored: {error}");
            }
            let is_stored = peers_written.is_ok() && backoffs_written.is_ok();
            let stored = (
                if peers_written.is_ok() { Some(peers) } else { last_peers },
                // Small differences must not add up.
                if like { last_backoffs } else { backoffs_written.ok().map(|()| backoffs) },
            );
            (stored, is_stored)
        };
        let (written, writing) = oneshot::channel();
        // Waits for the disk on a thread that nobody waits for: a runtime that ends waits for those of `spawn_blocking`, for ever
        // if the disk does not answer.
        let thread = std::thread::Builder::new().name("state".to_owned()).spawn(move || {
            // Nobody wants the result of a node that ended meanwhile.
            let _ = written.send(write());
        });
        if let Err(error) = thread {
            tracing::warn!("the state of the node can't be stored: no thread can be started: {error}");
        }
        let (stored, is_stored) = writing.await.unwrap_or_default();
        if !is_stored {
            self.changes.put_back();
        }
        self.written = stored;
        self
    }
}

impl Saving {
    /// Ends the periodic writes. What the node stores last is up to the caller: the peers are of now, while it is connected.
    /// `None` if the disk does not answer.
    pub async fn end(self) -> Option<(Saver, StoredPeers)> {
        self.end.cancel();
        let Ok(saver) = timeout(STOP_TIMEOUT, self.task).await else {
            tracing::warn!("the last state of the node is not stored: the disk does not answer");
            return None;
        };
        let saver = saver.ok()?;
        let peers = saver.peers();
        Some((saver, peers))
    }
}
