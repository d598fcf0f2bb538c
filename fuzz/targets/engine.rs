//! libFuzzer's way into [`harness::engine`].
#![no_main]

libfuzzer_sys::fuzz_target!(|program: harness::program::Program| harness::engine::run(&program));
