//! The version, the commit and the features of this build. The metric `gossipsub_build_info` has them as
//! labels.

/// The version of this package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit of an optimised build with the feature `node` from a checkout, or what `GOSSIPSUB_COMMIT` contained in the
/// environment of the build. `None` for any other build.
pub fn commit() -> Option<&'static str> {
    // The build script of the package sets it.
    option_env!("GOSSIPSUB_COMMIT")
}

/// The names of the enabled features, with a space between them.
pub fn features() -> String {
    let features = [
        ("node", cfg!(feature = "node")),
        ("libp2p-node", cfg!(feature = "libp2p-node")),
        ("libp2p", cfg!(feature = "libp2p")),
        ("quic", cfg!(feature = "quic")),
        ("snappy", cfg!(feature = "snappy")),
        ("http", cfg!(feature = "http")),
        ("prometheus", cfg!(feature = "prometheus")),
        ("recording", cfg!(feature = "recording")),
        ("simulation", cfg!(feature = "simulation")),
        ("fuzzing", cfg!(feature = "fuzzing")),
    ];
    let enabled = features.iter().filter(|(_, enabled)| *enabled).map(|(name, _)| *name);
    enabled.collect::<Vec<_>>().join(" ")
}
