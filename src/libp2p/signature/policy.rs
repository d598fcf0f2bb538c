//! Who may say what was published by whom: the signature policies of the pubsub specification. Works on
//! the fields of one message; it never judges content, and keeps no state.

use ::libp2p::{
    PeerId,
    identity::{Keypair, PublicKey, SigningError},
};
use serde::{Deserialize, Serialize};

use crate::{
    libp2p::{
        codec::{encode::put_signed_fields, rpc::RawMessage},
        ids::TopicName,
        message::{Content, Message},
    },
    network::Validity,
};

/// What is put before the fields that are signed.
const PREFIX: &[u8] = b"libp2p-pubsub:";
/// The multihash code of a peer id that contains its public key.
const IDENTITY: u64 = 0;

/// The first field of an encoded public key, its type, and the types beside Ed25519 (1).
const KEY_TYPE: u8 = 1 << 3;
const RSA: u8 = 0;
const SECP256K1: u8 = 2;
const ECDSA: u8 = 3;

/// The signature policy of a network. All its nodes must have the same.
#[derive(Clone)]
pub enum SignaturePolicy {
    /// Messages carry their source, a number and the source's signature. Ours are signed with this key.
    StrictSign(Box<Keypair>),
    /// Messages are anonymous: they carry neither source, number, signature nor key.
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

/// How a message breaks the signature policy.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// StrictSign: it names no source.
    #[error("no source")]
    MissingSource,
    /// StrictSign: its source is no peer id.
    #[error("the source is no peer id")]
    BadSource,
    /// StrictSign: it has no number.
    #[error("no sequence number")]
    MissingSeqno,
    /// StrictSign: its number is not of 8 bytes.
    #[error("the sequence number is not of 8 bytes")]
    BadSeqno,
    /// StrictSign: it is not signed.
    #[error("no signature")]
    MissingSignature,
    /// StrictSign: its key is of a type that this build of libp2p can't verify. Nobody's fault: such a
    /// message is dropped as `Outdated`, and its deliverers are not penalised.
    #[error("a public key of a type that can't be verified here")]
    UnsupportedKey,
    /// StrictSign: its key is missing or unreadable.
    #[error("no usable public key")]
    BadKey,
    /// StrictSign: its key is not that of its source.
    #[error("the public key is not that of the source")]
    ForeignKey,
    /// StrictSign: its signature is not over these fields by this source.
    #[error("wrong signature")]
    BadSignature,
    /// StrictNoSign: it names a source.
    #[error("a source, though messages are anonymous")]
    UnexpectedSource,
    /// StrictNoSign: it has a number.
    #[error("a sequence number, though messages are anonymous")]
    UnexpectedSeqno,
    /// StrictNoSign: it is signed.
    #[error("a signature, though messages are anonymous")]
    UnexpectedSignature,
    /// StrictNoSign: it has a key.
    #[error("a public key, though messages are anonymous")]
    UnexpectedKey,
}

impl Flaw {
    /// The verdict on a message that has it.
    pub fn validity(self) -> Validity {
        match self {
            Self::UnsupportedKey => Validity::Outdated,
            _ => Validity::Invalid,
        }
    }
}

/// What is left to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::libp2p) enum Check {
    Full,
    /// The very same message was found good before: only its fields are taken.
    Verified,
}

impl SignaturePolicy {
    /// Makes a message of ours. `seqno` goes unused when messages are not signed.
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
            // The key goes along only where the peer id does not contain it.
            key: inlined_key(&source).is_none().then(|| public.encode_protobuf().into()),
            flaw: None,
        }))
    }

    /// Accepts a message that was received, or says what is wrong with it.
    pub(in crate::libp2p) fn accept(&self, raw: &RawMessage<'_>, check: Check) -> Result<Message, Flaw> {
        let (source, seqno) = match self {
            Self::StrictSign(_) => signed(raw, check).map(|(source, seqno)| (Some(source), Some(seqno)))?,
            Self::StrictNoSign => anonymous(raw).map(|()| (None, None))?,
        };
        Ok(Message::new(Content {
            source,
            seqno,
            data: raw.data.map(Into::into),
            signature: raw.signature.map(Into::into),
            key: raw.key.map(Into::into),
            flaw: None,
        }))
    }
}

