//! The content of a test message: its publisher, its number and the time of its publication, padded to a size.

/// The bytes of the three numbers.
const HEADER: usize = 24;

#[derive(Clone, Copy)]
pub struct Content {
    pub publisher: usize,
    pub number: u64,
    /// Nanoseconds since 1970.
    pub published: u64,
}

impl Content {
    /// A message of `size` bytes, or of the header alone if that is longer.
    pub fn encode(self, size: usize) -> Vec<u8> {
        let mut data = Vec::with_capacity(size.max(HEADER));
        for field in [self.publisher as u64, self.number, self.published] {
            data.extend(field.to_be_bytes());
        }
        data.resize(size.max(HEADER), b'.');
        data
    }

    /// `None` if the message has no header.
    pub fn decode(data: &[u8]) -> Option<Self> {
        let field = |index: usize| {
            let bytes = data.get(8 * index..8 * index + 8)?.try_into().ok()?;
            Some(u64::from_be_bytes(bytes))
        };
        let publisher = usize::try_from(field(0)?).ok()?;
        Some(Self { publisher, number: field(1)?, published: field(2)? })
    }
}
