#!/bin/sh
# Builds the peers of tests/peers/star.py: the node of this crate, the go peer (Go 1.25.7 or later) and the js peer (Node 20
# or later). The versions of packages are those of go.sum and package-lock.json.
set -eu
cd "$(dirname "$0")"
cargo build --manifest-path ../../Cargo.toml --all-features --bin actix-gossipsub
(cd go-peer && CGO_ENABLED=0 go build -trimpath -o go-peer .)
(cd js-peer && npm ci --no-audit --no-fund)
