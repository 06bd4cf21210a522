//! Where simulated kernel code (Rust, host ABI) and driver code (Windows ABI) call each other.
//!
//! A thread has two stacks. Driver code runs on its *kernel stack*: 24 KiB with a guard page, as on
//! Windows, so that depth is measured and overflow is caught. Kernel code runs on the host stack.
//! [`call_driver`] goes from the second to the first; the import thunks of [`thunk`] come back.
//! In fast mode there is only the host stack.

#[cfg(test)]
use std::ops::Range;

#[cfg(test)]
use parking_lot::RwLock;

mod block;
mod call;
mod thunk;

pub(crate) use block::{KERNEL_STACK_SIZE, KernelStack, ThreadBlock};
pub(crate) use call::{
    CallFrame, abandon_driver, call_driver, current_call, leave_by_unwinding, return_address,
};
pub(crate) use thunk::{Kind as ThunkKind, RaiseContext, ThunkPage};

/// Code that stands for a driver's in tests.
#[cfg(test)]
static STAND_INS: RwLock<Vec<Range<usize>>> = RwLock::new(Vec::new());

/// Lets code at `range` stand for a driver's.
#[cfg(test)]
pub(crate) fn register_image(range: Range<usize>) {
    STAND_INS.write().push(range);
}

/// Undoes [`register_image`].
#[cfg(test)]
pub(crate) fn unregister_image(range: &Range<usize>) {
    STAND_INS.write().retain(|r| r != range);
}

/// Whether `address` is in a mapped driver file. Its code calls exported functions through thunks
/// and runs on the kernel stack; linked drivers call them directly and stay on the host stack.
pub(crate) fn in_image(address: usize) -> bool {
    #[cfg(test)]
    if STAND_INS.read().iter().any(|r| r.contains(&address)) {
        return true;
    }
    crate::pe::find(address).is_some()
}

/// Calls a driver's function: `invoke!(callback, argument, ...)`, every argument an integer, a
/// pointer or something `as u64` takes. Evaluates to the `u64` in RAX.
#[macro_export]
#[doc(hidden)]
macro_rules! invoke {
    ($f:expr $(, $arg:expr)* $(,)?) => {
        $crate::arch::call_driver($f as *const (), &[$($arg as u64),*])
    };
}
