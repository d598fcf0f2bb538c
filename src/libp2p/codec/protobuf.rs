//! Protobuf by hand: a reader of one message's fields, the writers of fields, and the field numbers of `rpc.proto`.
//! The reader borrows from its input, so that its callers can check every count and length before they store
//! anything.

use quick_protobuf::BytesReader;
use unsigned_varint::encode;

use super::entry::RpcError;

/// The field numbers of `rpc.proto`, by message.
pub(in crate::libp2p) mod field {
    pub mod rpc {
        pub const SUBSCRIPTIONS: u64 = 1;
        pub const PUBLISH: u64 = 2;
        pub const CONTROL: u64 = 3;
    }

    pub mod sub_opts {
        pub const SUBSCRIBE: u64 = 1;
        pub const TOPIC_ID: u64 = 2;
    }

    pub mod message {
        pub const FROM: u64 = 1;
        pub const DATA: u64 = 2;
        pub const SEQNO: u64 = 3;
        pub const TOPIC: u64 = 4;
        pub const SIGNATURE: u64 = 5;
        pub const KEY: u64 = 6;
    }

    pub mod control {
        pub const IHAVE: u64 = 1;
        pub const IWANT: u64 = 2;
        pub const GRAFT: u64 = 3;
        pub const PRUNE: u64 = 4;
        pub const IDONTWANT: u64 = 5;
    }

    /// IHAVE, GRAFT and PRUNE all begin with their topic.
    pub const TOPIC_ID: u64 = 1;

    pub mod ihave {
        pub const MESSAGE_IDS: u64 = 2;
    }

    /// IWANT and IDONTWANT have the same shape.
    pub mod id_list {
        pub const MESSAGE_IDS: u64 = 1;
    }

    pub mod prune {
        pub const PEERS: u64 = 2;
        pub const BACKOFF: u64 = 3;
    }

    pub mod peer_info {
        pub const PEER_ID: u64 = 1;
        pub const SIGNED_PEER_RECORD: u64 = 2;
    }
}

/// The wire types of protobuf: the low three bits of a field's tag.
mod wire_type {
    pub(super) const VARINT: u64 = 0;
    pub(super) const FIXED64: u64 = 1;
    pub(super) const LENGTH_DELIMITED: u64 = 2;
    pub(super) const FIXED32: u64 = 5;
    pub(super) const BITS: u32 = 3;
}

/// The value of a field. Values of a fixed size are skipped, since no field of `rpc.proto` has one.
pub(in crate::libp2p) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// Iterates over the fields of one message: field number and value, in the order of the bytes. After an error the
/// iterator ends.
///
/// A nested message is read by a reader of its own slice, so that lengths are checked against the innermost
/// message.
pub(in crate::libp2p) struct ProtoReader<'a> {
    reader: BytesReader,
    bytes: &'a [u8],
    value_start: usize,
}

impl<'a> ProtoReader<'a> {
    pub(in crate::libp2p) fn new(bytes: &'a [u8]) -> Self {
        Self { reader: BytesReader::from_bytes(bytes), bytes, value_start: 0 }
    }

    /// The index in the input at which the value of the last field starts, with its length.
    pub(super) fn value_start(&self) -> usize {
        self.value_start
    }

    /// The index in the input behind the last field, and so behind its value.
    pub(super) fn value_end(&self) -> usize {
        self.bytes.len() - self.reader.len()
    }

    fn read(&mut self) -> quick_protobuf::Result<(u64, Value<'a>)> {
        let tag = self.reader.read_varint64(self.bytes)?;
        self.value_start = self.value_end();
        let (number, wire_type) = (tag >> wire_type::BITS, tag & ((1 << wire_type::BITS) - 1));
        let value = match wire_type {
            wire_type::VARINT => Value::Varint(self.reader.read_varint64(self.bytes)?),
            wire_type::FIXED64 => self.reader.read_fixed64(self.bytes).map(|_| Value::Fixed)?,
            wire_type::LENGTH_DELIMITED => Value::Bytes(self.reader.read_bytes(self.bytes)?),
            wire_type::FIXED32 => self.reader.read_fixed32(self.bytes).map(|_| Value::Fixed)?,
            other => return Err(quick_protobuf::Error::UnknownWireType(other as u8)),
        };
        Ok((number, value))
    }
}

impl<'a> Iterator for ProtoReader<'a> {
    type Item = Result<(u64, Value<'a>), RpcError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_eof() {
            return None;
        }
        let field = self.read().map_err(|_| RpcError::Malformed);
        // Field number 0 is not allowed.
        if !matches!(field, Ok((1.., _))) {
            self.reader.read_to_end();
            return Some(Err(RpcError::Malformed));
        }
        Some(field)
    }
}

/// Reads the bytes whose length is at index `start`, as [`ProtoReader::value_start`] returned it.
pub(super) fn value_at(bytes: &[u8], start: usize) -> Result<&[u8], RpcError> {
    let rest = bytes.get(start..).ok_or(RpcError::Malformed)?;
    BytesReader::from_bytes(rest).read_bytes(rest).map_err(|_| RpcError::Malformed)
}

/// Writes the fields of a message that its signature covers. Signer and verifier encode them in this order and
/// this form; an absent field is left out, an empty one is not.
pub(in crate::libp2p) fn put_signed_fields(
    out: &mut Vec<u8>,
    from: Option<&[u8]>,
    data: Option<&[u8]>,
    seqno: Option<&[u8]>,
    topic: &str,
) {
    put_optional(out, field::message::FROM, from);
    put_optional(out, field::message::DATA, data);
    put_optional(out, field::message::SEQNO, seqno);
    put_bytes(out, field::message::TOPIC, topic.as_bytes());
}

/// Writes a field of bytes, text or a nested message, if there is one.
pub(super) fn put_optional(out: &mut Vec<u8>, field: u64, bytes: Option<&[u8]>) {
    if let Some(bytes) = bytes {
        put_bytes(out, field, bytes);
    }
}

/// Writes a field of bytes, text or a nested message.
pub(in crate::libp2p) fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_length(out, field, bytes.len());
    out.extend_from_slice(bytes);
}

/// Writes the tag and the length of a field, whose `length` bytes follow.
pub(in crate::libp2p) fn put_length(out: &mut Vec<u8>, field: u64, length: usize) {
    put_varint(out, field << wire_type::BITS | wire_type::LENGTH_DELIMITED);
    put_varint(out, length as u64);
}

/// The bytes that [`put_bytes`] writes for a value of `length` bytes.
pub(super) fn field_length(field: u64, length: usize) -> usize {
    let varint = |value: u64| encode::u64(value, &mut encode::u64_buffer()).len();
    varint(field << wire_type::BITS | wire_type::LENGTH_DELIMITED) + varint(length as u64) + length
}

/// Writes an integer field.
pub(in crate::libp2p) fn put_integer(out: &mut Vec<u8>, field: u64, value: u64) {
    put_varint(out, field << wire_type::BITS | wire_type::VARINT);
    put_varint(out, value);
}

/// Writes an unsigned varint.
pub(in crate::libp2p) fn put_varint(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(encode::u64(value, &mut encode::u64_buffer()));
}
