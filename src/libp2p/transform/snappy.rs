//! The data transform that compresses messages with snappy. Memory for a received message is allocated only after its
//! decompressed length is checked.

use std::io::{Error, ErrorKind, Result};

use snap::raw::{Decoder, Encoder, decompress_len};

use super::{DataTransform, Message, RawMessage};
use crate::libp2p::ids::TopicName;

/// Compresses messages as one snappy block, the format of Ethereum's gossip topics. There is no frame around the block.
///
/// A received message that is no snappy block, or is longer than the limit when decompressed, is invalid (P4) and is not
/// delivered. The length is read from the block and checked before anything is allocated.
///
/// ```
/// use actix_gossipsub::libp2p::gossipsub::{
///     Behaviour, ConfigBuilder, MessageAuthenticity, SnappyTransform, ValidationMode, ethereum_message_id,
/// };
///
/// let config = ConfigBuilder::default()
///     .validation_mode(ValidationMode::Anonymous)
///     .raw_message_id_fn(ethereum_message_id)
///     .build()?;
/// let transform = SnappyTransform::new(10 << 20);
/// let behaviour = Behaviour::new_with_transform(MessageAuthenticity::Anonymous, config, transform)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SnappyTransform {
    max_length: usize,
}

impl SnappyTransform {
    /// `max_length`: the longest content before compression and after decompression, in bytes.
    pub fn new(max_length: usize) -> Self {
        Self { max_length }
    }

    fn check(&self, length: usize) -> Result<()> {
        if length > self.max_length {
            let limit = self.max_length;
            return Err(Error::other(format!("the content has {length} bytes, more than {limit}")));
        }
        Ok(())
    }

    fn decompress(&self, block: &[u8]) -> Result<Vec<u8>> {
        let length = decompress_len(block).map_err(Error::other)?;
        self.check(length)?;
        if !can_have(block.len(), length) {
            return Err(Error::new(ErrorKind::InvalidData, "the block is too short for its length"));
        }
        Decoder::new().decompress_vec(block).map_err(Error::other)
    }
}

/// Whether a block of `block` bytes can have `length` bytes decompressed. The densest element of the format is a copy of 64
/// bytes that is written in 3 bytes. So what is allocated is bounded by what the peer has sent, too.
fn can_have(block: usize, length: usize) -> bool {
    length / 64 <= block / 3
}

impl DataTransform for SnappyTransform {
    fn inbound_transform(&self, raw_message: RawMessage) -> Result<Message> {
        let data = self.decompress(&raw_message.data)?;
        Ok(Message { data, ..Message::from(raw_message) })
    }

    fn outbound_transform(&self, _: &TopicName, data: Vec<u8>) -> Result<Vec<u8>> {
        self.check(data.len())?;
        Encoder::new().compress_vec(&data).map_err(Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1 << 20;

    fn decompress(block: &[u8]) -> Option<Vec<u8>> {
        SnappyTransform::new(MAX).decompress(block).ok()
    }

    #[test]
    fn every_block_that_it_writes_can_be_read() {
        let transform = SnappyTransform::new(MAX);
        let noise = (0..MAX as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for data in [Vec::new(), b"abc".to_vec(), vec![0; 65], vec![0; MAX], noise] {
            let block = transform.outbound_transform(&"t".into(), data.clone()).unwrap();
            assert_eq!(decompress(&block), Some(data));
        }
        assert!(transform.outbound_transform(&"t".into(), vec![0; MAX + 1]).is_err());
    }

    /// Blocks by the description of the format, not by the encoder.
    #[test]
    fn the_length_is_checked_before_it_is_decompressed() {
        assert_eq!(decompress(b"\x03\x08abc"), Some(b"abc".to_vec()));
        // One byte, then copies of 64 bytes with offset 1: the densest block there is.
        let dense = [&[0x81, 0x02, 0, b'a'][..], &[0xfe, 1, 0].repeat(4)].concat();
        assert_eq!(decompress(&dense), Some(vec![b'a'; 257]));
        // 2^32 - 1 bytes, and 1 MiB of a block of 5 bytes.
        assert_eq!(decompress(b"\xff\xff\xff\xff\x0f\x00a"), None);
        assert!(!can_have(5, MAX));
        assert_eq!(decompress(b"\x80\x80\x40\x00a"), None);
        // Within the limit of another transform, but not of this one.
        let block = SnappyTransform::new(2 * MAX).outbound_transform(&"t".into(), vec![0; MAX + 1]).unwrap();
        assert_eq!(decompress(&block), None);
        // No length, a wrong length, a copy from before the beginning.
        for block in [&b""[..], b"\x04\x08abc", b"\x02\x08abc", b"\x04\x01\x01"] {
            assert_eq!(decompress(block), None, "{block:?}");
        }
    }
}
