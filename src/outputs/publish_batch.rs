//! The publications of one batch. They may belong to topics of several arbiters; what these send is collected and leaves
//! together.

use std::sync::{Mutex, PoisonError};

use crate::{
    network::Network,
    protocol::output::{pending::PendingOutput, spread::spread},
};

/// Each publication of the batch owns a share until it is handled or lost. The last one sends what all of them left here.
pub(crate) struct PublishBatch<N: Network> {
    outputs: Mutex<Vec<PendingOutput<N>>>,
    send: Box<SendAll<N>>,
}

type SendAll<N> = dyn Fn(Vec<PendingOutput<N>>) + Send + Sync;

impl<N: Network> PublishBatch<N> {
    /// `send` is called once, on the thread of the last publication, if there is anything to send.
    pub(crate) fn new(send: impl Fn(Vec<PendingOutput<N>>) + Send + Sync + 'static) -> Self {
        Self { outputs: Mutex::default(), send: Box::new(send) }
    }

    /// Adds what a publication sends.
    pub(crate) fn add(&self, outputs: impl Iterator<Item = PendingOutput<N>>) {
        // A list of outputs is whole after each.
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).extend(outputs);
    }
}

impl<N: Network> Drop for PublishBatch<N> {
    fn drop(&mut self) {
        let outputs = std::mem::take(self.outputs.get_mut().unwrap_or_else(PoisonError::into_inner));
        if !outputs.is_empty() {
            (self.send)(spread(outputs));
        }
    }
}
