//! A program is a setting and a list of operations for a node, decoded from arbitrary bytes. Any bytes are a program,
//! and a changed byte changes little of it.
//!
//! Each field is a byte, read by [`Unstructured`] in the order of declaration; an operation is its [`code`] and its
//! fields. Missing bytes at the end count as zero.

use std::time::Duration;

use actix_gossipsub::{ConnectionInfo, Validity};
use arbitrary::{Arbitrary, Result, Unstructured};

use crate::model::{
    network::{Action, PEERS, SELF, TOPICS},
    op::{Id, Msg, Op, connection_info, population},
};

/// The maximal number of operations, which keeps runs short; further bytes are ignored.
const MAX_OPS: usize = 256;
const NUMBERS: u16 = 32;

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
    pub const SET_ID_VERDICT: u8 = 19;
    pub const SET_MESSAGE_VERDICT: u8 = 20;
    pub const FILTER: u8 = 21;
    pub const BATCH_LENGTH: u8 = 22;
    pub const IDONTWANT: u8 = 23;
}

/// A setting and the operations that a node runs.
#[derive(Clone, Debug)]
pub struct Program {
    pub setting: Setting,
    pub ops: Vec<Op>,
}

/// The options of a run.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// If true, half of the peers are connected and subscribed at the start, and two topics are joined.
    pub populated: bool,
    /// If true, ids don't name their topic.
    pub untagged: bool,
    /// If true, limits, durations and scores may be extreme, and scores NaN. The run then checks fewer invariants.
    pub extreme: bool,
    /// If true, two nodes run the same operations, one with its methods and one with the worker's inputs.
    pub twins: bool,
    /// The batch interval: no batching, zero, or the maximum.
    pub batching: Option<Duration>,
    /// The number of the generated limits.
    pub limits: u8,
    pub seed: u8,
}

impl<'a> Arbitrary<'a> for Setting {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            populated: u.arbitrary()?,
            untagged: u.arbitrary()?,
            extreme: u.arbitrary()?,
            twins: u.arbitrary()?,
            batching: *u.choose(&[None, Some(Duration::ZERO), Some(Duration::MAX)])?,
            limits: u.arbitrary()?,
            seed: u.arbitrary()?,
        })
    }
}

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let setting: Setting = u.arbitrary()?;
        let mut ops = if setting.populated { population() } else { Vec::new() };
        let mut reader = Reader { u, extreme: setting.extreme };
        for _ in 0..MAX_OPS {
            if reader.u.is_empty() {
                break;
            }
            ops.push(reader.op()?);
        }
        Ok(Self { setting, ops })
    }
}

/// Reads operations and their fields.
struct Reader<'r, 'a> {
    u: &'r mut Unstructured<'a>,
    extreme: bool,
}

impl Reader<'_, '_> {
    fn op(&mut self) -> Result<Op> {
        Ok(match self.u.int_in_range(0..=code::IDONTWANT)? {
            code::CONNECT => {
                Op::Connect { peer: self.u.int_in_range(0..=PEERS - 1)?, info: self.connection_info()? }
            }
            code::DISCONNECT => Op::Disconnect { peer: self.peer()? },
            code::SUBSCRIBE => Op::Subscribe { peer: self.peer()?, topic: self.topic()? },
            code::UNSUBSCRIBE => Op::Unsubscribe { peer: self.peer()?, topic: self.topic()? },
            code::GRAFT => Op::Graft { peer: self.peer()?, topic: self.topic()? },
            code::PRUNE => {
                let (peer, topic, px) = (self.peer()?, self.topic()?, self.peers(7, SELF + 2)?);
                Op::Prune { peer, topic, px, backoff: self.span()? }
            }
            code::IHAVE => Op::IHave { peer: self.peer()?, topic: self.topic()?, ids: self.ids()? },
            code::IWANT => Op::IWant { peer: self.peer()?, ids: self.ids()? },
            code::IDONTWANT => Op::IDontWant { peer: self.peer()?, ids: self.ids()? },
            code::RECEIVE => {
                Op::Receive { sender: self.peer()?, message: self.message()?, batched: self.u.arbitrary()? }
            }
            code::APPLY_BATCH => Op::ApplyBatch { deliveries: self.list(5, Self::delivery)? },
            code::PUBLISH => Op::Publish { message: self.message()? },
            code::JOIN => Op::Join { topic: self.topic()? },
            code::LEAVE => Op::Leave { topic: self.topic()? },
            code => self.environment(code)?,
        })
    }

