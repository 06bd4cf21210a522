//! The stack of a driver that is linked into the process: its functions are ordinary Rust ones.

use std::backtrace::Backtrace;

/// Frames of the kernel's own code that stand between a driver and a report.
const KERNEL: [&str; 4] = ["nt_sim::", "std::", "core::", "__rust"];

/// The functions between the innermost kernel code and the call into the driver, where the
/// unwinder stops. Empty when no driver is running.
pub(super) fn driver_stack(limit: usize) -> Vec<String> {
    let inside = crate::sched::try_current().is_some() && !crate::arch::current_call().is_null();
    if !inside {
        return Vec::new();
    }
    let trace = Backtrace::force_capture().to_string();
    trace
        .lines()
        .filter_map(function)
        .skip_while(|name| is_kernel(name))
        .take_while(|name| !is_kernel(name))
        .take(limit)
        .map(str::to_owned)
        .collect()
}

/// The name in a line such as `  12: path::to::function`.
fn function(line: &str) -> Option<&str> {
    let (number, name) = line.trim_start().split_once(": ")?;
    number.parse::<u32>().ok()?;
    Some(name)
}

fn is_kernel(name: &str) -> bool {
    let plain = name.trim_start_matches(['<', '&']);
    KERNEL.iter().any(|prefix| plain.starts_with(prefix))
        // Exported functions have C names.
        || !plain.contains("::")
}
