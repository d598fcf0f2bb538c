//! libFuzzer's way into [`harness::engine`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| harness::engine::run(bytes));
