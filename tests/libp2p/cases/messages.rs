//! Messages: signatures, authors, copies, topics.

use libp2p::identity::Keypair;

use crate::cases::{
    OTHER, TOPIC, cases,
    peer::{Options, Peer},
    target::{Kind, Setup},
    trial::{Trial, trial},
    wire::{Message, Rpc, field, message},
};

cases! {
    "M1" unsigned_messages_cost_the_mesh Agrees;
    "M2" a_message_in_the_name_of_another_peer_is_invalid Agrees;
    "M3" a_forged_message_does_not_take_the_place_of_the_true_one Agrees;
    "M4" a_message_of_the_target_itself_is_not_accepted Agrees;
    "M5" signed_messages_in_every_form Agrees;
    "M6" an_anonymous_network_accepts_bare_messages_only Differs(
        "the score is lower",
        "it does not look at the key of an anonymous message",
    );
    "M7" copies_are_dropped_and_not_returned Agrees;
    "M8" a_message_on_a_topic_that_is_not_joined_is_dropped Agrees;
    "M9" an_author_gets_no_copy_of_its_message Agrees;
    "M10" a_message_with_two_topics_does_no_harm Agrees;
    "M11" the_application_learns_the_author_and_not_the_sender Agrees;
    "M13" a_burst_of_valid_messages_costs_others_nothing Agrees;
    "M16" peers_with_secp256k1_and_ecdsa_keys_are_served Agrees;
}

async fn unsigned_messages_cost_the_mesh(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let (attacker, peer) = (trial.in_mesh().await, trial.in_mesh().await);
        let bad: Vec<_> = (0..100)
            .map(|n| Message { signature: None, seqno: Some(vec![n]), ..attacker.message(u64::from(n), 100) })
            .collect();
        bad.iter().for_each(|one| attacker.send(message(one)));
        trial.wait_for_score(&attacker, "negative", |score| score < 0.0).await;
        trial.wait("the attacker is pruned", async || attacker.prunes(TOPIC) > 0).await;
        trial.handled(&peer).await;
        assert!(bad.iter().all(|one| trial.deliveries(one) == 0 && peer.copies(&one.id()) == 0));
    })
    .await;
}

async fn a_message_in_the_name_of_another_peer_is_invalid(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let (attacker, peer) = (trial.in_mesh().await, trial.in_mesh().await);
        let good = attacker.message(1, 100);
        let honest = trial.honest(0);
        let forged =
            Message { from: Some(honest.id.to_bytes()), ..attacker.message(2, 100) }.sign(&attacker.key);
        attacker.send(message(&good));
        attacker.send(message(&forged));
        trial.wait_for_delivery(&good).await;
        trial.wait_for_score(&attacker, "negative", |score| score < 0.0).await;
        peer.wait_for_message(&good).await;
        assert_eq!((trial.deliveries(&forged), peer.copies(&forged.id())), (0, 0));
        trial.assert_not_penalised(honest).await;
    })
    .await;
}

/// Also case 9.
async fn a_forged_message_does_not_take_the_place_of_the_true_one(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let (attacker, peer) = (trial.in_mesh().await, trial.in_mesh().await);
        let honest = trial.honest(0);
        let good = honest.message(1 << 20, 100);
        let forged = Message { data: Some(b"rubbish".to_vec()), ..good.clone() };
        assert_eq!(forged.id(), good.id());
        attacker.send(message(&forged));
        trial.wait_for_score(&attacker, "negative", |score| score < 0.0).await;
        honest.publish(std::slice::from_ref(&good));
        peer.wait_for_message(&good).await;
        trial.wait_for_delivery(&good).await;
        let arrived =
            peer.received().into_iter().flat_map(|rpc| rpc.messages).find(|one| one.id() == good.id());
        assert_eq!(arrived.and_then(|one| one.data), good.data);
    })
    .await;
}

