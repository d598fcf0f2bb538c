//! A peer that takes part in the mesh and remembers what the node sends to it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;

use super::{
    Attackers,
    peer::{Identity, Peer, Reading},
    rpc::{self, Rpc},
};

#[derive(Default)]
pub struct Observed {
    /// By id: the bytes, and how many copies came.
    pub messages: HashMap<Vec<u8>, (Vec<u8>, usize)>,
    pub prunes: usize,
    pub wanted_ids: usize,
}

impl Observed {
    pub fn copies<'a>(&self, ids: impl IntoIterator<Item = &'a Vec<u8>>) -> usize {
        ids.into_iter().filter_map(|id| self.messages.get(id)).map(|(_, copies)| copies).sum()
    }
}

pub struct Observer {
    pub peer: Peer,
    observed: Arc<Mutex<Observed>>,
}

impl Observer {
    /// Connects, subscribes and grafts on one topic.
    ///
    /// # Errors
    /// The node refuses the connection.
    pub async fn connect(attackers: &Attackers, identity: &Identity, topic: &str) -> Result<Self, String> {
        let (sender, mut frames) = mpsc::unbounded_channel::<Vec<u8>>();
        let observed = Arc::<Mutex<Observed>>::default();
        let observing = Arc::clone(&observed);
        tokio::spawn(async move {
            while let Some(frame) = frames.recv().await {
                let received = rpc::read(&frame);
                let mut observed = lock(&observing);
                observed.prunes += received.prunes;
                observed.wanted_ids += received.wanted_ids;
                for message in received.messages {
                    observed.messages.entry(message.id).or_insert((message.bytes, 0)).1 += 1;
                }
            }
        });
        let hello = Rpc::default().subscribe(topic).graft(topic).frame();
        let peer = attackers.connect_one(identity, Reading::Frames(sender), &hello).await?;
        Ok(Self { peer, observed })
    }

    pub fn observed(&self) -> MutexGuard<'_, Observed> {
        lock(&self.observed)
    }
}

fn lock(observed: &Mutex<Observed>) -> MutexGuard<'_, Observed> {
    observed.lock().unwrap_or_else(PoisonError::into_inner)
}
