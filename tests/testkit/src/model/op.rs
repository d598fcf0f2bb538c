//! This module defines the operations: every input of a node, with valid and invalid arguments.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use actix_gossipsub::{ConnectionInfo, Direction, Validity};
use proptest::{collection::vec, option, prelude::*};

use super::network::{Action, PEERS, SELF, TOPICS};

/// The addresses of all peers: so few that most have several peers.
pub const ADDRESSES: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3)),
];

/// A message: the topic it is sent on, the topic its id belongs to, its number, its content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Msg {
    pub topic: u8,
    pub id_topic: u8,
    pub number: u16,
    pub content: u8,
}

/// An id, by the topic it belongs to and its number.
pub type Id = (u8, u16);

#[derive(Clone, Debug)]
pub enum Op {
    Connect { peer: u32, info: ConnectionInfo },
    Disconnect { peer: u32 },
    Addresses { peer: u32, addresses: Vec<IpAddr> },
    Subscribe { peer: u32, topic: u8 },
    Unsubscribe { peer: u32, topic: u8 },
    Graft { peer: u32, topic: u8 },
    Prune { peer: u32, topic: u8, px: Vec<u32>, backoff: Duration },
    IHave { peer: u32, topic: u8, ids: Vec<Id> },
    IWant { peer: u32, ids: Vec<Id> },
    IDontWant { peer: u32, ids: Vec<Id> },
    Receive { sender: u32, message: Msg, batched: bool },
    ApplyBatch { deliveries: Vec<(u32, Vec<u32>, Msg)> },
    Publish { message: Msg },
    Join { topic: u8 },
    Leave { topic: u8 },
    Heartbeat,
    CheckParked,
    ProcessBatch,
    ApplicationScore { peer: u32, score: f64 },
    Unreachable { point: u32 },
    SetDirect { peer: u32, direct: bool },
    Advance { by: Duration },
    SetIdVerdict { number: u16, verdict: Validity },
    SetMessageVerdict { number: u16, verdict: Validity },
    Filter { peer: u32, action: Action, allowed: bool },
    BatchLength { wrong: bool },
}

/// Up to 400 operations, which start with or without connected peers.
pub fn ops() -> impl Strategy<Value = Vec<Op>> {
    (any::<bool>(), vec(op(), 1..400)).prop_map(|(populated, ops)| {
        let mut all = if populated { population() } else { Vec::new() };
        all.extend(ops);
        all
    })
}

/// As [`ops`], also with NaN and infinite scores, messages sent on another topic than that of their ids, and large steps
/// of the clock.
pub fn extreme_ops() -> impl Strategy<Value = Vec<Op>> {
    let scores = prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)];
    let leap = prop_oneof![Just(Duration::MAX), Just(Duration::from_nanos(u64::MAX - 1)), span()];
    let extreme = prop_oneof![
        (peer(), scores).prop_map(|(peer, score)| Op::ApplicationScore { peer, score }),
        leap.prop_map(|by| Op::Advance { by }),
        (peer(), message(), topic(), any::<bool>()).prop_map(|(sender, message, id_topic, batched)| {
            Op::Receive { sender, message: Msg { id_topic, ..message }, batched }
        }),
    ];
    vec(prop_oneof![4 => op(), 1 => extreme], 1..200).prop_map(|ops| [population(), ops].concat())
}

/// Half of the peers, subscribed to two topics that are joined. The first is outbound.
pub fn population() -> Vec<Op> {
    let peers = 0..PEERS / 2;
    let connect = |peer| Op::Connect { peer, info: ConnectionInfo::new(Direction::outbound_if(peer == 0)) };
    let subscribe = |peer| (0..2).map(move |topic| Op::Subscribe { peer, topic });
    let connects = peers.clone().map(connect);
    connects.chain(peers.flat_map(subscribe)).chain((0..2).map(|topic| Op::Join { topic })).collect()
}

pub fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        30 => membership(),
        30 => mesh(),
        20 => messages(),
        15 => gossip(),
        20 => passing(),
        6 => application(),
    ]
}

fn peer() -> impl Strategy<Value = u32> {
    prop_oneof![20 => 0..PEERS, 1 => PEERS..=SELF]
}

fn topic() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 0..2u8, 1 => 0..TOPICS]
}

fn number() -> impl Strategy<Value = u16> {
    prop_oneof![4 => 0..8u16, 1 => 0..30u16]
}

fn info() -> impl Strategy<Value = ConnectionInfo> {
    let flag = |percent| prop::bool::weighted(f64::from(percent) / 100.0);
    let flags = (flag(10), flag(40), flag(10), flag(10), flag(15));
    (flags, option::of(address())).prop_map(|((direct, outbound, trusted, bootstrap, floodsub), address)| {
        let info = connection_info(direct, outbound, trusted, bootstrap);
        let mut info = if floodsub { info.floodsub() } else { info };
        info.remote_address = address.map(|ip| (ip, 1).into());
        info
    })
}

fn address() -> impl Strategy<Value = IpAddr> {
    proptest::sample::select(&ADDRESSES[..])
}

