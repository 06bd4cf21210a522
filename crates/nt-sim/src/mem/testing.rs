//! Small linked "drivers" for tests of exported functions.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::arch;
use crate::{Lab, LabError, Mode, Rule};

extern "win64" fn trampoline(body: &mut &mut dyn FnMut() -> u64) -> u64 {
    // A test's body may call kernel code directly; what it unwinds with goes the way it goes from exported functions.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(payload) => arch::leave_by_unwinding(payload),
    }
}

/// Runs `body` as driver code.
pub(crate) fn as_driver(lab: &Lab, mut body: impl FnMut() -> u64) -> Result<u64, LabError> {
    let mut body: &mut dyn FnMut() -> u64 = &mut body;
    lab.enter(|| arch::call_driver(trampoline as *const (), &[(&raw mut body) as u64]))
}

/// Runs `body` as driver code that breaks a rule, and returns the report's rule and words.
pub(crate) fn broken_rule(body: impl FnMut() -> u64) -> (Rule, String) {
    let lab = Lab::boot().unwrap();
    match as_driver(&lab, body) {
        Err(LabError::BugCheck(report)) => (report.rule, report.details.clone()),
        other => panic!("no rule was broken: {other:?}"),
    }
}

/// A lab in each mode.
pub(crate) fn both_modes(mut body: impl FnMut(&Lab)) {
    for mode in [Mode::Strict, Mode::Fast] {
        let lab = Lab::builder().mode(mode).boot().unwrap();
        body(&lab);
    }
}
