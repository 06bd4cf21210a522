#![no_main]

#[path = "../checks/driver_file.rs"]
mod driver_file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| driver_file::check(data));
