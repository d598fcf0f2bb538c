//! This module has the seed programs: typical operations of peers and applications, and violations of the protocol.
//! [`program`](super::program) defines their encoding.

use super::program::code::{
    ADVANCE, APPLICATION_SCORE, APPLY_BATCH, BATCH_LENGTH, CHECK_PARKED, CONNECT, DISCONNECT, FILTER, GRAFT,
    HEARTBEAT, IHAVE, IWANT, JOIN, JUDGE_ID, JUDGE_MESSAGE, LEAVE, PROCESS_BATCH, PRUNE, PUBLISH, RECEIVE,
    SUBSCRIBE, UNREACHABLE, UNSUBSCRIBE,
};

/// Populated, untagged, extreme, twins, batching.
type Setting = [u8; 5];
const EMPTY: Setting = [0; 5];
const POPULATED: Setting = [1, 0, 0, 0, 0];
const UNTAGGED: Setting = [1, 1, 0, 0, 0];
const EXTREME: Setting = [1, 0, 1, 0, 0];
const TWINS: Setting = [1, 0, 0, 1, 0];
const BATCHING: Setting = [1, 0, 0, 0, 1];
const SLOW_BATCHES: Setting = [1, 0, 0, 0, 2];

const SECOND: [u8; 2] = [1, 1];
const TWO_MINUTES: u8 = 2;
const SIXTEEN_DAYS: u8 = 3;
const VALID: u8 = 0;
const UNKNOWN: u8 = 1;
const INVALID: u8 = 3;
const TICK: [u8; 4] = [ADVANCE, SECOND[0], SECOND[1], HEARTBEAT];

/// The programs, by name.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("deliver", program(POPULATED, 1, &[&receive(1, 0, 3), &receive(2, 0, 3), &receive(2, 1, 4), &TICK])),
        ("publish", program(POPULATED, 2, &[&publish(0, 1), &publish(2, 2), &TICK, &TICK])),
        ("fanout", program(EMPTY, 3, &[&crowd(), &publish(1, 1), &TICK, &later(TWO_MINUTES, 9)])),
        ("graft_prune", program(POPULATED, 4, &[&grafts(), &prune(1, 0, &[5, 6, 1], 130), &grafts(), &TICK])),
        ("backoff", program(POPULATED, 5, &[&prune(1, 0, &[], 255), &grafts(), &later(TWO_MINUTES, 1)])),
        ("gossip", program(UNTAGGED, 6, &[&receive(1, 0, 3), &TICK, &asked(), &TICK, &asked()])),
        ("flood", program(POPULATED, 7, &[&flood(), &asked(), &TICK])),
        (
            "parked",
            program(POPULATED, 8, &[&judged(UNKNOWN), &[CHECK_PARKED], &judged(VALID), &[CHECK_PARKED]]),
        ),
        ("invalid", program(UNTAGGED, 9, &[&judged(INVALID), &TICK, &judged(INVALID), &TICK])),
        ("batches", program(BATCHING, 10, &[&batch(), &[PROCESS_BATCH], &TICK, &batch()])),
        ("slow_batches", program(SLOW_BATCHES, 11, &[&batch(), &[BATCH_LENGTH, 1, PROCESS_BATCH]])),
        (
            "come_and_go",
            program(EMPTY, 12, &[&crowd(), &TICK, &gone(), &later(SIXTEEN_DAYS, 1), &crowd(), &TICK]),
        ),
        ("join_leave", program(TWINS, 13, &[&joins(), &TICK, &receive(1, 1, 2), &joins(), &TICK])),
        ("scores", program(TWINS, 14, &[&scores(), &TICK, &grafts(), &TICK, &receive(3, 0, 5)])),
        ("filtered", program(POPULATED, 15, &[&[FILTER, 1, 2, 0, FILTER, 1, 0, 0], &grafts(), &asked()])),
        (
            "extreme",
            program(EXTREME, 16, &[&scores(), &[ADVANCE, SIXTEEN_DAYS, 63], &foreign(), &grafts(), &TICK]),
        ),
    ]
}

