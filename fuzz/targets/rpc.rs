//! libFuzzer's way into [`harness::rpc`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| harness::rpc::run(bytes));
