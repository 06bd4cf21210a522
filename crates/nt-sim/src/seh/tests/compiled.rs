//! The same against what a C compiler writes: `tests/data/seh.c`.

use super::stopped;
use crate::{Lab, LabError, Mode, Rule, invoke, pe::Module};

static DRIVER: &[u8] = include_bytes!("../../../tests/data/seh.sys");

/// An address where nothing is.
const NOWHERE: u64 = 0x1_2345_6780;

fn run(mode: Mode, function: &str, arguments: [u64; 4]) -> Result<u64, LabError> {
    let lab = Lab::builder().mode(mode).boot().unwrap();
    let module = Module::load(DRIVER, "seh.sys").unwrap();
    let [a, b, c, d] = arguments;
    let f = module.export(function).unwrap();
    // Twice: nothing of the first time may be left.
    let first = lab.enter(|| invoke!(f, a, b, c, d))?;
    let second = lab.enter(|| invoke!(f, a, b, c, d))?;
    assert_eq!(first, second, "{function} in {mode:?} mode");
    Ok(first)
}

fn check(function: &str, arguments: [u64; 4], expected: u64) {
    for mode in [Mode::Strict, Mode::Fast] {
        let result = run(mode, function, arguments).unwrap();
        assert_eq!(result, expected, "{function} in {mode:?} mode");
    }
}

#[test]
fn handlers_catch_and_see_the_code() {
    check("Catch", [NOWHERE, 0, 0, 0], 0xc000_0005);
    let value = 77_u64;
    check("Catch", [&raw const value as u64, 0, 0, 0], 77);
}

#[test]
fn filters_and_termination_handlers_run_in_order() {
    check("Order", [0; 4], 1234);
}

#[test]
fn deep_frames_give_every_register_back() {
    check("Registers", [NOWHERE, 4, 5, 6], 456 + 4000);
}

#[test]
fn leaving_a_guarded_block_calls_its_termination_handler() {
    check("Leave", [0; 4], 12 + 50_000);
}

#[test]
fn a_filter_sees_the_exception_and_handles_its_own() {
    check("Nested", [NOWHERE, 0, 0, 0], 123);
}

#[test]
fn an_exception_in_a_termination_handler_takes_over() {
    check("Collide", [NOWHERE, 0, 0, 0], 123);
}

#[test]
fn a_handler_may_raise_again() {
    check("Again", [NOWHERE, 0, 0, 0], 12);
}

#[test]
fn an_unhandled_exception_is_reported_with_its_stack() {
    for mode in [Mode::Strict, Mode::Fast] {
        let report = stopped(run(mode, "Unhandled", [NOWHERE, 0, 0, 0]));
        assert_eq!(report.rule, Rule::UnhandledException);
        assert!(report.details.contains("reading 0x123456780"), "{report}");
        assert_eq!(report.stack.len(), 2, "{report}");
        assert!(
            report.stack[1].starts_with("seh.sys!Unhandled+"),
            "{report}"
        );
    }
}
