//! Names the commit of an optimised build of the binary, for `--version`. A development build has none: it would have to be
//! built anew after each commit.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=GOSSIPSUB_COMMIT");
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_NODE").is_none() {
        return;
    }
    let given = std::env::var("GOSSIPSUB_COMMIT").ok();
    let optimised = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if let Some(commit) = given.or_else(|| if optimised { head() } else { None }) {
        println!("cargo:rustc-env=GOSSIPSUB_COMMIT={commit}");
    }
}

/// The commit of the checkout; `None` outside of one.
fn head() -> Option<String> {
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo:rerun-if-changed={log}");
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let out = Command::new("git").args(arguments).output().ok().filter(|out| out.status.success())?;
    Some(String::from_utf8(out.stdout).ok()?.trim().to_owned())
}
