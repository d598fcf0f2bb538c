//! The patches that take repairs back, for `tests/alone/interleavings/reverse.sh`.

use std::{fs, path::Path, process::Command};

/// `reverse.sh` takes minutes: a patch that no longer fits the code is found here.
#[test]
fn each_reverse_patch_applies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root.join("tests/alone/interleavings/reversed")).unwrap();
    let patches: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(!patches.is_empty());
    for patch in patches {
        let output = Command::new("patch")
            .args(["--dry-run", "--strip=1", "--batch", "--input"])
            .arg(&patch)
            .current_dir(root)
            .output()
            .expect("the program `patch` is installed");
        assert!(output.status.success(), "{}: {}", patch.display(), String::from_utf8_lossy(&output.stdout));
    }
}
