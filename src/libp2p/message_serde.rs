//! Message ids and messages in recordings and answers to operators: bytes in hexadecimal, fields by name. Frames have
//! another format, that of the codec.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{
    ids::MessageId,
    message::{Content, Message, SignatureError},
};

/// Bytes that are serialised in hexadecimal.
struct Hex(Box<[u8]>);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = hex::decode(text).map_err(|_| D::Error::custom("bytes are written in hexadecimal"))?;
        Ok(Self(bytes.into()))
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Hex::deserialize(deserializer).map(|Hex(bytes)| Self::from(&*bytes))
    }
}

/// The serialised form of a message. Absent fields are left out.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<::libp2p::PeerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seqno: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Hex>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<Hex>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Hex>,
    /// A source without this is verified.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unverified: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature_error: Option<SignatureError>,
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Content { source, seqno, data, signature, key, is_verified, signature_error } =
            self.content().clone();
        let unverified = source.is_some() && !is_verified;
        let [data, signature, key] = [data, signature, key].map(|bytes| bytes.map(Hex));
        MessageFields { source, seqno, data, signature, key, unverified, signature_error }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let MessageFields { source, seqno, data, signature, key, unverified, signature_error } =
            MessageFields::deserialize(deserializer)?;
        let is_verified = source.is_some() && !unverified;
        let [data, signature, key] = [data, signature, key].map(|bytes| bytes.map(|Hex(bytes)| bytes));
        Ok(Self::new(Content { source, seqno, data, signature, key, is_verified, signature_error }))
    }
}

#[cfg(test)]
mod tests {
    use ::libp2p::PeerId;

    use super::*;

    #[test]
    fn a_recorded_message_keeps_whether_its_source_is_verified() {
        let source = Some(PeerId::random());
        for is_verified in [true, false] {
            let message = Message::new(Content { source, is_verified, ..Content::default() });
            let text = serde_json::to_string(&message).unwrap();
            // Recordings of earlier versions have verified sources only, and do not have the field.
            assert_eq!(text.contains("unverified"), !is_verified, "{text}");
            assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), message);
        }
    }
}
