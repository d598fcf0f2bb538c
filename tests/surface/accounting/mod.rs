//! These tests check that the metrics are exact. Several engines run in one process, each with its own Prometheus
//! recorder, and the sums over their scrapes must match without tolerance.

mod catalogue;
mod cluster;
mod identities;
mod limits;
#[cfg(feature = "libp2p-node")]
mod loopback;
mod lossless;
mod lossy;
mod misbehaviour;
mod scrape;
mod storm;
