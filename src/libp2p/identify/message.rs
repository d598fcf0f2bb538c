//! The message of identify: what this node says of itself, and what it reads of a peer's.

use std::time::{SystemTime, UNIX_EPOCH};

use ::libp2p::{Multiaddr, PeerId, core::SignedEnvelope, identity::Keypair};

use crate::libp2p::codec::protobuf::{ProtoReader, Value, put_bytes, put_integer};

/// The fields of identify's message.
mod field {
    pub(super) const PUBLIC_KEY: u64 = 1;
    pub(super) const LISTEN_ADDRS: u64 = 2;
    pub(super) const PROTOCOLS: u64 = 3;
    pub(super) const OBSERVED_ADDR: u64 = 4;
    pub(super) const PROTOCOL_VERSION: u64 = 5;
    pub(super) const AGENT_VERSION: u64 = 6;
    pub(super) const SIGNED_PEER_RECORD: u64 = 8;
}

/// The bytes that are kept of a peer's agent version.
const MAX_AGENT: usize = 128;

/// The fields of a peer record, and of each of its addresses.
mod record_field {
    pub(super) const PEER_ID: u64 = 1;
    pub(super) const SEQUENCE: u64 = 2;
    pub(super) const ADDRESSES: u64 = 3;
    pub(super) const MULTIADDR: u64 = 1;
}

/// The signature domain of peer records (RFC 0003), and their type: the multicodec 0x0301.
const DOMAIN: &str = "libp2p-peer-record";
const RECORD_TYPE: [u8; 2] = [3, 1];
/// Most bytes of addresses that are sent. They are sent twice, and rust-libp2p reads messages of at most 4,096 bytes.
const MAX_ADDRESS_BYTES: usize = 1_024;

/// The description of this node that it sends.
pub(super) struct LocalInfo {
    key: Keypair,
    agent: String,
    protocols: Vec<String>,
    addresses: Vec<Multiaddr>,
    /// The record of `addresses`, if it is signed already.
    record: Option<Vec<u8>>,
    last_sequence: u64,
}

impl LocalInfo {
    pub(super) fn new(key: Keypair, agent: String, protocols: Vec<String>) -> Self {
        Self { key, agent, protocols, addresses: Vec::new(), record: None, last_sequence: 0 }
    }

    /// Sets the addresses at which this node is reached. Returns false if they are as before.
    pub(super) fn set_addresses(&mut self, addresses: impl IntoIterator<Item = Multiaddr>) -> bool {
        let mut bytes = 0;
        let fits = |address: &Multiaddr| {
            bytes += address.as_ref().len();
            bytes <= MAX_ADDRESS_BYTES
        };
        let addresses: Vec<_> = addresses.into_iter().take_while(fits).collect();
        if addresses == self.addresses {
            return false;
        }
        (self.addresses, self.record) = (addresses, None);
        true
    }

    /// The message for a peer whose end of the connection is `observed`.
    pub(super) fn message(&mut self, observed: &Multiaddr) -> Vec<u8> {
        let record = self.record();
        let mut out = Vec::new();
        put_bytes(&mut out, field::PUBLIC_KEY, &self.key.public().encode_protobuf());
        self.addresses.iter().for_each(|address| put_bytes(&mut out, field::LISTEN_ADDRS, address.as_ref()));
        self.protocols.iter().for_each(|name| put_bytes(&mut out, field::PROTOCOLS, name.as_bytes()));
        put_bytes(&mut out, field::OBSERVED_ADDR, observed.as_ref());
        put_bytes(&mut out, field::PROTOCOL_VERSION, b"ipfs/0.1.0");
        put_bytes(&mut out, field::AGENT_VERSION, self.agent.as_bytes());
        if let Some(record) = record {
            put_bytes(&mut out, field::SIGNED_PEER_RECORD, &record);
        }
        out
    }

