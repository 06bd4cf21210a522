//! Making allocations fail.

use super::Lab;
use crate::{
    kernel::kernel,
    mem::faults::{FaultPlan, InjectedFault},
};

impl Lab {
    /// Makes allocations fail from now on as `plan` says: memory, and every other thing that a
    /// driver can be refused for want of resources. Counting begins anew.
    pub fn inject_failures(&self, plan: FaultPlan) {
        kernel().mem.faults.arm(plan);
    }

    /// The failures that were injected since [`Lab::inject_failures`], oldest first.
    pub fn injected_failures(&self) -> Vec<InjectedFault> {
        kernel().mem.faults.injected()
    }
}
