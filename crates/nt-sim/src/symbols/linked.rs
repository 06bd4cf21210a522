//! The stack of a driver that is linked into the process: its functions are ordinary Rust ones.

use std::backtrace::Backtrace;

use crate::export;

/// What the driver was called by, and where the unwinder stops.
const CALL: &str = "nt_sim_call_driver";
/// What a fault of the driver looks like a call of.
const LANDING: &str = "nt_sim_landing";

/// The functions between the exported function that the driver called (or the fault that it caused) and the call into
/// the driver. Empty when no driver is running.
pub(super) fn driver_stack(limit: usize) -> Vec<String> {
    let inside = crate::sched::try_current().is_some() && !crate::arch::current_call().is_null();
    if !inside {
        return Vec::new();
    }
    let trace = Backtrace::force_capture().to_string();
    let names = trace.lines().filter_map(function);
    names
        .skip_while(|name| !is_boundary(name))
        .skip(1)
        .take_while(|name| *name != CALL)
        .take(limit)
        .map(str::to_owned)
        .collect()
}

/// Whether the fault that is being dealt with is one of a linked driver's own code, and not of an exported function that
/// a driver called.
pub(crate) fn fault_in_driver() -> bool {
    let trace = Backtrace::force_capture().to_string();
    let names = trace.lines().filter_map(function);
    let mut faulting = names
        .skip_while(|name| *name != LANDING)
        .skip(1)
        .take_while(|name| *name != CALL)
        .peekable();
    faulting.peek().is_some() && !faulting.any(is_boundary)
}

/// The name in a line such as `  12: path::to::function`.
fn function(line: &str) -> Option<&str> {
    let (number, name) = line.trim_start().split_once(": ")?;
    number.parse::<u32>().ok()?;
    Some(name)
}

/// Whether what called the function is the driver.
fn is_boundary(name: &str) -> bool {
    let plain = name.rsplit("::").next().unwrap_or(name);
    plain == LANDING || export::is_exported(plain)
}
