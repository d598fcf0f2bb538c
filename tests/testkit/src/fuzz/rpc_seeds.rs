//! This module has the seed streams: valid RPCs in the encoding of this crate and of other implementations, and
//! violations. The streams contain no time and no random number, so that a test can compare them with the corpus.

use std::time::Duration;

use actix_gossipsub::{
    P2pMessage, PxPeer,
    libp2p::{Libp2pNetwork, MessageId, SignaturePolicy, TopicName, fuzz},
};
use libp2p::{PeerId, core::SignedEnvelope};

use super::rpc::KEY;

type NetMessage = P2pMessage<Libp2pNetwork>;

/// The streams, by name.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    let peer = KEY.public().to_peer_id();
    let record = peer_record("libp2p-peer-record", &[3, 1]);
    let legacy = peer_record("libp2p-routing-state", b"/libp2p/routing-state-record");
    vec![
        ("subscriptions", encoded(&[subscribe("news"), NetMessage::Unsubscribe { topic: "sport".into() }])),
        ("signed", encoded(&[signed("first", 1), signed("second", 2)])),
        ("anonymous", frame(&field(2, &[field(2, b"data"), field(4, b"news")].concat()))),
        ("mesh", encoded(&[NetMessage::Graft { topic: topic() }, prune(vec![peer], 60)])),
        ("gossip", encoded(&[ihave(3), NetMessage::IWant { message_ids: ids(2) }])),
        ("idontwant", encoded(&[NetMessage::IDontWant { message_ids: ids(2) }, ihave(1), signed("data", 1)])),
        ("everything", encoded(&[subscribe("news"), signed("data", 1), ihave(2), prune(vec![], u64::MAX)])),
        (
            "frames",
            encoded(&[prune(vec![], 1), NetMessage::Graft { topic: topic() }, ihave(1), subscribe("t")]),
        ),
        ("long_list", encoded(&[ihave(300)])),
        ("record", frame(&recommended(peer, &record))),
        ("legacy_record", frame(&recommended(peer, &legacy))),
        // A subscription with rust-libp2p's flags, idontwant, extensions, fixed-size fields.
        ("extensions", frame(&extensions())),
        ("empty_frames", vec![0, 0, 0]),
        ("no_length", vec![0x80, 0]),
        ("too_long", vec![0xff, 0xff, 0xff, 0x7f, 1]),
        ("nested_too_far", frame(&[0x0a, 2, 0x12, 5, 0x12, 6, 0x22, 4, b't', b't', b't', b't'])),
    ]
}

fn address() -> libp2p::Multiaddr {
    "/ip4/10.0.0.1/tcp/4001".parse().expect("an address")
}

fn topic() -> TopicName {
    "news".into()
}

fn network() -> Libp2pNetwork {
    Libp2pNetwork::builder(SignaturePolicy::StrictSign(Box::new(KEY.clone()))).build()
}

fn encoded(messages: &[NetMessage]) -> Vec<u8> {
    fuzz::write(messages, &network()).expect("seeds are small")
}

fn subscribe(topic: &str) -> NetMessage {
    NetMessage::subscribe(topic.into())
}

/// A signed message of [`KEY`]. The network would assign a sequence number that depends on the time.
fn signed(data: &str, seqno: u64) -> NetMessage {
    let source = field(1, &KEY.public().to_peer_id().to_bytes());
    let fields =
        [source, field(2, data.as_bytes()), field(3, &seqno.to_be_bytes()), field(4, b"news")].concat();
    let signature = KEY.sign(&[&b"libp2p-pubsub:"[..], &fields].concat()).expect("the key signs");
    let rpc = field(2, &[fields, field(5, &signature)].concat());
    let message = fuzz::read(&rpc, &network()).expect("the RPC is valid").0.remove(0);
    let NetMessage::FullMessage(full) = &message else { panic!("not a full message: {message:?}") };
    assert_eq!(full.message.signature_error(), None);
    message
}

/// A signed record of the addresses of [`KEY`] with sequence number 1, in the standard or in the legacy domain.
fn peer_record(domain: &str, payload_type: &[u8]) -> Vec<u8> {
    let address = field(3, &field(1, &address().to_vec()));
    let payload = [field(1, &KEY.public().to_peer_id().to_bytes()), vec![2 << 3, 1], address].concat();
    let envelope = SignedEnvelope::new(&KEY, domain.to_owned(), payload_type.to_vec(), payload);
    envelope.expect("the key signs").into_protobuf_encoding()
}

fn ids(count: u8) -> Vec<MessageId> {
    (0..count).map(|n| vec![n; 5].into()).collect()
}

fn ihave(count: u16) -> NetMessage {
    let message_ids = (0..count).map(|n| n.to_be_bytes().repeat(2).into()).collect();
    NetMessage::IHave { topic: topic(), message_ids }
}

fn prune(px: Vec<PeerId>, seconds: u64) -> NetMessage {
    NetMessage::Prune {
        topic: topic(),
        px: px.into_iter().map(PxPeer::new).collect(),
        backoff: Duration::from_secs(seconds),
    }
}

fn recommended(peer: PeerId, record: &[u8]) -> Vec<u8> {
    let info = [field(1, &peer.to_bytes()), field(2, record)].concat();
    field(3, &field(4, &[field(1, b"news"), field(2, &info)].concat()))
}

fn extensions() -> Vec<u8> {
    let subscription = [&[8, 1][..], &field(2, b"t"), &[24, 0, 32, 0]].concat();
    let control = field(3, &[field(5, &field(1, b"id")), field(6, &[])].concat());
    let fixed = [9 << 3 | 5, 1, 2, 3, 4, 9 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8];
    [&field(1, &subscription), &control, &fixed[..]].concat()
}

/// A protobuf field of bytes. The seeds do not use the encoder under test.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2], frame(bytes).as_slice()].concat()
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("seeds are small");
    let prefix =
        if length < 128 { vec![length as u8] } else { vec![length as u8 | 128, (length >> 7) as u8] };
    [prefix.as_slice(), bytes].concat()
}
