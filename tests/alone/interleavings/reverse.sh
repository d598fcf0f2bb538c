#!/usr/bin/env bash
# Takes each repair in `reversed/*.patch` back, in a copy of the repository, and expects that a schedule fails. The name of a
# patch is that of the defect; its first lines say which rule must be broken, as `# expect: TEXT`. Without arguments it
# runs all patches; arguments name some of them: `reverse.sh A1`. `GOSSIPSUB_SCHEDULES` sets the number of schedules.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(git -C "$here" rev-parse --show-toplevel)
patches=("$here"/reversed/*.patch)
if (($#)); then patches=("${@/#/$here/reversed/}") && patches=("${patches[@]/%/.patch}"); fi

copy=$(mktemp -d)
# Both builds share a folder, so that dependencies are built once: the touch keeps cargo from taking one for the other.
trap 'rm -rf "$copy"; touch "$root/src/lib.rs"' EXIT
# The files as they are, committed or not.
git -C "$root" ls-files --cached --others --exclude-standard -z | tar -C "$root" --null --files-from=- -c | tar -C "$copy" -x
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target} RUST_BACKTRACE=0
# The patches change few lines of the same files.
export CARGO_INCREMENTAL=1
# Without the binary, which would be built for each patch. The features stay all, so that no dependency is built again.
rm "$copy/src/main.rs"
sed -i '/^\[\[bin\]\]/,/^$/d' "$copy/Cargo.toml"
export GOSSIPSUB_SCHEDULES=${GOSSIPSUB_SCHEDULES:-10000}

failed=0
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    expected=$(sed -n 's/^# expect: //p' "$patch")
    patch --quiet --strip=1 --directory="$copy" <"$patch" || { echo "$name: it does not apply" && exit 1; }
    (cd "$copy" && cargo test --all-features --test alone --no-run)
    if output=$(cd "$copy" && cargo test --all-features --test alone interleavings 2>&1); then
        echo "$name: no schedule fails without the repair" && failed=1
    elif ! grep -F -- "$expected" <<<"$output"; then
        echo "$name: the schedule that fails breaks another rule than '$expected':" && echo "$output" && failed=1
    fi
    patch --quiet --strip=1 --reverse --directory="$copy" <"$patch"
done
exit "$failed"
