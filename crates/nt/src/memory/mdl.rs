//! Memory descriptor lists, and locked pages of a requestor.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use super::shared;
use super::{Mode, UserSlice};
use crate::irql::Passive;
use crate::seh;
use crate::status::{Result, Status};
use crate::sys::imports::ntoskrnl;
use crate::sys::{
    IoModifyAccess, IoReadAccess, LOCK_OPERATION, MDL, MDL_MAPPED_TO_SYSTEM_VA,
    MDL_SOURCE_IS_NONPAGED_POOL, MmCached, NormalPagePriority,
};

/// `MdlMappingNoExecute`: the mapping is for data.
pub(super) const MAPPING_NO_EXECUTE: u32 = 0x4000_0000;

/// What locked pages are to be used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    Modify,
}

impl Access {
    const fn raw(self) -> LOCK_OPERATION {
        match self {
            Self::Read => IoReadAccess,
            Self::Modify => IoModifyAccess,
        }
    }
}

/// An MDL, freed when dropped.
pub(crate) struct Mdl(pub(crate) NonNull<MDL>);

impl Mdl {
    /// Describes non-paged memory.
    ///
    /// # Safety
    ///
    /// The range is non-paged pool that outlives the MDL.
    pub(crate) unsafe fn of_pool(address: *mut c_void, len: usize) -> Result<Self> {
        let mdl = Self::new(address, len)?;
        // SAFETY: the caller's promise.
        unsafe { ntoskrnl::MmBuildMdlForNonPagedPool(mdl.0.as_ptr()) };
        Ok(mdl)
    }

    pub(crate) fn new(address: *mut c_void, len: usize) -> Result<Self> {
        let len = u32::try_from(len).map_err(|_| Status::INVALID_PARAMETER)?;
        // SAFETY: describes a range, touches nothing; no request is associated.
        let mdl = unsafe { ntoskrnl::IoAllocateMdl(address, len, 0, 0, ptr::null_mut()) };
        NonNull::new(mdl)
            .map(Self)
            .ok_or(Status::INSUFFICIENT_RESOURCES)
    }
}

// SAFETY: whoever holds an MDL keeps apart what changes it.
unsafe impl Send for Mdl {}
// SAFETY: as above.
unsafe impl Sync for Mdl {}

impl Drop for Mdl {
    fn drop(&mut self) {
        // SAFETY: allocated by `new`; its owner has unlocked and unmapped it.
        unsafe { ntoskrnl::IoFreeMdl(self.0.as_ptr()) }
    }
}

/// The address at which the kernel sees the pages of an MDL, mapping them when necessary.
///
/// # Safety
///
/// The MDL is locked or built for non-paged memory.
#[doc(alias = "MmGetSystemAddressForMdlSafe")]
pub(crate) unsafe fn system_address(mdl: *mut MDL) -> Option<NonNull<u8>> {
    // SAFETY: the caller's MDL.
    let flags = unsafe { (*mdl).MdlFlags };
    let address = if flags & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL) != 0 {
        // SAFETY: the caller's MDL.
        unsafe { (*mdl).MappedSystemVa }
    } else {
        let priority = NormalPagePriority.cast_unsigned() | MAPPING_NO_EXECUTE;
        let mode = Mode::Kernel.raw();
        // SAFETY: the caller's promise; a kernel mapping fails with null.
        unsafe {
            ntoskrnl::MmMapLockedPagesSpecifyCache(
                mdl,
                mode,
                MmCached,
                ptr::null_mut(),
                0,
                priority,
            )
        }
    };
    NonNull::new(address.cast())
}

/// Pages of a requestor's memory, locked and mapped into the kernel until dropped.
///
/// The requestor may write to them at any time: never make a reference to what is inside.
pub struct LockedPages {
    mdl: Mdl,
    address: NonNull<u8>,
    len: usize,
    access: Access,
}

// SAFETY: locked pages are mapped in every process's kernel space.
unsafe impl Send for LockedPages {}
// SAFETY: no reference to the content is given.
unsafe impl Sync for LockedPages {}

struct Lock {
    mdl: *mut MDL,
    mode: Mode,
    access: Access,
}

