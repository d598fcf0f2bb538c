//! Reading an RPC: the protobuf of a frame, borrowed from it. Counts and lengths are checked before
//! anything is stored, unknown fields are skipped; it knows nothing of signatures and never panics.

use std::str;

use super::{
    frame::WireLimits,
    protobuf::{Fields, Value},
};

/// The parts of an RPC, each in the order in which it was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::libp2p) struct Rpc<'a> {
    pub(in crate::libp2p) subscriptions: Vec<Subscription<'a>>,
    pub(in crate::libp2p) messages: Vec<RawMessage<'a>>,
    pub(in crate::libp2p) ihave: Vec<IHave<'a>>,
    pub(in crate::libp2p) iwant: Vec<Vec<&'a [u8]>>,
    pub(in crate::libp2p) graft: Vec<&'a str>,
    pub(in crate::libp2p) prune: Vec<Prune<'a>>,
    pub(in crate::libp2p) idontwant: Vec<Vec<&'a [u8]>>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::libp2p) struct Subscription<'a> {
    pub(in crate::libp2p) subscribe: bool,
    pub(in crate::libp2p) topic: &'a str,
}

/// The fields of a message that are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::libp2p) struct RawMessage<'a> {
    pub(in crate::libp2p) from: Option<&'a [u8]>,
    pub(in crate::libp2p) data: Option<&'a [u8]>,
    pub(in crate::libp2p) seqno: Option<&'a [u8]>,
    pub(in crate::libp2p) topic: &'a str,
    pub(in crate::libp2p) signature: Option<&'a [u8]>,
    pub(in crate::libp2p) key: Option<&'a [u8]>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::libp2p) struct IHave<'a> {
    pub(in crate::libp2p) topic: &'a str,
    pub(in crate::libp2p) ids: Vec<&'a [u8]>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::libp2p) struct Prune<'a> {
    pub(in crate::libp2p) topic: &'a str,
    pub(in crate::libp2p) px: Vec<PeerInfo<'a>>,
    /// In seconds; v1.0 peers don't say.
    pub(in crate::libp2p) backoff: Option<u64>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::libp2p) struct PeerInfo<'a> {
    pub(in crate::libp2p) peer: &'a [u8],
    pub(in crate::libp2p) record: Option<&'a [u8]>,
}

/// Why a frame is not an RPC that we read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// It is not protobuf.
    #[error("malformed protobuf")]
    Malformed,
    /// A topic is not text.
    #[error("a topic is not UTF-8")]
    TopicNotText,
    /// An entry that must name a topic does not.
    #[error("an entry without a topic")]
    MissingTopic,
    /// There is more of something than we read.
    #[error("more than {max} {what}")]
    TooMany { what: &'static str, max: usize },
    /// Something is longer than we read.
    #[error("a {what} of {length} bytes exceeds the limit of {max}")]
    TooLong { what: &'static str, length: usize, max: usize },
}

/// Reads the frame `bytes`.
pub(in crate::libp2p) fn read<'a>(bytes: &'a [u8], limits: &WireLimits) -> Result<Rpc<'a>, RpcError> {
    let mut reading = Reading { limits, rpc: Rpc::default(), control: 0, ids: 0, px: 0 };
    for field in Fields::of(bytes) {
        match field? {
            (1, Value::Bytes(bytes)) => reading.subscription(bytes)?,
            (2, Value::Bytes(bytes)) => reading.message(bytes)?,
            (3, Value::Bytes(bytes)) => reading.control(bytes)?,
            _ => {}
        }
    }
    Ok(reading.rpc)
}

/// An RPC that is being read, with what was counted so far.
struct Reading<'a, 'l> {
    limits: &'l WireLimits,
    rpc: Rpc<'a>,
    control: usize,
    ids: usize,
    px: usize,
}