fn signed(raw: &RawMessage<'_>, check: Check) -> Result<(PeerId, u64), Flaw> {
    let from = raw.from.filter(|from| !from.is_empty()).ok_or(Flaw::MissingSource)?;
    let source = PeerId::from_bytes(from).map_err(|_| Flaw::BadSource)?;
    let number = raw.seqno.filter(|seqno| !seqno.is_empty()).ok_or(Flaw::MissingSeqno)?;
    let seqno = <[u8; 8]>::try_from(number).map_err(|_| Flaw::BadSeqno)?;
    let signature = raw.signature.filter(|bytes| !bytes.is_empty()).ok_or(Flaw::MissingSignature)?;
    if check == Check::Verified {
        return Ok((source, u64::from_be_bytes(seqno)));
    }
    let key = key_of(&source, raw.key)?;
    if !key.verify(&signed_bytes(Some(from), raw.data, Some(number), raw.topic), signature) {
        return Err(Flaw::BadSignature);
    }
    Ok((source, u64::from_be_bytes(seqno)))
}

fn anonymous(raw: &RawMessage<'_>) -> Result<(), Flaw> {
    match raw {
        RawMessage { from: Some(_), .. } => Err(Flaw::UnexpectedSource),
        RawMessage { seqno: Some(_), .. } => Err(Flaw::UnexpectedSeqno),
        RawMessage { signature: Some(_), .. } => Err(Flaw::UnexpectedSignature),
        RawMessage { key: Some(_), .. } => Err(Flaw::UnexpectedKey),
        _ => Ok(()),
    }
}

/// The public key of `source`: the one that was sent, which must be its own, or the one in its id.
fn key_of(source: &PeerId, sent: Option<&[u8]>) -> Result<PublicKey, Flaw> {
    let Some(sent) = sent.filter(|key| !key.is_empty()) else {
        let hash = source.as_ref();
        return if hash.code() == IDENTITY { decode_key(hash.digest()) } else { Err(Flaw::BadKey) };
    };
    let key = decode_key(sent)?;
    if key.to_peer_id() == *source { Ok(key) } else { Err(Flaw::ForeignKey) }
}

