#![no_main]

#[path = "../checks/packet_respond.rs"]
mod packet_respond;

libfuzzer_sys::fuzz_target!(|data: &[u8]| packet_respond::check(data));
