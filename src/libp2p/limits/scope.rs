//! The usage of the limits of one scope by its connections.

use super::config::ScopeLimits;
use crate::network::ConnectionRefusal;

/// The resources that one connection counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) inbound: bool,
    pub(super) file_descriptors: u32,
    pub(super) memory: u64,
}

/// The sum over the connections of a scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    connections: u32,
    inbound: u32,
    file_descriptors: u32,
    memory: u64,
}

impl Usage {
    /// Whether one more connection is within the limits.
    pub(super) fn check(&self, cost: Cost, limits: &ScopeLimits) -> Result<(), ConnectionRefusal> {
        if self.connections >= limits.connections {
            return Err(ConnectionRefusal::Connections);
        }
        if cost.inbound && self.inbound >= limits.inbound {
            return Err(ConnectionRefusal::Inbound);
        }
        if self.file_descriptors.saturating_add(cost.file_descriptors) > limits.file_descriptors {
            return Err(ConnectionRefusal::FileDescriptors);
        }
        if self.memory.saturating_add(cost.memory) > limits.memory {
            return Err(ConnectionRefusal::Memory);
        }
        Ok(())
    }

    pub(super) fn add(&mut self, cost: Cost) {
        self.connections += 1;
        self.inbound += u32::from(cost.inbound);
        self.file_descriptors += cost.file_descriptors;
        self.memory += cost.memory;
    }

    pub(super) fn remove(&mut self, cost: Cost) {
        self.connections -= 1;
        self.inbound -= u32::from(cost.inbound);
        self.file_descriptors -= cost.file_descriptors;
        self.memory -= cost.memory;
    }

    /// The sum of two scopes in what a process has once: file descriptors and memory.
    pub(super) fn with_resources_of(mut self, other: &Self) -> Self {
        self.file_descriptors += other.file_descriptors;
        self.memory += other.memory;
        self
    }

    pub(super) fn connections(&self) -> u32 {
        self.connections
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connections == 0
    }
}
