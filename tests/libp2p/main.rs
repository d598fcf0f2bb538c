//! These tests run the libp2p transport over real sockets on loopback, alone and together with the engine.

mod behaviour;
mod cases;
mod chat;
mod interop;
mod memory;
mod star;
mod transport;
mod validators;
