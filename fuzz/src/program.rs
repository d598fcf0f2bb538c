//! Bytes as a program for a node: a setting, and operations of two bytes and few arguments. Any bytes
//! are a program, and a changed byte changes little of it. Runs nothing.
//!
//! Byte 0 is the setting ([`flag`]), byte 1 chooses the limits, byte 2 the seed. Each operation is its
//! code, a byte that tells whom and what it is about ([`about`]), and its arguments.

use std::time::Duration;

use actix_gossipsub::{Validity, protocol::PeerKind};

use super::model::{
    network::{Action, PEERS, SELF, TOPICS},
    op::{Id, Msg, Op, population},
};

/// More operations are not read: a run stays short.
const MAX_OPS: usize = 256;

/// The bits of the first byte.
pub mod flag {
    /// Half of the peers are there and subscribed at first, and two topics are joined.
    pub const POPULATED: u8 = 1;
    /// Ids don't name their topic.
    pub const UNTAGGED: u8 = 2;
    /// The greatest limits, spans and scores, and scores that are no numbers. Less can be checked then.
    pub const EXTREME: u8 = 4;
    /// Two nodes are given the same, one by the methods, one by the worker's inputs.
    pub const TWINS: u8 = 8;
    /// Messages wait for a batch whose interval is zero.
    pub const BATCHING: u8 = 16;
    /// The batch's interval is as long as can be.
    pub const SLOW_BATCHES: u8 = 32;
}

/// The codes of the operations.
pub mod code {
    pub const CONNECT: u8 = 0;
    pub const DISCONNECT: u8 = 1;
    pub const SUBSCRIBE: u8 = 2;
    pub const UNSUBSCRIBE: u8 = 3;
    pub const GRAFT: u8 = 4;
    pub const PRUNE: u8 = 5;
    pub const IHAVE: u8 = 6;
    pub const IWANT: u8 = 7;
    pub const RECEIVE: u8 = 8;
    pub const APPLY_BATCH: u8 = 9;
    pub const PUBLISH: u8 = 10;
    pub const JOIN: u8 = 11;
    pub const LEAVE: u8 = 12;
    pub const HEARTBEAT: u8 = 13;
    pub const CHECK_PARKED: u8 = 14;
    pub const PROCESS_BATCH: u8 = 15;
    pub const APPLICATION_SCORE: u8 = 16;
    pub const UNREACHABLE: u8 = 17;
    pub const ADVANCE: u8 = 18;
    pub const JUDGE_ID: u8 = 19;
    pub const JUDGE_MESSAGE: u8 = 20;
    pub const FILTER: u8 = 21;
    pub const BATCH_LENGTH: u8 = 22;
    /// How many there are.
    pub const ALL: u8 = 23;
}

/// Whom and what an operation is about: a peer, a topic (0 to 3), and two bits of its own.
pub fn about(peer: u8, topic: u8, bits: u8) -> u8 {
    peer | topic << 4 | bits << 6
}

/// What a node is to be put through.
#[derive(Clone, Debug)]
pub struct Program {
    pub untagged: bool,
    pub extreme: bool,
    pub twins: bool,
    pub batching: Option<Duration>,
    pub limits: u8,
    pub seed: u64,
    pub ops: Vec<Op>,
}

impl Program {
    /// The program that `bytes` are; none if not even a setting.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let [setting, limits, seed, ops @ ..] = bytes else { return None };
        let has = |bit| setting & bit != 0;
        let mut program = Self {
            untagged: has(flag::UNTAGGED),
            extreme: has(flag::EXTREME),
            twins: has(flag::TWINS),
            batching: match (has(flag::BATCHING), has(flag::SLOW_BATCHES)) {
                (_, true) => Some(Duration::MAX),
                (true, false) => Some(Duration::ZERO),
                (false, false) => None,
            },
            limits: *limits,
            seed: u64::from(*seed),
            ops: if has(flag::POPULATED) { population() } else { Vec::new() },
        };
        let mut bytes = Bytes { left: ops, extreme: program.extreme };
        program.ops.extend(std::iter::from_fn(|| bytes.op()).take(MAX_OPS));
        Some(program)
    }
}

/// The bytes that are left. Every reader answers `None` when they end.
struct Bytes<'a> {
    left: &'a [u8],
    extreme: bool,
}

/// The second byte of an operation.
#[derive(Clone, Copy)]
struct About(u8);

impl About {
    fn peer(self) -> u32 {
        u32::from(self.0 & 15) % (SELF + 1)
    }

    fn topic(self) -> u8 {
        (self.0 >> 4) % TOPICS
    }

    fn bits(self) -> u8 {
        self.0 >> 6
    }

    fn kind(self) -> PeerKind {
        let has = |bit| self.0 & bit != 0;
        PeerKind { direct: has(16), outbound: has(32), trusted: has(64), bootstrap: has(128) }
    }

    fn verdict(self) -> Validity {
        [Validity::Valid, Validity::Unknown, Validity::Outdated, Validity::Invalid][usize::from(self.bits())]
    }

