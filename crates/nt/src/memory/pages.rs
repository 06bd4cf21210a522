//! Pages of the kernel that can be lent to processes.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::{self, NonNull};
use core::slice;
use core::sync::atomic::{AtomicU32, AtomicU64};

use super::mdl::{MAPPING_NO_EXECUTE, Mdl};
use crate::irql::Passive;
use crate::pool::{Arc, Box, Tag};
use crate::process::Process;
use crate::seh;
use crate::status::{Result, Status};
use crate::sys::imports::ntoskrnl;
use crate::sys::{MDL, MmCached, NormalPagePriority, UserMode};

#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Page([u8; 4096]);

// SAFETY: bytes.
unsafe impl crate::sys::Zeroable for Page {}

/// Whole pages of the kernel, zeroed, that can be lent to a process.
///
/// Programs may write to them at any time, so what is inside is reached as atomics, or by address.
pub struct KernelPages {
    mdl: Mdl,
    // Never borrowed as bytes: they change under whoever would.
    pages: Box<UnsafeCell<[Page]>>,
}

impl KernelPages {
    /// Allocates zeroed pages for at least `len` bytes.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    pub fn new(tag: Tag, len: usize) -> Result<Self> {
        let count = len.div_ceil(size_of::<Page>()).max(1);
        // Blocks of a page and more start on a page boundary.
        let pages = Box::into_raw(Box::<[Page]>::zeroed_slice(tag, count)?);
        // SAFETY: given away above; a cell is laid out as what is in it.
        let pages = unsafe { Box::from_raw(pages as *mut UnsafeCell<[Page]>) };
        // SAFETY: a block of the pool, which is freed after the MDL.
        let mdl = unsafe { Mdl::of_pool(Box::as_ptr(&pages).cast(), size_of_val(&*pages)) }?;
        Ok(Self { mdl, pages })
    }

    /// The first byte, valid for [`KernelPages::len`] bytes until the value is dropped.
    #[must_use]
    pub const fn as_ptr(&self) -> *mut u8 {
        Box::as_ptr(&self.pages).cast()
    }

    /// The address of the first byte.
    #[must_use]
    pub fn kernel_address(&self) -> u64 {
        self.as_ptr().addr() as u64
    }

    /// The number of bytes, whole pages.
    #[must_use]
    pub fn len(&self) -> usize {
        size_of_val(&*self.pages)
    }

    /// Never.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The memory as words of 64 bits, which programs may write at the same time.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: initialised, aligned, and inside cells; everybody else writes by machine instructions, which are
        // atomic for aligned words.
        unsafe { slice::from_raw_parts(self.as_ptr().cast(), self.len() / size_of::<AtomicU64>()) }
    }

    /// The memory as words of 32 bits, which programs may write at the same time.
    #[must_use]
    pub fn halves(&self) -> &[AtomicU32] {
        // SAFETY: as in `words`.
        unsafe { slice::from_raw_parts(self.as_ptr().cast(), self.len() / size_of::<AtomicU32>()) }
    }

    /// Maps the pages into the current process.
    ///
    /// # Errors
    ///
    /// What mapping raised, or [`Status::INSUFFICIENT_RESOURCES`].
    pub fn map_to_user(this: &Arc<Self>, _passive: Passive<'_>) -> Result<UserMapping> {
        let mut map = Map {
            mdl: this.mdl.0.as_ptr(),
            address: ptr::null_mut(),
        };
        // SAFETY: the function takes a `Map` and holds nothing.
        unsafe { seh::guarded(map_to_user, &mut map) }?;
        let address = NonNull::new(map.address).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        Ok(UserMapping {
            address,
            pages: this.clone(),
            process: Process::current(),
        })
    }
}

// SAFETY: non-paged pool is mapped in every process.
unsafe impl Send for KernelPages {}
// SAFETY: only atomics are lent.
unsafe impl Sync for KernelPages {}

struct Map {
    mdl: *mut MDL,
    address: *mut c_void,
}

kernel_fn! {
    unsafe fn map_to_user(context: *mut c_void) {
        // SAFETY: `KernelPages::map_to_user` passes a `Map`.
        let map = unsafe { &mut *context.cast::<Map>() };
        let priority = NormalPagePriority.cast_unsigned() | MAPPING_NO_EXECUTE;
        let mode = UserMode as i8;
        // SAFETY: the MDL is built; user mappings raise on failure, which is caught.
        map.address = unsafe {
            ntoskrnl::MmMapLockedPagesSpecifyCache(map.mdl, mode, MmCached, ptr::null_mut(), 0, priority)
        };
    }
}

/// Kernel pages mapped into a process, until dropped at PASSIVE_LEVEL in whatever process.
///
/// To be dropped before the process has ended: [`Driver::process_ended`](crate::io::Driver::process_ended) is the last
/// chance, and whoever drops it elsewhere has that wait.
pub struct UserMapping {
    address: NonNull<c_void>,
    pages: Arc<KernelPages>,
    process: Process,
}

// SAFETY: an address in a process, only used there.
unsafe impl Send for UserMapping {}
// SAFETY: as above.
unsafe impl Sync for UserMapping {}

impl UserMapping {
    /// The address in the process.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address.as_ptr().addr() as u64
    }

    /// The process.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// The pages.
    #[must_use]
    pub const fn pages(&self) -> &Arc<KernelPages> {
        &self.pages
    }

    /// Unmaps the pages, in the process that they are mapped into.
    fn unmap(&self) {
        let mdl = self.pages.mdl.0.as_ptr();
        // SAFETY: mapped by `map_to_user` into what is the current process now.
        unsafe { ntoskrnl::MmUnmapLockedPages(self.address.as_ptr(), mdl) }
    }
}

impl Drop for UserMapping {
    fn drop(&mut self) {
        if self.process.is_current() {
            return self.unmap();
        }
        // SAFETY: values of this type are dropped at PASSIVE_LEVEL.
        let passive = unsafe { Passive::assume() };
        self.process.attached(passive, |_| self.unmap());
    }
}
