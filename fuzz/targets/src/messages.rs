//! libFuzzer's program for the target `messages`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::run("messages", input));
