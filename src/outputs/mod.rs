//! The output streams of an engine and of its topics: their queues, their backpressure, and the reports on publications.

pub(crate) mod app_queue;
pub(crate) mod backpressure;
pub(crate) mod event_queue;
pub(crate) mod p2p_queue;
pub(crate) mod publication;
pub(crate) mod publish_batch;
pub(crate) mod publish_room;
mod reader;
pub(crate) mod shared_room;
pub(crate) mod topic_queue;
pub(crate) mod wait_time;
pub(crate) mod waiting_publishers;

/// An empty queue keeps capacity for about this many items; a longer burst's capacity is freed.
const RETAINED_CAPACITY: usize = 1024;
