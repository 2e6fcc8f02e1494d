//! libFuzzer's program for the target `checkpoint`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::run("checkpoint", input));
