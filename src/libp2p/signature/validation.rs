//! The required fields of a received message about its author, and the check of its signature.

use ::libp2p::{PeerId, identity::PublicKey};

use crate::libp2p::{
    codec::{entry::RawMessage, protobuf::put_signed_fields},
    message::SignatureError,
};

/// The prefix of the signed fields in what a signature covers.
const PREFIX: &[u8] = b"libp2p-pubsub:";
/// The multihash code of a peer id that contains the public key itself.
const IDENTITY: u64 = 0;

/// The longest signature that is checked, in bytes: that of an RSA key of 8,192 bits, the longest that any implementation
/// accepts.
const MAX_SIGNATURE: usize = 1_024;
/// The longest encoded public key that is decoded, in bytes. An RSA key of 8,192 bits has about 1,070.
const MAX_KEY: usize = 2_048;

/// The requirements for received messages: the `ValidationMode` of rust-libp2p's gossipsub. Part of a
/// [`SignaturePolicy`](crate::libp2p::SignaturePolicy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ValidationMode {
    /// A source, a sequence number, and a valid signature of the source.
    #[default]
    Strict,
    /// All fields are optional; those that are there must be valid. The source of a message without a signature is whatever
    /// its sender wrote.
    Permissive,
    /// Neither a source, nor a sequence number, nor a signature, nor a key. (rust-libp2p accepts a key.)
    Anonymous,
    /// Nothing. Source, sequence number and signature are forwarded and not checked. The source is whatever the sender wrote.
    None,
}

/// The author of an accepted message, as its fields name it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) source: Option<PeerId>,
    pub(super) seqno: Option<u64>,
    /// Whether the source has signed the message.
    pub(super) is_verified: bool,
}

impl ValidationMode {
    /// Whether signatures are checked.
    pub(super) fn verifies(self) -> bool {
        matches!(self, Self::Strict | Self::Permissive)
    }

    /// Checks a received message.
    pub(super) fn check(self, raw: &RawMessage<'_>) -> Result<Checked, SignatureError> {
        match self {
            Self::Strict => signed(raw, true),
            Self::Permissive if raw.signature.is_some() => signed(raw, false),
            Self::Permissive => unsigned(raw),
            Self::Anonymous => anonymous(raw).map(|()| Checked::default()),
            // A malformed field can't be forwarded in our form, and is not used: it is left out.
            Self::None => Ok(Checked {
                source: raw.from.and_then(|from| PeerId::from_bytes(from).ok()),
                seqno: raw.seqno.and_then(number),
                is_verified: false,
            }),
        }
    }
}

/// A field that must not be empty.
fn required(field: Option<&[u8]>) -> Option<&[u8]> {
    field.filter(|bytes| !bytes.is_empty())
}

fn number(seqno: &[u8]) -> Option<u64> {
    <[u8; 8]>::try_from(seqno).ok().map(u64::from_be_bytes)
}

/// A message that must have the signature of its source. `numbered`: it must have a sequence number too.
fn signed(raw: &RawMessage<'_>, numbered: bool) -> Result<Checked, SignatureError> {
    let from = required(raw.from).ok_or(SignatureError::MissingSource)?;
    let source = PeerId::from_bytes(from).map_err(|_| SignatureError::BadSource)?;
    if numbered && required(raw.seqno).is_none() {
        return Err(SignatureError::MissingSeqno);
    }
    // An empty one is malformed: the signature covers it, and we could not forward it.
    let seqno = raw.seqno.map(|seqno| number(seqno).ok_or(SignatureError::BadSeqno)).transpose()?;
    let signature = required(raw.signature).ok_or(SignatureError::MissingSignature)?;
    let key = key_of(&source, raw.key)?;
    let is_right = signature.len() <= MAX_SIGNATURE
        && key.verify(&signed_bytes(Some(from), raw.data, raw.seqno, raw.topic), signature);
    if !is_right {
        return Err(SignatureError::BadSignature);
    }
    Ok(Checked { source: Some(source), seqno, is_verified: true })
}

/// A message without a signature. An empty field counts as absent.
fn unsigned(raw: &RawMessage<'_>) -> Result<Checked, SignatureError> {
    let source = required(raw.from).map(PeerId::from_bytes).transpose();
    let seqno = required(raw.seqno).map(|seqno| number(seqno).ok_or(SignatureError::BadSeqno));
    Ok(Checked {
        source: source.map_err(|_| SignatureError::BadSource)?,
        seqno: seqno.transpose()?,
        is_verified: false,
    })
}

