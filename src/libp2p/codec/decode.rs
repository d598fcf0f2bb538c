//! From an RPC to what the engine is told. Checks signatures, makes message ids, and puts the parts in
//! order; it never drops what the engine should judge.
//!
//! The order is that of the other implementations: subscriptions, messages, ihaves, iwants, grafts,
//! prunes, idontwants. Ours are written to keep their order under it (see `encode::Kind`).

use std::time::Duration;

use ::libp2p::PeerId;

use super::rpc::{self, IHave, Prune, RawMessage, RpcError};
use crate::{
    libp2p::{
        ids::{MessageId, TopicName},
        network::Libp2pNetwork,
    },
    network::{FullMessage, P2pMessage},
};

type Said = P2pMessage<Libp2pNetwork>;

/// What the frame `bytes` says, in the order in which it is to be handled.
pub(in crate::libp2p) fn read(bytes: &[u8], network: &Libp2pNetwork) -> Result<Vec<Said>, RpcError> {
    let rpc = rpc::read(bytes, network.limits())?;
    let mut said = Vec::new();
    said.extend(rpc.subscriptions.iter().map(|entry| subscription(entry.subscribe, entry.topic.into())));
    said.extend(rpc.messages.iter().map(|raw| message(raw, network)));
    said.extend(rpc.ihave.iter().map(ihave));
    said.extend(rpc.iwant.iter().map(|ids| Said::IWant { message_ids: message_ids(ids) }));
    said.extend(rpc.graft.iter().map(|topic| Said::Graft { topic: (*topic).into() }));
    said.extend(rpc.prune.iter().map(|entry| prune(entry, network)));
    said.extend(rpc.idontwant.iter().map(|ids| Said::IDontWant { message_ids: message_ids(ids) }));
    Ok(said)
}

fn subscription(subscribe: bool, topic: TopicName) -> Said {
    if subscribe { Said::Subscribe { topic } } else { Said::Unsubscribe { topic } }
}

fn ihave(entry: &IHave<'_>) -> Said {
    Said::IHave { topic: entry.topic.into(), message_ids: message_ids(&entry.ids) }
}

fn message_ids(ids: &[&[u8]]) -> Vec<MessageId> {
    ids.iter().map(|id| MessageId::from(*id)).collect()
}

fn message(raw: &RawMessage<'_>, network: &Libp2pNetwork) -> Said {
    let topic = TopicName::from(raw.topic);
    let (message_id, message) = network.accept(&topic, raw);
    Said::FullMessage(FullMessage { topic, message_id, message }.into())
}

fn prune(entry: &Prune<'_>, network: &Libp2pNetwork) -> Said {
    let mut px = Vec::with_capacity(entry.px.len());
    for info in &entry.px {
        let Ok(peer) = PeerId::from_bytes(info.peer) else { continue };
        if let Some(record) = info.record {
            network.addresses().recommended(peer, record);
        }
        px.push(peer);
    }
    let backoff = entry.backoff.map_or(network.default_backoff(), Duration::from_secs);
    Said::Prune { topic: entry.topic.into(), px, backoff }
}

#[cfg(test)]
mod tests {
    use ::libp2p::identity::Keypair;

    use super::*;
    use crate::{
        libp2p::signature::policy::{Flaw, SignaturePolicy},
        network::{Network, Validity},
    };

    #[test]
    fn a_forgery_does_not_get_the_id_that_it_claims_and_is_invalid() {
        let policy = || SignaturePolicy::StrictSign(Box::new(Keypair::ed25519_from_bytes([7; 32]).unwrap()));
        let network = Libp2pNetwork::builder(policy()).validator(|_, _| unreachable!()).build();
        let good = network.message("t".into(), *b"data").unwrap();
        let source = good.message.source().unwrap().to_bytes();
        let seqno = good.message.seqno().unwrap().to_be_bytes();
        let raw = RawMessage {
            from: Some(&source),
            data: Some(b"Data"),
            seqno: Some(&seqno),
            topic: "t",
            signature: good.message.signature(),
            key: None,
        };
        let Said::FullMessage(forged) = message(&raw, &network) else { panic!() };
        assert_ne!(forged.message_id, good.message_id);
        assert_eq!(forged.message.flaw(), Some(Flaw::BadSignature));
        assert_eq!(network.validate(&forged.message_id, &forged.message), Validity::Invalid);
        let Said::FullMessage(again) = message(&raw, &network) else { panic!() };
        assert_eq!(again, forged);
        let Said::FullMessage(honest) = message(&RawMessage { data: Some(b"data"), ..raw }, &network) else {
            panic!()
        };
        assert_eq!(*honest, good);
        let Said::FullMessage(again) = message(&RawMessage { data: Some(b"data"), ..raw }, &network) else {
            panic!()
        };
        assert_eq!(*again, good);
    }
}
