#![no_main]

#[path = "../checks/rule_file.rs"]
mod rule_file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| rule_file::check(data));