    fn action(self) -> Action {
        [Action::IHave, Action::IWant, Action::Graft][usize::from(self.topic() % 3)]
    }
}

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.left.split_first()?;
        self.left = rest;
        Some(*first)
    }

    fn op(&mut self) -> Option<Op> {
        let (code, about) = (self.byte()? % code::ALL, About(self.byte()?));
        let (peer, topic) = (about.peer(), about.topic());
        Some(match code {
            code::CONNECT => Op::Connect { peer: peer % PEERS, kind: about.kind() },
            code::DISCONNECT => Op::Disconnect { peer },
            code::SUBSCRIBE => Op::Subscribe { peer, topic },
            code::UNSUBSCRIBE => Op::Unsubscribe { peer, topic },
            code::GRAFT => Op::Graft { peer, topic },
            code::PRUNE => Op::Prune { peer, topic, backoff: self.span()?, px: self.peers(8, SELF + 3)? },
            code::IHAVE => Op::IHave { peer, topic, ids: self.ids(topic)? },
            code::IWANT => Op::IWant { peer, ids: self.ids(topic)? },
            code::RECEIVE => {
                Op::Receive { sender: peer, message: self.message(topic)?, batched: about.bits() & 1 == 1 }
            }
            code::APPLY_BATCH => Op::ApplyBatch { deliveries: self.deliveries()? },
            code::PUBLISH => Op::Publish { message: self.message(topic)? },
            code::JOIN => Op::Join { topic },
            code::LEAVE => Op::Leave { topic },
            _ => return self.surroundings(code, about),
        })
    }

    fn surroundings(&mut self, code: u8, about: About) -> Option<Op> {
        Some(match code {
            code::CHECK_PARKED => Op::CheckParked,
            code::PROCESS_BATCH => Op::ProcessBatch,
            code::APPLICATION_SCORE => Op::ApplicationScore { peer: about.peer(), score: self.score()? },
            code::UNREACHABLE => Op::Unreachable { point: 1000 + u32::from(about.0 % 12) },
            code::ADVANCE => Op::Advance { by: self.leap()? },
            code::JUDGE_ID => Op::JudgeId { number: self.number()?, verdict: about.verdict() },
            code::JUDGE_MESSAGE => Op::JudgeMessage { number: self.number()?, verdict: about.verdict() },
            code::FILTER => {
                Op::Filter { peer: about.peer(), action: about.action(), allowed: about.bits() & 1 == 1 }
            }
            code::BATCH_LENGTH => Op::BatchLength { wrong: about.bits() & 1 == 1 },
            _ => Op::Heartbeat,
        })
    }

    /// Up to a second in milliseconds, or up to two minutes in seconds, or forever.
    fn span(&mut self) -> Option<Duration> {
        Some(match self.byte()? {
            255 => Duration::MAX,
            few @ ..128 => Duration::from_millis(u64::from(few) * 8),
            many => Duration::from_secs(u64::from(many - 127)),
        })
    }

    /// The two upper bits are the unit.
    fn leap(&mut self) -> Option<Duration> {
        let byte = self.byte()?;
        let amount = u64::from(byte & 63);
        Some(match byte >> 6 {
            0 => Duration::from_millis(amount * 32),
            1 => Duration::from_secs(amount),
            2 => Duration::from_secs(amount * 120),
            _ if self.extreme && amount == 63 => Duration::MAX,
            _ if self.extreme && amount == 62 => Duration::from_nanos(u64::MAX - 1),
            _ => Duration::from_secs(amount * 16 * 86_400),
        })
    }

    fn score(&mut self) -> Option<f64> {
        Some(match self.byte()?.cast_signed() {
            i8::MAX => f64::MAX,
            i8::MIN => f64::MIN,
            126 if self.extreme => f64::NAN,
            125 if self.extreme => f64::INFINITY,
            -127 if self.extreme => f64::NEG_INFINITY,
            halves => f64::from(halves) / 2.0,
        })
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from(self.byte()? & 31))
    }

    fn peers(&mut self, fewer_than: u8, beyond: u32) -> Option<Vec<u32>> {
        let count = self.byte()? % fewer_than;
        (0..count).map(|_| Some(u32::from(self.byte()?) % beyond)).collect()
    }

    /// A byte for number and content. Only in extreme programs is a message sent on a foreign topic.
    fn message(&mut self, topic: u8) -> Option<Msg> {
        let byte = self.byte()?;
        let home = if self.extreme { (topic + (byte >> 6)) % TOPICS } else { topic };
        Some(Msg { topic, home, number: u16::from(byte & 31), content: byte >> 5 & 1 })
    }

    /// Few ids of a byte each, or thousands of one topic.
    fn ids(&mut self, topic: u8) -> Option<Vec<Id>> {
        let count = self.byte()?;
        if let Some(thousands @ 1..) = count.checked_sub(250) {
            return Some((0..u16::from(thousands) * 1000).map(|number| (topic, number)).collect());
        }
        let id = |byte: u8| ((byte >> 5) % TOPICS, u16::from(byte & 31));
        (0..count % 9).map(|_| Some(id(self.byte()?))).collect()
    }

    fn deliveries(&mut self) -> Option<Vec<(u32, Vec<u32>, Msg)>> {
        let count = self.byte()? % 6;
        let mut one = || {
            let about = About(self.byte()?);
            let message = self.message(about.topic())?;
            Some((about.peer(), self.peers(4, SELF + 1)?, message))
        };
        (0..count).map(|_| one()).collect()
    }
}
