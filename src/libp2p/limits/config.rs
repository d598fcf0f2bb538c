//! The limits on connections: their values, their rules, and how they fit the machine.

use super::machine::Machine;
use crate::limits::{InvalidLimits, check::Violations};

/// The limits of one scope, after go-libp2p's resource manager. A connection of the scope counts on each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScopeLimits {
    /// Most connections.
    pub connections: u32,
    /// Most inbound connections. What is left of `connections` is reserved for our own dials.
    pub inbound: u32,
    /// Most file descriptors. A TCP connection uses one, a QUIC connection none.
    pub file_descriptors: u32,
    /// Most memory, in bytes, at [`connection_memory`](ConnectionLimits::connection_memory) for each connection.
    pub memory: u64,
}

/// The limits of all addresses that share their first bits. They count inbound connections, pending ones included.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SubnetLimit {
    /// The number of bits: 32 for each IPv4 address by itself.
    pub prefix: u8,
    /// Most connections.
    pub connections: u32,
    /// New connections a second, in the long run.
    pub rate: f64,
    /// Most new connections at once.
    pub burst: u32,
}

impl SubnetLimit {
    /// Limits all addresses that share their first `prefix` bits.
    pub fn new(prefix: u8, connections: u32, rate: f64, burst: u32) -> Self {
        Self { prefix, connections, rate, burst }
    }
}

/// The limits on connections, for [`LimitsBehaviour`](crate::libp2p::LimitsBehaviour).
///
/// Direct, trusted and bootstrap peers bypass the limits of the system, but not those of a peer; neither those of
/// pending connections and addresses, as their connections are not identified then.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConnectionLimits {
    /// All connections, without the pending ones. By default 1,024 connections, of which 896 may be inbound, 1,536 file
    /// descriptors and 384 MiB; the pending connections count on these two.
    pub system: ScopeLimits,
    /// The connections whose peer is not identified yet. By default 512 connections, of which 256 may be inbound, 512
    /// file descriptors and 128 MiB.
    pub pending: ScopeLimits,
    /// The connections of one peer. By default 4 connections, all of which may be inbound, 4 file descriptors and 1 MiB.
    pub peer: ScopeLimits,
    /// Most streams of one connection that the peer opened; by default 16. It needs two for gossipsub and identify, and more
    /// while streams are negotiated.
    pub streams_per_connection: u32,
    /// Most of such streams, without two for each connection, of all connections together; by default 256.
    pub shared_streams: u32,
    /// The limits for an IPv4 address and for subnets, the smallest first. By default each address has 8 connections, and
    /// 0.2 new ones a second after a burst of 16.
    pub ipv4: Vec<SubnetLimit>,
    /// The same for IPv6. By default each /56 has 8 connections, and 0.2 new ones a second after a burst of 16; each /48
    /// has 64, and 0.5 new ones a second after a burst of 80.
    pub ipv6: Vec<SubnetLimit>,
    /// Whether connections from loopback addresses are exempt from `ipv4` and `ipv6`; by default `true`.
    pub exempt_loopback: bool,
    /// Most addresses and subnets whose last connections are remembered; by default 8,192. Beyond it the least recently
    /// used one is forgotten.
    pub max_subnets: usize,
    /// The memory that each connection counts as, in bytes; by default 256 KiB, the receive window of one stream.
    pub connection_memory: u64,
    /// Whether the limits are lowered to three quarters of the process's file descriptors (`ulimit -n`) and an eighth of
    /// the machine's memory; by default `true`.
    pub fit_to_machine: bool,
}

impl ConnectionLimits {
    /// Applies `change` and returns the result.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Limits without any bound, for a node in a closed network or behind another limiter.
    pub fn unlimited() -> Self {
        let scope = ScopeLimits {
            connections: u32::MAX,
            inbound: u32::MAX,
            file_descriptors: u32::MAX,
            memory: u64::MAX,
        };
        Self {
            system: scope.clone(),
            pending: scope.clone(),
            peer: scope,
            streams_per_connection: u32::MAX,
            shared_streams: u32::MAX,
            ipv4: Vec::new(),
            ipv6: Vec::new(),
            fit_to_machine: false,
            ..Self::default()
        }
    }

    /// Checks the rules.
    ///
    /// # Errors
    /// A field violates a rule; the error names all of them.
    pub fn check(&self) -> Result<(), InvalidLimits> {
        let mut violations = Violations::default();
        violations.within("connections", |violations| self.check_fields(violations));
        violations.into_result()
    }

    pub(in crate::libp2p) fn check_fields(&self, violations: &mut Violations) {
        for (name, scope) in [("system", &self.system), ("pending", &self.pending), ("peer", &self.peer)] {
            violations.within(name, |violations| scope.check(self.connection_memory, violations));
        }
        violations.positive("streams_per_connection", self.streams_per_connection);
        check_subnets("ipv4", &self.ipv4, 32, violations);
        check_subnets("ipv6", &self.ipv6, 128, violations);
        violations.positive("max_subnets", self.max_subnets);
        violations.positive("connection_memory", self.connection_memory);
    }

    /// These limits, lowered to what this machine has if they are to fit it.
    pub(in crate::libp2p) fn effective(self) -> Self {
        if self.fit_to_machine { self.fitted(&Machine::detect()) } else { self }
    }