async fn a_message_of_the_target_itself_is_not_accepted(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let (attacker, peer) = (trial.in_mesh().await, trial.in_mesh().await);
        let id = trial.target_publishes(TOPIC, vec![7; 100]).await;
        let of_target = |peer: &Peer| {
            let messages = peer.received().into_iter().flat_map(|rpc| rpc.messages);
            messages.into_iter().find(|one| one.id() == id)
        };
        trial
            .wait("both have the message", async || {
                [&attacker, &peer].iter().all(|it| of_target(it).is_some())
            })
            .await;
        let published = of_target(&attacker).unwrap();
        let source = Some(trial.target.peer().to_bytes());
        let forged = Message { from: source, signature: None, ..attacker.message(1, 100) };
        attacker.send(message(&published));
        attacker.send(message(&forged));
        trial.handled(&attacker).await;
        trial.handled(&peer).await;
        trial.heartbeats(1).await;
        assert_eq!((trial.deliveries(&published), peer.copies(&id)), (0, 1));
        assert_eq!((trial.deliveries(&forged), peer.copies(&forged.id())), (0, 0));
    })
    .await;
}

/// What rust-, js- and go-libp2p accept.
async fn signed_messages_in_every_form(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        let key = &attacker.key;
        let fresh = |n| attacker.message(n, 100);
        let with_seqno = |n, seqno: &[u8]| Message { seqno: Some(seqno.to_vec()), ..fresh(n) }.sign(key);
        let another = Keypair::generate_ed25519().public().encode_protobuf();
        let bad = [
            with_seqno(1, &[]),
            with_seqno(2, &[1; 4]),
            with_seqno(3, &[1; 9]),
            Message { key: Some(another), ..fresh(4) },
        ];
        let good = [
            Message { key: Some(key.public().encode_protobuf()), ..fresh(5) },
            Message { data: None, ..fresh(6) }.sign(key),
            Message { data: Some(Vec::new()), ..fresh(7) }.sign(key),
        ];
        bad.iter().chain(&good).for_each(|one| attacker.send(message(one)));
        let ordered = fresh(8);
        attacker.send(message(&reversed(&ordered)));
        for one in good.iter().chain([&ordered]) {
            trial.wait_for_delivery(one).await;
        }
        trial.handled(&attacker).await;
        assert!(bad.iter().all(|one| trial.deliveries(one) == 0));
    })
    .await;
}

/// The fields of a message from 4 to 1, with the signature over the canonical order.
fn reversed(message: &Message) -> Message {
    let Message { from, data, seqno, topic, signature, .. } = message.clone();
    let topic = topic.map(String::into_bytes);
    let fields = [(4, topic), (3, seqno), (2, data), (1, from), (5, signature)];
    let rest =
        fields.into_iter().flat_map(|(number, bytes)| field(number, &bytes.expect("a signed message")));
    Message { rest: rest.collect(), ..Message::default() }
}

async fn an_anonymous_network_accepts_bare_messages_only(kind: Kind) {
    trial(kind, Setup { anonymous: true, ..Setup::default() }, async |trial| {
        let attacker = trial.peer(Options { anonymous: true, ..Options::default() }).await;
        trial.enter_mesh(&attacker).await;
        let bare = |n| attacker.message(n, 100);
        let signed = Message::signed(&attacker.key, TOPIC, 1, vec![1; 100]);
        let bad = [
            Message { signature: signed.signature, ..bare(1) },
            Message { from: signed.from, ..bare(2) },
            Message { seqno: signed.seqno, ..bare(3) },
            Message { key: Some(attacker.key.public().encode_protobuf()), ..bare(4) },
        ];
        let mut score = trial.score(&attacker).await;
        for one in &bad {
            attacker.send(message(one));
            let before = score;
            score = trial.wait_for_score(&attacker, "lower", |score| score < before).await;
        }
        let good = bare(5);
        attacker.send(message(&good));
        trial.wait_for_delivery(&good).await;
        let ours = |one: &Message| trial.target.delivered().iter().any(|it| it.id == bare_id(one));
        assert!(!bad.iter().any(ours));
    })
    .await;
}

