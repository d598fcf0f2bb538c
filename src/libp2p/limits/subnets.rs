//! The connections of each address and each subnet, and how fast they follow each other. Pure: the time is an argument.

use std::{collections::HashMap, net::IpAddr, time::Instant};

use hashlink::LinkedHashMap;

use super::config::SubnetLimit;
use crate::network::ConnectionRefusal;

/// All addresses that share their first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Subnet {
    /// The address whose other bits are 0.
    first: IpAddr,
    prefix: u8,
}

impl Subnet {
    fn of(ip: IpAddr, prefix: u8) -> Self {
        let first = match ip {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
                IpAddr::V4((ip.to_bits() & mask).into())
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
                IpAddr::V6((ip.to_bits() & mask).into())
            }
        };
        Self { first, prefix }
    }
}

/// A token bucket: each new connection takes a token.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    refilled: Instant,
}

impl Bucket {
    fn refill(&mut self, limit: &SubnetLimit, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + passed * limit.rate).min(limit.burst.into());
        self.refilled = now;
    }
}

/// The inbound connections of each address and subnet, pending ones included.
#[derive(Debug)]
pub(super) struct Subnets {
    ipv4: Vec<SubnetLimit>,
    ipv6: Vec<SubnetLimit>,
    /// The open connections. An entry is removed with its last connection.
    open: HashMap<Subnet, u32>,
    /// The buckets that are not full. The least recently used one is forgotten, which fills it.
    buckets: LinkedHashMap<Subnet, Bucket>,
    max_buckets: usize,
}

impl Subnets {
    pub(super) fn new(ipv4: Vec<SubnetLimit>, ipv6: Vec<SubnetLimit>, max_buckets: usize) -> Self {
        Self { ipv4, ipv6, open: HashMap::new(), buckets: LinkedHashMap::new(), max_buckets }
    }

    /// Counts a new connection of `ip`, unless a limit is reached.
    pub(super) fn add(&mut self, ip: IpAddr, now: Instant) -> Result<(), ConnectionRefusal> {
        let limits = self.limits(ip);
        for (nth, (subnet, limit)) in limits.iter().enumerate() {
            if self.open.get(subnet).is_some_and(|open| *open >= limit.connections) {
                let whole = if nth == 0 { ConnectionRefusal::Address } else { ConnectionRefusal::Subnet };
                return Err(whole);
            }
        }
        if !limits.iter().all(|(subnet, limit)| self.bucket(*subnet, limit, now).tokens >= 1.0) {
            return Err(ConnectionRefusal::Rate);
        }
        for (subnet, limit) in limits {
            self.bucket(subnet, &limit, now).tokens -= 1.0;
            *self.open.entry(subnet).or_default() += 1;
        }
        Ok(())
    }

    /// A connection of `ip` that was counted is closed.
    pub(super) fn remove(&mut self, ip: IpAddr) {
        for (subnet, _) in self.limits(ip) {
            if let Some(open) = self.open.get_mut(&subnet) {
                *open = open.saturating_sub(1);
                if *open == 0 {
                    self.open.remove(&subnet);
                }
            }
        }
    }

    /// The limits of `ip`, from its address to the largest subnet.
    fn limits(&self, ip: IpAddr) -> Vec<(Subnet, SubnetLimit)> {
        let limits = if ip.is_ipv4() { &self.ipv4 } else { &self.ipv6 };
        limits.iter().map(|limit| (Subnet::of(ip, limit.prefix), limit.clone())).collect()
    }

    fn bucket(&mut self, subnet: Subnet, limit: &SubnetLimit, now: Instant) -> &mut Bucket {
        if !self.buckets.contains_key(&subnet) && self.buckets.len() >= self.max_buckets {
            self.buckets.pop_front();
        }
        let full = || Bucket { tokens: limit.burst.into(), refilled: now };
        let bucket = self.buckets.entry(subnet).or_insert_with(full);
        bucket.refill(limit, now);
        self.buckets.to_back(&subnet).expect("it was just inserted")
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.open.len(), self.buckets.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::libp2p::limits::config::ConnectionLimits;

    fn subnets(max_buckets: usize) -> Subnets {
        let ConnectionLimits { ipv4, ipv6, .. } = ConnectionLimits::default();
        Subnets::new(ipv4, ipv6, max_buckets)
    }

    /// How many of `attempts` connections are accepted, and why the last one is not.
    fn accepted(
        subnets: &mut Subnets,
        ips: impl Iterator<Item = String>,
        now: Instant,
    ) -> (usize, Option<ConnectionRefusal>) {
        let results: Vec<_> = ips.map(|ip| subnets.add(ip.parse().unwrap(), now)).collect();
        let refused = results.last().and_then(|result| result.err());
        (results.iter().filter(|result| result.is_ok()).count(), refused)
    }

    #[test]
    fn an_ipv4_address_has_8_connections_and_other_addresses_are_not_affected() {
        let (mut subnets, now) = (subnets(100), Instant::now());
        let one = |n| std::iter::repeat_n("192.0.2.1".to_owned(), n);
        assert_eq!(accepted(&mut subnets, one(20), now), (8, Some(ConnectionRefusal::Address)));
        let others = (2..=200).map(|n| format!("192.0.2.{n}"));
        assert_eq!(accepted(&mut subnets, others, now), (199, None));
    }

    #[test]
    fn an_ipv6_56_has_8_connections_and_a_48_has_64() {
        let (mut subnets, now) = (subnets(1_000), Instant::now());
        let same_56 = (0..20).map(|n| format!("2001:db8:1:100::{n}"));
        assert_eq!(accepted(&mut subnets, same_56, now), (8, Some(ConnectionRefusal::Address)));
        let same_48 = (2..200).map(|n| format!("2001:db8:1:{n:x}00::1"));
        assert_eq!(accepted(&mut subnets, same_48, now), (56, Some(ConnectionRefusal::Subnet)));
        let other_48 = (2..20).map(|n| format!("2001:db8:{n:x}::1"));
        assert_eq!(accepted(&mut subnets, other_48, now), (18, None));
    }

    #[test]
    fn new_connections_follow_each_other_at_most_once_in_5_s_after_a_burst_of_16() {
        let (mut subnets, start) = (subnets(100), Instant::now());
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        let mut accepted = 0;
        // Connections that close at once, a thousand a second for a minute.
        for ms in 0..60_000 {
            if subnets.add(ip, start + Duration::from_millis(ms)).is_ok() {
                subnets.remove(ip);
                accepted += 1;
            }
        }
        // 16, and one every 5 s: at 5, 10, … 55 s.
        assert_eq!(accepted, 27);
        assert_eq!(subnets.add(ip, start + Duration::from_millis(59_999)), Err(ConnectionRefusal::Rate));
        assert_eq!(subnets.sizes(), (0, 1));
    }

    #[test]
    fn what_is_remembered_of_addresses_is_bounded() {
        let (mut subnets, now) = (subnets(10), Instant::now());
        for n in 0..1_000 {
            let ip = IpAddr::from([10, 0, (n / 256) as u8, (n % 256) as u8]);
            assert_eq!(subnets.add(ip, now), Ok(()));
            subnets.remove(ip);
        }
        assert_eq!(subnets.sizes(), (0, 10));
    }
}
