//! The wire format: frames, and the protobuf messages in them.

pub(super) mod decode;
pub(super) mod encode;
pub(super) mod encoder;
pub(super) mod frame;
pub(super) mod protobuf;
pub(super) mod rpc;
