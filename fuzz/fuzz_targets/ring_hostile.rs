#![no_main]

#[path = "../checks/ring_hostile.rs"]
mod ring_hostile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| ring_hostile::check(data));
