#![no_main]

#[path = "../checks/umem.rs"]
mod umem;

libfuzzer_sys::fuzz_target!(|data: &[u8]| umem::check(data));