fn anonymous(raw: &RawMessage<'_>) -> Result<(), SignatureError> {
    match raw {
        RawMessage { from: Some(_), .. } => Err(SignatureError::UnexpectedSource),
        RawMessage { seqno: Some(_), .. } => Err(SignatureError::UnexpectedSeqno),
        RawMessage { signature: Some(_), .. } => Err(SignatureError::UnexpectedSignature),
        RawMessage { key: Some(_), .. } => Err(SignatureError::UnexpectedKey),
        _ => Ok(()),
    }
}

/// The public key of `source`: the one in the message, which must match the peer id, or the one in the peer id.
fn key_of(source: &PeerId, sent: Option<&[u8]>) -> Result<PublicKey, SignatureError> {
    let Some(sent) = required(sent) else {
        let inlined = inlined_key(source).ok_or(SignatureError::BadKey)?;
        return PublicKey::try_decode_protobuf(inlined).map_err(|_| SignatureError::BadKey);
    };
    if sent.len() > MAX_KEY {
        return Err(SignatureError::BadKey);
    }
    let key = PublicKey::try_decode_protobuf(sent).map_err(|_| SignatureError::BadKey)?;
    if key.to_peer_id() == *source { Ok(key) } else { Err(SignatureError::ForeignKey) }
}

/// The encoded public key in a peer id; `None` if it is a hash of the key.
fn inlined_key(peer: &PeerId) -> Option<&[u8]> {
    let hash = peer.as_ref();
    (hash.code() == IDENTITY).then(|| hash.digest())
}

/// Whether the peer id contains the public key.
pub(super) fn has_inlined_key(peer: &PeerId) -> bool {
    inlined_key(peer).is_some()
}

/// The bytes that a signature covers: all fields except signature and key.
pub(super) fn signed_bytes(
    from: Option<&[u8]>,
    data: Option<&[u8]>,
    seqno: Option<&[u8]>,
    topic: &str,
) -> Vec<u8> {
    let mut out = PREFIX.to_vec();
    put_signed_fields(&mut out, from, data, seqno, topic);
    out
}

#[cfg(test)]
mod tests {
    use ::libp2p::identity::Keypair;

    use super::*;
    use crate::libp2p::{Message, SignaturePolicy, codec::protobuf::put_bytes};

    fn key() -> Keypair {
        Keypair::ed25519_from_bytes([7; 32]).unwrap()
    }

    fn strict() -> SignaturePolicy {
        SignaturePolicy::StrictSign(Box::new(key()))
    }

    /// The fields of a message, owned so that tests can change them.
    #[derive(Clone)]
    struct Fields {
        from: Option<Vec<u8>>,
        data: Option<Vec<u8>>,
        seqno: Option<Vec<u8>>,
        signature: Option<Vec<u8>>,
        key: Option<Vec<u8>>,
    }

    impl Fields {
        /// Signed over these fields by `key`, as another implementation would.
        fn signed(data: Option<&[u8]>, seqno: Option<&[u8]>) -> Self {
            let from = key().public().to_peer_id().to_bytes();
            let mut bytes = b"libp2p-pubsub:".to_vec();
            put_bytes(&mut bytes, 1, &from);
            data.iter().for_each(|data| put_bytes(&mut bytes, 2, data));
            seqno.iter().for_each(|seqno| put_bytes(&mut bytes, 3, seqno));
            put_bytes(&mut bytes, 4, b"t");
            let signature = Some(key().sign(&bytes).unwrap());
            let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            Self { from: Some(from), data: owned(data), seqno: owned(seqno), signature, key: None }
        }

        fn good() -> Self {
            Self::signed(Some(b"data"), Some(&5u64.to_be_bytes()))
        }

        fn check(&self, policy: &SignaturePolicy) -> Result<Message, SignatureError> {
            let raw = RawMessage {
                from: self.from.as_deref(),
                data: self.data.as_deref(),
                seqno: self.seqno.as_deref(),
                topic: "t",
                signature: self.signature.as_deref(),
                key: self.key.as_deref(),
            };
            policy.accept(&raw)
        }
    }

    fn changed(change: impl FnOnce(&mut Fields)) -> Result<Message, SignatureError> {
        let mut fields = Fields::good();
        change(&mut fields);
        fields.check(&strict())
    }

    #[test]
    fn our_signature_covers_the_same_bytes_as_that_of_others() {
        let ours = strict().author(&"t".into(), 5, b"data".to_vec()).unwrap();
        let theirs = Fields::good();
        assert_eq!(ours.signature(), theirs.signature.as_deref());
        assert_eq!(ours.key(), None);
        assert_eq!(theirs.check(&strict()), Ok(ours));
    }

