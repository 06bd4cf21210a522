#![no_main]

#[path = "../checks/packet_parse.rs"]
mod packet_parse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| packet_parse::check(data));
