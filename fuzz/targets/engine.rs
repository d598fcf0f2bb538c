//! libFuzzer's way into [`testkit::fuzz::engine`].
#![no_main]

libfuzzer_sys::fuzz_target!(|program: testkit::fuzz::program::Program| testkit::fuzz::engine::run(&program));