fn program(setting: Setting, limits: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&setting[..], &[limits, 7], parts.concat().as_slice()].concat()
}

/// All peers, of all kinds, on two topics, of which one is joined.
fn crowd() -> Vec<u8> {
    let one = |peer: u8| {
        let [direct, outbound, trusted, bootstrap] =
            [[0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 1, 1, 1]][usize::from(peer % 4)];
        let connect = [CONNECT, peer, direct, outbound, trusted, bootstrap];
        [&connect[..], &[SUBSCRIBE, peer, 0, SUBSCRIBE, peer, 1]].concat()
    };
    (0..8).flat_map(one).chain([JOIN, 0]).collect()
}

fn gone() -> Vec<u8> {
    (0..8).flat_map(|peer| [UNSUBSCRIBE, peer, 0, DISCONNECT, peer, UNREACHABLE, peer]).collect()
}

fn receive(sender: u8, topic: u8, number: u8) -> Vec<u8> {
    vec![RECEIVE, sender, topic, number, 0, 0]
}

/// A message that is judged with others.
fn gather(sender: u8, topic: u8, number: u8) -> [u8; 6] {
    [RECEIVE, sender, topic, number, 0, 1]
}

fn publish(topic: u8, number: u8) -> Vec<u8> {
    vec![PUBLISH, topic, number, 0]
}

fn prune(peer: u8, topic: u8, px: &[u8], backoff: u8) -> Vec<u8> {
    [&[PRUNE, peer, topic, px.len() as u8], px, &[backoff]].concat()
}

fn grafts() -> Vec<u8> {
    (0..9).flat_map(|peer| [GRAFT, peer, 0, GRAFT, peer, 1]).collect()
}

fn later(unit: u8, amount: u8) -> Vec<u8> {
    [&[ADVANCE, unit, amount], &TICK[..]].concat()
}

/// Offers of the messages 3 and 4 of two topics, and a request for them and one nobody knows.
fn asked() -> Vec<u8> {
    let offers = [&[IHAVE, 2, 0, 2, 0, 3, 0, 4][..], &[IHAVE, 3, 1, 1, 1, 3]];
    let requests = [&[IWANT, 2, 3, 0, 3, 0, 4, 0, 20][..], &[IWANT, 1, 1, 0, 3]];
    [offers.concat(), requests.concat()].concat()
}

/// Thousands of ids.
fn flood() -> Vec<u8> {
    [&[IHAVE, 1, 0, 255, 0][..], &[IHAVE, 1, 0, 253, 0], &[IWANT, 1, 252, 0]].concat()
}

/// Two messages of which the ids are, then the contents, judged like this.
fn judged(verdict: u8) -> Vec<u8> {
    let verdicts = [JUDGE_ID, 6, verdict, JUDGE_MESSAGE, 7, verdict];
    [&verdicts[..], &receive(1, 0, 6), &receive(2, 0, 7), &receive(3, 0, 7), &receive(1, 1, 7)].concat()
}

fn batch() -> Vec<u8> {
    let waiting = (1..4).flat_map(|peer| [gather(peer, 0, 8), gather(peer, 1, 8 + peer)]).flatten();
    let applied = [&[APPLY_BATCH, 2][..], &[1, 2, 2, 3, 0, 20, 0], &[2, 0, 1, 21, 0]];
    waiting.chain(applied.concat()).collect()
}

/// Messages on topics that are not theirs.
fn foreign() -> Vec<u8> {
    (0..4).flat_map(|home| [RECEIVE, 1, 0, home, 5, 0, 0, PUBLISH, 1, home, 6, 0]).collect()
}

fn joins() -> Vec<u8> {
    let topic = |topic| [JOIN, topic, LEAVE, topic, JOIN, topic];
    (0..4).flat_map(topic).chain([LEAVE, 0]).collect()
}

fn scores() -> Vec<u8> {
    (0..6).flat_map(|peer| [APPLICATION_SCORE, peer, [2, 250, 127, 128, 126, 0][usize::from(peer)]]).collect()
}
