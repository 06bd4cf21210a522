//! Where simulated kernel code (Rust, host ABI) and driver code (Windows ABI) call each other.
//!
//! A thread has two stacks. Driver code runs on its *kernel stack*: 24 KiB with a guard page, as on
//! Windows, so that depth is measured and overflow is caught. Kernel code runs on the host stack.
//! [`call_driver`] goes from the second to the first; the import thunks of [`thunk`] come back.
//! In fast mode there is only the host stack.

use std::ops::Range;

use parking_lot::RwLock;

mod block;
mod call;
mod thunk;

pub(crate) use block::{KernelStack, ThreadBlock};
pub(crate) use call::{abandon_driver, call_driver, leave_by_unwinding};
pub(crate) use thunk::{Kind as ThunkKind, RaiseContext, ThunkPage};

/// Address ranges of mapped driver files. Their code calls exported functions through thunks and
/// runs on the kernel stack; linked drivers call them directly and stay on the host stack.
static IMAGES: RwLock<Vec<Range<usize>>> = RwLock::new(Vec::new());

/// Notes that a driver file is mapped at `range`.
pub(crate) fn register_image(range: Range<usize>) {
    IMAGES.write().push(range);
}

/// Undoes [`register_image`].
pub(crate) fn unregister_image(range: &Range<usize>) {
    IMAGES.write().retain(|r| r != range);
}

/// Whether `address` is in a mapped driver file.
pub(crate) fn in_image(address: usize) -> bool {
    IMAGES.read().iter().any(|r| r.contains(&address))
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
