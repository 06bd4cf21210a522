//! Fallible allocation from tagged non-paged, non-executable pool.
//!
//! There is no global allocator: every allocation names its tag and returns a result. All types here are usable up to
//! DISPATCH_LEVEL.

mod arc;
mod boxed;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
mod vec;

use core::alloc::Layout;
use core::ptr::NonNull;

pub use self::arc::{Arc, ArcRoom};
pub use self::boxed::Box;
pub use self::vec::Vec;
use crate::status::{Result, Status};
use crate::sys::imports::ntoskrnl;
use crate::sys::{NonPagedPoolNx, NonPagedPoolNxCacheAligned};

/// A pool tag: four characters by which tools attribute memory to its owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tag(pub u32);

impl Tag {
    /// The tag spelled by four characters, in the order in which tools print them.
    #[must_use]
    pub const fn new(name: &[u8; 4]) -> Self {
        Self(u32::from_le_bytes(*name))
    }
}

/// What the pool aligns ordinary blocks to.
const POOL_ALIGNMENT: usize = 16;
/// What the pool aligns cache-aligned blocks to at the least.
const CACHE_ALIGNMENT: usize = 64;

/// Allocates a block; zero-sized layouts are the caller's business.
fn allocate(layout: Layout, tag: Tag) -> Result<NonNull<u8>> {
    let pool = if layout.align() <= POOL_ALIGNMENT {
        NonPagedPoolNx
    } else if layout.align() <= CACHE_ALIGNMENT {
        NonPagedPoolNxCacheAligned
    } else {
        return Err(Status::NOT_SUPPORTED);
    };
    // SAFETY: the pool type is non-paged, so any level up to DISPATCH_LEVEL will do.
    let block = unsafe { ntoskrnl::ExAllocatePoolWithTag(pool, layout.size(), tag.0) };
    NonNull::new(block.cast()).ok_or(Status::INSUFFICIENT_RESOURCES)
}

/// Frees a block of [`allocate`].
///
/// # Safety
///
/// The block came from `allocate` with the same tag and is not used again.
unsafe fn free(block: NonNull<u8>, tag: Tag) {
    // SAFETY: the caller's promise.
    unsafe { ntoskrnl::ExFreePoolWithTag(block.as_ptr().cast(), tag.0) }
}

/// Frees a block whose tag is not remembered.
///
/// # Safety
///
/// The block came from `allocate` and is not used again.
unsafe fn free_any(block: NonNull<u8>) {
    // SAFETY: a tag of zero matches every block.
    unsafe { free(block, Tag(0)) }
}
