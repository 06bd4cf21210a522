#![no_main]

#[path = "../checks/classifier.rs"]
mod classifier;

libfuzzer_sys::fuzz_target!(|data: &[u8]| classifier::check(data));
