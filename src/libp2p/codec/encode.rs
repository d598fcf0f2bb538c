//! From an engine's message to fragments: encoded entries of an RPC. A message that fits into no frame is refused
//! here; the fragments of the others are packed into frames when the connection can take them.

use std::{
    ops::Deref,
    sync::{Arc, Weak},
};

use ::libp2p::PeerId;

use super::{
    WireNetwork,
    encode_error::EncodeError,
    limits::WireLimits,
    protobuf::{
        ProtoReader, Value, field, field_length, put_bytes, put_integer, put_optional, put_signed_fields,
    },
};
use crate::{
    libp2p::{
        bounded_map::BoundedMap,
        ids::{MessageId, TopicName},
        memory::{MemoryCharge, TransportMemory},
        message::Message,
    },
    network::{FullMessage, P2pMessage, PxPeer},
};

/// The parts of an RPC, in the order in which receivers handle them: subscriptions, messages, then control (this
/// crate, rust-, js-, py- and go-libp2p). The fragments of one RPC ascend in kind; a fragment of a lower kind than
/// its predecessor begins a new RPC, so that a receiver handles everything in the order in which it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::libp2p) enum Kind {
    Subscription,
    Message,
    IHave,
    IWant,
    Graft,
    Prune,
    IDontWant,
}

/// One encoded entry of an RPC, or of its control part for the control kinds, with its tag. The recipients of one
/// message share its bytes.
#[derive(Clone, Debug)]
pub(in crate::libp2p) struct Fragment {
    pub(in crate::libp2p) kind: Kind,
    pub(in crate::libp2p) bytes: Arc<Encoded>,
}

/// The bytes of a fragment, with their charge if an [`Encoder`] made them.
#[derive(Debug)]
pub(in crate::libp2p) struct Encoded {
    bytes: Vec<u8>,
    charge: Option<MemoryCharge>,
}

impl Deref for Encoded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Fragment {
    pub(in crate::libp2p) fn new(kind: Kind, bytes: Vec<u8>) -> Self {
        Self { kind, bytes: Arc::new(Encoded { bytes, charge: None }) }
    }

    /// Leaves only the topic of a PRUNE: v1.0 knows neither recommended peers nor a backoff. Returns the number of bytes that are
    /// left out. What is left has no charge: it is about to be written.
    pub(in crate::libp2p) fn reduce_to_v1_0(&mut self) -> usize {
        if self.kind != Kind::Prune {
            return 0;
        }
        let before = self.bytes.len();
        // The topic is the first field of the only one.
        let topic = first_field(first_field(&self.bytes));
        *self = entry(Kind::Prune, field::control::PRUNE, |out| put_bytes(out, field::TOPIC_ID, topic));
        before - self.bytes.len()
    }

    /// Charges the bytes until the last recipient has no use for them. The fragment was not cloned yet.
    fn charge_to(&mut self, memory: &Arc<TransportMemory>) {
        if let Some(encoded) = Arc::get_mut(&mut self.bytes) {
            let bytes = encoded.bytes.capacity() + Self::HEADER;
            encoded.charge = Some(MemoryCharge::new(memory, bytes));
        }
    }

    /// The bytes that a fragment takes besides what it encodes: itself, the counts of its recipients, and what the
    /// allocator adds.
    const HEADER: usize = size_of::<Encoded>() + 48;
}

/// The bytes of the first field of a message.
fn first_field(message: &[u8]) -> &[u8] {
    match ProtoReader::new(message).next() {
        Some(Ok((_, Value::Bytes(bytes)))) => bytes,
        _ => &[],
    }
}

/// Most bytes of a frame's length prefix and of the control part's tag and length.
pub(in crate::libp2p) const OVERHEAD: usize = 12;
/// The ids of an IHAVE, IWANT or IDONTWANT are split into entries of about this many bytes, so that entries fill
/// frames well.
const ENTRY_TARGET: usize = 4_096;

/// Most requested messages that the encoder remembers, at about 250 bytes each. Beyond it the oldest is forgotten, and
/// encoded again for the next peer that requests it.
const MAX_REQUESTED: usize = 4_096;

