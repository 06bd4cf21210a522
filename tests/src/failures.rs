//! Making each allocation of one request fail in turn.

use nt_sim::{FaultPlan, Lab, NtStatus};

use crate::status::Answer;

/// Repeats `request` with its first allocation refused, then with its second, and so on, until it makes no more of
/// them; returns the answers of the refused ones and the last one, for which nothing was refused.
///
/// A request that succeeds although an allocation was refused is an answer like any other.
///
/// # Panics
/// When there seems to be no end.
pub fn each_refused<T>(
    lab: &Lab,
    mut request: impl FnMut() -> Answer<T>,
) -> (Vec<NtStatus>, Answer<T>) {
    let mut refused = Vec::new();
    for nth in 1..10_000 {
        lab.inject_failures(FaultPlan::Nth(nth));
        let result = request();
        let hit = !lab.injected_failures().is_empty();
        lab.inject_failures(FaultPlan::Never);
        if !hit {
            return (refused, result);
        }
        refused.push(result.err().unwrap_or(crate::status::SUCCESS));
    }
    panic!("a request with 10,000 allocations");
}