    #[test]
    fn the_key_may_be_sent_or_left_out() {
        let message = changed(|fields| fields.key = Some(key().public().encode_protobuf())).unwrap();
        assert_eq!(message.key(), Some(key().public().encode_protobuf().as_slice()));
        let foreign = Keypair::generate_ed25519().public().encode_protobuf();
        assert_eq!(changed(|fields| fields.key = Some(foreign)), Err(SignatureError::ForeignKey));
        assert_eq!(changed(|fields| fields.key = Some(vec![1, 2])), Err(SignatureError::BadKey));
    }

    #[test]
    fn keys_and_signatures_that_are_too_long_are_refused() {
        // The fields of an encoded key: its type and its data.
        let long = [&[8, 0, 18, 0x80, 0x20][..], &[7; 4_096]].concat();
        for key in [long, vec![8, 3, 18, 2, 7, 7]] {
            assert_eq!(changed(|fields| fields.key = Some(key)), Err(SignatureError::BadKey));
        }
        let signature = vec![1; MAX_SIGNATURE + 1];
        assert_eq!(changed(|fields| fields.signature = Some(signature)), Err(SignatureError::BadSignature));
    }

    #[test]
    fn absent_and_empty_data_are_both_accepted_and_stay_distinct() {
        let seqno = 1u64.to_be_bytes();
        let absent = Fields::signed(None, Some(&seqno)).check(&strict()).unwrap();
        let empty = Fields::signed(Some(b""), Some(&seqno)).check(&strict()).unwrap();
        assert_eq!(
            (absent.content().data.as_deref(), empty.content().data.as_deref()),
            (None, Some(&[][..]))
        );
        assert_eq!((absent.data(), empty.data()), (&[][..], &[][..]));
    }

    #[test]
    fn every_field_is_covered() {
        assert_eq!(changed(|fields| fields.data = Some(b"Data".to_vec())), Err(SignatureError::BadSignature));
        assert_eq!(changed(|fields| fields.data = None), Err(SignatureError::BadSignature));
        assert_eq!(changed(|fields| fields.seqno = Some(vec![0; 8])), Err(SignatureError::BadSignature));
        assert_eq!(changed(|fields| fields.signature = Some(vec![1; 64])), Err(SignatureError::BadSignature));
        let other = Keypair::generate_ed25519().public().to_peer_id().to_bytes();
        assert_eq!(changed(|fields| fields.from = Some(other)), Err(SignatureError::BadSignature));
    }

    #[test]
    fn the_seqno_has_eight_bytes() {
        let number = |bytes: Option<&[u8]>| Fields::signed(Some(b"data"), bytes).check(&strict());
        assert_eq!(number(Some(&[0, 0, 0, 1])), Err(SignatureError::BadSeqno));
        assert_eq!(number(Some(&[0; 9])), Err(SignatureError::BadSeqno));
        assert_eq!(number(None), Err(SignatureError::MissingSeqno));
        assert!(number(Some(&[0; 8])).is_ok());
    }

    #[test]
    fn source_and_signature_are_required() {
        assert_eq!(changed(|fields| fields.from = None), Err(SignatureError::MissingSource));
        assert_eq!(changed(|fields| fields.from = Some(vec![3; 5])), Err(SignatureError::BadSource));
        assert_eq!(changed(|fields| fields.signature = None), Err(SignatureError::MissingSignature));
    }

    #[test]
    fn anonymous_messages_carry_only_data() {
        let policy = SignaturePolicy::StrictNoSign;
        let bare = Fields { from: None, data: Some(vec![1]), seqno: None, signature: None, key: None };
        assert_eq!(bare.check(&policy), Ok(policy.author(&"t".into(), 9, vec![1]).unwrap()));
        let with = |change: fn(&mut Fields)| {
            let mut fields = bare.clone();
            change(&mut fields);
            fields.check(&policy).unwrap_err()
        };
        assert_eq!(with(|fields| fields.from = Some(vec![])), SignatureError::UnexpectedSource);
        assert_eq!(with(|fields| fields.seqno = Some(vec![0; 8])), SignatureError::UnexpectedSeqno);
        assert_eq!(with(|fields| fields.signature = Some(vec![1])), SignatureError::UnexpectedSignature);
        assert_eq!(with(|fields| fields.key = Some(vec![1])), SignatureError::UnexpectedKey);
        assert_eq!(bare.check(&strict()), Err(SignatureError::MissingSource));
    }
}
