//! The outcomes of signed peer records and of the dials of recommended peers (v1.1 "peer exchange"). The engine counts both
//! in its metrics.

use enum_map::Enum;
use strum::{IntoStaticStr, VariantNames};

/// The outcome of a signed peer record at the transport: one that a peer sent of itself, or one that came with a recommended peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr, VariantNames, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum PeerRecordOutcome {
    /// It was verified and stored.
    #[error("the record was stored")]
    Stored,
    /// It was verified, and a record with a higher or equal sequence number is known.
    #[error("a newer record is known")]
    NotNewer,
    /// The peer has sent many reports of itself within a minute. Nothing of this one was used.
    #[error("the peer has sent too many reports")]
    TooMany,
    /// It is longer than the transport accepts.
    #[error("the record is too long")]
    TooLong,
    /// It is no envelope, or its content is no peer record.
    #[error("the record can't be decoded")]
    Malformed,
    /// The envelope contains something else than a peer record.
    #[error("the envelope contains no peer record")]
    WrongType,
    /// The signature of the envelope is wrong.
    #[error("the signature of the record is wrong")]
    BadSignature,
    /// It is the record of another peer than the one with which it came.
    #[error("the record is of another peer")]
    OtherPeer,
}

/// The outcome of a dial to a recommended peer that the engine requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum PxDialOutcome {
    /// It is connected.
    Connected,
    /// None of its addresses was reached, or another peer answered.
    Failed,
    /// No address is known at which it may be dialled: it came without a record, or its record has private addresses alone.
    NoAddress,
    /// The record that came with it is not valid. It was not dialled.
    BadRecord,
    /// A limit on dials or connections was reached.
    Refused,
    /// It was connected already, or another dial of it was in progress.
    Redundant,
}
