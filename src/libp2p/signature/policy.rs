//! The signature policies of the libp2p pubsub specification: how our messages are signed, and which fields and
//! signature a received message must have.

use ::libp2p::{
    PeerId,
    identity::{Keypair, PublicKey, SigningError},
};
use sha2::{Digest, Sha256};

use crate::libp2p::{
    codec::{
        entry::RawMessage,
        protobuf::{ProtoReader, Value, put_signed_fields},
    },
    ids::TopicName,
    message::{Content, Message, SignatureError},
};

/// The prefix of the signed fields in what a signature covers.
const PREFIX: &[u8] = b"libp2p-pubsub:";
/// The multihash code of a peer id that contains the public key itself.
const IDENTITY: u64 = 0;

/// The multihash code of a peer id that is the hash of the public key.
const SHA2_256: u64 = 0x12;

/// The fields of an encoded public key.
const KEY_TYPE: u64 = 1;
const KEY_DATA: u64 = 2;
/// The types of public keys other than Ed25519 (1).
const RSA: u64 = 0;
const SECP256K1: u64 = 2;
const ECDSA: u64 = 3;

/// The signature policy of a network, of the libp2p pubsub specification. All nodes of a network must have the same
/// one: messages under the other policy are invalid.
#[derive(Clone)]
#[non_exhaustive]
pub enum SignaturePolicy {
    /// Messages carry their source, a sequence number and the source's signature. This key signs our messages.
    StrictSign(Box<Keypair>),
    /// Messages are anonymous. They must not carry a source, sequence number, signature or key.
    StrictNoSign,
}

impl std::fmt::Debug for SignaturePolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::StrictSign(key) => write!(f, "StrictSign({})", key.public().to_peer_id()),
            Self::StrictNoSign => f.write_str("StrictNoSign"),
        }
    }
}

impl SignaturePolicy {
    /// Creates a message of ours. `seqno` is unused under StrictNoSign.
    pub(in crate::libp2p) fn author(
        &self,
        topic: &TopicName,
        seqno: u64,
        data: Vec<u8>,
    ) -> Result<Message, SigningError> {
        let data = data.into_boxed_slice();
        let Self::StrictSign(keypair) = self else {
            return Ok(Message::new(Content { data: Some(data), ..Content::default() }));
        };
        let public = keypair.public();
        let source = public.to_peer_id();
        let number = seqno.to_be_bytes();
        let signed = signed_bytes(Some(&source.to_bytes()), Some(&data), Some(&number), topic.as_str());
        Ok(Message::new(Content {
            source: Some(source),
            seqno: Some(seqno),
            data: Some(data),
            signature: Some(keypair.sign(&signed)?.into()),
            // The specification leaves the key out where the peer id contains it.
            key: inlined_key(&source).is_none().then(|| public.encode_protobuf().into()),
            signature_error: None,
        }))
    }

    /// Checks a received message and takes over its fields.
    pub(in crate::libp2p) fn accept(&self, raw: &RawMessage<'_>) -> Result<Message, SignatureError> {
        let (source, seqno) = match self {
            Self::StrictSign(_) => signed(raw).map(|(source, seqno)| (Some(source), Some(seqno)))?,
            Self::StrictNoSign => anonymous(raw).map(|()| (None, None))?,
        };
        Ok(Message::new(Content {
            source,
            seqno,
            data: raw.data.map(Into::into),
            signature: raw.signature.map(Into::into),
            key: raw.key.map(Into::into),
            signature_error: None,
        }))
    }
}

