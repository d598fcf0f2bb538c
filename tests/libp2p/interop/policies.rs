//! Every way in which messages name their author, and every way in which they are accepted, against the official
//! implementation: both accept the same ones.

use std::collections::BTreeSet;

use actix_gossipsub::libp2p::{self as own, SignaturePolicy};
use libp2p::{
    PeerId,
    gossipsub::{self, ConfigBuilder},
    identity::Keypair,
};

use super::{
    Signing,
    ours::{Ours, Setup},
    raw_message::{RawMessage, send_raw},
    theirs::{self, Theirs},
    wait,
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Author {
    Signed,
    Named,
    Random,
    Anonymous,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Strict,
    Permissive,
    Anonymous,
    None,
}

const AUTHORS: [Author; 4] = [Author::Signed, Author::Named, Author::Random, Author::Anonymous];
const MODES: [Mode; 4] = [Mode::Strict, Mode::Permissive, Mode::Anonymous, Mode::None];
/// A message that was altered after it was signed.
const ALTERED: &str = "altered";

impl Author {
    fn ours(self, key: &Keypair) -> own::MessageAuthenticity {
        match self {
            Self::Signed => own::MessageAuthenticity::Signed(key.clone()),
            Self::Named => own::MessageAuthenticity::Author(PeerId::random()),
            Self::Random => own::MessageAuthenticity::RandomAuthor,
            Self::Anonymous => own::MessageAuthenticity::Anonymous,
        }
    }

    fn theirs(self, key: &Keypair) -> gossipsub::MessageAuthenticity {
        match self {
            Self::Signed => gossipsub::MessageAuthenticity::Signed(key.clone()),
            Self::Named => gossipsub::MessageAuthenticity::Author(PeerId::random()),
            Self::Random => gossipsub::MessageAuthenticity::RandomAuthor,
            Self::Anonymous => gossipsub::MessageAuthenticity::Anonymous,
        }
    }
}

impl Mode {
    fn ours(self) -> own::ValidationMode {
        match self {
            Self::Strict => own::ValidationMode::Strict,
            Self::Permissive => own::ValidationMode::Permissive,
            Self::Anonymous => own::ValidationMode::Anonymous,
            Self::None => own::ValidationMode::None,
        }
    }

    fn theirs(self) -> gossipsub::ValidationMode {
        match self {
            Self::Strict => gossipsub::ValidationMode::Strict,
            Self::Permissive => gossipsub::ValidationMode::Permissive,
            Self::Anonymous => gossipsub::ValidationMode::Anonymous,
            Self::None => gossipsub::ValidationMode::None,
        }
    }

    /// An author whose messages this mode accepts.
    fn author(self) -> Author {
        if self == Self::Anonymous { Author::Anonymous } else { Author::Signed }
    }

    fn accepts(self, author: Author) -> bool {
        match self {
            Self::Strict => author == Author::Signed,
            Self::Anonymous => author == Author::Anonymous,
            Self::Permissive | Self::None => true,
        }
    }

    /// The payloads that a node with this mode delivers when each author sends its name, and someone an altered message.
    fn accepted(self) -> BTreeSet<Vec<u8>> {
        let accepted = AUTHORS.into_iter().filter(|author| self.accepts(*author)).map(name);
        accepted.chain((self == Self::None).then(|| ALTERED.as_bytes().to_vec())).collect()
    }
}

fn name(author: Author) -> Vec<u8> {
    format!("{author:?}").into_bytes()
}

fn config(mode: Mode) -> ConfigBuilder {
    let mut config = theirs::config(Signing::Strict);
    config.validation_mode(mode.theirs()).message_id_fn(|message| message.data.clone().into());
    config
}

async fn start_theirs(title: &'static str, author: Author, mode: Mode) -> Theirs {
    let key = Keypair::generate_ed25519();
    let authenticity = author.theirs(&key);
    Theirs::start_with(title, key, authenticity, &config(mode)).await
}

async fn start_ours(author: Author, mode: Mode) -> Ours {
    let mut setup = Setup::new(Signing::Strict);
    setup.policy = Some(SignaturePolicy::new(author.ours(&setup.key), mode.ours()).unwrap());
    setup.network = |builder| builder.message_id(|_, message| message.data().into());
    Ours::start_with(setup).await
}

fn payloads(delivered: Vec<super::IdAndData>) -> Vec<Vec<u8>> {
    let mut payloads: Vec<_> = delivered.into_iter().map(|(_, data)| data).collect();
    payloads.sort();
    payloads
}

#[test]
fn the_same_combinations_are_refused_as_in_the_official_implementation() {
    let key = Keypair::generate_ed25519();
    for (author, mode) in AUTHORS.into_iter().flat_map(|author| MODES.map(|mode| (author, mode))) {
        let ours = SignaturePolicy::new(author.ours(&key), mode.ours());
        let config = config(mode).build().unwrap();
        let theirs: Result<gossipsub::Behaviour, _> = gossipsub::Behaviour::new(author.theirs(&key), config);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{author:?} {mode:?}");
        assert_eq!(ours.is_ok(), mode.accepts(author), "{author:?} {mode:?}");
    }
}

/// Official peers send a message by each kind of author, and another peer an altered one. They are not subscribed, so that
/// nobody forwards anything to them.
async fn receive(mode: Mode) {
    let ours = start_ours(mode.author(), mode).await;
    let theirs = start_theirs("receiver", mode.author(), mode).await;
    for author in AUTHORS {
        let sender = start_theirs("sender", author, Mode::None).await;
        sender.subscribe(false).await;
        sender.dial(&ours.address).await;
        sender.dial(&theirs.address).await;
        wait::until("both are subscribed", &ours, &[&theirs, &sender], async || {
            let both = [ours.peer, theirs.peer];
            both.iter().all(|peer| sender.subscriptions_of(*peer) == [true]).then_some(())
        })
        .await;
        sender.publish(vec![name(author)]).await;
        if mode.accepts(author) {
            let arrived = |delivered: Vec<_>| payloads(delivered).contains(&name(author));
            wait::until("the message arrives", &ours, &[&theirs, &sender], async || {
                (arrived(ours.delivered()) && arrived(theirs.delivered())).then_some(())
            })
            .await;
        }
    }
    let altered = RawMessage::signed(&Keypair::generate_ed25519(), 1, b"good").altered(ALTERED.as_bytes());
    let last = RawMessage { from: None, data: b"last".to_vec(), seqno: None, signature: None, key: None };
    let last_is_accepted = mode.accepts(Author::Anonymous);
    let mut expected: Vec<_> = mode.accepted().into_iter().collect();
    expected.extend(last_is_accepted.then(|| last.data.clone()));
    expected.sort();
    send_raw(&[altered, last], &[&ours.address, &theirs.address]);
    wait::delivered(&ours, expected.len(), &[(&theirs, expected.len())]).await;
    wait::heartbeats(&ours, &[&theirs], 3).await;
    assert_eq!(payloads(theirs.delivered()), expected, "the official peer, {mode:?}");
    assert_eq!(payloads(ours.delivered()), expected, "ours, {mode:?}");
    ours.stop().await;
}

#[actix_rt::test]
async fn strict_accepts_what_the_official_implementation_accepts() {
    receive(Mode::Strict).await;
}

#[actix_rt::test]
async fn permissive_accepts_what_the_official_implementation_accepts() {
    receive(Mode::Permissive).await;
}

#[actix_rt::test]
async fn anonymous_accepts_what_the_official_implementation_accepts() {
    receive(Mode::Anonymous).await;
}

#[actix_rt::test]
async fn none_accepts_what_the_official_implementation_accepts() {
    receive(Mode::None).await;
}

/// Our nodes send a message by each kind of author to official peers with each mode. They have left the topic, so that nobody
/// forwards anything to them.
#[actix_rt::test]
async fn official_peers_accept_our_messages_by_the_same_rules() {
    let mut receivers = Vec::new();
    for mode in MODES {
        receivers.push((mode, start_theirs("receiver", mode.author(), mode).await));
    }
    let theirs: Vec<_> = receivers.iter().map(|(_, peer)| peer).collect();
    let mut senders = Vec::new();
    for author in AUTHORS {
        let ours = start_ours(author, Mode::None).await;
        ours.leave();
        for (_, receiver) in &receivers {
            ours.dial(&receiver.address).await;
        }
        wait::until("all are subscribed", &ours, &theirs, async || {
            for receiver in &theirs {
                (ours.knows(&receiver.peer).await == Some(true)).then_some(())?;
            }
            Some(())
        })
        .await;
        ours.publish(vec![name(author)]);
        senders.push(ours);
    }
    let expected = |mode: Mode| -> Vec<_> {
        let mut names: Vec<_> =
            AUTHORS.into_iter().filter(|author| mode.accepts(*author)).map(name).collect();
        names.sort();
        names
    };
    let counts: Vec<_> = receivers.iter().map(|(mode, peer)| (peer, expected(*mode).len())).collect();
    wait::delivered(&senders[0], 0, &counts).await;
    wait::heartbeats(&senders[0], &theirs, 3).await;
    for (mode, receiver) in &receivers {
        assert_eq!(payloads(receiver.delivered()), expected(*mode), "{mode:?}");
    }
    for ours in senders {
        ours.stop().await;
    }
}

/// Case 9 (jvm StrictSignSpoof): someone sends a message with the source and the sequence number of another one before that
/// arrives. With the default message ids the true one is delivered all the same.
async fn spoof(mode: Mode, forged: impl FnOnce(RawMessage) -> RawMessage, accepted: &[&str]) {
    let mut setup = Setup::new(Signing::Strict);
    setup.policy = Some(SignaturePolicy::new(Author::Signed.ours(&setup.key), mode.ours()).unwrap());
    let ours = Ours::start_with(setup).await;
    let honest = RawMessage::signed(&Keypair::generate_ed25519(), 7, b"good");
    let forged = forged(honest.clone()).altered(b"evil");
    send_raw(&[forged, honest], &[&ours.address]);
    wait::delivered(&ours, accepted.len(), &[]).await;
    wait::heartbeats(&ours, &[], 2).await;
    let accepted: Vec<_> = accepted.iter().map(|data| data.as_bytes().to_vec()).collect();
    assert_eq!(payloads(ours.delivered()), accepted, "{mode:?}");
    ours.stop().await;
}

#[actix_rt::test]
async fn a_forged_message_does_not_take_the_place_of_the_true_one() {
    let unsigned = |message| RawMessage { signature: None, ..message };
    spoof(Mode::Strict, |message| message, &["good"]).await;
    spoof(Mode::Strict, unsigned, &["good"]).await;
    spoof(Mode::Permissive, |message| message, &["good"]).await;
    // Without a signature it is a message of an unverified source, with an id of its own.
    spoof(Mode::Permissive, unsigned, &["evil", "good"]).await;
    spoof(Mode::None, |message| message, &["evil", "good"]).await;
}
