mod compiled;
mod handling;
mod unwinding;

use crate::{
    BugCheck, Lab, LabError, invoke,
    pe::{Module, testing::DriverBuilder},
};

/// Loads the driver into a new lab and calls one of its exports.
fn call(driver: DriverBuilder, function: &str, arguments: [u64; 2]) -> Result<u64, LabError> {
    let lab = Lab::boot().unwrap();
    let file = driver.build();
    let module = Module::load(&file, "test.sys").unwrap();
    let address = module.export(function).unwrap();
    lab.enter(|| invoke!(address, arguments[0], arguments[1]))
}

fn stopped(result: Result<u64, LabError>) -> BugCheck {
    match result {
        Err(LabError::BugCheck(report)) => *report,
        other => panic!("no bugcheck: {other:?}"),
    }
}