impl<'a> Reading<'a, '_> {
    fn subscription(&mut self, bytes: &'a [u8]) -> Result<(), RpcError> {
        room("subscriptions", self.rpc.subscriptions.len(), self.limits.max_subscriptions_in)?;
        let mut entry = Subscription::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, Value::Varint(flag)) => entry.subscribe = flag != 0,
                (2, Value::Bytes(name)) => entry.topic = self.topic(name)?,
                _ => {}
            }
        }
        named(entry.topic)?;
        self.rpc.subscriptions.push(entry);
        Ok(())
    }

    fn message(&mut self, bytes: &'a [u8]) -> Result<(), RpcError> {
        room("messages", self.rpc.messages.len(), self.limits.max_messages_in)?;
        let mut message = RawMessage::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, Value::Bytes(bytes)) => message.from = Some(bytes),
                (2, Value::Bytes(bytes)) => message.data = Some(bytes),
                (3, Value::Bytes(bytes)) => message.seqno = Some(bytes),
                (4, Value::Bytes(name)) => message.topic = self.topic(name)?,
                (5, Value::Bytes(bytes)) => message.signature = Some(bytes),
                (6, Value::Bytes(bytes)) => message.key = Some(bytes),
                _ => {}
            }
        }
        named(message.topic)?;
        self.rpc.messages.push(message);
        Ok(())
    }

    fn control(&mut self, bytes: &'a [u8]) -> Result<(), RpcError> {
        for field in Fields::of(bytes) {
            let (number, Value::Bytes(bytes)) = field? else { continue };
            if !(1..=5).contains(&number) {
                continue;
            }
            room("control entries", self.control, self.limits.max_control_in)?;
            self.control += 1;
            match number {
                1 => self.ihave(bytes)?,
                2 => {
                    let ids = self.ids_of(bytes)?;
                    self.rpc.iwant.push(ids);
                }
                3 => self.graft(bytes)?,
                4 => self.prune(bytes)?,
                _ => {
                    let ids = self.ids_of(bytes)?;
                    self.rpc.idontwant.push(ids);
                }
            }
        }
        Ok(())
    }

    fn ihave(&mut self, bytes: &'a [u8]) -> Result<(), RpcError> {
        let mut entry = IHave::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, Value::Bytes(name)) => entry.topic = self.topic(name)?,
                (2, Value::Bytes(id)) => entry.ids.push(self.id(id)?),
                _ => {}
            }
        }
        named(entry.topic)?;
        self.rpc.ihave.push(entry);
        Ok(())
    }

    /// Those of an iwant, or of an idontwant.
    fn ids_of(&mut self, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, RpcError> {
        let mut ids = Vec::new();
        for field in Fields::of(bytes) {
            if let (1, Value::Bytes(id)) = field? {
                ids.push(self.id(id)?);
            }
        }
        Ok(ids)
    }

    fn graft(&mut self, bytes: &'a [u8]) -> Result<(), RpcError> {
        let mut topic = "";
        for field in Fields::of(bytes) {
            if let (1, Value::Bytes(name)) = field? {
                topic = self.topic(name)?;
            }
        }
        named(topic)?;
        self.rpc.graft.push(topic);
        Ok(())
    }

    fn prune(&mut self, bytes: &'a [u8]) -> Result<(), RpcError> {
        let mut entry = Prune::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, Value::Bytes(name)) => entry.topic = self.topic(name)?,
                (2, Value::Bytes(info)) => entry.px.push(self.peer_info(info)?),
                (3, Value::Varint(seconds)) => entry.backoff = Some(seconds),
                _ => {}
            }
        }
        named(entry.topic)?;
        self.rpc.prune.push(entry);
        Ok(())
    }

    fn peer_info(&mut self, bytes: &'a [u8]) -> Result<PeerInfo<'a>, RpcError> {
        room("px peers", self.px, self.limits.max_px_in)?;
        self.px += 1;
        let mut info = PeerInfo::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, Value::Bytes(peer)) => info.peer = peer,
                (2, Value::Bytes(record)) => info.record = Some(record),
                _ => {}
            }
        }
        Ok(info)
    }

    fn topic(&self, name: &'a [u8]) -> Result<&'a str, RpcError> {
        short("topic", name, self.limits.max_topic_length)?;
        str::from_utf8(name).map_err(|_| RpcError::TopicNotText)
    }

    fn id(&mut self, id: &'a [u8]) -> Result<&'a [u8], RpcError> {
        room("message ids", self.ids, self.limits.max_ids_in)?;
        self.ids += 1;
        short("message id", id, self.limits.max_id_length)?;
        Ok(id)
    }
}

fn room(what: &'static str, count: usize, max: usize) -> Result<(), RpcError> {
    if count < max { Ok(()) } else { Err(RpcError::TooMany { what, max }) }
}

fn short(what: &'static str, bytes: &[u8], max: usize) -> Result<(), RpcError> {
    let length = bytes.len();
    if length <= max { Ok(()) } else { Err(RpcError::TooLong { what, length, max }) }
}

fn named(topic: &str) -> Result<(), RpcError> {
    if topic.is_empty() { Err(RpcError::MissingTopic) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::libp2p::codec::encode::{put_bytes, put_varint};

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
        let rpc = read(&bytes, &small()).unwrap();
        assert_eq!(
            rpc,
            Rpc { subscriptions: vec![Subscription { subscribe: true, topic: "t" }], ..Rpc::default() }
        );
    }

    #[test]
    fn everything_is_counted_before_it_is_kept() {
        let message = field(2, &field(4, b"t"));
        assert_eq!(refused(&message.repeat(3)), RpcError::TooMany { what: "messages", max: 2 });
        let subscription = field(1, &field(2, b"t"));
        assert_eq!(refused(&subscription.repeat(3)), RpcError::TooMany { what: "subscriptions", max: 2 });
        let graft = field(3, &field(3, &field(1, b"t")));
        assert_eq!(refused(&graft.repeat(3)), RpcError::TooMany { what: "control entries", max: 2 });
        let iwant = field(3, &field(2, &field(1, b"id").repeat(2)));
        assert_eq!(refused(&iwant.repeat(2)), RpcError::TooMany { what: "message ids", max: 3 });
        let idontwant = field(3, &field(5, &field(1, b"id").repeat(2)));
        assert_eq!(refused(&[iwant, idontwant].concat()), RpcError::TooMany { what: "message ids", max: 3 });
        let px = [field(1, b"t"), field(2, &[]).repeat(3)].concat();
        assert_eq!(refused(&field(3, &field(4, &px))), RpcError::TooMany { what: "px peers", max: 2 });
    }

    #[test]
    fn lengths_and_topics_are_checked() {
        let long = field(3, &field(3, &field(1, b"topic")));
        assert_eq!(refused(&long), RpcError::TooLong { what: "topic", length: 5, max: 4 });
        let id = field(3, &field(2, &field(1, b"idids")));
        assert_eq!(refused(&id), RpcError::TooLong { what: "message id", length: 5, max: 4 });
        assert_eq!(refused(&field(2, &field(4, &[0xff]))), RpcError::TopicNotText);
        assert_eq!(refused(&field(2, &field(2, b"data"))), RpcError::MissingTopic);
    }

    #[test]
    fn what_is_no_protobuf_is_refused() {
        for bytes in [&[0x0a][..], &[0x0a, 5, 1], &[0x0b], &[0x00, 0x00], &[0xff; 11], &[0x0d, 1, 2]] {
            assert_eq!(refused(bytes), RpcError::Malformed, "{bytes:?}");
        }
        // A nested length that reaches beyond its message, though not beyond the frame.
        let mut bytes = field(1, &[0x12, 5]);
        bytes.extend(field(2, &field(4, b"tttt")));
        assert_eq!(refused(&bytes), RpcError::Malformed);
    }

    /// Bytes that are often protobuf, nested up to `depth`.
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
        fn any_bytes_are_read_within_the_limits(
            bytes in prop_oneof![messages(5), prop::collection::vec(any::<u8>(), 0..200)],
        ) {
            let limits = small();
            if let Ok(rpc) = read(&bytes, &limits) {
                prop_assert!(rpc.subscriptions.len() <= 2 && rpc.messages.len() <= 2);
                let control = [rpc.ihave.len(), rpc.iwant.len(), rpc.graft.len(), rpc.prune.len(), rpc.idontwant.len()];
                prop_assert!(control.iter().sum::<usize>() <= 2);
                prop_assert!(rpc.prune.iter().map(|prune| prune.px.len()).sum::<usize>() <= 2);
                let lists = rpc.iwant.iter().chain(&rpc.idontwant).map(Vec::len);
                let ids = rpc.ihave.iter().map(|entry| entry.ids.len()).chain(lists);
                prop_assert!(ids.sum::<usize>() <= 3);
            }
        }
    }
}
