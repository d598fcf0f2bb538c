//! RPCs as a raw peer writes and reads them: every field can be wrong, and nothing is left out when they are read.

use std::fmt;

use libp2p::{PeerId, identity::Keypair};
use sha2::{Digest, Sha256};

pub type Id = Vec<u8>;

/// An RPC. Its fields are encoded in the order of their numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rpc {
    pub subscriptions: Vec<(bool, String)>,
    pub messages: Vec<Message>,
    pub ihave: Vec<(String, Vec<Id>)>,
    pub iwant: Vec<Vec<Id>>,
    pub graft: Vec<String>,
    pub prune: Vec<Prune>,
    pub idontwant: Vec<Vec<Id>>,
    /// The content of the extensions message (v1.3).
    pub extensions: Option<Vec<u8>>,
    /// Encoded fields that follow the others.
    pub rest: Vec<u8>,
    /// The numbers of other fields in an RPC that was read.
    pub unknown: Vec<u64>,
    /// The length of the frame of an RPC that was read, without its prefix.
    pub length: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prune {
    /// `None`: the field is left out.
    pub topic: Option<String>,
    /// Peers as id and signed record.
    pub peers: Vec<(Vec<u8>, Vec<u8>)>,
    pub backoff: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    pub from: Option<Vec<u8>>,
    pub data: Option<Vec<u8>>,
    pub seqno: Option<Vec<u8>>,
    pub topic: Option<String>,
    pub signature: Option<Vec<u8>>,
    pub key: Option<Vec<u8>>,
    /// Encoded fields that follow the others.
    pub rest: Vec<u8>,
}

impl Message {
    /// A signed message of the owner of `key`. It has the key if the peer id does not contain it.
    pub fn signed(key: &Keypair, topic: &str, n: u64, data: Vec<u8>) -> Self {
        let public = key.public();
        let message = Self {
            from: Some(public.to_peer_id().to_bytes()),
            data: Some(data),
            seqno: Some(n.to_be_bytes().to_vec()),
            topic: Some(topic.into()),
            ..Self::default()
        };
        // A peer id contains a key of up to 42 bytes.
        let encoded = public.encode_protobuf();
        Self { key: (encoded.len() > 42).then_some(encoded), ..message.sign(key) }
    }

    /// Signs the fields that a signature covers.
    pub fn sign(self, key: &Keypair) -> Self {
        let covered = [b"libp2p-pubsub:".to_vec(), self.covered()].concat();
        Self { signature: Some(key.sign(&covered).expect("the key signs")), ..self }
    }

    /// The id of the specification, or the digest of the payload if the message is anonymous.
    pub fn id(&self) -> Id {
        match (&self.from, &self.seqno) {
            (Some(from), Some(seqno)) => [&from[..], seqno].concat(),
            _ => Sha256::digest(self.data.as_deref().unwrap_or_default()).to_vec(),
        }
    }

    pub fn source(&self) -> Option<PeerId> {
        PeerId::from_bytes(self.from.as_ref()?).ok()
    }

    fn covered(&self) -> Vec<u8> {
        [
            optional(1, self.from.as_deref()),
            optional(2, self.data.as_deref()),
            optional(3, self.seqno.as_deref()),
            optional(4, self.topic.as_ref().map(String::as_bytes)),
        ]
        .concat()
    }

    fn encode(&self) -> Vec<u8> {
        let (signature, key) = (optional(5, self.signature.as_deref()), optional(6, self.key.as_deref()));
        [self.covered(), signature, key, self.rest.clone()].concat()
    }

    fn decode(bytes: &[u8]) -> Self {
        let mut message = Self::default();
        for (number, value) in Fields(bytes) {
            let bytes = Some(value.bytes());
            match number {
                1 => message.from = bytes,
                2 => message.data = bytes,
                3 => message.seqno = bytes,
                4 => message.topic = Some(value.text()),
                5 => message.signature = bytes,
                6 => message.key = bytes,
                _ => {}
            }
        }
        message
    }
}

