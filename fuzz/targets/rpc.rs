//! This target runs [`testkit::fuzz::rpc`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| testkit::fuzz::rpc::run(bytes));
