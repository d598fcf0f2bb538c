//! The two output streams of an engine: their queues, their backpressure, and the reports on publications.

pub(crate) mod app_queue;
mod backpressure;
pub(crate) mod p2p_queue;
pub(crate) mod publication;
pub(crate) mod publish_room;
mod reader;
pub(crate) mod wait_time;

/// An empty queue keeps capacity for about this many items; a longer burst's capacity is freed.
const RETAINED_CAPACITY: usize = 1024;