    fn environment(&mut self, code: u8) -> Result<Op> {
        Ok(match code {
            code::CHECK_PARKED => Op::CheckParked,
            code::PROCESS_BATCH => Op::ProcessBatch,
            code::APPLICATION_SCORE => Op::ApplicationScore { peer: self.peer()?, score: self.score()? },
            code::UNREACHABLE => Op::Unreachable { point: self.u.int_in_range(1000..=1011)? },
            code::ADVANCE => Op::Advance { by: self.leap()? },
            code::SET_ID_VERDICT => Op::SetIdVerdict { number: self.number()?, verdict: self.verdict()? },
            code::SET_MESSAGE_VERDICT => {
                Op::SetMessageVerdict { number: self.number()?, verdict: self.verdict()? }
            }
            code::FILTER => {
                let action = [Action::IHave, Action::IWant, Action::Graft];
                let (peer, action) = (self.peer()?, *self.u.choose(&action)?);
                Op::Filter { peer, action, allowed: self.u.arbitrary()? }
            }
            code::BATCH_LENGTH => Op::BatchLength { wrong: self.u.arbitrary()? },
            _ => Op::Heartbeat,
        })
    }

    fn peer(&mut self) -> Result<u32> {
        self.u.int_in_range(0..=SELF)
    }

    fn topic(&mut self) -> Result<u8> {
        self.u.int_in_range(0..=TOPICS - 1)
    }

    fn number(&mut self) -> Result<u16> {
        self.u.int_in_range(0..=NUMBERS - 1)
    }

    fn connection_info(&mut self) -> Result<ConnectionInfo> {
        let flags: [u8; 4] = self.u.arbitrary()?;
        let [direct, outbound, trusted, bootstrap] = flags.map(|byte| byte & 1 != 0);
        let info = connection_info(direct, outbound, trusted, bootstrap);
        Ok(if flags[1] & 2 != 0 { info.floodsub() } else { info })
    }

    fn verdict(&mut self) -> Result<Validity> {
        let verdicts = [Validity::Valid, Validity::Unknown, Validity::Outdated, Validity::Invalid];
        Ok(*self.u.choose(&verdicts)?)
    }

    /// Up to a second in steps of 8 ms, up to about two minutes in seconds, or the maximum.
    fn span(&mut self) -> Result<Duration> {
        Ok(match self.u.arbitrary()? {
            u8::MAX => Duration::MAX,
            few @ ..128 => Duration::from_millis(u64::from(few) * 8),
            many => Duration::from_secs(u64::from(many - 127)),
        })
    }

    /// A unit of time and a number of units.
    fn leap(&mut self) -> Result<Duration> {
        let (unit, amount) = (self.u.int_in_range(0..=3)?, self.u.int_in_range(0..=63)?);
        Ok(match unit {
            0 => Duration::from_millis(amount * 32),
            1 => Duration::from_secs(amount),
            2 => Duration::from_secs(amount * 120),
            _ if self.extreme && amount == 63 => Duration::MAX,
            _ if self.extreme && amount == 62 => Duration::from_nanos(u64::MAX - 1),
            _ => Duration::from_secs(amount * 16 * 86_400),
        })
    }

    fn score(&mut self) -> Result<f64> {
        Ok(match self.u.arbitrary()? {
            i8::MAX => f64::MAX,
            i8::MIN => f64::MIN,
            126 if self.extreme => f64::NAN,
            125 if self.extreme => f64::INFINITY,
            -127 if self.extreme => f64::NEG_INFINITY,
            halves => f64::from(halves) / 2.0,
        })
    }

    /// Only in extreme programs may a message be sent on another topic than that of its id.
    fn message(&mut self) -> Result<Msg> {
        let topic = self.topic()?;
        let id_topic = if self.extreme { self.topic()? } else { topic };
        Ok(Msg { topic, id_topic, number: self.number()?, content: self.u.int_in_range(0..=1)? })
    }

    /// At most 8 ids, or thousands of one topic.
    fn ids(&mut self) -> Result<Vec<Id>> {
        let count: u8 = self.u.arbitrary()?;
        if let Some(thousands @ 1..) = count.checked_sub(250) {
            let topic = self.topic()?;
            return Ok((0..u16::from(thousands) * 1000).map(|number| (topic, number)).collect());
        }
        (0..count % 9).map(|_| Ok((self.topic()?, self.number()?))).collect()
    }

    fn peers(&mut self, most: u8, last: u32) -> Result<Vec<u32>> {
        self.list(most, |reader| reader.u.int_in_range(0..=last))
    }

    fn delivery(&mut self) -> Result<(u32, Vec<u32>, Msg)> {
        Ok((self.peer()?, self.peers(3, SELF)?, self.message()?))
    }

    fn list<T>(&mut self, most: u8, mut one: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        (0..self.u.int_in_range(0..=most)?).map(|_| one(self)).collect()
    }
}
