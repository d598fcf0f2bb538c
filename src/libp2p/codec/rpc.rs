//! The decoder of an RPC: `rpc.proto`, borrowed from the frame. [`RpcReader::begin`] checks a whole frame; its entries
//! are then decoded one by one, so that a connection can stop between two of them. Unknown fields are skipped, and
//! entries beyond the limits are ignored and counted.

use super::{
    encode::Kind,
    entry::{self, Entry, IHave, Prune, RpcError},
    limits::WireLimits,
    protobuf::{ProtoReader, Value, field, value_at},
};

/// Where an entry is in its frame. Entries of one kind keep their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    kind: Kind,
    /// The index in the frame of the entry's length.
    start: u32,
}

/// Reads the entries of one frame after another. It stores where the entries are, 8 bytes each, and no part of the
/// frame.
#[derive(Debug, Default)]
pub(in crate::libp2p) struct RpcReader {
    entries: Vec<Position>,
    /// How many entries were read.
    next: usize,
    /// The message ids that were read, over all control entries.
    ids: usize,
    /// The peers that were read, over all PRUNEs.
    px: usize,
    /// Entries, ids and peers beyond the limits.
    ignored: u64,
}

/// A reader with memory for more entries frees it at the end of a frame.
const RETAINED_ENTRIES: usize = 1_024;

/// What the limits allow of one kind of entry in an RPC, and what of that is left.
struct Allowed {
    subscriptions: usize,
    messages: usize,
    control: usize,
}

impl RpcReader {
    /// Checks a frame and begins to read it. Unread entries of an earlier frame are dropped.
    ///
    /// # Errors
    /// The frame is not protobuf, or has too long a name or id: it is refused as a whole.
    pub(in crate::libp2p) fn begin(&mut self, frame: &[u8], limits: &WireLimits) -> Result<(), RpcError> {
        let entries = std::mem::take(&mut self.entries);
        *self = Self { ignored: self.ignored, ..Self::default() };
        if entries.capacity() <= RETAINED_ENTRIES {
            self.entries = entries;
            self.entries.clear();
        }
        let found = self.find_entries(frame, limits);
        if found.is_err() {
            self.entries.clear();
        }
        // Frames that this crate and others write have their entries in this order, but for the control entries.
        if !self.entries.is_sorted() {
            self.entries.sort_unstable();
        }
        found
    }