    /// These limits, lowered to what `machine` has. Pending connections get at most a quarter.
    fn fitted(mut self, machine: &Machine) -> Self {
        let file_descriptors = machine.file_descriptors.map(|all| all / 4 * 3);
        let memory = machine.memory.map(|all| all / 8);
        if let Some(file_descriptors) = file_descriptors {
            let file_descriptors = u32::try_from(file_descriptors).unwrap_or(u32::MAX);
            self.lower(file_descriptors);
            self.system.file_descriptors = self.system.file_descriptors.min(file_descriptors);
        }
        if let Some(memory) = memory {
            self.lower(u32::try_from(memory / self.connection_memory.max(1)).unwrap_or(u32::MAX));
            self.system.memory = self.system.memory.min(memory).max(4 * self.connection_memory);
        }
        self
    }

    /// Lowers the numbers of connections, so that all together are at most `all`, and keeps a reserve for our dials.
    fn lower(&mut self, all: u32) {
        if self.pending.connections.saturating_add(self.system.connections) <= all {
            return;
        }
        self.pending.connections = self.pending.connections.min(all / 4).max(2);
        self.pending.inbound = self.pending.inbound.min(self.pending.connections / 2);
        let established = all.saturating_sub(self.pending.connections).max(2);
        self.system.connections = self.system.connections.min(established);
        let reserve = (self.system.connections / 8).max(1);
        self.system.inbound = self.system.inbound.min(self.system.connections - reserve);
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        let scope = |connections, inbound, file_descriptors, memory| ScopeLimits {
            connections,
            inbound,
            file_descriptors,
            memory,
        };
        Self {
            system: scope(1_024, 896, 1_536, 384 * MIB),
            pending: scope(512, 256, 512, 128 * MIB),
            peer: scope(4, 4, 4, MIB),
            streams_per_connection: 16,
            shared_streams: 256,
            ipv4: vec![SubnetLimit::new(32, 8, 0.2, 16)],
            ipv6: vec![SubnetLimit::new(56, 8, 0.2, 16), SubnetLimit::new(48, 64, 0.5, 80)],
            exempt_loopback: true,
            max_subnets: 8_192,
            connection_memory: 256 << 10,
            fit_to_machine: true,
        }
    }
}

impl ScopeLimits {
    fn check(&self, connection_memory: u64, violations: &mut Violations) {
        let Self { connections, inbound, file_descriptors, memory } = *self;
        violations.positive("connections", connections);
        violations.require("inbound", inbound, inbound <= connections, || {
            format!("be at most connections ({connections})")
        });
        violations.positive("file_descriptors", file_descriptors);
        violations.require("memory", memory, memory >= connection_memory, || {
            format!("be at least connection_memory ({connection_memory})")
        });
    }
}

fn check_subnets(name: &str, limits: &[SubnetLimit], bits: u8, violations: &mut Violations) {
    let mut smaller = None;
    for (nth, limit) in limits.iter().enumerate() {
        let SubnetLimit { prefix, connections, rate, burst } = *limit;
        violations.within(&format!("{name}[{nth}]"), |violations| {
            violations.require("prefix", prefix, prefix > 0 && prefix <= bits, || {
                format!("be between 1 and {bits}")
            });
            violations.require("prefix", prefix, smaller.is_none_or(|smaller| prefix < smaller), || {
                "be below that of the limit before it: the smallest subnet comes first".to_owned()
            });
            violations.positive("connections", connections);
            violations.require("rate", rate, rate.is_finite() && rate > 0.0, || {
                "be a finite number, greater than 0".to_owned()
            });
            violations.positive("burst", burst);
        });
        smaller = Some(prefix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(file_descriptors: u64, memory: u64) -> ConnectionLimits {
        let machine = Machine { file_descriptors: Some(file_descriptors), memory: Some(memory) };
        ConnectionLimits::default().fitted(&machine)
    }

    #[test]
    fn a_large_machine_never_raises_the_defaults() {
        assert_eq!(fitted(1 << 20, 1 << 40), ConnectionLimits::default());
        assert_eq!(ConnectionLimits::default().fitted(&Machine::default()), ConnectionLimits::default());
    }

    #[test]
    fn the_usual_limit_of_1024_file_descriptors_leaves_a_quarter_to_the_rest_of_the_process() {
        let limits = fitted(1_024, 1 << 40);
        let (system, pending) = (&limits.system, &limits.pending);
        assert_eq!((system.connections, system.inbound, system.file_descriptors), (576, 504, 768));
        assert_eq!((pending.connections, pending.inbound), (192, 96));
        assert_eq!(limits.check(), Ok(()));
    }

    #[test]
    fn a_small_machine_has_fewer_connections() {
        let limits = fitted(1 << 20, 512 << 20);
        assert_eq!(limits.system.memory, 64 << 20);
        assert_eq!((limits.system.connections, limits.system.inbound), (192, 168));
        assert_eq!(limits.check(), Ok(()));
        assert!(fitted(8, 1).system.inbound > 0);
    }

    #[test]
    fn invalid_limits_are_reported_with_field_value_and_rule() {
        let limits = ConnectionLimits::default().with(|c| {
            c.system.inbound = 2_000;
            c.ipv4[0].rate = 0.0;
            c.ipv6[1].prefix = 60;
            c.max_subnets = 0;
        });
        let error = limits.check().unwrap_err().to_string();
        for line in [
            "connections.system.inbound = 2000: must be at most connections (1024)",
            "connections.ipv4[0].rate = 0.0: must be a finite number, greater than 0",
            "connections.ipv6[1].prefix = 60: must be below that of the limit before it: the smallest subnet comes first",
            "connections.max_subnets = 0: must be greater than 0",
        ] {
            assert!(error.contains(line), "{error}");
        }
        assert_eq!(ConnectionLimits::default().check(), Ok(()));
        assert_eq!(ConnectionLimits::unlimited().check(), Ok(()));
    }
}
