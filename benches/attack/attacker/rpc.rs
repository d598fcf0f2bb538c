//! Encodes RPCs, valid or not, and reads those of the node.

use libp2p::identity::Keypair;
use quick_protobuf::{BytesReader, Writer};
use testkit::wire::content::Content;

/// Protobuf's types of fields.
const VARINT: u32 = 0;
const BYTES: u32 = 2;

/// Entries of an RPC. The fields of the control part are collected apart.
#[derive(Clone, Default)]
pub struct Rpc {
    body: Vec<u8>,
    control: Vec<u8>,
}

impl Rpc {
    pub fn subscribe(self, topic: &str) -> Self {
        self.subscription(true, topic)
    }

    pub fn subscription(mut self, subscribe: bool, topic: &str) -> Self {
        let mut entry = Vec::new();
        put_number(&mut entry, 1, u64::from(subscribe));
        put_bytes(&mut entry, 2, topic.as_bytes());
        put_bytes(&mut self.body, 1, &entry);
        self
    }

    pub fn message(mut self, message: &[u8]) -> Self {
        put_bytes(&mut self.body, 2, message);
        self
    }

    pub fn ihave(self, topic: &str, ids: &[Vec<u8>]) -> Self {
        self.control(1, Some(topic), ids, 2)
    }

    pub fn iwant(self, ids: &[Vec<u8>]) -> Self {
        self.control(2, None, ids, 1)
    }

    pub fn graft(self, topic: &str) -> Self {
        self.control(3, Some(topic), &[], 2)
    }

    pub fn prune(self, topic: &str) -> Self {
        self.control(4, Some(topic), &[], 2)
    }

    pub fn idontwant(self, ids: &[Vec<u8>]) -> Self {
        self.control(5, None, ids, 1)
    }

    fn control(mut self, field: u32, topic: Option<&str>, ids: &[Vec<u8>], ids_field: u32) -> Self {
        let mut entry = Vec::new();
        topic.into_iter().for_each(|topic| put_bytes(&mut entry, 1, topic.as_bytes()));
        ids.iter().for_each(|id| put_bytes(&mut entry, ids_field, id));
        put_bytes(&mut self.control, field, &entry);
        self
    }

    /// The RPC with the prefix of its length.
    pub fn frame(mut self) -> Vec<u8> {
        if !self.control.is_empty() {
            put_bytes(&mut self.body, 3, &self.control);
        }
        let mut frame = length_prefix(self.body.len());
        frame.append(&mut self.body);
        frame
    }
}

pub fn length_prefix(length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out).write_varint(length as u64).expect("memory takes all bytes");
    out
}

fn put_bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    let mut writer = Writer::new(out);
    writer
        .write_with_tag(field << 3 | BYTES, |writer| writer.write_bytes(value))
        .expect("memory takes all bytes");
}

fn put_number(out: &mut Vec<u8>, field: u32, value: u64) {
    let mut writer = Writer::new(out);
    writer
        .write_with_tag(field << 3 | VARINT, |writer| writer.write_varint(value))
        .expect("memory takes all bytes");
}

/// A message on its way.
pub struct Message {
    pub id: Vec<u8>,
    pub bytes: Vec<u8>,
}

/// A message in the name of `author`, signed or forged.
pub fn message(author: &Keypair, topic: &str, content: Content, size: usize, forged: bool) -> Message {
    let from = author.public().to_peer_id().to_bytes();
    let seqno = content.number.to_be_bytes();
    let mut bytes = Vec::with_capacity(size + 200);
    put_bytes(&mut bytes, 1, &from);
    put_bytes(&mut bytes, 2, &content.encode(size));
    put_bytes(&mut bytes, 3, &seqno);
    put_bytes(&mut bytes, 4, topic.as_bytes());
    let signature = if forged {
        // The half of it that is a scalar is valid, so that it is checked to the end.
        [[content.number as u8 | 1; 32], [1; 32]].concat()
    } else {
        author.sign(&[b"libp2p-pubsub:", &bytes[..]].concat()).expect("an ed25519 key signs")
    };
    put_bytes(&mut bytes, 5, &signature);
    Message { id: [from.as_slice(), &seqno].concat(), bytes }
}

/// The fields of a message that is not groups of bytes all through: number, and content if that is bytes.
fn fields(bytes: &[u8]) -> Vec<(u32, &[u8])> {
    let mut reader = BytesReader::from_bytes(bytes);
    let mut fields = Vec::new();
    while !reader.is_eof() {
        let Ok(tag) = reader.next_tag(bytes) else { break };
        if tag & 7 == BYTES {
            let Ok(value) = reader.read_bytes(bytes) else { break };
            fields.push((tag >> 3, value));
        } else if reader.read_unknown(bytes, tag).is_err() {
            break;
        }
    }
    fields
}

fn all(bytes: &[u8], field: u32) -> impl Iterator<Item = &[u8]> {
    fields(bytes).into_iter().filter(move |(number, _)| *number == field).map(|(_, value)| value)
}

fn first(bytes: &[u8], field: u32) -> &[u8] {
    all(bytes, field).next().unwrap_or_default()
}

/// Whether a frame, without its length, contains a subscription to `topic`.
pub fn subscribes_to(frame: &[u8], topic: &str) -> bool {
    all(frame, 1).any(|subscription| first(subscription, 2) == topic.as_bytes())
}

/// What interests attackers in an RPC of the node.
#[derive(Default)]
pub struct Received {
    pub messages: Vec<Message>,
    pub prunes: usize,
    pub wanted_ids: usize,
}

pub fn read(frame: &[u8]) -> Received {
    let message =
        |bytes: &[u8]| Message { id: [first(bytes, 1), first(bytes, 3)].concat(), bytes: bytes.to_vec() };
    let mut received = Received { messages: all(frame, 2).map(message).collect(), ..Received::default() };
    for control in all(frame, 3) {
        received.prunes += all(control, 4).count();
        received.wanted_ids += all(control, 2).map(|iwant| all(iwant, 1).count()).sum::<usize>();
    }
    received
}
