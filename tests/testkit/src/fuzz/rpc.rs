//! Decodes bytes as a peer's stream and as one frame, as the transport does, and checks limits, signatures and the
//! re-encoded result.

use std::sync::{Arc, LazyLock};

use actix_gossipsub::{
    Delivery, Network, P2pMessage, PeerRecordOutcome, Validity,
    libp2p::{
        FrameDecoder, FrameError, Libp2pNetwork, MessageAuthenticity, SignaturePolicy, ValidationMode,
        WireLimits, fuzz,
    },
};
use libp2p::identity::Keypair;

type NetMessage = P2pMessage<Libp2pNetwork>;

/// Our key and that of the seeds. It is constant, so that runs are deterministic.
pub static KEY: LazyLock<Keypair> =
    LazyLock::new(|| Keypair::ed25519_from_bytes([7; 32]).expect("32 bytes are a key"));

/// Decodes `bytes` under the signature policies, with the default limits and with tight ones. Panics if a limit is
/// exceeded or if a message changes when it is encoded and decoded again.
pub fn run(bytes: &[u8]) {
    let signed = |mode| {
        SignaturePolicy::new(MessageAuthenticity::Signed(KEY.clone()), mode).expect("signed is accepted")
    };
    let modes = [ValidationMode::Strict, ValidationMode::Permissive, ValidationMode::None];
    for policy in modes.map(signed).into_iter().chain([SignaturePolicy::StrictNoSign]) {
        for limits in [WireLimits::default(), tight()] {
            let mut frames = frames(bytes, limits.max_frame_in);
            frames.push(bytes.to_vec());
            frames.iter().for_each(|frame| check(frame, &policy, &limits));
        }
    }
}

/// Limits that few bytes reach.
fn tight() -> WireLimits {
    WireLimits::default().with(|l| {
        l.max_frame_in = 160;
        l.max_subscriptions_in = 2;
        l.max_messages_in = 2;
        l.max_control_in = 3;
        l.max_ids_in = 4;
        l.max_id_length = 6;
        l.max_px_in = 2;
        l.max_topic_length = 6;
    })
}

/// The frames in `bytes` up to the first error. Asserts that they do not depend on how the bytes are split.
fn frames(bytes: &[u8], max: usize) -> Vec<Vec<u8>> {
    let (whole, end) = cut(bytes, bytes.len().max(1), max);
    for size in [1, 7] {
        assert_eq!(cut(bytes, size, max), (whole.clone(), end.clone()), "decoded in pieces of {size} bytes");
    }
    assert!(whole.iter().all(|frame| frame.len() <= max), "a frame exceeds the limit");
    whole
}

