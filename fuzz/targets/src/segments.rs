//! libFuzzer's program for the target `segments`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::run("segments", input));