fn signed(raw: &RawMessage<'_>) -> Result<(PeerId, u64), SignatureError> {
    let from = raw.from.filter(|from| !from.is_empty()).ok_or(SignatureError::MissingSource)?;
    let source = PeerId::from_bytes(from).map_err(|_| SignatureError::BadSource)?;
    let number = raw.seqno.filter(|seqno| !seqno.is_empty()).ok_or(SignatureError::MissingSeqno)?;
    let seqno = <[u8; 8]>::try_from(number).map_err(|_| SignatureError::BadSeqno)?;
    let signature =
        raw.signature.filter(|bytes| !bytes.is_empty()).ok_or(SignatureError::MissingSignature)?;
    let key = key_of(&source, raw.key)?;
    if !key.verify(&signed_bytes(Some(from), raw.data, Some(number), raw.topic), signature) {
        return Err(SignatureError::BadSignature);
    }
    Ok((source, u64::from_be_bytes(seqno)))
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

/// The public key of `source`: the one in the message, which must match the peer id, or the one in the peer id. A key of a
/// type that this build can't decode must match it too: who signs with such a key speaks for no other peer.
fn key_of(source: &PeerId, sent: Option<&[u8]>) -> Result<PublicKey, SignatureError> {
    let Some(sent) = sent.filter(|key| !key.is_empty()) else {
        let hash = source.as_ref();
        return if hash.code() == IDENTITY { decode_key(hash.digest()) } else { Err(SignatureError::BadKey) };
    };
    match decode_key(sent) {
        Ok(key) if key.to_peer_id() == *source => Ok(key),
        Err(SignatureError::UnsupportedKey) if is_id_of(source, sent) => Err(SignatureError::UnsupportedKey),
        Ok(_) | Err(SignatureError::UnsupportedKey) => Err(SignatureError::ForeignKey),
        Err(error) => Err(error),
    }
}

/// Whether the peer id is made of this encoded public key: it is the key itself, or the key's hash.
fn is_id_of(peer: &PeerId, key: &[u8]) -> bool {
    let hash = peer.as_ref();
    match hash.code() {
        IDENTITY => hash.digest() == key,
        SHA2_256 => hash.digest() == Sha256::digest(key).as_slice(),
        _ => false,
    }
}

/// Which key types libp2p can decode depends on its features. Ed25519 is always among them.
fn decode_key(bytes: &[u8]) -> Result<PublicKey, SignatureError> {
    PublicKey::try_decode_protobuf(bytes).map_err(|_| match key_type(bytes) {
        Some(RSA | SECP256K1 | ECDSA) => SignatureError::UnsupportedKey,
        _ => SignatureError::BadKey,
    })
}

/// The type of an encoded public key; `None` if the bytes do not encode one.
fn key_type(bytes: &[u8]) -> Option<u64> {
    let mut fields = ProtoReader::new(bytes);
    let (Some(Ok((KEY_TYPE, Value::Varint(kind)))), Some(Ok((KEY_DATA, Value::Bytes(data)))), None) =
        (fields.next(), fields.next(), fields.next())
    else {
        return None;
    };
    (!data.is_empty()).then_some(kind)
}

fn inlined_key(peer: &PeerId) -> Option<PublicKey> {
    let hash = peer.as_ref();
    let inlined = hash.code() == IDENTITY;
    inlined.then(|| PublicKey::try_decode_protobuf(hash.digest()).ok()).flatten()
}

fn signed_bytes(from: Option<&[u8]>, data: Option<&[u8]>, seqno: Option<&[u8]>, topic: &str) -> Vec<u8> {
    let mut out = PREFIX.to_vec();
    put_signed_fields(&mut out, from, data, seqno, topic);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libp2p::codec::protobuf::put_bytes;

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

    /// A message whose source has this public key, which this build may not be able to decode.
    fn with_key(source: &[u8], key: &[u8]) -> Result<Message, SignatureError> {
        let mut fields = Fields::good();
        fields.from = Some(source.to_vec());
        fields.key = Some(key.to_vec());
        fields.check(&strict())
    }

    #[test]
    fn key_bytes_that_do_not_parse_or_belong_to_another_source_are_no_unsupported_key() {
        let hash = |key: &[u8]| [&[0x12, 32][..], &Sha256::digest(key)].concat();
        let own = key().public().to_peer_id().to_bytes();
        for kind in [0, 2, 3] {
            let key = [&[8, kind, 18, 60][..], &[7; 60]].concat();
            assert_eq!(with_key(&hash(&key), &key), Err(SignatureError::UnsupportedKey));
            assert_eq!(with_key(&own, &key), Err(SignatureError::ForeignKey));
            for garbage in [&[8, kind][..], &[8, kind, 18, 9, 7], &[8, kind, 18, 0], &[8, kind, 24, 1]] {
                assert_eq!(with_key(&hash(garbage), garbage), Err(SignatureError::BadKey), "{garbage:?}");
            }
            let short = [8, kind, 18, 2, 7, 7];
            let inlined = [&[0, 6][..], &short].concat();
            assert_eq!(with_key(&inlined, &short), Err(SignatureError::UnsupportedKey));
            assert_eq!(with_key(&own, &short), Err(SignatureError::ForeignKey));
        }
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