fn bare_id(message: &Message) -> Vec<u8> {
    Message { from: None, ..message.clone() }.id()
}

async fn copies_are_dropped_and_not_returned(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let (attacker, peer) = (trial.in_mesh().await, trial.in_mesh().await);
        let sent = attacker.message(1, 100);
        for from in [&attacker, &peer] {
            (0..100).for_each(|_| from.send(message(&sent)));
            trial.handled(from).await;
        }
        trial.honest(1).wait_for_message(&sent).await;
        trial.heartbeats(1).await;
        assert_eq!((trial.deliveries(&sent), attacker.copies(&sent.id())), (1, 0));
        assert!(peer.copies(&sent.id()) <= 1);
        trial.assert_not_penalised(&attacker).await;
        trial.assert_not_penalised(&peer).await;
    })
    .await;
}

async fn a_message_on_a_topic_that_is_not_joined_is_dropped(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let (attacker, peer) = (trial.in_mesh().await, trial.in_mesh().await);
        let sent = Message::signed(&attacker.key, OTHER, 1, vec![1; 100]);
        attacker.send(message(&sent));
        trial.handled(&attacker).await;
        trial.handled(&peer).await;
        trial.heartbeats(1).await;
        assert_eq!((trial.deliveries(&sent), peer.copies(&sent.id())), (0, 0));
        trial.assert_not_penalised(&attacker).await;
    })
    .await;
}

async fn an_author_gets_no_copy_of_its_message(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let (sender, author) = (trial.in_mesh().await, trial.in_mesh().await);
        let sent = author.message(1, 100);
        sender.send(message(&sent));
        trial.honest(1).wait_for_message(&sent).await;
        trial.handled(&author).await;
        trial.heartbeats(1).await;
        assert_eq!(author.copies(&sent.id()), 0);
    })
    .await;
}

/// The last topic counts in protobuf, so that the message is one on the joined topic.
async fn a_message_with_two_topics_does_no_harm(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        let Message { from, data, seqno, signature, .. } = attacker.message(1, 100);
        let topics = [field(4, OTHER.as_bytes()), field(4, TOPIC.as_bytes())].concat();
        let rest = [topics, field(5, &signature.unwrap())].concat();
        attacker.send(message(&Message { from, data, seqno, rest, ..Message::default() }));
        trial.handled(&attacker).await;
    })
    .await;
}

async fn the_application_learns_the_author_and_not_the_sender(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let (attacker, author) = (trial.in_mesh().await, Peer::start(Options::default()).await);
        let sent = author.message(1, 100);
        attacker.send(message(&sent));
        trial.wait_for_delivery(&sent).await;
        let delivered = trial.target.delivered().into_iter().find(|it| it.id == sent.id());
        assert_eq!(delivered.and_then(|it| it.source), Some(author.id));
    })
    .await;
}

/// What the target can't take may be lost.
async fn a_burst_of_valid_messages_costs_others_nothing(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        let sent: Vec<_> = (0..2_000).map(|n| attacker.message(n, 100)).collect();
        sent.chunks(100).for_each(|part| {
            attacker.send(part.iter().map(message).fold(Rpc::default(), Rpc::and));
        });
        trial.handled(&attacker).await;
        trial.assert_not_penalised(&attacker).await;
    })
    .await;
}

/// RSA keys, and all of these between nodes, have tests of their own.
async fn peers_with_secp256k1_and_ecdsa_keys_are_served(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let peer = trial.in_mesh().await;
        for key in [Keypair::generate_secp256k1(), Keypair::generate_ecdsa()] {
            serve(trial, &peer, key).await;
        }
    })
    .await;
}

async fn serve(trial: &Trial, peer: &Peer, key: Keypair) {
    let other = trial.peer(Options { key, ..Options::default() }).await;
    trial.enter_mesh(&other).await;
    let sent = other.message(1, 100);
    other.send(message(&sent));
    trial.wait_for_delivery(&sent).await;
    peer.wait_for_message(&sent).await;
}
