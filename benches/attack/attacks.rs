//! The attacks. Their names are those of the list of attacks that the repository's issues use.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use testkit::wire::plan::Implementation;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "snake_case")]
pub enum Attack {
    /// No attack: what the other rows are compared with
    None,
    /// 60 peers that read 20 KB/s graft unknown topics with names of 1 KB
    D1,
    /// 100 peers that read do the same
    D2,
    /// 200 peers request 120 messages of 55 KB and read nothing
    D3,
    /// A peer with a very low score sends valid messages
    D4,
    /// 10,000 GRAFTs during the backoff
    D5,
    /// 12 silent Sybils graft first
    D6,
    /// 40 silent Sybils graft first
    D6_40,
    /// 900 TCP connections a second from one address, which say nothing
    D7,
    /// 1,100 connections from one address
    D8,
    /// 600 peers send subscriptions, duplicates and IHAVEs
    D9,
    /// 100 peers send empty RPCs
    D10,
    /// 20 peers send control RPCs
    D11,
    /// One peer sends 2.4 MB/s of forged messages
    D12,
    /// 20 peers subscribe and unsubscribe; the node logs
    D13,
    /// The same; nobody reads the log
    D13Unread,
    /// The node's own messages are replayed after the seen time
    D14,
    /// 270,000 valid messages in 30 s, then old ones again
    D15,
    /// 8,400 IDONTWANTs a second, of one id each, by two peers that read nothing
    D16,
    /// 100 peers subscribe to 1,100 topics each
    D17,
    /// 20 peers send garbage on new streams
    D18Garbage,
    /// 500 peers disconnect at once
    D18Disconnect,
    /// 200 peers send all but the last byte of the largest frame
    D18Frames,
    /// 10 peers announce messages that they do not send
    D18Promises,
    /// A peer overwrites the signed record of another by px
    D19,
}

/// In which order node, honest peers and attackers meet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    HonestPeersFirst,
    /// The measurement begins ten heartbeats after the honest peers have connected.
    AttackersFirst,
}

impl Attack {
    pub fn title(self) -> String {
        self.to_possible_value()
            .and_then(|value| value.get_help().map(ToString::to_string))
            .unwrap_or_default()
    }

    pub fn order(self) -> Order {
        match self {
            Self::D6 | Self::D6_40 => Order::AttackersFirst,
            _ => Order::HonestPeersFirst,
        }
    }

    /// The time that the attack needs at least, in seconds.
    pub fn least_seconds(self) -> u64 {
        match self {
            Self::D6 | Self::D6_40 => 10,
            Self::D14 => 18,
            Self::D15 => 40,
            _ => 0,
        }
    }

    /// How long the node remembers message ids, if not as long as by default, in seconds.
    pub fn seen_seconds(self) -> Option<u32> {
        (self == Self::D14).then_some(6)
    }

    /// Whether the node is this package's program, which logs and prints, in place of a node in this bench.
    pub fn runs_program(self) -> bool {
        matches!(self, Self::D13 | Self::D13Unread)
    }

    /// Why the attack is not run against this implementation.
    pub fn inapplicable(self, implementation: Implementation) -> Option<&'static str> {
        match (self, implementation) {
            (Self::D13 | Self::D13Unread, Implementation::RustLibp2p) => {
                Some("the library has no program that logs")
            }
            (Self::D13 | Self::D13Unread, _) if super::victim::program().is_none() => {
                Some("needs the feature `node`")
            }
            (Self::D19, _) => Some("not visible from outside: px is off by default; a test checks it"),
            _ => None,
        }
    }
}
