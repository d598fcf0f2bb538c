//! The text that `--version` prints.

use std::sync::OnceLock;

use actix_gossipsub::build_info;

/// The version, the commit and the features, such as `0.1.0 (commit 1d24c61b6f4e, features node libp2p-node quic)`.
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let commit = build_info::commit().unwrap_or("unknown: a development build");
        format!("{} (commit {commit}, features {})", build_info::VERSION, build_info::features())
    })
}
