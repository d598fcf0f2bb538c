//! The dials of the peers that a former process knew: each once, a few at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_gossipsub::{
    P2pInput,
    libp2p::{Event, NodeEvent, NodeHandle},
};
use libp2p::PeerId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::cli::data_dir::KnownPeer;

/// Most dials at a time.
const AT_ONCE: usize = 16;
/// A dial without a result within this time no longer keeps others waiting. The transport gives a dial up earlier.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// The dials in progress. Clones share them.
#[derive(Clone, Default)]
pub struct Redials(Arc<Mutex<HashMap<PeerId, OwnedSemaphorePermit>>>);

impl Redials {
    /// Notes the results of dials.
    pub fn on_event(&self, event: &NodeEvent<'_>) {
        match event {
            NodeEvent::Input(P2pInput::NewConnection { peer, .. })
            | NodeEvent::Gossipsub(Event::Unsupported { peer })
            | NodeEvent::DialFailed(Some(peer), _) => drop(self.lock().remove(peer)),
            _ => {}
        }
    }

    /// Dials `peers`, in order.
    pub async fn run(self, handle: NodeHandle, peers: Vec<KnownPeer>) {
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        for KnownPeer { peer, addresses } in peers {
            let permit = match timeout(DIAL_TIMEOUT, Arc::clone(&permits).acquire_owned()).await {
                Ok(Ok(permit)) => permit,
                // The semaphore is never closed.
                Ok(Err(_)) => return,
                Err(_) => {
                    self.lock().clear();
                    let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
                    permit
                }
            };
            self.lock().insert(peer, permit);
            // An error means that the peer is connected or dialled already, or that the node ends.
            if handle.dial_peer(peer, addresses).await.is_err() {
                self.lock().remove(&peer);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, OwnedSemaphorePermit>> {
        // Plain data: a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
