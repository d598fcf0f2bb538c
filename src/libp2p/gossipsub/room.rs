//! Room for the largest frame: in the send queue of a connection, and in the memory of the transport.

use super::error::ConfigBuilderError;
use crate::libp2p::{codec::limits::WireLimits, memory::ORDINARY_PART, swarm::config::BehaviourConfig};

/// What is buffered besides a frame that is being read, in bytes.
const BESIDES: usize = 64 << 10;

/// Makes the queue and the memory large enough for the largest frame where they have their defaults.
///
/// # Errors
/// Another value is too small: such frames would never be sent, or never be read.
pub(super) fn make_room(
    transport: &mut BehaviourConfig,
    wire: &WireLimits,
) -> Result<(), ConfigBuilderError> {
    let (sent, largest) = (wire.max_frame_out, wire.max_frame_in.max(wire.max_frame_out));
    let default = BehaviourConfig::default();
    let ample = default.clone().with_room_for(largest);
    if transport.queue.max_bytes == default.queue.max_bytes {
        transport.queue.max_bytes = ample.queue.max_bytes;
    }
    if transport.max_memory == default.max_memory {
        transport.max_memory = ample.max_memory;
    }
    check("transport.queue.max_bytes", transport.queue.max_bytes, sent, sent)?;
    // A connection has at most this part of what is free, and the frame is not free.
    let least = largest.saturating_add(BESIDES).saturating_mul(ORDINARY_PART + 1);
    check("transport.max_memory", transport.max_memory, least, largest)
}

fn check(field: &'static str, value: usize, least: usize, frame: usize) -> Result<(), ConfigBuilderError> {
    if value >= least { Ok(()) } else { Err(ConfigBuilderError::NoRoom { field, value, least, frame }) }
}

#[cfg(test)]
mod tests {
    use crate::libp2p::gossipsub::ConfigBuilder;

    const FRAME: usize = 10 << 20;

    #[test]
    fn queue_and_memory_have_room_for_the_largest_frame() {
        let bounds = |config: &mut ConfigBuilder| {
            let transport = config.build().unwrap().transport;
            (transport.queue.max_bytes, transport.max_memory)
        };
        let default = (8 << 20, 128 << 20);
        assert_eq!(bounds(&mut ConfigBuilder::default()), default);
        assert_eq!(bounds(ConfigBuilder::default().max_transmit_size(4 << 20)), default);
        let mut large = ConfigBuilder::default();
        assert_eq!(bounds(large.max_transmit_size(FRAME)), (32 << 20, 512 << 20));
        large.transport(|it| (it.queue.max_bytes, it.max_memory) = (FRAME, 18 * FRAME));
        assert_eq!(bounds(&mut large), (FRAME, 18 * FRAME));
    }

    #[test]
    fn bounds_that_have_no_room_for_the_largest_frame_are_refused() {
        let mut config = ConfigBuilder::default();
        config.max_transmit_size(FRAME).transport(|it| it.queue.max_bytes = FRAME - 1);
        let error = config.build().unwrap_err().to_string();
        let rule = "must be at least 10485760, for frames of 10485760 bytes";
        assert_eq!(error, format!("transport.queue.max_bytes = 10485759: {rule}"));
        config.transport(|it| (it.queue.max_bytes, it.max_memory) = (FRAME, 16 * FRAME));
        let error = config.build().unwrap_err().to_string();
        let rule = "must be at least 179372032, for frames of 10485760 bytes";
        assert_eq!(error, format!("transport.max_memory = 167772160: {rule}"));
    }
}
