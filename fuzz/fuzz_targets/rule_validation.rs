#![no_main]

#[path = "../checks/rule_validation.rs"]
mod rule_validation;

libfuzzer_sys::fuzz_target!(|data: &[u8]| rule_validation::check(data));
