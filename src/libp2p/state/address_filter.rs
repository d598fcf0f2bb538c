//! Which of the addresses that peers report or recommend may be dialled. Without a filter anyone could make this node
//! connect to the hosts of its private network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ::libp2p::Multiaddr;

use super::address_book::socket_address;

/// Which addresses that identify reports or peer exchange recommends may be dialled. Addresses that the owner of the node
/// gives are always dialled, and so are those at which a peer was reached before.
///
/// A name that the owner gives (`/dns4/…`, `/dnsaddr/…`) is dialled wherever it leads: the filter does not apply to what it
/// resolves to. Names that others report are dialled only with [`Any`](Self::Any), which applies to nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressFilter {
    /// Global unicast addresses: those that are routed in the whole internet. Names are refused, since they may stand for
    /// any address.
    #[default]
    Global,
    /// Global unicast and loopback addresses, for several nodes on one machine.
    GlobalAndLoopback,
    /// All addresses, for private networks.
    Any,
}

impl AddressFilter {
    pub(in crate::libp2p) fn allows(self, address: &Multiaddr) -> bool {
        let socket = socket_address(address).filter(|socket| socket.port() != 0);
        match self {
            Self::Any => true,
            Self::Global => socket.is_some_and(|socket| is_global(socket.ip())),
            Self::GlobalAndLoopback => {
                socket.is_some_and(|socket| socket.ip().is_loopback() || is_global(socket.ip()))
            }
        }
    }
}

/// Whether an address is globally reachable, by the special-purpose registries of IANA.
fn is_global(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_global_v4(ip),
        IpAddr::V6(ip) => is_global_v6(ip),
    }
}

fn is_global_v4(ip: Ipv4Addr) -> bool {
    let special = match ip.octets() {
        // This network; shared by providers; protocol assignments; relays of 6to4; benchmarks; multicast and reserved.
        [0 | 224..=255, ..] | [192, 0, 0, _] | [192, 88, 99, _] => true,
        [100, second, ..] => second & 0b1100_0000 == 64,
        [198, second, ..] => second & 0b1111_1110 == 18,
        _ => false,
    };
    !(special || ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_documentation())
}

fn is_global_v6(ip: Ipv6Addr) -> bool {
    match ip.segments() {
        // Protocol assignments and Teredo; documentation (two ranges); 6to4, which contains an IPv4 address.
        [0x2001, second, ..] => second > 0x1ff && second != 0xdb8,
        [0x2002, ..] => false,
        [0x3fff, second, ..] => second > 0xfff,
        // All that is assigned to global unicast: 2000::/3.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(filter: AddressFilter, address: &str) -> bool {
        filter.allows(&address.parse().unwrap())
    }

    #[test]
    fn only_global_unicast_addresses_of_others_are_dialled() {
        for ip in ["8.8.8.8", "1.0.0.1", "99.0.0.1", "100.63.0.1", "100.128.0.1", "172.32.0.1", "198.20.0.1"]
        {
            assert!(allowed(AddressFilter::Global, &format!("/ip4/{ip}/tcp/4001")), "{ip}");
        }
        for ip in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!allowed(AddressFilter::Global, &format!("/ip4/{ip}/tcp/4001")), "{ip}");
        }
        for ip in ["2606:4700::1111", "2001:4860::8888", "2a00::1"] {
            assert!(allowed(AddressFilter::Global, &format!("/ip6/{ip}/udp/4001/quic-v1")), "{ip}");
        }
        for ip in [
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:a00:1::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "3fff::1",
        ] {
            assert!(!allowed(AddressFilter::Global, &format!("/ip6/{ip}/tcp/4001")), "{ip}");
        }
        for address in ["/dns4/example.org/tcp/4001", "/ip4/8.8.8.8/tcp/0", "/ip4/8.8.8.8", "/unix/a"] {
            assert!(!allowed(AddressFilter::Global, address), "{address}");
            assert!(allowed(AddressFilter::Any, address), "{address}");
        }
        assert!(allowed(AddressFilter::GlobalAndLoopback, "/ip4/127.0.0.1/tcp/1"));
        assert!(!allowed(AddressFilter::GlobalAndLoopback, "/ip4/10.0.0.1/tcp/1"));
    }
}
