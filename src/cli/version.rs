//! What `--version` prints.

use std::sync::OnceLock;

/// The version, the commit and the features, such as `0.1.0 (commit 1d24c61b6f4e, features node quic)`.
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let features =
            [("node", true), ("quic", cfg!(feature = "quic")), ("simulation", cfg!(feature = "simulation"))];
        let enabled: Vec<_> =
            features.into_iter().filter(|(_, enabled)| *enabled).map(|(name, _)| name).collect();
        // The build script of the package sets the commit.
        let commit = option_env!("GOSSIPSUB_COMMIT").unwrap_or("unknown: a development build");
        format!("{} (commit {commit}, features {})", env!("CARGO_PKG_VERSION"), enabled.join(" "))
    })
}
