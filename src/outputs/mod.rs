//! The two output streams of an engine: their queues, what becomes of publications, and the recycling of message copies.

pub(crate) mod app_queue;
mod backpressure;
pub(crate) mod p2p_queue;
pub(crate) mod publication;
mod reader;
pub(crate) mod recycle;
pub(crate) mod wait_time;

/// No empty queue keeps room for much more than this, however long it was.
const KEPT: usize = 1024;