impl LockedPages {
    /// Probes, locks and maps the memory of a requestor, in whose process this thread runs.
    ///
    /// # Errors
    ///
    /// What probing raised (usually an access violation), or [`Status::INSUFFICIENT_RESOURCES`].
    pub fn lock(slice: &UserSlice, access: Access, _passive: Passive<'_>) -> Result<Self> {
        let address = usize::try_from(slice.address()).map_err(|_| Status::ACCESS_VIOLATION)?;
        let mdl = Mdl::new(ptr::with_exposed_provenance_mut(address), slice.len())?;
        let mut lock = Lock {
            mdl: mdl.0.as_ptr(),
            mode: slice.mode(),
            access,
        };
        // SAFETY: the function takes a `Lock` and holds nothing.
        unsafe { seh::guarded(probe_and_lock, &mut lock) }?;
        // SAFETY: locked.
        match unsafe { system_address(mdl.0.as_ptr()) } {
            Some(address) => Ok(Self {
                mdl,
                address,
                len: slice.len(),
                access,
            }),
            None => {
                // SAFETY: locked above, not mapped.
                unsafe { ntoskrnl::MmUnlockPages(mdl.0.as_ptr()) };
                Err(Status::INSUFFICIENT_RESOURCES)
            }
        }
    }

    /// The first byte as the kernel sees it, valid for [`LockedPages::len`] bytes until the value is dropped.
    #[must_use]
    pub const fn as_ptr(&self) -> NonNull<u8> {
        self.address
    }

    /// The number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The MDL, for building partial ones; valid until the value is dropped.
    #[must_use]
    pub const fn mdl(&self) -> NonNull<MDL> {
        self.mdl.0
    }

    /// The address of `len` bytes at an offset, if they are all there.
    fn at(&self, offset: usize, len: usize) -> Option<*mut u8> {
        let end = offset.checked_add(len)?;
        // SAFETY: within the pages.
        (end <= self.len).then(|| unsafe { self.address.as_ptr().add(offset) })
    }

    /// Copies bytes out of the pages; `false`, and nothing copied, when they are not all there.
    ///
    /// The requestor may write meanwhile, and then any mixture may be read.
    #[must_use]
    #[inline]
    pub fn read(&self, offset: usize, to: &mut [u8]) -> bool {
        let Some(from) = self.at(offset, to.len()) else {
            return false;
        };
        // SAFETY: locked and mapped pages, and a slice of this thread's.
        unsafe { shared::copy(from, to.as_mut_ptr(), to.len()) };
        true
    }

    /// Copies bytes into the pages; `false`, and nothing copied, when there is no room for all, or when the pages are
    /// locked for [`Access::Read`] only: they may be others' too, and the kernel's mapping would not keep them safe.
    #[must_use]
    #[inline]
    pub fn write(&self, offset: usize, from: &[u8]) -> bool {
        let to = self.at(offset, from.len());
        let Some(to) = to.filter(|_| self.access == Access::Modify) else {
            return false;
        };
        // SAFETY: locked and mapped pages, and a slice of this thread's.
        unsafe { shared::copy(from.as_ptr(), to, from.len()) };
        true
    }

    /// Reads one byte of the pages.
    #[must_use]
    #[inline]
    pub fn byte(&self, offset: usize) -> Option<u8> {
        // SAFETY: within locked and mapped pages; volatile, as the requestor may write meanwhile.
        self.at(offset, 1)
            .map(|byte| unsafe { byte.read_volatile() })
    }
}

impl Drop for LockedPages {
    fn drop(&mut self) {
        // Unlocking also unmaps what `system_address` mapped.
        // SAFETY: locked by `lock`.
        unsafe { ntoskrnl::MmUnlockPages(self.mdl.0.as_ptr()) }
    }
}

kernel_fn! {
    unsafe fn probe_and_lock(context: *mut c_void) {
        // SAFETY: `LockedPages::lock` passes a `Lock`.
        let lock = unsafe { &*context.cast::<Lock>() };
        // SAFETY: the MDL is new; what probing raises is caught.
        unsafe { ntoskrnl::MmProbeAndLockPages(lock.mdl, lock.mode.raw(), lock.access.raw()) };
    }
}
