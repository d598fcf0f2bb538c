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

/// Who dials whom.
#[derive(Clone, Copy)]
enum Dials {
    Ours,
    Theirs,
    Each,
}

struct Line {
    signing: Signing,
    dials: Dials,
    /// The one protocol that the official peers speak; the default list when absent.
    theirs: Option<(&'static str, Version)>,
    /// The same of ours.
    ours: Option<&'static str>,
    /// The protocol that must come of it, and what the official peers call it.
    spoken: (&'static str, &'static str),
    /// The length of a message in bytes.
    size: usize,
    /// Messages that each publishes before it waits for all to arrive.
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
            spoken: V1_1,
            size: 0,
            burst: MESSAGES,
        }
    }
}

#[actix_rt::test]
async fn signed_over_1_1_where_we_dial() {
    run(Line::default()).await;
}

#[actix_rt::test]
async fn unsigned_over_1_1_where_we_are_dialled() {
    run(Line { signing: Signing::Anonymous, dials: Dials::Theirs, ..Line::default() }).await;
}

#[actix_rt::test]
async fn signed_over_1_0_where_one_dials_us_and_we_the_other() {
    let theirs = Some((V1_0.0, Version::V1_0));
    run(Line { theirs, spoken: V1_0, dials: Dials::Each, ..Line::default() }).await;
}

#[actix_rt::test]
async fn unsigned_over_1_0_which_is_all_that_we_offer() {
    run(Line {
        signing: Signing::Anonymous,
        theirs: None,
        ours: Some(V1_0.0),
        spoken: V1_0,
        dials: Dials::Each,
        ..Line::default()
    })
    .await;
}

#[actix_rt::test]
async fn unsigned_over_1_0_which_is_all_that_they_offer() {
    let theirs = Some((V1_0.0, Version::V1_0));
    run(Line { signing: Signing::Anonymous, theirs, spoken: V1_0, ..Line::default() }).await;
}

/// Both sides offer all that they speak. Longer messages in smaller bursts: the official peer gives up
/// a message that waits too long to be written.
#[actix_rt::test]
async fn signed_messages_of_20_kb_over_what_is_negotiated() {
    run(Line { theirs: None, spoken: V1_2, size: 20_000, burst: 25, ..Line::default() }).await;
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
        setup.gossipsub = setup.gossipsub.with(|c| c.protocols = vec![StreamProtocol::new(id)]);
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
        assert_eq!(peer.connected().await, [ours.peer].into(), "they must know only us");
        assert_eq!(ours.protocols_with(&peer.peer), [line.spoken.0]);
        assert_eq!(peer.protocol_of(ours.peer).await.as_deref(), Some(line.spoken.1));
    }
    publish_and_compare(&line, &ours, both).await;
    assert_eq!(ours.trouble(), [""; 0]);
    ours.stop().await;
}

async fn publish_and_compare(line: &Line, ours: &Ours, both: [&Theirs; 2]) {
    let [left, right] = both;
    let (mut by_us, mut by_left, mut by_right) = (Vec::new(), Vec::new(), Vec::new());
    while by_us.len() < MESSAGES {
        let burst = by_us.len()..by_us.len() + line.burst;
        let data = |who: &str| burst.clone().map(|n| message(who, n, line.size)).collect();
        by_left.extend(left.publish(data("left")).await);
        by_us.extend(ours.publish(data("ours")));
        by_right.extend(right.publish(data("right")).await);
        let each = 2 * by_us.len();
        wait::delivered(ours, each, &[(left, each), (right, each)]).await;
    }
    wait::heartbeats(ours, &both, 3).await;
    wait::assert_exactly("ours", &ours.got(), &[&by_left, &by_right]);
    wait::assert_exactly("left", &left.got(), &[&by_us, &by_right]);
    wait::assert_exactly("right", &right.got(), &[&by_us, &by_left]);
    for peer in both {
        assert_eq!(peer.connected().await, [ours.peer].into(), "they must know only us");
    }
}

/// Data that no other message has, at least `size` bytes.
fn message(who: &str, n: usize, size: usize) -> Vec<u8> {
    let mut data = format!("{who} {n}").into_bytes();
    data.resize(data.len().max(size), n as u8);
    data
}
