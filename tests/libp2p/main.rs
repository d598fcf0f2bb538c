//! These tests run the libp2p transport over real sockets on loopback, alone, together with the engine, and as whole nodes
//! against peers of other implementations.

mod behaviour;
mod cases;
mod chat;
mod interop;
mod memory;
mod star;
mod transport;
mod validators;
