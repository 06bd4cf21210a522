#![no_main]

#[path = "../checks/packet_rewrite.rs"]
mod packet_rewrite;

libfuzzer_sys::fuzz_target!(|data: &[u8]| packet_rewrite::check(data));