/// Subscribes to a topic, or unsubscribes.
pub fn subscribe(topic: &str, subscribe: bool) -> Rpc {
    Rpc { subscriptions: vec![(subscribe, topic.into())], ..Rpc::default() }
}

pub fn message(message: &Message) -> Rpc {
    Rpc { messages: vec![message.clone()], ..Rpc::default() }
}

pub fn graft(topic: &str) -> Rpc {
    Rpc { graft: vec![topic.into()], ..Rpc::default() }
}

pub fn prune(topic: &str, backoff: Option<u64>) -> Rpc {
    let prune = Prune { topic: Some(topic.into()), peers: Vec::new(), backoff };
    Rpc { prune: vec![prune], ..Rpc::default() }
}

pub fn ihave(topic: &str, ids: impl IntoIterator<Item = Id>) -> Rpc {
    Rpc { ihave: vec![(topic.into(), ids.into_iter().collect())], ..Rpc::default() }
}

pub fn iwant(ids: impl IntoIterator<Item = Id>) -> Rpc {
    Rpc { iwant: vec![ids.into_iter().collect()], ..Rpc::default() }
}

pub fn idontwant(ids: impl IntoIterator<Item = Id>) -> Rpc {
    Rpc { idontwant: vec![ids.into_iter().collect()], ..Rpc::default() }
}

/// An RPC with fields that have no name here, already encoded.
pub fn fields(rest: Vec<u8>) -> Rpc {
    Rpc { rest, ..Rpc::default() }
}

pub fn extensions(content: Vec<u8>) -> Rpc {
    Rpc { extensions: Some(content), ..Rpc::default() }
}

impl Rpc {
    /// This RPC with the entries of `other` after its own.
    pub fn and(mut self, other: Self) -> Self {
        self.subscriptions.extend(other.subscriptions);
        self.messages.extend(other.messages);
        self.ihave.extend(other.ihave);
        self.iwant.extend(other.iwant);
        self.graft.extend(other.graft);
        self.prune.extend(other.prune);
        self.idontwant.extend(other.idontwant);
        self.extensions = self.extensions.or(other.extensions);
        self.rest.extend(other.rest);
        self
    }

    /// The frame, with its length prefix.
    pub fn frame(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (subscribe, topic) in &self.subscriptions {
            let fields = [varint_field(1, u64::from(*subscribe)), field(2, topic.as_bytes())];
            out.extend(field(1, &fields.concat()));
        }
        self.messages.iter().for_each(|message| out.extend(field(2, &message.encode())));
        let control = self.control();
        if !control.is_empty() {
            out.extend(field(3, &control));
        }
        out.extend(&self.rest);
        [varint(out.len() as u64), out].concat()
    }

    fn control(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let ids = |number, ids: &[Id]| ids.iter().flat_map(|id| field(number, id)).collect::<Vec<_>>();
        for (topic, list) in &self.ihave {
            out.extend(field(1, &[field(1, topic.as_bytes()), ids(2, list)].concat()));
        }
        self.iwant.iter().for_each(|list| out.extend(field(2, &ids(1, list))));
        self.graft.iter().for_each(|topic| out.extend(field(3, &field(1, topic.as_bytes()))));
        for Prune { topic, peers, backoff } in &self.prune {
            let mut prune = optional(1, topic.as_ref().map(String::as_bytes));
            for (id, record) in peers {
                prune.extend(field(2, &[field(1, id), field(2, record)].concat()));
            }
            prune.extend(backoff.map(|backoff| varint_field(3, backoff)).unwrap_or_default());
            out.extend(field(4, &prune));
        }
        self.idontwant.iter().for_each(|list| out.extend(field(5, &ids(1, list))));
        out.extend(optional(6, self.extensions.as_deref()));
        out
    }

