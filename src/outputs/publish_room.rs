//! The room for publications whose publishers wait for their peers
//! ([`Worker::publish_when_room`](crate::Worker::publish_when_room)): a bounded number of them, and of their bytes, is on the
//! way to the peers at a time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::Bounds;

/// The room of one engine. Those who wait get it in the order in which they began to wait.
#[derive(Debug)]
pub(crate) struct PublishRoom {
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    max_messages: usize,
    max_bytes: u32,
}

/// The room for one publication. Dropping it returns it.
#[derive(Debug)]
#[must_use = "dropping it returns the room"]
pub(crate) struct RoomPermit {
    _message: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl PublishRoom {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let max_permits = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let max_bytes =
            u32::try_from(bounds.max_unsent_publication_bytes).unwrap_or(u32::MAX).min(max_permits);
        let max_messages = bounds.max_unsent_publications.min(Semaphore::MAX_PERMITS);
        let (messages, bytes) = (Semaphore::new(max_messages), Semaphore::new(max_bytes as usize));
        Self { messages: messages.into(), bytes: bytes.into(), max_messages, max_bytes }
    }

    /// Waits for the room for a message of `bytes`. A message that is larger than all room gets all of it. `None` if the
    /// engine has ended.
    ///
    /// Cancellation safe: dropping the future takes no room.
    pub(crate) async fn acquire(&self, bytes: usize) -> Option<RoomPermit> {
        let bytes = self.permits(bytes);
        let message = Arc::clone(&self.messages).acquire_owned().await.ok()?;
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(bytes).await.ok()?;
        Some(RoomPermit { _message: message, _bytes: bytes })
    }

    /// The room for a message of `bytes`, if it is there now.
    ///
    /// # Errors
    /// The number of messages that have room.
    pub(crate) fn try_acquire(&self, bytes: usize) -> Result<RoomPermit, usize> {
        let bytes = self.permits(bytes);
        let occupied = |_| self.max_messages - self.messages.available_permits();
        let message = Arc::clone(&self.messages).try_acquire_owned().map_err(occupied)?;
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(bytes).map_err(occupied)?;
        Ok(RoomPermit { _message: message, _bytes: bytes })
    }

    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.max_bytes)
    }

    /// Lets all who wait return: the engine has ended.
    pub(crate) fn close(&self) {
        self.messages.close();
        self.bytes.close();
    }
}
