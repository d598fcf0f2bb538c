//! Messages whose fields a test sets as it likes, and a peer that sends them.

use futures::StreamExt;
use libp2p::{Multiaddr, PeerId, identity::Keypair, swarm::SwarmEvent};

use super::{
    TOPIC,
    raw::{Raw, Reads, other},
};

/// The fields of a message on the wire.
#[derive(Clone)]
pub struct RawMessage {
    pub from: Option<PeerId>,
    pub data: Vec<u8>,
    pub seqno: Option<u64>,
    pub signature: Option<Vec<u8>>,
    pub key: Option<Vec<u8>>,
}

impl RawMessage {
    /// As the owner of the key writes it.
    pub fn signed(key: &Keypair, seqno: u64, data: &[u8]) -> Self {
        let public = key.public();
        let (from, encoded) = (public.to_peer_id(), public.encode_protobuf());
        // A peer id contains a key of up to 42 bytes.
        let key_field = (encoded.len() > 42).then_some(encoded);
        let unsigned =
            Self { from: Some(from), data: data.to_vec(), seqno: Some(seqno), signature: None, key: None };
        let signed = [b"libp2p-pubsub:".to_vec(), unsigned.fields()].concat();
        Self { signature: Some(key.sign(&signed).unwrap()), key: key_field, ..unsigned }
    }

    /// The same with other data.
    pub fn altered(self, data: &[u8]) -> Self {
        Self { data: data.to_vec(), ..self }
    }

    /// The fields that a signature covers.
    fn fields(&self) -> Vec<u8> {
        let from = self.from.map(|from| field(1, &from.to_bytes())).unwrap_or_default();
        let seqno = self.seqno.map(|seqno| field(3, &seqno.to_be_bytes())).unwrap_or_default();
        [from, field(2, &self.data), seqno, field(4, TOPIC.as_bytes())].concat()
    }

    /// A frame with an RPC that contains this message.
    fn frame(&self) -> Vec<u8> {
        let optional = |number, bytes: &Option<Vec<u8>>| {
            bytes.as_ref().map(|bytes| field(number, bytes)).unwrap_or_default()
        };
        let message = [self.fields(), optional(5, &self.signature), optional(6, &self.key)].concat();
        frame(&field(2, &message))
    }
}

/// A peer that dials each of the addresses, subscribes there and sends the messages. It runs until the runtime of the test
/// ends.
pub fn send_raw(messages: &[RawMessage], to: &[&Multiaddr]) -> PeerId {
    let mut raw = other(|_| Raw::new(Reads::All));
    let peer = *raw.local_peer_id();
    to.iter().for_each(|address| raw.dial((*address).clone()).unwrap());
    let subscription = field(1, &[&[8, 1][..], &field(2, TOPIC.as_bytes())].concat());
    let mut frames = frame(&subscription);
    messages.iter().for_each(|message| frames.extend(message.frame()));
    actix_rt::spawn(async move {
        loop {
            if let SwarmEvent::ConnectionEstablished { peer_id, .. } = raw.select_next_some().await {
                raw.behaviour_mut().write(peer_id, frames.clone(), 1_000);
            }
        }
    });
    peer
}

fn frame(rpc: &[u8]) -> Vec<u8> {
    [&varint(rpc.len()), rpc].concat()
}

/// A protobuf field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &varint(bytes.len()), bytes].concat()
}

fn varint(mut n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}
