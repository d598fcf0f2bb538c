//! One connection: its streams, its send queue, and how far it is read ahead of the engine.

pub(super) mod delivery_report;
pub(super) mod handler;
pub(super) mod inbound_stream;
pub(super) mod lanes;
pub(super) mod outbound_stream;
pub(super) mod packing;
pub(super) mod read_budget;
pub(super) mod send_queue;
pub(super) mod stall_detector;