/// libp2p is built with the key types of its features, of which Ed25519 is the one always there.
fn decode_key(bytes: &[u8]) -> Result<PublicKey, Flaw> {
    PublicKey::try_decode_protobuf(bytes).map_err(|_| match bytes {
        [KEY_TYPE, RSA | SECP256K1 | ECDSA, ..] => Flaw::UnsupportedKey,
        _ => Flaw::BadKey,
    })
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
    use crate::libp2p::codec::encode::put_bytes;

    fn key() -> Keypair {
        Keypair::ed25519_from_bytes([7; 32]).unwrap()
    }

    fn strict() -> SignaturePolicy {
        SignaturePolicy::StrictSign(Box::new(key()))
    }

    /// The fields of a message, owned so that tests can spoil them.
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

        fn check(&self, policy: &SignaturePolicy) -> Result<Message, Flaw> {
            let raw = RawMessage {
                from: self.from.as_deref(),
                data: self.data.as_deref(),
                seqno: self.seqno.as_deref(),
                topic: "t",
                signature: self.signature.as_deref(),
                key: self.key.as_deref(),
            };
            policy.accept(&raw, Check::Full)
        }
    }

    fn spoilt(spoil: impl FnOnce(&mut Fields)) -> Result<Message, Flaw> {
        let mut fields = Fields::good();
        spoil(&mut fields);
        fields.check(&strict())
    }

    #[test]
    fn what_we_sign_is_what_others_sign() {
        let ours = strict().author(&"t".into(), 5, b"data".to_vec()).unwrap();
        let theirs = Fields::good();
        assert_eq!(ours.signature(), theirs.signature.as_deref());
        assert_eq!(ours.key(), None);
        assert_eq!(theirs.check(&strict()), Ok(ours));
    }

    #[test]
    fn the_key_may_be_sent_or_left_out() {
        let message = spoilt(|fields| fields.key = Some(key().public().encode_protobuf())).unwrap();
        assert_eq!(message.key(), Some(key().public().encode_protobuf().as_slice()));
        let foreign = Keypair::generate_ed25519().public().encode_protobuf();
        assert_eq!(spoilt(|fields| fields.key = Some(foreign)), Err(Flaw::ForeignKey));
        assert_eq!(spoilt(|fields| fields.key = Some(vec![1, 2])), Err(Flaw::BadKey));
        let rsa = vec![8, 0, 18, 1, 7];
        assert_eq!(spoilt(|fields| fields.key = Some(rsa)), Err(Flaw::UnsupportedKey));
    }

    #[test]
    fn absent_and_empty_data_are_both_accepted_and_kept_apart() {
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
        assert_eq!(spoilt(|fields| fields.data = Some(b"Data".to_vec())), Err(Flaw::BadSignature));
        assert_eq!(spoilt(|fields| fields.data = None), Err(Flaw::BadSignature));
        assert_eq!(spoilt(|fields| fields.seqno = Some(vec![0; 8])), Err(Flaw::BadSignature));
        assert_eq!(spoilt(|fields| fields.signature = Some(vec![1; 64])), Err(Flaw::BadSignature));
        let other = Keypair::generate_ed25519().public().to_peer_id().to_bytes();
        assert_eq!(spoilt(|fields| fields.from = Some(other)), Err(Flaw::BadSignature));
    }

    #[test]
    fn the_seqno_has_eight_bytes() {
        let number = |bytes: Option<&[u8]>| Fields::signed(Some(b"data"), bytes).check(&strict());
        assert_eq!(number(Some(&[0, 0, 0, 1])), Err(Flaw::BadSeqno));
        assert_eq!(number(Some(&[0; 9])), Err(Flaw::BadSeqno));
        assert_eq!(number(None), Err(Flaw::MissingSeqno));
        assert!(number(Some(&[0; 8])).is_ok());
    }

    #[test]
    fn nothing_may_be_missing() {
        assert_eq!(spoilt(|fields| fields.from = None), Err(Flaw::MissingSource));
        assert_eq!(spoilt(|fields| fields.from = Some(vec![3; 5])), Err(Flaw::BadSource));
        assert_eq!(spoilt(|fields| fields.signature = None), Err(Flaw::MissingSignature));
    }

    #[test]
    fn anonymous_messages_carry_nothing_but_data() {
        let policy = SignaturePolicy::StrictNoSign;
        let bare = Fields { from: None, data: Some(vec![1]), seqno: None, signature: None, key: None };
        assert_eq!(bare.check(&policy), Ok(policy.author(&"t".into(), 9, vec![1]).unwrap()));
        let with = |spoil: fn(&mut Fields)| {
            let mut fields = bare.clone();
            spoil(&mut fields);
            fields.check(&policy).unwrap_err()
        };
        assert_eq!(with(|fields| fields.from = Some(vec![])), Flaw::UnexpectedSource);
        assert_eq!(with(|fields| fields.seqno = Some(vec![0; 8])), Flaw::UnexpectedSeqno);
        assert_eq!(with(|fields| fields.signature = Some(vec![1])), Flaw::UnexpectedSignature);
        assert_eq!(with(|fields| fields.key = Some(vec![1])), Flaw::UnexpectedKey);
        assert_eq!(bare.check(&strict()), Err(Flaw::MissingSource));
    }
}