    /// The next entry, and the bytes that it has in the frame that [`begin`](Self::begin) was called with.
    pub(super) fn next<'a>(
        &mut self,
        frame: &'a [u8],
        limits: &WireLimits,
    ) -> Result<Option<(Entry<'a>, usize)>, RpcError> {
        let Some(Position { kind, start }) = self.entries.get(self.next).copied() else { return Ok(None) };
        self.next += 1;
        let bytes = value_at(frame, start as usize)?;
        let entry = match kind {
            Kind::Subscription => Entry::Subscription(entry::subscription(bytes, limits)?),
            Kind::Message => Entry::Message(entry::message(bytes, limits)?),
            Kind::IHave => {
                let mut ids = Vec::new();
                let topic = entry::ihave(bytes, limits, |id| self.take_id(id, limits, &mut ids))?;
                Entry::IHave(IHave { topic, ids })
            }
            Kind::IWant => Entry::IWant(self.id_list(bytes, limits)?),
            Kind::Graft => Entry::Graft(entry::graft(bytes, limits)?),
            Kind::Prune => Entry::Prune(self.prune(bytes, limits)?),
            Kind::IDontWant => Entry::IDontWant(self.id_list(bytes, limits)?),
        };
        Ok(Some((entry, bytes.len())))
    }

    /// The memory of the positions.
    pub(in crate::libp2p) fn capacity(&self) -> usize {
        self.entries.capacity() * size_of::<Position>()
    }

    /// Whether entries are left.
    pub(in crate::libp2p) fn has_next(&self) -> bool {
        self.next < self.entries.len()
    }

    /// Takes the number of entries, ids and peers that were ignored because they were beyond the limits.
    pub(in crate::libp2p) fn take_ignored(&mut self) -> u64 {
        std::mem::take(&mut self.ignored)
    }

    fn find_entries(&mut self, frame: &[u8], limits: &WireLimits) -> Result<(), RpcError> {
        let mut allowed = Allowed {
            subscriptions: limits.max_subscriptions_in,
            messages: limits.max_messages_in,
            control: limits.max_control_in,
        };
        let mut fields = ProtoReader::new(frame);
        while let Some(next) = fields.next() {
            match next? {
                (field::rpc::SUBSCRIPTIONS, Value::Bytes(bytes)) => {
                    let topic = Some(entry::subscription(bytes, limits)?.topic);
                    let start = fields.value_start();
                    self.add(Kind::Subscription, topic, start, &mut allowed.subscriptions)?;
                }
                (field::rpc::PUBLISH, Value::Bytes(bytes)) => {
                    let topic = Some(entry::message(bytes, limits)?.topic);
                    self.add(Kind::Message, topic, fields.value_start(), &mut allowed.messages)?;
                }
                (field::rpc::CONTROL, Value::Bytes(bytes)) => {
                    let start = fields.value_end() - bytes.len();
                    self.find_control(bytes, start, limits, &mut allowed.control)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Finds the entries of a control message, which starts at index `start` of the frame.
    fn find_control(
        &mut self,
        bytes: &[u8],
        start: usize,
        limits: &WireLimits,
        allowed: &mut usize,
    ) -> Result<(), RpcError> {
        let mut fields = ProtoReader::new(bytes);
        while let Some(next) = fields.next() {
            let (number, Value::Bytes(bytes)) = next? else { continue };
            let (kind, topic) = match number {
                field::control::IHAVE => (Kind::IHave, Some(entry::ihave(bytes, limits, |_| {})?)),
                field::control::IWANT => {
                    entry::id_list(bytes, limits, |_| {})?;
                    (Kind::IWant, None)
                }
                field::control::GRAFT => (Kind::Graft, Some(entry::graft(bytes, limits)?)),
                field::control::PRUNE => (Kind::Prune, Some(entry::prune(bytes, limits, |_| {})?.0)),
                field::control::IDONTWANT => {
                    entry::id_list(bytes, limits, |_| {})?;
                    (Kind::IDontWant, None)
                }
                _ => continue,
            };
            self.add(kind, topic, start + fields.value_start(), allowed)?;
        }
        Ok(())
    }

    /// Adds an entry. Ignores it if no more are allowed, or if it does not name the topic that it is about: protobuf has an
    /// empty name then, and go and rust-libp2p treat that as a topic that nobody has.
    fn add(
        &mut self,
        kind: Kind,
        topic: Option<&str>,
        start: usize,
        allowed: &mut usize,
    ) -> Result<(), RpcError> {
        if *allowed == 0 || topic == Some("") {
            self.ignored += 1;
            return Ok(());
        }
        *allowed -= 1;
        // A frame of 4 GiB is beyond any limit.
        let start = u32::try_from(start).map_err(|_| RpcError::Malformed)?;
        self.entries.push(Position { kind, start });
        Ok(())
    }

    fn take_id<'a>(&mut self, id: &'a [u8], limits: &WireLimits, ids: &mut Vec<&'a [u8]>) {
        if self.ids < limits.max_ids_in {
            self.ids += 1;
            ids.push(id);
        } else {
            self.ignored += 1;
        }
    }

    /// The ids of an IWANT or an IDONTWANT.
    fn id_list<'a>(&mut self, bytes: &'a [u8], limits: &WireLimits) -> Result<Vec<&'a [u8]>, RpcError> {
        let mut ids = Vec::new();
        entry::id_list(bytes, limits, |id| self.take_id(id, limits, &mut ids))?;
        Ok(ids)
    }

    fn prune<'a>(&mut self, bytes: &'a [u8], limits: &WireLimits) -> Result<Prune<'a>, RpcError> {
        let mut px = Vec::new();
        let (topic, backoff) = entry::prune(bytes, limits, |info| {
            if self.px < limits.max_px_in {
                self.px += 1;
                px.push(info);
            } else {
                self.ignored += 1;
            }
        })?;
        Ok(Prune { topic, px, backoff })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::entry::Subscription, *};
    use crate::libp2p::codec::protobuf::{put_bytes, put_varint};

    fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, number, bytes);
        out
    }

    fn small() -> WireLimits {
        WireLimits {
            max_subscriptions_in: 2,
            max_messages_in: 2,
            max_control_in: 2,
            max_ids_in: 3,
            max_id_length: 4,
            max_px_in: 2,
            max_topic_length: 4,
            ..WireLimits::default()
        }
    }

    /// The entries of a frame, and how many were ignored.
    fn read<'a>(bytes: &'a [u8], limits: &WireLimits) -> Result<(Vec<Entry<'a>>, u64), RpcError> {
        let (mut reader, mut entries) = (RpcReader::default(), Vec::new());
        reader.begin(bytes, limits)?;
        while reader.has_next() {
            // A frame that `begin` accepted is decoded without an error.
            entries.extend(reader.next(bytes, limits).unwrap().map(|(entry, _)| entry));
        }
        Ok((entries, reader.take_ignored()))
    }

    fn refused(bytes: &[u8]) -> RpcError {
        read(bytes, &small()).unwrap_err()
    }

    #[test]
    fn unknown_fields_are_skipped() {
        // Extensions, a signed record, and the two flags that rust-libp2p adds to SubOpts.
        let mut subscription = vec![8, 1];
        subscription.extend(field(2, b"t"));
        subscription.extend([24, 0, 32, 0]);
        let mut bytes =
            [field(1, &subscription), field(3, &field(6, &[])), field(3, &field(7, &[10, 0]))].concat();
        bytes.extend(field(4, &[9; 20]));
        bytes.extend([9 << 3 | 5, 1, 2, 3, 4]);
        bytes.extend([9 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8]);
        let subscription = Entry::Subscription(Subscription { subscribe: true, topic: "t" });
        assert_eq!(read(&bytes, &small()), Ok((vec![subscription], 0)));
    }

    #[test]
    fn entries_are_read_by_kind_and_otherwise_in_the_order_of_the_bytes() {
        let graft = |topic: &[u8]| field(3, &field(3, &field(1, topic)));
        let iwant = |id: &[u8]| field(2, &field(1, id));
        let subscription = field(1, &field(2, b"s"));
        let control = field(3, &[iwant(b"1"), iwant(b"2")].concat());
        let bytes = [graft(b"b"), control, graft(b"a"), subscription, field(3, &iwant(b"3"))].concat();
        let (entries, _) = read(&bytes, &WireLimits::default()).unwrap();
        let iwant = |id| Entry::IWant(vec![id]);
        let subscription = Entry::Subscription(Subscription { subscribe: false, topic: "s" });
        let expected =
            [subscription, iwant(b"1"), iwant(b"2"), iwant(b"3"), Entry::Graft("b"), Entry::Graft("a")];
        assert_eq!(entries, expected);
    }

    #[test]
    fn entries_beyond_the_limits_are_ignored_and_counted() {
        let ignored = |bytes: &[u8]| {
            let (entries, ignored) = read(bytes, &small()).unwrap();
            (entries.len(), ignored)
        };
        let message = field(2, &field(4, b"t"));
        assert_eq!(ignored(&message.repeat(3)), (2, 1));
        let subscription = field(1, &field(2, b"t"));
        assert_eq!(ignored(&subscription.repeat(5)), (2, 3));
        let graft = field(3, &field(3, &field(1, b"t")));
        assert_eq!(ignored(&[graft.repeat(3), subscription].concat()), (3, 1));
        let iwant = field(3, &field(2, &field(1, b"id").repeat(2)));
        let idontwant = field(3, &field(5, &field(1, b"id").repeat(2)));
        let lists = [iwant, idontwant].concat();
        let expected = vec![Entry::IWant(vec![b"id"; 2]), Entry::IDontWant(vec![b"id"])];
        assert_eq!(read(&lists, &small()), Ok((expected, 1)));
        let px = [field(1, b"t"), field(2, &[]).repeat(3)].concat();
        let prune = field(3, &field(4, &px));
        let (entries, ignored) = read(&prune, &small()).unwrap();
        let [Entry::Prune(prune)] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!((prune.topic, prune.px.len(), ignored), ("t", 2, 1));
    }

    #[test]
    fn a_frame_begins_anew_after_a_refused_one() {
        let (mut reader, limits) = (RpcReader::default(), small());
        let graft = field(3, &field(3, &field(1, b"t")));
        reader.begin(&graft, &limits).unwrap();
        assert!(reader.has_next());
        assert_eq!(reader.begin(&[&graft[..], &[0x0b]].concat(), &limits), Err(RpcError::Malformed));
        assert!(!reader.has_next());
        reader.begin(&graft, &limits).unwrap();
        assert_eq!(reader.next(&graft, &limits), Ok(Some((Entry::Graft("t"), 3))));
        assert_eq!(reader.next(&graft, &limits), Ok(None));
    }

    #[test]
    fn lengths_and_topics_are_checked() {
        let long = field(3, &field(3, &field(1, b"topic")));
        assert_eq!(refused(&long), RpcError::TooLong { what: "topic", length: 5, max: 4 });
        let id = field(3, &field(2, &field(1, b"idids")));
        assert_eq!(refused(&id), RpcError::TooLong { what: "message id", length: 5, max: 4 });
        assert_eq!(refused(&field(2, &field(4, &[0xff]))), RpcError::TopicNotText);
    }

    #[test]
    fn entries_without_a_topic_are_ignored() {
        let control = [field(1, &field(2, b"id")), field(3, b""), field(4, &[0x18, 1])].concat();
        let frame = [field(1, &[0x08, 1]), field(2, &field(2, b"data")), field(3, &control)].concat();
        let (entries, ignored) = read(&frame, &WireLimits::default()).unwrap();
        assert_eq!((entries.len(), ignored), (0, 5), "{entries:?}");
    }

    #[test]
    fn bytes_that_are_not_protobuf_are_refused() {
        for bytes in [&[0x0a][..], &[0x0a, 5, 1], &[0x0b], &[0x00, 0x00], &[0xff; 11], &[0x0d, 1, 2]] {
            assert_eq!(refused(bytes), RpcError::Malformed, "{bytes:?}");
        }
        // A nested length that reaches beyond its message, though not beyond the frame.
        let mut bytes = field(1, &[0x12, 5]);
        bytes.extend(field(2, &field(4, b"tttt")));
        assert_eq!(refused(&bytes), RpcError::Malformed);
    }

    /// Bytes, most of them protobuf, nested up to `depth`.
    fn messages(depth: u32) -> impl Strategy<Value = Vec<u8>> {
        let leaf = prop::collection::vec(any::<u8>(), 0..8);
        leaf.prop_recursive(depth, 64, 6, |inner| {
            let one = (1u64..8, inner, any::<bool>()).prop_map(|(number, bytes, as_bytes)| {
                let mut out = Vec::new();
                if as_bytes {
                    put_bytes(&mut out, number, &bytes);
                } else {
                    put_varint(&mut out, number << 3);
                    put_varint(&mut out, bytes.len() as u64);
                }
                out
            });
            prop::collection::vec(one, 0..6).prop_map(|all| all.concat())
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_within_the_limits(
            bytes in prop_oneof![messages(5), prop::collection::vec(any::<u8>(), 0..200)],
        ) {
            let limits = small();
            if let Ok((entries, _)) = read(&bytes, &limits) {
                let of = |kind| entries.iter().filter(|entry| entry.kind() == kind).count();
                let (subscriptions, messages) = (of(Kind::Subscription), of(Kind::Message));
                let control = entries.len() - subscriptions - messages;
                prop_assert!(subscriptions <= 2 && messages <= 2 && control <= 2);
                let sizes = entries.iter().map(|entry| match entry {
                    Entry::IHave(IHave { ids, .. }) | Entry::IWant(ids) | Entry::IDontWant(ids) => (ids.len(), 0),
                    Entry::Prune(prune) => (0, prune.px.len()),
                    _ => (0, 0),
                });
                let (ids, px) = sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
                prop_assert!(ids <= 3 && px <= 2);
            }
        }
    }
}
