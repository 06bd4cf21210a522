//! Memory descriptor lists: locked pages of a requestor, and kernel pages lent to one.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use super::{Mode, UserSlice};
use crate::irql::Passive;
use crate::pool::{Box, Tag};
use crate::seh;
use crate::status::{Result, Status};
use crate::sys::imports::ntoskrnl;
use crate::sys::{
    IoModifyAccess, IoReadAccess, LOCK_OPERATION, MDL, MDL_MAPPED_TO_SYSTEM_VA,
    MDL_SOURCE_IS_NONPAGED_POOL, MmCached, NormalPagePriority, UserMode,
};

/// `MdlMappingNoExecute`: the mapping is for data.
const MAPPING_NO_EXECUTE: u32 = 0x4000_0000;

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
struct Mdl(NonNull<MDL>);

impl Mdl {
    fn new(address: *mut c_void, len: usize) -> Result<Self> {
        let len = u32::try_from(len).map_err(|_| Status::INVALID_PARAMETER)?;
        // SAFETY: describes a range, touches nothing; no request is associated.
        let mdl = unsafe { ntoskrnl::IoAllocateMdl(address, len, 0, 0, ptr::null_mut()) };
        NonNull::new(mdl)
            .map(Self)
            .ok_or(Status::INSUFFICIENT_RESOURCES)
    }

    fn flags(&self) -> i16 {
        let flags = self.0.as_ptr();
        // SAFETY: the MDL is allocated.
        unsafe { (*flags).MdlFlags }
    }
}

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

/// Whole pages of the kernel, zeroed, that can be lent to a process.
pub struct KernelPages {
    mdl: Mdl,
    pages: Box<[Page]>,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Page([u8; 4096]);

// SAFETY: bytes.
unsafe impl crate::sys::Zeroable for Page {}

impl KernelPages {
    /// Allocates zeroed pages for at least `len` bytes.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    pub fn new(tag: Tag, len: usize) -> Result<Self> {
        let count = len.div_ceil(size_of::<Page>()).max(1);
        // Blocks of a page and more start on a page boundary.
        let pages = Box::<[Page]>::zeroed_slice(tag, count)?;
        let mdl = Mdl::new(Box::as_ptr(&pages).cast(), size_of_val(&*pages))?;
        // SAFETY: the range is non-paged pool.
        unsafe { ntoskrnl::MmBuildMdlForNonPagedPool(mdl.0.as_ptr()) };
        Ok(Self { mdl, pages })
    }

    /// The first byte, valid for [`KernelPages::len`] bytes until the value is dropped.
    #[must_use]
    pub const fn as_ptr(&self) -> *mut u8 {
        Box::as_ptr(&self.pages).cast()
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

    /// Maps the pages into the current process.
    ///
    /// # Errors
    ///
    /// What mapping raised, or [`Status::INSUFFICIENT_RESOURCES`].
    pub fn map_to_user(&self, _passive: Passive<'_>) -> Result<UserMapping> {
        let mut map = Map {
            mdl: self.mdl.0.as_ptr(),
            address: ptr::null_mut(),
        };
        // SAFETY: the function takes a `Map` and holds nothing.
        unsafe { seh::guarded(map_to_user, &mut map) }?;
        let address = NonNull::new(map.address).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        debug_assert!(self.mdl.flags() & MDL_SOURCE_IS_NONPAGED_POOL != 0);
        Ok(UserMapping {
            address,
            mdl: self.mdl.0,
        })
    }
}

// SAFETY: non-paged pool is mapped in every process.
unsafe impl Send for KernelPages {}
// SAFETY: no reference to the content is given.
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

/// Kernel pages mapped into a process; must be unmapped in that process before the pages go.
#[must_use = "a mapping that is not unmapped outlives its pages"]
pub struct UserMapping {
    address: NonNull<c_void>,
    mdl: NonNull<MDL>,
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

    /// Unmaps the pages.
    ///
    /// # Safety
    ///
    /// The current process is the one that they were mapped into, and the pages still exist.
    pub unsafe fn unmap(self, _passive: Passive<'_>) {
        // SAFETY: the caller's promise.
        unsafe { ntoskrnl::MmUnmapLockedPages(self.address.as_ptr(), self.mdl.as_ptr()) }
    }
}
