//! This module has the seed programs: typical operations of peers and applications, and violations of the protocol.
//! [`program`](super::program) defines their encoding.

use super::program::code::{
    ADVANCE, APPLICATION_SCORE, APPLY_BATCH, BATCH_LENGTH, CHECK_PARKED, CONNECT, DISCONNECT, FILTER, GRAFT,
    HEARTBEAT, IHAVE, IWANT, JOIN, LEAVE, PROCESS_BATCH, PRUNE, PUBLISH, RECEIVE, SET_ID_VERDICT,
    SET_MESSAGE_VERDICT, SUBSCRIBE, UNREACHABLE, UNSUBSCRIBE,
};

/// The fields populated, untagged, extreme, twins and batching of a setting.
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
        ("fanout", program(EMPTY, 3, &[&all_peers(), &publish(1, 1), &TICK, &later(TWO_MINUTES, 9)])),
        ("graft_prune", program(POPULATED, 4, &[&grafts(), &prune(1, 0, &[5, 6, 1], 130), &grafts(), &TICK])),
        ("backoff", program(POPULATED, 5, &[&prune(1, 0, &[], 255), &grafts(), &later(TWO_MINUTES, 1)])),
        ("gossip", program(UNTAGGED, 6, &[&receive(1, 0, 3), &TICK, &gossip(), &TICK, &gossip()])),
        ("flood", program(POPULATED, 7, &[&flood(), &gossip(), &TICK])),
        (
            "parked",
            program(
                POPULATED,
                8,
                &[&with_verdict(UNKNOWN), &[CHECK_PARKED], &with_verdict(VALID), &[CHECK_PARKED]],
            ),
        ),
        ("invalid", program(UNTAGGED, 9, &[&with_verdict(INVALID), &TICK, &with_verdict(INVALID), &TICK])),
        ("batches", program(BATCHING, 10, &[&batch(), &[PROCESS_BATCH], &TICK, &batch()])),
        ("slow_batches", program(SLOW_BATCHES, 11, &[&batch(), &[BATCH_LENGTH, 1, PROCESS_BATCH]])),
        (
            "come_and_go",
            program(
                EMPTY,
                12,
                &[&all_peers(), &TICK, &disconnect_all(), &later(SIXTEEN_DAYS, 1), &all_peers(), &TICK],
            ),
        ),
        ("join_leave", program(TWINS, 13, &[&joins(), &TICK, &receive(1, 1, 2), &joins(), &TICK])),
        ("scores", program(TWINS, 14, &[&scores(), &TICK, &grafts(), &TICK, &receive(3, 0, 5)])),
        ("filtered", program(POPULATED, 15, &[&[FILTER, 1, 2, 0, FILTER, 1, 0, 0], &grafts(), &gossip()])),
        (
            "extreme",
            program(EXTREME, 16, &[&scores(), &[ADVANCE, SIXTEEN_DAYS, 63], &foreign(), &grafts(), &TICK]),
        ),
    ]
}

fn program(setting: Setting, limits: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&setting[..], &[limits, 7], parts.concat().as_slice()].concat()
}

/// Connects peers of all kinds, subscribes them to two topics and joins one of the topics.
fn all_peers() -> Vec<u8> {
    let one = |peer: u8| {
        let [direct, mut outbound, trusted, bootstrap] =
            [[0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 1, 1, 1]][usize::from(peer % 4)];
        // The second bit: the peer speaks floodsub.
        outbound |= if peer == 4 { 2 } else { 0 };
        let connect = [CONNECT, peer, direct, outbound, trusted, bootstrap];
        [&connect[..], &[SUBSCRIBE, peer, 0, SUBSCRIBE, peer, 1]].concat()
    };
    (0..8).flat_map(one).chain([JOIN, 0]).collect()
}

fn disconnect_all() -> Vec<u8> {
    (0..8).flat_map(|peer| [UNSUBSCRIBE, peer, 0, DISCONNECT, peer, UNREACHABLE, peer]).collect()
}

fn receive(sender: u8, topic: u8, number: u8) -> Vec<u8> {
    vec![RECEIVE, sender, topic, number, 0, 0]
}

/// Receives a message for batch validation.
fn receive_batched(sender: u8, topic: u8, number: u8) -> [u8; 6] {
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

/// IHAVEs of the messages 3 and 4 of two topics, and IWANTs of these messages and of an unknown one.
fn gossip() -> Vec<u8> {
    let ihaves = [&[IHAVE, 2, 0, 2, 0, 3, 0, 4][..], &[IHAVE, 3, 1, 1, 1, 3]];
    let iwants = [&[IWANT, 2, 3, 0, 3, 0, 4, 0, 20][..], &[IWANT, 1, 1, 0, 3]];
    [ihaves.concat(), iwants.concat()].concat()
}

/// IHAVEs and an IWANT with thousands of ids.
fn flood() -> Vec<u8> {
    [&[IHAVE, 1, 0, 255, 0][..], &[IHAVE, 1, 0, 253, 0], &[IWANT, 1, 252, 0]].concat()
}

/// Messages of which the id of one, and the content of the other, gets this verdict.
fn with_verdict(verdict: u8) -> Vec<u8> {
    let verdicts = [SET_ID_VERDICT, 6, verdict, SET_MESSAGE_VERDICT, 7, verdict];
    [&verdicts[..], &receive(1, 0, 6), &receive(2, 0, 7), &receive(3, 0, 7), &receive(1, 1, 7)].concat()
}

fn batch() -> Vec<u8> {
    let batched =
        (1..4).flat_map(|peer| [receive_batched(peer, 0, 8), receive_batched(peer, 1, 8 + peer)]).flatten();
    let applied = [&[APPLY_BATCH, 2][..], &[1, 2, 2, 3, 0, 20, 0], &[2, 0, 1, 21, 0]];
    batched.chain(applied.concat()).collect()
}

/// Messages that are sent on other topics than those of their ids.
fn foreign() -> Vec<u8> {
    (0..4).flat_map(|id_topic| [RECEIVE, 1, 0, id_topic, 5, 0, 0, PUBLISH, 1, id_topic, 6, 0]).collect()
}

fn joins() -> Vec<u8> {
    let topic = |topic| [JOIN, topic, LEAVE, topic, JOIN, topic];
    (0..4).flat_map(topic).chain([LEAVE, 0]).collect()
}

fn scores() -> Vec<u8> {
    (0..6).flat_map(|peer| [APPLICATION_SCORE, peer, [2, 250, 127, 128, 126, 0][usize::from(peer)]]).collect()
}
