//! These tests check P6: peers that share an address lose score, from the time at which they are too many.

use std::net::IpAddr;

use actix_gossipsub::{ConnectionInfo, P2pInput, limits::Extensions, protocol::GraftOutcome};

use super::setup::{Fixture, SECOND, Setup, assert_score};

/// P6 of -2 by the square of the peers above 3.
fn fixture() -> Fixture {
    Setup::new().limits(|limits| set_p6(limits, -2.0)).joined().start()
}

fn set_p6(limits: &mut actix_gossipsub::limits::LimitsConfig<u32>, weight: f64) {
    limits.score.ip_colocation_weight = weight;
    limits.score.ip_colocation_threshold = 3.0;
    limits.score.ip_colocation_whitelist.clear();
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn connect(fixture: &mut Fixture, peers: impl IntoIterator<Item = u32>, address: &str) {
    for peer in peers {
        fixture.connect(peer, ConnectionInfo::inbound().remote_address((ip(address), 4001).into()));
    }
}

fn set_addresses(fixture: &mut Fixture, peer: u32, addresses: &[&str]) {
    let addresses = addresses.iter().map(|text| ip(text)).collect();
    let now = fixture.now();
    fixture.node.p2p_input(P2pInput::RemoteAddresses { peer, addresses }, now);
}

#[track_caller]
fn assert_scores(fixture: &Fixture, expected: &[(u32, f64)]) {
    expected.iter().for_each(|(peer, score)| assert_score(fixture, *peer, *score));
}

#[test]
fn each_peer_of_an_address_loses_the_square_of_those_above_the_threshold() {
    let mut fixture = fixture();
    connect(&mut fixture, 0..3, "192.0.2.1");
    connect(&mut fixture, [10], "192.0.2.2");
    assert_scores(&fixture, &[(0, 0.0), (2, 0.0)]);
    connect(&mut fixture, 3..6, "192.0.2.1");
    // A peer has P6 when it connects; the others have it from the next decay.
    assert_scores(&fixture, &[(0, 0.0), (3, -2.0), (4, -8.0), (5, -18.0), (10, 0.0)]);
    assert_eq!(fixture.graft(5), GraftOutcome::NegativeScore);
    fixture.next_heartbeat();
    assert_scores(&fixture, &[(0, -18.0), (3, -18.0), (5, -18.0), (10, 0.0)]);
}

#[test]
fn ipv6_addresses_count_by_their_first_64_bits() {
    let mut fixture = fixture();
    for peer in 0..5 {
        connect(&mut fixture, [peer], &format!("2001:db8:1:2:{peer:x}::{peer:x}"));
        connect(&mut fixture, [10 + peer], &format!("2001:db8:1:{peer:x}00::1"));
    }
    // The same IPv4 address in both notations.
    connect(&mut fixture, [20, 21], "192.0.2.1");
    connect(&mut fixture, [22, 23], "::ffff:192.0.2.1");
    fixture.next_heartbeat();
    assert_scores(&fixture, &[(0, -8.0), (4, -8.0), (10, 0.0), (14, 0.0), (20, -2.0), (23, -2.0)]);
}

#[test]
fn any_number_of_peers_may_have_addresses_of_the_whitelist() {
    let mut fixture = Setup::new()
        .limits(|limits| {
            set_p6(limits, -2.0);
            let whitelist = ["192.0.2.1", "198.51.100.0/24", "2001:db8::/32"];
            limits.score.ip_colocation_whitelist = whitelist.map(|it| it.parse().expect("a subnet")).to_vec();
        })
        .start();
    let addresses = ["192.0.2.1", "192.0.2.2", "198.51.100.7", "2001:db8:ffff::1", "2001:db9::1"];
    for (first, address) in (0..).step_by(10).zip(addresses) {
        connect(&mut fixture, first..first + 5, address);
    }
    fixture.next_heartbeat();
    assert_scores(&fixture, &[(0, 0.0), (10, -8.0), (20, 0.0), (30, 0.0), (40, -8.0)]);
    // The application changes it while the node runs: the scores follow at once.
    fixture.change_limits(|limits| limits.score.ip_colocation_whitelist.truncate(1)).expect("valid limits");
    assert_scores(&fixture, &[(0, 0.0), (10, -8.0), (20, -8.0), (30, -8.0), (40, -8.0)]);
    fixture.change_limits(|limits| limits.score.ip_colocation_threshold = 4.0).expect("valid limits");
    assert_scores(&fixture, &[(0, 0.0), (10, -2.0), (20, -2.0)]);
    fixture.change_limits(|limits| limits.score.ip_colocation_weight = 0.0).expect("valid limits");
    assert_scores(&fixture, &[(10, 0.0), (20, 0.0)]);
}

#[test]
fn a_peer_with_several_addresses_counts_at_each_of_them_once() {
    let mut fixture = fixture();
    connect(&mut fixture, 0..4, "192.0.2.1");
    connect(&mut fixture, 10..15, "192.0.2.2");
    set_addresses(&mut fixture, 0, &["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.9"]);
    fixture.next_heartbeat();
    assert_scores(&fixture, &[(0, -2.0 - 18.0), (1, -2.0), (10, -18.0)]);
    // Its connection from the first address ends.
    set_addresses(&mut fixture, 0, &["192.0.2.2"]);
    assert_scores(&fixture, &[(0, -18.0)]);
    fixture.next_heartbeat();
    assert_scores(&fixture, &[(0, -18.0), (1, 0.0), (10, -18.0)]);
    set_addresses(&mut fixture, 0, &[]);
    fixture.next_heartbeat();
    assert_scores(&fixture, &[(0, 0.0), (10, -8.0)]);
}

/// Otherwise an attacker would connect under a new identity each time, and its address would never have more than one peer.
#[test]
fn a_peer_whose_score_is_retained_still_counts_at_its_address() {
    let mut fixture = fixture();
    connect(&mut fixture, 0..4, "192.0.2.1");
    for peer in 0..3 {
        let now = fixture.now();
        fixture.node.remove_peer(&peer, now);
        // What the transport reports late does not move it.
        set_addresses(&mut fixture, peer, &[]);
    }
    connect(&mut fixture, [4], "192.0.2.1");
    fixture.next_heartbeat();
    assert_scores(&fixture, &[(0, -8.0), (3, -8.0), (4, -8.0)]);
    // A retained peer that returns from another address counts there and no longer at the first one.
    connect(&mut fixture, [0], "192.0.2.2");
    assert_scores(&fixture, &[(0, 0.0)]);
    fixture.next_heartbeat();
    assert_scores(&fixture, &[(3, -2.0), (4, -2.0)]);
    // The other two are forgotten.
    fixture.advance(10 * SECOND);
    fixture.next_heartbeat();
    assert!(!fixture.view().scores.contains_key(&1));
    assert_scores(&fixture, &[(3, 0.0), (4, 0.0)]);
}

#[test]
fn a_peer_whose_score_is_not_retained_counts_no_more() {
    let mut fixture = fixture();
    connect(&mut fixture, 0..4, "192.0.2.1");
    fixture.next_heartbeat();
    assert_scores(&fixture, &[(0, -2.0), (3, -2.0)]);
    fixture.set_application_score(0, 10.0);
    let now = fixture.now();
    fixture.node.remove_peer(&0, now);
    fixture.next_heartbeat();
    assert_scores(&fixture, &[(1, 0.0), (3, 0.0)]);
}

#[test]
fn without_a_weight_addresses_do_not_matter() {
    let mut fixture = Setup::new().limits(|limits| set_p6(limits, 0.0)).start();
    connect(&mut fixture, 0..100, "192.0.2.1");
    fixture.next_heartbeat();
    assert!((0..100).all(|peer| fixture.score(peer) == 0.0));
}

#[test]
fn the_preset_of_tezos_has_no_p6() {
    let limits = actix_gossipsub::LimitsConfig::<String>::tezos_dal();
    assert_eq!(limits.score.ip_colocation_weight, 0.0);
    assert_eq!(limits.extensions, Extensions::none());
}