    /// Decodes a frame, without its length prefix.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut rpc = Self { length: bytes.len(), ..Self::default() };
        for (number, value) in Fields(bytes) {
            match number {
                1 => {
                    let (mut subscribe, mut topic) = (false, String::new());
                    for (number, value) in Fields(&value.bytes()) {
                        match number {
                            1 => subscribe = value.number() == 1,
                            2 => topic = value.text(),
                            _ => {}
                        }
                    }
                    rpc.subscriptions.push((subscribe, topic));
                }
                2 => rpc.messages.push(Message::decode(&value.bytes())),
                3 => Fields(&value.bytes()).for_each(|(number, value)| rpc.decode_control(number, &value)),
                _ => rpc.unknown.push(number),
            }
        }
        rpc
    }

    fn decode_control(&mut self, number: u64, value: &Value) {
        let bytes = value.bytes();
        let ids = |wanted| -> Vec<Id> {
            Fields(&bytes).filter(|(number, _)| *number == wanted).map(|(_, value)| value.bytes()).collect()
        };
        let topic = Fields(&bytes).find(|(number, _)| *number == 1).map(|(_, value)| value.text());
        match number {
            1 => self.ihave.push((topic.unwrap_or_default(), ids(2))),
            2 => self.iwant.push(ids(1)),
            3 => self.graft.push(topic.unwrap_or_default()),
            4 => {
                let backoff =
                    Fields(&bytes).find(|(number, _)| *number == 3).map(|(_, value)| value.number());
                let entries = ids(2);
                let peers = entries.iter().map(|peer| {
                    let part = |wanted| {
                        let found = Fields(peer).find(|(number, _)| *number == wanted);
                        found.map(|(_, value)| value.bytes()).unwrap_or_default()
                    };
                    (part(1), part(2))
                });
                self.prune.push(Prune { topic, peers: peers.collect(), backoff });
            }
            5 => self.idontwant.push(ids(1)),
            6 => self.extensions = Some(bytes),
            other => self.unknown.push(other),
        }
    }
}

impl fmt::Display for Rpc {
    /// Only numbers, since ids and payloads are long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subscriptions, messages, graft, prune, unknown, length, .. } = self;
        let counts = [&self.iwant, &self.idontwant].map(|lists| lists.concat().len());
        let [iwant, idontwant] = counts;
        let ihave: usize = self.ihave.iter().map(|(_, ids)| ids.len()).sum();
        let messages = messages.len();
        write!(
            f,
            "{length} bytes: {subscriptions:?}, {messages} messages, {ihave} ids in IHAVE, {iwant} in IWANT, \
             {idontwant} in IDONTWANT, GRAFT {graft:?}, PRUNE {prune:?}, further fields {unknown:?}"
        )
    }
}

/// A protobuf field of bytes.
pub fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A protobuf field with a number.
pub fn varint_field(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

fn optional(number: u64, bytes: Option<&[u8]>) -> Vec<u8> {
    bytes.map(|bytes| field(number, bytes)).unwrap_or_default()
}

pub fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// The value of a field that was read.
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Value {
    fn number(&self) -> u64 {
        if let Self::Number(number) = self { *number } else { panic!("a field of bytes") }
    }

    fn bytes(&self) -> Vec<u8> {
        if let Self::Bytes(bytes) = self { bytes.clone() } else { panic!("a field with a number") }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }
}

/// The fields of a protobuf message. Panics if it is malformed: what a target writes must be an RPC.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn varint(&mut self) -> u64 {
        let (mut n, mut shift) = (0, 0);
        loop {
            let (byte, rest) = self.0.split_first().expect("a complete number");
            self.0 = rest;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return n;
            }
            shift += 7;
        }
    }
}

impl Iterator for Fields<'_> {
    type Item = (u64, Value);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let key = self.varint();
        let value = match key & 7 {
            0 => Value::Number(self.varint()),
            2 => {
                let length = self.varint() as usize;
                let (bytes, rest) = self.0.split_at(length);
                self.0 = rest;
                Value::Bytes(bytes.to_vec())
            }
            other => panic!("wire type {other}"),
        };
        Some((key >> 3, value))
    }
}