/// Encodes messages and charges the bytes. A full message is encoded once, however many peers it goes to.
pub(in crate::libp2p) struct Encoder<N: WireNetwork> {
    memory: Arc<TransportMemory>,
    /// The last full message: a source that sends one output per recipient repeats it for the next peer.
    last: Option<(Arc<FullMessage<N>>, Vec<Fragment>)>,
    /// The messages that peers requested by IWANT, each at its own time. Their bytes are shared while a peer's queue has
    /// them; they are not kept beyond that.
    requested: BoundedMap<MessageId, Requested<N>>,
}

/// A requested message, and its encoding.
struct Requested<N: WireNetwork> {
    /// Compared by address: messages of different topics may have the same id.
    message: Weak<FullMessage<N>>,
    encoded: Weak<Encoded>,
}

impl<N: WireNetwork> Encoder<N> {
    pub(in crate::libp2p) fn new(memory: &Arc<TransportMemory>) -> Self {
        Self { memory: Arc::clone(memory), last: None, requested: BoundedMap::new(MAX_REQUESTED) }
    }

    /// Encodes `message`. The same full message again gives fragments that share their bytes, and so does one that
    /// other peers requested before, while it is queued for one of them. `requested`: the recipient requested it.
    ///
    /// # Errors
    /// As [`fragments`].
    pub(in crate::libp2p) fn encode(
        &mut self,
        message: &P2pMessage<N>,
        requested: bool,
        limits: &WireLimits,
    ) -> Result<Vec<Fragment>, EncodeError> {
        let P2pMessage::FullMessage(full) = message else {
            return self.charged(message, limits);
        };
        if let Some((last, fragments)) = &self.last
            && Arc::ptr_eq(last, full)
        {
            return Ok(fragments.clone());
        }
        if requested && let Some(fragment) = self.queued_answer(full) {
            return Ok(vec![fragment]);
        }
        let fragments = self.charged(message, limits)?;
        if requested && let [fragment] = &fragments[..] {
            let encoded = Arc::downgrade(&fragment.bytes);
            self.requested
                .insert(full.message_id.clone(), Requested { message: Arc::downgrade(full), encoded });
        }
        self.last = Some((Arc::clone(full), fragments.clone()));
        Ok(fragments)
    }

    fn charged(&self, message: &P2pMessage<N>, limits: &WireLimits) -> Result<Vec<Fragment>, EncodeError> {
        let mut fragments = fragments(message, limits)?;
        fragments.iter_mut().for_each(|fragment| fragment.charge_to(&self.memory));
        Ok(fragments)
    }

    /// The encoding of a requested message that is still queued for another peer.
    fn queued_answer(&self, full: &Arc<FullMessage<N>>) -> Option<Fragment> {
        let Requested { message, encoded } = self.requested.get(&full.message_id)?;
        // The weak reference keeps the address from being used again.
        let same = std::ptr::eq(message.as_ptr(), Arc::as_ptr(full));
        let bytes = encoded.upgrade().filter(|_| same)?;
        Some(Fragment { kind: Kind::Message, bytes })
    }
}

