//! Frames: RPCs preceded by their length as an unsigned varint. Works on bytes alone, so that it can be
//! fed one byte at a time; it never allocates more than a peer has sent, nor looks inside a frame.

use unsigned_varint::decode;

/// What we read from and write to a peer. Sizes are in bytes.
///
/// The defaults for reading are generous, since a frame beyond them costs the peer its stream; those for
/// writing are what the known implementations accept by default (rust-libp2p is the strictest).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireLimits {
    /// Largest frame read, without its length prefix.
    pub max_frame_in: usize,
    /// Most subscriptions in an RPC read.
    pub max_subscriptions_in: usize,
    /// Most messages in an RPC read.
    pub max_messages_in: usize,
    /// Most entries (graft, prune, ihave, iwant, idontwant together) in the control part of an RPC read.
    pub max_control_in: usize,
    /// Most message ids, over all ihaves, iwants and idontwants, in an RPC read.
    pub max_ids_in: usize,
    /// Longest message id read.
    pub max_id_length: usize,
    /// Most peers, over all prunes, in an RPC read.
    pub max_px_in: usize,
    /// Longest topic name, read or written.
    pub max_topic_length: usize,
    /// Largest frame written, with its length prefix: a message that needs more is not sent.
    pub max_frame_out: usize,
    /// A frame of several entries is closed before it grows beyond this.
    pub frame_target: usize,
    /// Most bytes of subscriptions and control in an RPC written.
    pub max_control_bytes_out: usize,
    /// Most subscriptions in an RPC written.
    pub max_subscriptions_out: usize,
    /// Most messages in an RPC written.
    pub max_messages_out: usize,
    /// Most peers in a prune written.
    pub max_px_out: usize,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            max_frame_in: 1 << 20,
            max_subscriptions_in: 20_000,
            max_messages_in: 5_000,
            max_control_in: 20_000,
            max_ids_in: 20_000,
            max_id_length: 1_024,
            max_px_in: 8_192,
            max_topic_length: 1_024,
            max_frame_out: 65_536,
            frame_target: 57_000,
            max_control_bytes_out: 16_000,
            max_subscriptions_out: 100,
            max_messages_out: 500,
            max_px_out: 16,
        }
    }
}

/// Why the bytes of a peer are not frames. Nothing after such an error can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length prefix is no varint.
    #[error("the length of a frame is not a minimal varint")]
    BadLength,
    /// The frame is longer than we read.
    #[error("a frame of {length} bytes exceeds the limit of {max}")]
    TooLong { length: usize, max: usize },
}

/// The longest length prefix: a 64-bit varint.
const MAX_PREFIX: usize = 10;

/// A larger buffer is given back once its frame is read.
const KEPT_CAPACITY: usize = 1 << 16;

/// Cuts what a peer sends into frames.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    /// Where the first unread byte of `buffer` is.
    start: usize,
    max_length: usize,
}

impl FrameDecoder {
    /// A decoder of frames of at most `max_length` bytes.
    pub fn new(max_length: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, max_length }
    }

    /// Adds bytes that were received. Between two calls take all frames with
    /// [`next_frame`](Self::next_frame): what is kept is then at most one frame and these bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_CAPACITY {
            self.buffer = Vec::new();
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete frame, or `None` when more bytes are needed.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let Some((length, prefix)) = self.next_length()? else { return Ok(None) };
        let begin = self.start + prefix;
        // Both fit: `length` is at most `max_length`, which a frame in memory has.
        let Some(end) = begin.checked_add(length).filter(|end| *end <= self.buffer.len()) else {
            return Ok(None);
        };
        self.start = end;
        Ok(Some(&self.buffer[begin..end]))
    }

    /// The length of the next frame and the bytes its prefix takes, checked against the limit.
    fn next_length(&self) -> Result<Option<(usize, usize)>, FrameError> {
        let bytes = &self.buffer[self.start..];
        match decode::usize(bytes) {
            Ok((length, _)) if length > self.max_length => {
                Err(FrameError::TooLong { length, max: self.max_length })
            }
            Ok((length, rest)) => Ok(Some((length, bytes.len() - rest.len()))),
            Err(decode::Error::Insufficient) if bytes.len() < MAX_PREFIX => Ok(None),
            Err(_) => Err(FrameError::BadLength),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut prefix = unsigned_varint::encode::usize_buffer();
        let mut out = unsigned_varint::encode::usize(body.len(), &mut prefix).to_vec();
        out.extend_from_slice(body);
        out
    }

    fn frames(chunks: &[&[u8]], max: usize) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut decoder = FrameDecoder::new(max);
        let mut found = Vec::new();
        for chunk in chunks {
            decoder.extend(chunk);
            while let Some(frame) = decoder.next_frame()? {
                found.push(frame.to_vec());
            }
        }
        Ok(found)
    }

    #[test]
    fn frames_may_come_one_byte_at_a_time() {
        let bodies = [vec![], vec![7; 300], vec![1, 2, 3]];
        let bytes: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
        let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(frames(&bytewise, 300).unwrap(), bodies);
        assert_eq!(frames(&[&bytes], 300).unwrap(), bodies);
    }

    #[test]
    fn a_long_frame_is_refused_by_its_prefix_alone() {
        let error = frames(&[&frame(&[0; 301])[..2]], 300).unwrap_err();
        assert_eq!(error, FrameError::TooLong { length: 301, max: 300 });
        assert!(matches!(frames(&[&[0xff; 9], &[1]], 300), Err(FrameError::TooLong { .. })));
    }

    #[test]
    fn a_prefix_that_is_no_varint_is_refused() {
        assert_eq!(frames(&[&[0xff; 20]], 300), Err(FrameError::BadLength));
        assert_eq!(frames(&[&[0x80, 0x00]], 300), Err(FrameError::BadLength));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_read_alike(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            size in 1usize..50,
        ) {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(frames(&pieces, 64), frames(&[&bytes], 64));
        }

        #[test]
        fn no_more_is_kept_than_a_frame_and_a_piece(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut decoder = FrameDecoder::new(64);
            for piece in bytes.chunks(16) {
                decoder.extend(piece);
                while let Ok(Some(_)) = decoder.next_frame() {}
                if decoder.next_frame().is_err() { break }
                prop_assert!(decoder.buffer.len() - decoder.start <= 64 + MAX_PREFIX);
            }
        }
    }
}
