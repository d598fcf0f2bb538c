//! The decoder of one RPC: `rpc.proto`, borrowed from the frame. It checks counts and lengths before it stores an
//! entry and skips unknown fields.

use std::str;

use super::{
    limits::WireLimits,
    protobuf::{ProtoReader, Value, field},
};

/// The entries of an RPC by kind, each kind in the order of the bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::libp2p) struct Rpc<'a> {
    pub(in crate::libp2p) subscriptions: Vec<Subscription<'a>>,
    pub(in crate::libp2p) messages: Vec<RawMessage<'a>>,
    pub(super) ihave: Vec<IHave<'a>>,
    pub(super) iwant: Vec<Vec<&'a [u8]>>,
    pub(super) graft: Vec<&'a str>,
    pub(super) prune: Vec<Prune<'a>>,
    pub(super) idontwant: Vec<Vec<&'a [u8]>>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::libp2p) struct Subscription<'a> {
    pub(super) subscribe: bool,
    pub(in crate::libp2p) topic: &'a str,
}

/// The fields of a message. `None` is an absent field; a signature distinguishes it from an empty one.
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
pub(super) struct IHave<'a> {
    pub(super) topic: &'a str,
    pub(super) ids: Vec<&'a [u8]>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Prune<'a> {
    pub(super) topic: &'a str,
    pub(super) px: Vec<PeerInfo<'a>>,
    /// In seconds; absent from v1.0 peers.
    pub(super) backoff: Option<u64>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PeerInfo<'a> {
    pub(super) peer: &'a [u8],
    pub(super) record: Option<&'a [u8]>,
}

/// Why a frame is not an acceptable RPC.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The frame is not protobuf.
    #[error("malformed protobuf")]
    Malformed,
    /// A topic name is not UTF-8.
    #[error("a topic is not UTF-8")]
    TopicNotText,
    /// An entry that must name a topic names none, or the empty one.
    #[error("an entry without a topic")]
    MissingTopic,
    /// The RPC has more entries of a kind than [`WireLimits`] allows.
    #[error("more than {max} {what}")]
    TooMany {
        /// The kind of entry.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// A value is longer than [`WireLimits`] allows.
    #[error("a {what} of {length} bytes exceeds the limit of {max}")]
    TooLong {
        /// The kind of value.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        max: usize,
    },
}

/// Decodes a frame.
///
/// # Errors
/// The frame is not protobuf, lacks a topic, or exceeds a limit: it is refused as a whole.
pub(in crate::libp2p) fn decode<'a>(bytes: &'a [u8], limits: &WireLimits) -> Result<Rpc<'a>, RpcError> {
    let mut decoder = RpcDecoder { limits, rpc: Rpc::default(), control: 0, ids: 0, px: 0 };
    for field in ProtoReader::new(bytes) {
        match field? {
            (field::rpc::SUBSCRIPTIONS, Value::Bytes(bytes)) => decoder.subscription(bytes)?,
            (field::rpc::PUBLISH, Value::Bytes(bytes)) => decoder.message(bytes)?,
            (field::rpc::CONTROL, Value::Bytes(bytes)) => decoder.control(bytes)?,
            _ => {}
        }
    }
    Ok(decoder.rpc)
}

/// The part of an RPC that is decoded so far, and the counts that limits apply to.
struct RpcDecoder<'a, 'l> {
    limits: &'l WireLimits,
    rpc: Rpc<'a>,
    /// Control entries of all kinds.
    control: usize,
    /// Message ids, over all control entries.
    ids: usize,
    /// Peers, over all PRUNEs.
    px: usize,
}

