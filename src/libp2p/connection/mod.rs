//! One connection, in the connection's own task: the stream that we opened and write, the stream that the peer opened
//! and we read, the send queue between the behaviour and the first, and the read budget between the second and the
//! engine.

pub(super) mod capabilities;
pub(super) mod delivery_report;
pub(super) mod graylist;
pub(super) mod handler;
pub(super) mod inbound_stream;
mod inbound_streams;
mod lane_counts;
pub(super) mod lanes;
mod outbound_stream;
pub(super) mod packing;
pub(super) mod push;
pub(super) mod queue_limits;
mod queue_state;
pub(super) mod read_budget;
pub(super) mod send_queue;
pub(super) mod stall_detector;
mod stream_state;