fn cut(bytes: &[u8], size: usize, max: usize) -> (Vec<Vec<u8>>, Result<(), FrameError>) {
    let (mut decoder, mut frames) = (FrameDecoder::new(max), Vec::new());
    for piece in bytes.chunks(size) {
        decoder.extend(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, Ok(()))
}

fn check(frame: &[u8], policy: &SignaturePolicy, limits: &WireLimits) {
    let network = &Libp2pNetwork::builder(policy.clone()).limits(limits.clone()).build();
    let by_default = &Libp2pNetwork::builder(policy.clone()).build();
    let read = fuzz::read(frame, network);
    assert_eq!(read, fuzz::read(frame, network), "decoding a frame twice gives different results");
    let Ok((messages, ignored)) = read else { return };
    within_limits(&messages, network.limits());
    let with_default_limits =
        fuzz::read(frame, by_default).expect("the default limits accept what tight limits accept");
    if ignored == 0 {
        assert_eq!(
            (&messages, 0),
            (&with_default_limits.0, with_default_limits.1),
            "limits change the messages"
        );
    }
    messages.iter().for_each(|one| verdict_follows_the_policy(one, network));
    messages.iter().for_each(|one| addresses_are_bounded(one, network));
    survives_encoding(messages, by_default);
}

fn within_limits(messages: &[NetMessage], limits: &WireLimits) {
    let (mut subscriptions, mut full_messages, mut control, mut px, mut all_ids) = (0, 0, 0, 0, 0);
    for one in messages {
        match one {
            NetMessage::Subscribe { .. } | NetMessage::Unsubscribe { .. } => subscriptions += 1,
            NetMessage::FullMessage(_) => full_messages += 1,
            _ => control += 1,
        }
        if let NetMessage::IHave { message_ids, .. }
        | NetMessage::IWant { message_ids }
        | NetMessage::IDontWant { message_ids } = one
        {
            all_ids += message_ids.len();
            assert!(message_ids.iter().all(|id| id.as_bytes().len() <= limits.max_id_length));
        }
        if let NetMessage::Prune { px: peers, .. } = one {
            px += peers.len();
        }
        let name = one.topic().map_or(1, |topic| topic.as_str().len());
        assert!((1..=limits.max_topic_length).contains(&name), "a topic of {name} bytes");
    }
    assert!(subscriptions <= limits.max_subscriptions_in, "{subscriptions} subscriptions");
    assert!(full_messages <= limits.max_messages_in, "{full_messages} messages");
    assert!(control <= limits.max_control_in, "{control} control entries");
    assert!(all_ids <= limits.max_ids_in, "{all_ids} ids");
    assert!(px <= limits.max_px_in, "{px} px peers");
}

fn verdict_follows_the_policy(one: &NetMessage, network: &Libp2pNetwork) {
    let NetMessage::FullMessage(full) = one else { return };
    let expected = match full.message.signature_error() {
        None => Validity::Valid,
        Some(_) => Validity::Invalid,
    };
    assert_eq!(network.validate(&Delivery::new(KEY.public().to_peer_id(), Arc::clone(full))), expected);
    let own = network.message_id(&full.topic, &full.message) == full.message_id;
    assert_eq!(
        own,
        full.message.signature_error().is_none(),
        "only an authentic message has the id computed from its content"
    );
    if full.message.signature_error().is_none() {
        let (source, signature) = (full.message.source().is_some(), full.message.signature().is_some());
        let verified = match network.policy().mode() {
            ValidationMode::Strict => true,
            ValidationMode::Permissive => signature,
            ValidationMode::Anonymous => source,
            ValidationMode::None => false,
        };
        assert_eq!(full.message.is_verified(), verified);
        assert!(!verified || (source && signature), "a verified message has a source and a signature");
        assert!(network.policy().mode() != ValidationMode::Anonymous || !(source || signature));
    }
}

/// The addresses of a peer in a PRUNE are bounded and do not change when its record comes again. There are none before a
/// valid record has come.
fn addresses_are_bounded(one: &NetMessage, network: &Libp2pNetwork) {
    let NetMessage::Prune { px, .. } = one else { return };
    for px in px {
        let (is_valid, first) = fuzz::addresses(px, network);
        assert!(first.len() <= 8, "{} addresses of one peer", first.len());
        assert_eq!(fuzz::addresses(px, network), (is_valid, first.clone()), "the same record twice");
        let stored = network.transport_stats().peer_records(PeerRecordOutcome::Stored);
        assert!(stored > 0 || first.is_empty(), "addresses that nobody signed");
    }
}

/// Messages encoded by this crate are decoded to the same messages.
fn survives_encoding(messages: Vec<NetMessage>, network: &Libp2pNetwork) {
    let limits = network.limits();
    let messages: Vec<NetMessage> = messages.into_iter().filter_map(|one| encodable(one, limits)).collect();
    let Ok(bytes) = fuzz::write(&messages, network) else {
        assert!(messages.iter().any(|one| length(one) > 60_000), "only a large message may fail to encode");
        return;
    };
    let (frames, end) = cut(&bytes, bytes.len().max(1), limits.max_frame_in);
    assert_eq!(end, Ok(()));
    let decoded: Vec<NetMessage> =
        frames.iter().flat_map(|frame| fuzz::read(frame, network).expect("our own frame").0).collect();
    assert_eq!(
        fuzz::write(&decoded, network),
        Ok(bytes),
        "encoding the decoded messages gives different bytes"
    );
    assert_eq!(joined(decoded), joined(messages));
}

/// A lower bound of the encoded length of a message.
fn length(one: &NetMessage) -> usize {
    let NetMessage::FullMessage(full) = one else { return 0 };
    let optional = [full.message.signature(), full.message.key()].into_iter().flatten();
    full.message.data().len() + optional.map(<[u8]>::len).sum::<usize>()
}

/// Most bytes of records that the transport adds to a PRUNE.
const MAX_RECORD_BYTES: usize = 8_192;

/// The part of a message that this crate encodes: not messages with a signature error, empty lists of ids, or more px or
/// longer records than the limits.
fn encodable(one: NetMessage, limits: &WireLimits) -> Option<NetMessage> {
    match one {
        NetMessage::FullMessage(full) if full.message.signature_error().is_some() => None,
        NetMessage::IHave { message_ids, .. }
        | NetMessage::IWant { message_ids }
        | NetMessage::IDontWant { message_ids }
            if message_ids.is_empty() =>
        {
            None
        }
        NetMessage::Prune { topic, mut px, backoff } => {
            px.truncate(limits.max_px_out);
            let mut left = MAX_RECORD_BYTES;
            for px in &mut px {
                px.record = px.record.take().filter(|record| record.len() <= left);
                left -= px.record.as_ref().map_or(0, |record| record.len());
            }
            Some(NetMessage::Prune { topic, px, backoff })
        }
        one => Some(one),
    }
}

/// Joins lists of ids: long lists are split when they are encoded.
fn joined(all: impl IntoIterator<Item = NetMessage>) -> Vec<NetMessage> {
    let mut joined: Vec<NetMessage> = Vec::new();
    for next in all {
        match (joined.last_mut(), next) {
            (
                Some(NetMessage::IHave { topic, message_ids }),
                NetMessage::IHave { topic: other, message_ids: more },
            ) if *topic == other => {
                message_ids.extend(more);
            }
            (Some(NetMessage::IWant { message_ids }), NetMessage::IWant { message_ids: more }) => {
                message_ids.extend(more);
            }
            (Some(NetMessage::IDontWant { message_ids }), NetMessage::IDontWant { message_ids: more }) => {
                message_ids.extend(more);
            }
            (_, next) => joined.push(next),
        }
    }
    joined
}