impl<'a> RpcDecoder<'a, '_> {
    fn subscription(&mut self, bytes: &'a [u8]) -> Result<(), RpcError> {
        check_count("subscriptions", self.rpc.subscriptions.len(), self.limits.max_subscriptions_in)?;
        let mut entry = Subscription::default();
        for field in ProtoReader::new(bytes) {
            match field? {
                (field::sub_opts::SUBSCRIBE, Value::Varint(flag)) => entry.subscribe = flag != 0,
                (field::sub_opts::TOPIC_ID, Value::Bytes(name)) => entry.topic = self.topic(name)?,
                _ => {}
            }
        }
        check_topic(entry.topic)?;
        self.rpc.subscriptions.push(entry);
        Ok(())
    }

    fn message(&mut self, bytes: &'a [u8]) -> Result<(), RpcError> {
        check_count("messages", self.rpc.messages.len(), self.limits.max_messages_in)?;
        let mut message = RawMessage::default();
        for field in ProtoReader::new(bytes) {
            match field? {
                (field::message::FROM, Value::Bytes(bytes)) => message.from = Some(bytes),
                (field::message::DATA, Value::Bytes(bytes)) => message.data = Some(bytes),
                (field::message::SEQNO, Value::Bytes(bytes)) => message.seqno = Some(bytes),
                (field::message::TOPIC, Value::Bytes(name)) => message.topic = self.topic(name)?,
                (field::message::SIGNATURE, Value::Bytes(bytes)) => message.signature = Some(bytes),
                (field::message::KEY, Value::Bytes(bytes)) => message.key = Some(bytes),
                _ => {}
            }
        }
        check_topic(message.topic)?;
        self.rpc.messages.push(message);
        Ok(())
    }

    fn control(&mut self, bytes: &'a [u8]) -> Result<(), RpcError> {
        for field in ProtoReader::new(bytes) {
            let (number, Value::Bytes(bytes)) = field? else { continue };
            if !(field::control::IHAVE..=field::control::IDONTWANT).contains(&number) {
                continue;
            }
            check_count("control entries", self.control, self.limits.max_control_in)?;
            self.control += 1;
            match number {
                field::control::IHAVE => self.ihave(bytes)?,
                field::control::IWANT => {
                    let ids = self.id_list(bytes)?;
                    self.rpc.iwant.push(ids);
                }
                field::control::GRAFT => self.graft(bytes)?,
                field::control::PRUNE => self.prune(bytes)?,
                _ => {
                    let ids = self.id_list(bytes)?;
                    self.rpc.idontwant.push(ids);
                }
            }
        }
        Ok(())
    }

    fn ihave(&mut self, bytes: &'a [u8]) -> Result<(), RpcError> {
        let mut entry = IHave::default();
        for field in ProtoReader::new(bytes) {
            match field? {
                (field::TOPIC_ID, Value::Bytes(name)) => entry.topic = self.topic(name)?,
                (field::ihave::MESSAGE_IDS, Value::Bytes(id)) => entry.ids.push(self.id(id)?),
                _ => {}
            }
        }
        check_topic(entry.topic)?;
        self.rpc.ihave.push(entry);
        Ok(())
    }

    /// The ids of an IWANT or an IDONTWANT.
    fn id_list(&mut self, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, RpcError> {
        let mut ids = Vec::new();
        for field in ProtoReader::new(bytes) {
            if let (field::id_list::MESSAGE_IDS, Value::Bytes(id)) = field? {
                ids.push(self.id(id)?);
            }
        }
        Ok(ids)
    }

    fn graft(&mut self, bytes: &'a [u8]) -> Result<(), RpcError> {
        let mut topic = "";
        for field in ProtoReader::new(bytes) {
            if let (field::TOPIC_ID, Value::Bytes(name)) = field? {
                topic = self.topic(name)?;
            }
        }
        check_topic(topic)?;
        self.rpc.graft.push(topic);
        Ok(())
    }

    fn prune(&mut self, bytes: &'a [u8]) -> Result<(), RpcError> {
        let mut entry = Prune::default();
        for field in ProtoReader::new(bytes) {
            match field? {
                (field::TOPIC_ID, Value::Bytes(name)) => entry.topic = self.topic(name)?,
                (field::prune::PEERS, Value::Bytes(info)) => entry.px.push(self.peer_info(info)?),
                (field::prune::BACKOFF, Value::Varint(seconds)) => entry.backoff = Some(seconds),
                _ => {}
            }
        }
        check_topic(entry.topic)?;
        self.rpc.prune.push(entry);
        Ok(())
    }

    fn peer_info(&mut self, bytes: &'a [u8]) -> Result<PeerInfo<'a>, RpcError> {
        check_count("px peers", self.px, self.limits.max_px_in)?;
        self.px += 1;
        let mut info = PeerInfo::default();
        for field in ProtoReader::new(bytes) {
            match field? {
                (field::peer_info::PEER_ID, Value::Bytes(peer)) => info.peer = peer,
                (field::peer_info::SIGNED_PEER_RECORD, Value::Bytes(record)) => info.record = Some(record),
                _ => {}
            }
        }
        Ok(info)
    }

    fn topic(&self, name: &'a [u8]) -> Result<&'a str, RpcError> {
        check_length("topic", name, self.limits.max_topic_length)?;
        str::from_utf8(name).map_err(|_| RpcError::TopicNotText)
    }

    fn id(&mut self, id: &'a [u8]) -> Result<&'a [u8], RpcError> {
        check_count("message ids", self.ids, self.limits.max_ids_in)?;
        self.ids += 1;
        check_length("message id", id, self.limits.max_id_length)?;
        Ok(id)
    }
}

fn check_count(what: &'static str, count: usize, max: usize) -> Result<(), RpcError> {
    if count < max { Ok(()) } else { Err(RpcError::TooMany { what, max }) }
}

fn check_length(what: &'static str, bytes: &[u8], max: usize) -> Result<(), RpcError> {
    let length = bytes.len();
    if length <= max { Ok(()) } else { Err(RpcError::TooLong { what, length, max }) }
}

fn check_topic(topic: &str) -> Result<(), RpcError> {
    if topic.is_empty() { Err(RpcError::MissingTopic) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
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

    fn refused(bytes: &[u8]) -> RpcError {
        decode(bytes, &small()).unwrap_err()
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
        let rpc = decode(&bytes, &small()).unwrap();
        assert_eq!(
            rpc,
            Rpc { subscriptions: vec![Subscription { subscribe: true, topic: "t" }], ..Rpc::default() }
        );
    }

    #[test]
    fn every_entry_is_counted_before_it_is_stored() {
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
            if let Ok(rpc) = decode(&bytes, &limits) {
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