/// Encodes `message` as fragments; none for a ping, which has no wire form.
///
/// # Errors
/// The name of the topic, all ids or a fragment exceed the limits, or the message breaks the signature policy.
pub(in crate::libp2p) fn fragments<N: WireNetwork>(
    message: &P2pMessage<N>,
    limits: &WireLimits,
) -> Result<Vec<Fragment>, EncodeError> {
    message.topic().map_or(Ok(()), |topic| check_topic(topic, limits))?;
    check_ids(message, limits)?;
    let longest = limits.max_id_length;
    let fragments = match message {
        P2pMessage::Subscribe { topic, .. } => vec![subscription(topic, true)],
        P2pMessage::Unsubscribe { topic } => vec![subscription(topic, false)],
        P2pMessage::Graft { topic } => {
            vec![entry(Kind::Graft, field::control::GRAFT, |out| put_topic(out, topic))]
        }
        P2pMessage::Prune { topic, px, backoff } => {
            let px = &px[..px.len().min(limits.max_px_out)];
            let seconds = backoff.as_secs().saturating_add(u64::from(backoff.subsec_nanos() > 0));
            vec![prune(topic, px, seconds)]
        }
        P2pMessage::IHave { topic, message_ids } => chunks(message_ids, longest)
            .map(|ids| {
                entry(Kind::IHave, field::control::IHAVE, |out| {
                    put_topic(out, topic);
                    put_ids(out, field::ihave::MESSAGE_IDS, ids)
                })
            })
            .collect(),
        P2pMessage::IWant { message_ids } => {
            id_lists(Kind::IWant, field::control::IWANT, message_ids, longest)
        }
        P2pMessage::FullMessage(full) => vec![full_message(full)?],
        P2pMessage::IDontWant { message_ids } => {
            // One id each, so that their number is that of the entries of an RPC.
            message_ids
                .chunks(1)
                .flat_map(|id| id_lists(Kind::IDontWant, field::control::IDONTWANT, id, longest))
                .collect()
        }
        P2pMessage::Ping => Vec::new(),
    };
    fragments.iter().try_for_each(|fragment| check_size(fragment, limits))?;
    Ok(fragments)
}

fn check_topic(topic: &TopicName, limits: &WireLimits) -> Result<(), EncodeError> {
    if limits.allow_topic(topic) {
        return Ok(());
    }
    Err(EncodeError::BadTopic { length: topic.as_str().len(), max: limits.max_topic_length })
}

/// Refuses a list of which no id may be sent.
fn check_ids<N: WireNetwork>(message: &P2pMessage<N>, limits: &WireLimits) -> Result<(), EncodeError> {
    let (P2pMessage::IHave { message_ids, .. }
    | P2pMessage::IWant { message_ids }
    | P2pMessage::IDontWant { message_ids }) = message
    else {
        return Ok(());
    };
    match message_ids.iter().map(|id| id.as_bytes().len()).min() {
        Some(length) if length > limits.max_id_length => {
            Err(EncodeError::LongId { length, max: limits.max_id_length })
        }
        _ => Ok(()),
    }
}

fn check_size(fragment: &Fragment, limits: &WireLimits) -> Result<(), EncodeError> {
    let length = fragment.bytes.len() + OVERHEAD;
    let max = match fragment.kind {
        Kind::Message => limits.max_frame_out,
        _ => limits.max_control_bytes_out,
    };
    if length <= max { Ok(()) } else { Err(EncodeError::TooLarge { length, max }) }
}

fn full_message<N: WireNetwork>(full: &FullMessage<N>) -> Result<Fragment, EncodeError> {
    match full.message.signature_error() {
        Some(error) => Err(EncodeError::Signature(error)),
        None => {
            Ok(entry(Kind::Message, field::rpc::PUBLISH, |out| put_message(out, &full.topic, &full.message)))
        }
    }
}

fn subscription(topic: &TopicName, subscribe: bool) -> Fragment {
    entry(Kind::Subscription, field::rpc::SUBSCRIPTIONS, |out| {
        put_integer(out, field::sub_opts::SUBSCRIBE, u64::from(subscribe));
        put_bytes(out, field::sub_opts::TOPIC_ID, topic.as_str().as_bytes());
    })
}

fn prune(topic: &TopicName, px: &[PxPeer<PeerId>], seconds: u64) -> Fragment {
    entry(Kind::Prune, field::control::PRUNE, |out| {
        put_topic(out, topic);
        for PxPeer { peer, record } in px {
            let mut info = Vec::new();
            put_bytes(&mut info, field::peer_info::PEER_ID, &peer.to_bytes());
            put_optional(&mut info, field::peer_info::SIGNED_PEER_RECORD, record.as_deref());
            put_bytes(out, field::prune::PEERS, &info);
        }
        put_integer(out, field::prune::BACKOFF, seconds);
    })
}

