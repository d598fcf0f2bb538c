//! These tests place a node of this crate between two official nodes that are connected only to it. A message that one
//! of the three nodes publishes must reach the other two exactly once, with the same id and data.

use libp2p::{StreamProtocol, gossipsub::Version};

use super::{
    Signing,
    ours::{Ours, Setup},
    theirs::{self, Theirs},
    wait,
};

const MESSAGES: usize = 200;

/// Which nodes dial.
#[derive(Clone, Copy)]
enum Dials {
    Ours,
    Theirs,
    Each,
}

struct Line {
    signing: Signing,
    dials: Dials,
    /// The only protocol of the official peers; `None` for the default list.
    theirs: Option<(&'static str, Version)>,
    /// The only protocol of our node; `None` for the default list.
    ours: Option<&'static str>,
    /// The protocol that must be negotiated, and its name in the official implementation.
    negotiated: (&'static str, &'static str),
    /// The length of a message in bytes.
    size: usize,
    /// The number of messages that each node publishes before it waits for their arrival.
    burst: usize,
}

const V1_2: (&str, &str) = ("/meshsub/1.2.0", "Gossipsubv1_2");
const V1_1: (&str, &str) = ("/meshsub/1.1.0", "Gossipsubv1_1");
const V1_0: (&str, &str) = ("/meshsub/1.0.0", "Gossipsub");

impl Default for Line {
    fn default() -> Self {
        Self {
            signing: Signing::Strict,
            dials: Dials::Ours,
            theirs: Some((V1_1.0, Version::V1_1)),
            ours: None,
            negotiated: V1_1,
            size: 0,
            burst: MESSAGES,
        }
    }
}

#[actix_rt::test]
async fn signed_messages_over_1_1_when_we_dial() {
    run(Line::default()).await;
}

#[actix_rt::test]
async fn anonymous_messages_over_1_1_when_they_dial() {
    run(Line { signing: Signing::Anonymous, dials: Dials::Theirs, ..Line::default() }).await;
}

#[actix_rt::test]
async fn signed_messages_over_1_0_when_each_side_dials_once() {
    let theirs = Some((V1_0.0, Version::V1_0));
    run(Line { theirs, negotiated: V1_0, dials: Dials::Each, ..Line::default() }).await;
}

#[actix_rt::test]
async fn anonymous_messages_over_1_0_when_we_support_only_1_0() {
    run(Line {
        signing: Signing::Anonymous,
        theirs: None,
        ours: Some(V1_0.0),
        negotiated: V1_0,
        dials: Dials::Each,
        ..Line::default()
    })
    .await;
}

#[actix_rt::test]
async fn anonymous_messages_over_1_0_when_they_support_only_1_0() {
    let theirs = Some((V1_0.0, Version::V1_0));
    run(Line { signing: Signing::Anonymous, theirs, negotiated: V1_0, ..Line::default() }).await;
}

/// Both sides offer all their protocols. The bursts are small because the official implementation drops messages that
/// stay in its queue for too long.
#[actix_rt::test]
async fn signed_messages_of_20_kb_over_the_latest_protocol() {
    run(Line { theirs: None, negotiated: V1_2, size: 20_000, burst: 25, ..Line::default() }).await;
}

async fn run(mut line: Line) {
    let mut config = theirs::config(line.signing);
    if let Some((id, version)) = line.theirs.take() {
        config.protocol_id(id, version);
    }
    let left = Theirs::start("left", line.signing, &config).await;
    let right = Theirs::start("right", line.signing, &config).await;
    let mut setup = Setup::new(line.signing);
    if let Some(id) = line.ours {
        setup.gossipsub = setup.gossipsub.with(|c| c.protocols = vec![StreamProtocol::new(id).into()]);
    }
    let ours = Ours::start_with(setup).await;
    match line.dials {
        Dials::Ours => drop((ours.dial(&left.address).await, ours.dial(&right.address).await)),
        Dials::Theirs => drop((left.dial(&ours.address).await, right.dial(&ours.address).await)),
        Dials::Each => drop((ours.dial(&left.address).await, right.dial(&ours.address).await)),
    }
    let both = [&left, &right];
    wait::meshed(&ours, &both).await;
    for peer in both {
        assert_eq!(
            peer.connected().await,
            [ours.peer].into(),
            "official peers are connected to our node only"
        );
        assert_eq!(ours.protocols_with(&peer.peer), [line.negotiated.0]);
        assert_eq!(peer.protocol_of(ours.peer).await.as_deref(), Some(line.negotiated.1));
    }
    publish_and_compare(&line, &ours, both).await;
    assert_eq!(ours.errors(), [""; 0]);
    ours.stop().await;
}

async fn publish_and_compare(line: &Line, ours: &Ours, both: [&Theirs; 2]) {
    let [left, right] = both;
    let (mut from_us, mut from_left, mut from_right) = (Vec::new(), Vec::new(), Vec::new());
    while from_us.len() < MESSAGES {
        let burst = from_us.len()..from_us.len() + line.burst;
        let data = |sender: &str| burst.clone().map(|n| message(sender, n, line.size)).collect();
        from_left.extend(left.publish(data("left")).await);
        from_us.extend(ours.publish(data("ours")));
        from_right.extend(right.publish(data("right")).await);
        let each = 2 * from_us.len();
        wait::delivered(ours, each, &[(left, each), (right, each)]).await;
    }
    wait::heartbeats(ours, &both, 3).await;
    wait::assert_exactly("ours", &ours.delivered(), &[&from_left, &from_right]);
    wait::assert_exactly("left", &left.delivered(), &[&from_us, &from_right]);
    wait::assert_exactly("right", &right.delivered(), &[&from_us, &from_left]);
    for peer in both {
        assert_eq!(
            peer.connected().await,
            [ours.peer].into(),
            "official peers are connected to our node only"
        );
    }
}

/// Unique data of at least `size` bytes.
fn message(sender: &str, n: usize, size: usize) -> Vec<u8> {
    let mut data = format!("{sender} {n}").into_bytes();
    data.resize(data.len().max(size), n as u8);
    data
}