    /// The signed record of the addresses; none without addresses, and none if the key can't sign.
    fn record(&mut self) -> Option<Vec<u8>> {
        if self.record.is_none() && !self.addresses.is_empty() {
            // Records ascend over restarts, and a later one is newer even if the clock went back.
            self.last_sequence = (self.last_sequence + 1).max(nanoseconds_since_epoch());
            let payload = payload(self.key.public().to_peer_id(), self.last_sequence, &self.addresses);
            let signed = SignedEnvelope::new(&self.key, DOMAIN.to_owned(), RECORD_TYPE.to_vec(), payload);
            self.record = signed.ok().map(SignedEnvelope::into_protobuf_encoding);
        }
        self.record.clone()
    }
}

fn payload(peer: PeerId, sequence: u64, addresses: &[Multiaddr]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, record_field::PEER_ID, &peer.to_bytes());
    put_integer(&mut out, record_field::SEQUENCE, sequence);
    for address in addresses {
        let mut info = Vec::new();
        put_bytes(&mut info, record_field::MULTIADDR, address.as_ref());
        put_bytes(&mut out, record_field::ADDRESSES, &info);
    }
    out
}

fn nanoseconds_since_epoch() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The description that a peer sends of itself, as far as this node uses it. It is not verified.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PeerReport {
    pub(super) addresses: Vec<Multiaddr>,
    pub(super) record: Option<Vec<u8>>,
    /// The software that it runs, cut to [`MAX_AGENT`] bytes.
    pub(super) agent: Option<String>,
}

impl PeerReport {
    /// Reads a message. Unknown fields, and addresses that can't be parsed, are skipped. `None`: it is not protobuf.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut report = Self::default();
        for field in ProtoReader::new(bytes) {
            match field.ok()? {
                (field::LISTEN_ADDRS, Value::Bytes(address)) => {
                    report.addresses.extend(Multiaddr::try_from(address.to_vec()).ok());
                }
                (field::AGENT_VERSION, Value::Bytes(agent)) => {
                    let start = &agent[..agent.len().min(MAX_AGENT)];
                    report.agent = Some(String::from_utf8_lossy(start).into_owned());
                }
                (field::SIGNED_PEER_RECORD, Value::Bytes(record)) => report.record = Some(record.to_vec()),
                _ => {}
            }
        }
        Some(report)
    }
}

#[cfg(test)]
mod tests {
    use ::libp2p::core::PeerRecord;

    use super::*;

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/8.8.8.8/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn a_message_has_the_addresses_and_a_record_of_them_that_others_can_verify() {
        let key = Keypair::generate_ed25519();
        let mut local = LocalInfo::new(key.clone(), "agent".to_owned(), vec!["/meshsub/1.2.0".to_owned()]);
        let empty = PeerReport::read(&local.message(&address(9))).unwrap();
        assert_eq!(empty, PeerReport { agent: Some("agent".to_owned()), ..PeerReport::default() });
        let mut sequence = 0;
        for addresses in [vec![address(1), address(2)], vec![address(3)]] {
            assert!(local.set_addresses(addresses.clone()) && !local.set_addresses(addresses.clone()));
            let report = PeerReport::read(&local.message(&address(9))).unwrap();
            assert_eq!(report.addresses, addresses);
            let envelope = SignedEnvelope::from_protobuf_encoding(&report.record.unwrap()).unwrap();
            let record = PeerRecord::from_signed_envelope_interop(envelope).unwrap();
            assert_eq!((record.peer_id(), record.addresses()), (key.public().to_peer_id(), &addresses[..]));
            assert!(record.seq() > sequence);
            sequence = record.seq();
        }
    }

    #[test]
    fn a_message_is_short_enough_for_every_reader() {
        let mut local = LocalInfo::new(Keypair::generate_ed25519(), String::new(), Vec::new());
        local.set_addresses((1..1_000).map(address));
        let message = local.message(&address(9));
        assert!(message.len() < 4_096, "{}", message.len());
        assert_eq!(PeerReport::read(&message).unwrap().addresses.len(), MAX_ADDRESS_BYTES / 8);
    }

    #[test]
    fn bytes_that_are_no_message_are_refused() {
        assert_eq!(PeerReport::read(&[0x12, 5, 1]), None);
        // An address that is none.
        assert_eq!(PeerReport::read(&[0x12, 1, 0xff]), Some(PeerReport::default()));
    }
}