/// Writes the signed part and the signature of a message, in the order of the field numbers.
fn put_message(out: &mut Vec<u8>, topic: &TopicName, message: &Message) {
    let content = message.content();
    let from = content.source.map(PeerId::to_bytes);
    let seqno = content.seqno.map(u64::to_be_bytes);
    put_signed_fields(
        out,
        from.as_deref(),
        content.data.as_deref(),
        seqno.as_ref().map(<[u8; 8]>::as_slice),
        topic.as_str(),
    );
    put_optional(out, field::message::SIGNATURE, content.signature.as_deref());
    put_optional(out, field::message::KEY, content.key.as_deref());
}

/// The bytes that [`put_message`] writes.
pub(in crate::libp2p) fn encoded_length(topic: &TopicName, message: &Message) -> usize {
    let content = message.content();
    let bytes = |bytes: &Option<Box<[u8]>>| bytes.as_ref().map(|bytes| bytes.len());
    let fields = [
        (field::message::FROM, content.source.map(|source| source.as_ref().encoded_len())),
        (field::message::DATA, bytes(&content.data)),
        (field::message::SEQNO, content.seqno.map(|_| size_of::<u64>())),
        (field::message::TOPIC, Some(topic.as_str().len())),
        (field::message::SIGNATURE, bytes(&content.signature)),
        (field::message::KEY, bytes(&content.key)),
    ];
    fields.into_iter().filter_map(|(field, length)| Some(field_length(field, length?))).sum()
}

/// Splits `ids` into runs of about [`ENTRY_TARGET`] bytes. Leaves those of more than `longest` bytes out.
fn chunks(ids: &[MessageId], longest: usize) -> impl Iterator<Item = &[MessageId]> {
    ids.split(move |id| id.as_bytes().len() > longest).flat_map(runs)
}

fn runs(ids: &[MessageId]) -> impl Iterator<Item = &[MessageId]> {
    let mut size = 0;
    ids.chunk_by(move |id, _| {
        size += id.as_bytes().len() + 4;
        let together = size < ENTRY_TARGET;
        if !together {
            size = 0;
        }
        together
    })
}

fn entry(kind: Kind, field: u64, write: impl FnOnce(&mut Vec<u8>)) -> Fragment {
    let mut body = Vec::new();
    write(&mut body);
    let mut bytes = Vec::with_capacity(body.len() + OVERHEAD);
    put_bytes(&mut bytes, field, &body);
    Fragment::new(kind, bytes)
}

/// IWANTs or IDONTWANTs of these ids.
fn id_lists(kind: Kind, number: u64, ids: &[MessageId], longest: usize) -> Vec<Fragment> {
    let entries = chunks(ids, longest)
        .map(|ids| entry(kind, number, |out| put_ids(out, field::id_list::MESSAGE_IDS, ids)));
    entries.collect()
}

fn put_topic(out: &mut Vec<u8>, topic: &TopicName) {
    put_bytes(out, field::TOPIC_ID, topic.as_str().as_bytes());
}

fn put_ids(out: &mut Vec<u8>, field: u64, ids: &[MessageId]) {
    ids.iter().for_each(|id| put_bytes(out, field, id.as_bytes()));
}

#[cfg(test)]
mod tests {
    use ::libp2p::identity::Keypair;

    use super::*;
    use crate::libp2p::{Libp2pNetwork, SignaturePolicy};

    /// All fields, and lengths around those at which the length of a length changes.
    #[test]
    fn the_encoded_length_is_that_of_the_field_on_the_wire() {
        let signed = |key| SignaturePolicy::StrictSign(Box::new(key));
        // Only the peer id of the first contains the key.
        let keys = [Keypair::generate_ed25519(), Keypair::generate_ecdsa()];
        for policy in keys.map(signed).into_iter().chain([SignaturePolicy::StrictNoSign]) {
            let network = Libp2pNetwork::builder(policy).build();
            for length in [0, 1, 127, 128, 16_383, 16_384] {
                let full = network.message("topic".into(), vec![7; length]).unwrap();
                let size = encoded_length(&full.topic, &full.message);
                let fragment = full_message(&full).unwrap();
                let Some(Ok((_, Value::Bytes(bytes)))) = ProtoReader::new(&fragment.bytes).next() else {
                    panic!("a field of bytes")
                };
                assert_eq!(size, bytes.len(), "a payload of {length} bytes");
            }
        }
    }
}
