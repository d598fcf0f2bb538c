//! This target runs [`testkit::fuzz::engine`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|program: testkit::fuzz::program::Program| testkit::fuzz::engine::run(&program));
