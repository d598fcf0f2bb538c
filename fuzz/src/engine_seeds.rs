//! Programs worth starting from: what peers and applications usually do, and what they should not.

use super::program::{
    about,
    code::{
        ADVANCE, APPLICATION_SCORE, APPLY_BATCH, BATCH_LENGTH, CHECK_PARKED, CONNECT, DISCONNECT, FILTER,
        GRAFT, HEARTBEAT, IHAVE, IWANT, JOIN, JUDGE_ID, JUDGE_MESSAGE, LEAVE, PROCESS_BATCH, PRUNE, PUBLISH,
        RECEIVE, SUBSCRIBE, UNREACHABLE, UNSUBSCRIBE,
    },
    flag::{BATCHING, EXTREME, POPULATED, SLOW_BATCHES, TWINS, UNTAGGED},
};

const SECOND: u8 = 1 << 6;
const TWO_MINUTES: u8 = 2 << 6;
const SIXTEEN_DAYS: u8 = 3 << 6;
const UNKNOWN: u8 = 1;
const INVALID: u8 = 3;
const TICK: [u8; 5] = [ADVANCE, 0, SECOND | 1, HEARTBEAT, 0];

/// The programs, by name.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("deliver", program(POPULATED, 1, &[&receive(1, 0, 3), &receive(2, 0, 3), &receive(2, 1, 4), &TICK])),
        ("publish", program(POPULATED, 2, &[&[PUBLISH, 0, 1, PUBLISH, about(0, 2, 0), 2], &TICK, &TICK])),
        ("fanout", program(0, 3, &[&crowd(), &[PUBLISH, about(0, 1, 0), 1], &TICK, &later(TWO_MINUTES | 9)])),
        (
            "graft_prune",
            program(POPULATED, 4, &[&grafts(), &prune(1, 0, 130, &[5, 6, 12]), &grafts(), &TICK]),
        ),
        ("backoff", program(POPULATED, 5, &[&prune(1, 0, 255, &[]), &grafts(), &later(TWO_MINUTES | 1)])),
        ("gossip", program(POPULATED | UNTAGGED, 6, &[&receive(1, 0, 3), &TICK, &asked(), &TICK, &asked()])),
        ("flood", program(POPULATED, 7, &[&[IHAVE, 1, 255, IHAVE, 1, 253, IWANT, 1, 252], &asked(), &TICK])),
        (
            "parked",
            program(POPULATED, 8, &[&judged(UNKNOWN), &[CHECK_PARKED, 0], &judged(0), &[CHECK_PARKED, 0]]),
        ),
        ("invalid", program(POPULATED | UNTAGGED, 9, &[&judged(INVALID), &TICK, &judged(INVALID), &TICK])),
        ("batches", program(POPULATED | BATCHING, 10, &[&batch(), &[PROCESS_BATCH, 0], &TICK, &batch()])),
        (
            "slow_batches",
            program(POPULATED | SLOW_BATCHES, 11, &[&batch(), &[BATCH_LENGTH, 64, PROCESS_BATCH, 0]]),
        ),
        (
            "come_and_go",
            program(0, 12, &[&crowd(), &TICK, &gone(), &later(SIXTEEN_DAYS | 1), &crowd(), &TICK]),
        ),
        (
            "join_leave",
            program(POPULATED | TWINS, 13, &[&joins(), &TICK, &receive(1, 1, 2), &joins(), &TICK]),
        ),
        ("scores", program(POPULATED | TWINS, 14, &[&scores(), &TICK, &grafts(), &TICK, &receive(3, 0, 5)])),
        ("filtered", program(POPULATED, 15, &[&[FILTER, about(1, 2, 0), FILTER, 1], &grafts(), &asked()])),
        (
            "extreme",
            program(POPULATED | EXTREME, 16, &[&scores(), &[ADVANCE, 0, 255], &grafts(), &batch(), &TICK]),
        ),
    ]
}

fn program(setting: u8, limits: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[setting, limits, 7], parts.concat().as_slice()].concat()
}

/// All peers, of all kinds, on two topics, of which one is joined.
fn crowd() -> Vec<u8> {
    let one = |peer: u8| {
        let kinds = [about(peer, 0, 0), about(peer, 2, 0), about(peer, 1, 0), about(peer, 2, 3)];
        let kind = kinds[usize::from(peer % 4)];
        [CONNECT, kind, SUBSCRIBE, about(peer, 0, 0), SUBSCRIBE, about(peer, 1, 0)]
    };
    (0..8).flat_map(one).chain([JOIN, 0]).collect()
}

fn gone() -> Vec<u8> {
    let one = |peer| [UNSUBSCRIBE, about(peer, 0, 0), DISCONNECT, about(peer, 0, 0), UNREACHABLE, peer];
    (0..8).flat_map(one).collect()
}

fn receive(sender: u8, topic: u8, number: u8) -> Vec<u8> {
    vec![RECEIVE, about(sender, topic, 0), number]
}

fn prune(peer: u8, topic: u8, backoff: u8, px: &[u8]) -> Vec<u8> {
    [&[PRUNE, about(peer, topic, 0), backoff, px.len() as u8], px].concat()
}

fn grafts() -> Vec<u8> {
    (0..9).flat_map(|peer| [GRAFT, about(peer, 0, 0), GRAFT, about(peer, 1, 0)]).collect()
}

fn later(leap: u8) -> Vec<u8> {
    [&[ADVANCE, 0, leap], &TICK[..]].concat()
}

/// Offers of the messages 3 and 4 of two topics, and a request for them and one nobody knows.
fn asked() -> Vec<u8> {
    let offers = [IHAVE, about(2, 0, 0), 2, 3, 4, IHAVE, about(3, 1, 0), 1, 35];
    [&offers[..], &[IWANT, 2, 3, 3, 4, 20], &[IWANT, 1, 1, 3]].concat()
}

/// Two messages of which the ids are, then the contents, judged like this.
fn judged(verdict: u8) -> Vec<u8> {
    let id = [JUDGE_ID, about(0, 0, verdict), 6];
    let message = [JUDGE_MESSAGE, about(0, 0, verdict), 7];
    [&id[..], &message, &receive(1, 0, 6), &receive(2, 0, 7), &receive(3, 0, 7), &receive(1, 1, 7)].concat()
}

fn batch() -> Vec<u8> {
    let waiting =
        (1..4).flat_map(|peer| [RECEIVE, about(peer, 0, 1), 8, RECEIVE, about(peer, 1, 1), 8 + peer]);
    let applied = [APPLY_BATCH, 0, 2, about(1, 0, 0), 20, 2, 2, 3, about(2, 1, 0), 21, 0];
    waiting.chain(applied).collect()
}

fn joins() -> Vec<u8> {
    let topic = |topic| [JOIN, about(0, topic, 0), LEAVE, about(0, topic, 0), JOIN, about(0, topic, 0)];
    (0..4).flat_map(topic).chain([LEAVE, 0]).collect()
}

fn scores() -> Vec<u8> {
    (0..6).flat_map(|peer| [APPLICATION_SCORE, peer, [2, 250, 127, 128, 126, 0][usize::from(peer)]]).collect()
}
