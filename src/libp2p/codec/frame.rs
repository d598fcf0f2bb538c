//! Frames: each RPC follows its length, an unsigned varint. The decoder takes bytes in pieces of any size, and
//! stores at most what the peer has sent of one frame.

use unsigned_varint::decode;

/// Why the bytes of a peer are not frames. Nothing on the stream can be read after such an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length prefix is not an unsigned varint of minimal length.
    #[error("the length of a frame is not a minimal varint")]
    BadLength,
    /// The frame is longer than [`WireLimits::max_frame_in`](crate::libp2p::WireLimits::max_frame_in).
    #[error("a frame of {length} bytes exceeds the limit of {max}")]
    TooLong {
        /// The length that the prefix announces, in bytes.
        length: usize,
        /// The limit, in bytes.
        max: usize,
    },
}

/// The longest length prefix, in bytes: a 64-bit varint.
const MAX_PREFIX: usize = 10;

/// A buffer of a larger capacity, in bytes, is freed once it is empty.
const RETAINED_CAPACITY: usize = 1 << 14;

/// Splits the bytes of a stream into frames.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    /// The index in `buffer` of the first byte that is not yet part of a returned frame.
    start: usize,
    /// The length of the frame that was returned last. It ends at `start`.
    length: usize,
    max_length: usize,
}

impl FrameDecoder {
    /// Creates a decoder of frames of at most `max_length` bytes, without their prefix.
    pub fn new(max_length: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, length: 0, max_length }
    }

    /// Appends received bytes. Call [`next_frame`](Self::next_frame) until it returns `None` before the next call:
    /// the decoder then stores at most one incomplete frame and these bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            (self.start, self.length) = (0, 0);
        }
        self.reserve(bytes.len());
        self.buffer.extend_from_slice(bytes);
    }

    /// Makes room for more bytes. The capacity doubles, but not beyond the announced length of the frame: a peer that
    /// announces a long frame gets memory only for what it sends of it.
    fn reserve(&mut self, more: usize) {
        let needed = self.buffer.len() + more;
        if needed > self.buffer.capacity() {
            let frame = self.next_length().ok().flatten().map_or(needed, |(length, prefix)| length + prefix);
            let capacity = (2 * self.buffer.capacity()).min(frame + more).max(needed);
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
    }

    /// The bytes of frames that are not complete, or not taken yet.
    pub(in crate::libp2p) fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The memory of the buffer.
    pub(in crate::libp2p) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Returns the next complete frame, without its prefix, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// The prefix is not a varint or announces more than the limit. The stream can't be read any further.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        if self.pending() == 0 {
            self.buffer.clear();
            (self.start, self.length) = (0, 0);
            if self.buffer.capacity() > RETAINED_CAPACITY {
                self.buffer = Vec::new();
            }
            return Ok(None);
        }
        let Some((length, prefix)) = self.next_length()? else { return Ok(None) };
        let begin = self.start + prefix;
        let Some(end) = begin.checked_add(length).filter(|end| *end <= self.buffer.len()) else {
            return Ok(None);
        };
        (self.start, self.length) = (end, length);
        Ok(Some(&self.buffer[begin..end]))
    }

    /// The frame that [`next_frame`](Self::next_frame) returned last, until bytes are appended.
    pub(in crate::libp2p) fn frame(&self) -> &[u8] {
        &self.buffer[self.start - self.length..self.start]
    }

    /// The length of the next frame, checked against the limit, and the length of its prefix.
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
    fn frames_may_arrive_one_byte_at_a_time() {
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
    fn a_prefix_that_is_not_a_varint_is_refused() {
        assert_eq!(frames(&[&[0xff; 20]], 300), Err(FrameError::BadLength));
        assert_eq!(frames(&[&[0x80, 0x00]], 300), Err(FrameError::BadLength));
    }

    #[test]
    fn memory_grows_with_the_received_bytes_and_is_freed_with_the_frame() {
        let (body, mut decoder) = (vec![7; 1 << 20], FrameDecoder::new(1 << 20));
        let frame = frame(&body);
        for (count, piece) in frame.chunks(1_000).enumerate() {
            assert_eq!(decoder.next_frame(), Ok(None));
            decoder.extend(piece);
            let received = (count + 1) * 1_000;
            assert!(decoder.capacity() <= (2 * received).min(frame.len() + 1_000), "after {received} bytes");
        }
        assert_eq!(decoder.next_frame().unwrap().map(<[u8]>::len), Some(1 << 20));
        assert_eq!(decoder.next_frame(), Ok(None));
        assert_eq!(decoder.capacity(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_alike_in_pieces_of_any_size(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            size in 1usize..50,
        ) {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(frames(&pieces, 64), frames(&[&bytes], 64));
        }

        #[test]
        fn at_most_a_frame_and_a_piece_are_stored(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
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
