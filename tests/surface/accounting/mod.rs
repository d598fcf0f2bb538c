//! Whether the metrics are exact: networks of several engines in one process, each with a recorder of its own for
//! Prometheus, and sums over what their scrapes say. No rounding, no tolerance.

mod catalogue;
mod cluster;
mod identities;
mod limits;
#[cfg(feature = "libp2p")]
mod loopback;
mod lossless;
mod lossy;
mod misbehaviour;
mod scrape;
mod storm;
