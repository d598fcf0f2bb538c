//! libFuzzer's way into [`testkit::fuzz::rpc`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| testkit::fuzz::rpc::run(bytes));
