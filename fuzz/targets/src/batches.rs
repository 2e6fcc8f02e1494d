//! libFuzzer's program for the target `batches`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::run("batches", input));