pub fn connection_info(direct: bool, outbound: bool, trusted: bool, bootstrap: bool) -> ConnectionInfo {
    let mut info = ConnectionInfo::new(Direction::outbound_if(outbound));
    (info.kind.direct, info.kind.trusted, info.kind.bootstrap) = (direct, trusted, bootstrap);
    info
}

fn message() -> impl Strategy<Value = Msg> {
    (topic(), number(), prop::bool::weighted(0.1)).prop_map(|(topic, number, other)| {
        let content = u8::from(other);
        Msg { topic, id_topic: topic, number, content }
    })
}

fn verdict() -> impl Strategy<Value = Validity> {
    prop_oneof![
        3 => Just(Validity::Valid),
        1 => Just(Validity::Invalid),
        1 => Just(Validity::Outdated),
        2 => Just(Validity::Unknown),
    ]
}

fn span() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        (0u64..200).prop_map(Duration::from_millis),
        (1u64..120).prop_map(Duration::from_secs),
    ]
}

/// At most 8 ids; rarely thousands.
fn ids() -> impl Strategy<Value = Vec<Id>> {
    let few = vec((0..TOPICS, number()), 0..8);
    let many = (0..TOPICS, 1000u16..5000).prop_map(|(topic, count)| (0..count).map(|n| (topic, n)).collect());
    prop_oneof![50 => few, 1 => many]
}

fn membership() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..PEERS, info()).prop_map(|(peer, info)| Op::Connect { peer, info }),
        2 => peer().prop_map(|peer| Op::Disconnect { peer }),
        1 => (peer(), vec(address(), 0..3)).prop_map(|(peer, addresses)| Op::Addresses { peer, addresses }),
        10 => (peer(), topic()).prop_map(|(peer, topic)| Op::Subscribe { peer, topic }),
        2 => (peer(), topic()).prop_map(|(peer, topic)| Op::Unsubscribe { peer, topic }),
    ]
}

fn mesh() -> impl Strategy<Value = Op> {
    let px = vec(0..SELF + 3, 0..6);
    prop_oneof![
        5 => (peer(), topic()).prop_map(|(peer, topic)| Op::Graft { peer, topic }),
        3 => (peer(), topic(), px, span())
            .prop_map(|(peer, topic, px, backoff)| Op::Prune { peer, topic, px, backoff }),
        4 => topic().prop_map(|topic| Op::Join { topic }),
        2 => topic().prop_map(|topic| Op::Leave { topic }),
        5 => Just(Op::Heartbeat),
    ]
}

fn messages() -> impl Strategy<Value = Op> {
    let delivery = (peer(), vec(peer(), 0..3), message());
    prop_oneof![
        8 => (peer(), message(), any::<bool>())
            .prop_map(|(sender, message, batched)| Op::Receive { sender, message, batched }),
        2 => vec(delivery, 0..5).prop_map(|deliveries| Op::ApplyBatch { deliveries }),
        4 => message().prop_map(|message| Op::Publish { message }),
    ]
}

fn gossip() -> impl Strategy<Value = Op> {
    prop_oneof![
        (peer(), topic(), ids()).prop_map(|(peer, topic, ids)| Op::IHave { peer, topic, ids }),
        (peer(), ids()).prop_map(|(peer, ids)| Op::IWant { peer, ids }),
        (peer(), ids()).prop_map(|(peer, ids)| Op::IDontWant { peer, ids }),
    ]
}

fn passing() -> impl Strategy<Value = Op> {
    let by = prop_oneof![
        10 => (0u64..2000).prop_map(Duration::from_millis),
        3 => (1u64..7200).prop_map(Duration::from_secs),
        1 => (1u64..1000).prop_map(|days| Duration::from_secs(days * 86_400)),
    ];
    prop_oneof![
        4 => by.prop_map(|by| Op::Advance { by }),
        3 => Just(Op::Heartbeat),
        1 => Just(Op::CheckParked),
        1 => Just(Op::ProcessBatch),
    ]
}

fn application() -> impl Strategy<Value = Op> {
    let score = prop_oneof![8 => -50.0..50.0, 1 => Just(f64::MAX), 1 => Just(f64::MIN)];
    let action =
        prop_oneof![Just(Action::IHave), Just(Action::IWant), Just(Action::Graft), Just(Action::Subscribe)];
    prop_oneof![
        (peer(), score).prop_map(|(peer, score)| Op::ApplicationScore { peer, score }),
        (1000u32..1012).prop_map(|point| Op::Unreachable { point }),
        (peer(), any::<bool>()).prop_map(|(peer, direct)| Op::SetDirect { peer, direct }),
        (number(), verdict()).prop_map(|(number, verdict)| Op::SetIdVerdict { number, verdict }),
        (number(), verdict()).prop_map(|(number, verdict)| Op::SetMessageVerdict { number, verdict }),
        (peer(), action, any::<bool>()).prop_map(|(peer, action, allowed)| Op::Filter {
            peer,
            action,
            allowed
        }),
        prop::bool::weighted(0.3).prop_map(|wrong| Op::BatchLength { wrong }),
    ]
}
