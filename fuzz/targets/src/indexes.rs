//! libFuzzer's program for the target `indexes`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::run("indexes", input));
