//! The fields of a protobuf message, one after the other. It knows no message, copies nothing, and never
//! reads beyond the bytes it was given.

use quick_protobuf::BytesReader;

use super::rpc::RpcError;

/// The value of a field. The fixed-size ones occur in no message of ours.
pub(in crate::libp2p) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// The fields of a message, one after the other. Each nested message gets a reader of its own slice:
/// lengths are then always checked against the innermost message.
pub(in crate::libp2p) struct Fields<'a> {
    reader: BytesReader,
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(in crate::libp2p) fn of(bytes: &'a [u8]) -> Self {
        Self { reader: BytesReader::from_bytes(bytes), bytes }
    }

    fn read(&mut self) -> quick_protobuf::Result<(u64, Value<'a>)> {
        let tag = self.reader.read_varint64(self.bytes)?;
        let value = match tag & 7 {
            0 => Value::Varint(self.reader.read_varint64(self.bytes)?),
            1 => self.reader.read_fixed64(self.bytes).map(|_| Value::Fixed)?,
            2 => Value::Bytes(self.reader.read_bytes(self.bytes)?),
            5 => self.reader.read_fixed32(self.bytes).map(|_| Value::Fixed)?,
            other => return Err(quick_protobuf::Error::UnknownWireType(other as u8)),
        };
        Ok((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), RpcError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_eof() {
            return None;
        }
        let field = self.read().map_err(|_| RpcError::Malformed);
        if !matches!(field, Ok((1.., _))) {
            self.reader.read_to_end();
            return Some(Err(RpcError::Malformed));
        }
        Some(field)
    }
}
