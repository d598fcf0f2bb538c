//! Each type of key: a node of ours and an official peer with such keys connect and exchange signed messages, and both refuse
//! one that was altered after it was signed. Most Kubo nodes have RSA keys, and all nodes of Ethereum secp256k1 keys.

use libp2p::identity::Keypair;

use super::{
    IdAndData, Signing, hex,
    ours::{Ours, Setup},
    raw_message::{RawMessage, send_raw},
    theirs::{self, Theirs},
    wait,
};

const MESSAGES: usize = 10;
/// The sequence number of the messages that the test signs itself.
const SEQNO: u64 = 7;

#[actix_rt::test]
async fn nodes_with_ed25519_keys_verify_each_other() {
    exchange([(); 3].map(|()| Keypair::generate_ed25519())).await;
}

#[actix_rt::test]
async fn nodes_with_secp256k1_keys_verify_each_other() {
    exchange([(); 3].map(|()| Keypair::generate_secp256k1())).await;
}

#[actix_rt::test]
async fn nodes_with_ecdsa_keys_verify_each_other() {
    exchange([(); 3].map(|()| Keypair::generate_ecdsa())).await;
}

/// Keys of 4,096 and of 2,048 bits. Each message carries its key, since the peer id is a hash of it.
#[actix_rt::test]
async fn nodes_with_rsa_keys_verify_each_other() {
    let keys: [&[u8]; 3] = [
        include_bytes!("keys/rsa-4096.pk8"),
        include_bytes!("keys/rsa-2048-a.pk8"),
        include_bytes!("keys/rsa-2048-b.pk8"),
    ];
    exchange(keys.map(|key| Keypair::rsa_from_pkcs8(&mut key.to_vec()).unwrap())).await;
}

/// The keys are those of our node, of the official peer, and of an author of which both get a message from another peer.
async fn exchange([our_key, their_key, author]: [Keypair; 3]) {
    let theirs =
        Theirs::start_as("theirs", their_key, Signing::Strict, &theirs::config(Signing::Strict)).await;
    let ours = Ours::start_with(Setup { key: our_key, ..Setup::new(Signing::Strict) }).await;
    ours.dial(&theirs.address).await;
    wait::meshed(&ours, &[&theirs]).await;
    let data = |sender| (0..MESSAGES).map(|n| format!("{sender} {n}").into_bytes()).collect();
    // The longest payload that is published: the signature and the key must have room beside it.
    let longest = vec![b'x'; 65_536 - 1_280 - super::TOPIC.len()];
    let mut from_us = ours.publish(data("ours"));
    from_us.extend(ours.publish(vec![longest]));
    let from_them = theirs.publish(data("theirs")).await;
    wait::delivered(&ours, MESSAGES, &[(&theirs, MESSAGES + 1)]).await;

    // The altered message comes first: it must not take the place of the true one.
    let honest = RawMessage::signed(&author, SEQNO, b"good");
    let altered = honest.clone().altered(b"evil");
    send_raw(&[altered, honest], &[&ours.address, &theirs.address]);
    wait::delivered(&ours, MESSAGES + 1, &[(&theirs, MESSAGES + 2)]).await;
    wait::heartbeats(&ours, &[&theirs], 2).await;
    let id = [author.public().to_peer_id().to_bytes(), SEQNO.to_be_bytes().to_vec()].concat();
    let from_author: IdAndData = (hex(&id), b"good".to_vec());
    wait::assert_exactly("ours", &ours.delivered(), &[&from_them, std::slice::from_ref(&from_author)]);
    wait::assert_exactly("theirs", &theirs.delivered(), &[&from_us, &[from_author]]);
    assert_eq!(ours.worker.stats().count_recv_invalid_app_messages, 1);
    assert_eq!(ours.errors(), [""; 0]);
    ours.stop().await;
}
