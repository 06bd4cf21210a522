//! Page frames, contiguous memory, physical addresses.

use nt::sys::{MDL, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};

use crate::exports;
use crate::kernel::kernel;
use crate::mem::caller;
use crate::mem::guest;
use crate::mem::mdl::{MdlError, MdlView, PageRequest};
use crate::mem::os::Protection;
use crate::mem::report::mdl_result;
use crate::mem::user::Access;
use crate::mem::{PAGE_SIZE, is_user};

/// Flags of `MmAllocatePagesForMdlEx`.
const DONT_ZERO: u32 = 1;
const FULLY_REQUIRED: u32 = 4;
const REQUIRE_CONTIGUOUS: u32 = 0x20;

/// Flags of `MmCopyMemory`.
const COPY_PHYSICAL: u32 = 1;
const COPY_VIRTUAL: u32 = 2;

const STATUS_INVALID_ADDRESS: i32 = 0xc000_0141_u32 as i32;

/// What a `PAGE_*` value means, without its caching bits.
pub(super) fn protection(page: u32) -> Option<Protection> {
    Some(match page & 0xff {
        0x01 => Protection::None,
        0x02 => Protection::Read,
        0x04 => Protection::ReadWrite,
        0x10 | 0x20 => Protection::ReadExecute,
        0x40 => Protection::ReadWriteExecute,
        _ => return None,
    })
}

/// Frames with addresses up to `high`.
fn frames(low: u64, high: u64) -> std::ops::Range<u64> {
    let page = PAGE_SIZE as u64;
    let end = (high / page).saturating_add(u64::from(high % page == page - 1));
    low.div_ceil(page)..end.min(kernel().mem.phys.end())
}

fn allocate_pages(function: &'static str, low: u64, high: u64, len: usize, flags: u32) -> *mut MDL {
    let mem = &kernel().mem;
    let caller = caller::capture();
    if mem.faults.should_fail(function, &caller) {
        return std::ptr::null_mut();
    }
    let request = PageRequest {
        range: frames(low, high),
        len,
        all: flags & (FULLY_REQUIRED | REQUIRE_CONTIGUOUS) != 0,
        contiguous: flags & REQUIRE_CONTIGUOUS != 0,
        zero: flags & DONT_ZERO == 0,
    };
    let result = mem.mdl_allocate_pages(&request, &caller);
    mdl_result(function, 0, result).map_or(std::ptr::null_mut(), |mdl| mdl.0 as *mut MDL)
}

fn allocate_contiguous(
    function: &'static str,
    len: usize,
    low: u64,
    high: u64,
    boundary: u64,
) -> *mut u8 {
    let mem = &kernel().mem;
    let caller = caller::capture();
    if len == 0 || mem.faults.should_fail(function, &caller) {
        return std::ptr::null_mut();
    }
    let address =
        mem.allocate_contiguous(len, frames(low, high), boundary / PAGE_SIZE as u64, &caller);
    address.unwrap_or(0) as *mut u8
}

fn copy_memory(target: *mut u8, source: u64, len: usize, flags: u32) -> (i32, usize) {
    let mem = &kernel().mem;
    match flags {
        COPY_PHYSICAL => {
            let Some(mapped) = mem.map_io_space(source, len, Protection::Read) else {
                return (STATUS_INVALID_ADDRESS, 0);
            };
            guest::store_many(target, &crate::mem::raw::bytes(mapped, len));
            let result = mem.unmap_io_space(mapped, len);
            mdl_result("MmCopyMemory", 0, result);
            (STATUS_SUCCESS, len)
        }
        COPY_VIRTUAL => {
            let source = source as usize;
            if is_user(source) {
                return (STATUS_INVALID_ADDRESS, 0);
            }
            // The part in front of the first address that faults is copied.
            let there = match mem.kernel_pfns(source, len, Access::Read) {
                Ok(_) => len,
                Err(at) => at.saturating_sub(source),
            };
            guest::store_many(target, &crate::mem::raw::bytes(source, there));
            (
                if there == len {
                    STATUS_SUCCESS
                } else {
                    STATUS_INVALID_ADDRESS
                },
                there,
            )
        }
        _ => (STATUS_INVALID_PARAMETER, 0),
    }
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Allocates zeroed page frames and an MDL that holds them; maybe fewer than asked for.
    #[irql(DISPATCH)]
    fn MmAllocatePagesForMdl(low: u64, high: u64, _skip: u64, bytes: usize) -> *mut MDL {
        allocate_pages("MmAllocatePagesForMdl", low, high, bytes, 0)
    }

    /// Allocates page frames and an MDL that holds them.
    #[irql(DISPATCH)]
    fn MmAllocatePagesForMdlEx(
        low: u64,
        high: u64,
        _skip: u64,
        bytes: usize,
        _caching: i32,
        flags: u32,
    ) -> *mut MDL {
        allocate_pages("MmAllocatePagesForMdlEx", low, high, bytes, flags)
    }

    /// Allocates page frames of a memory node; there is one.
    #[irql(DISPATCH)]
    fn MmAllocateNodePagesForMdlEx(
        low: u64,
        high: u64,
        _skip: u64,
        bytes: usize,
        _caching: i32,
        _node: u32,
        flags: u32,
    ) -> *mut MDL {
        allocate_pages("MmAllocateNodePagesForMdlEx", low, high, bytes, flags)
    }

    /// Frees the page frames of an MDL; the MDL itself is freed with ExFreePool.
    #[irql(DISPATCH)]
    fn MmFreePagesFromMdl(mdl: *mut MDL) {
        let _ = guest::load(mdl);
        mdl_result("MmFreePagesFromMdl", mdl as usize, kernel().mem.mdl_free_pages(MdlView(mdl as usize)));
    }

    /// Allocates physically contiguous memory.
    #[irql(DISPATCH)]
    fn MmAllocateContiguousMemorySpecifyCache(
        bytes: usize,
        low: u64,
        high: u64,
        boundary: u64,
        _caching: i32,
    ) -> *mut u8 {
        allocate_contiguous("MmAllocateContiguousMemorySpecifyCache", bytes, low, high, boundary)
    }

    /// Allocates physically contiguous memory of a memory node; there is one.
    #[irql(DISPATCH)]
    fn MmAllocateContiguousMemorySpecifyCacheNode(
        bytes: usize,
        low: u64,
        high: u64,
        boundary: u64,
        _caching: i32,
        _node: u32,
    ) -> *mut u8 {
        allocate_contiguous("MmAllocateContiguousMemorySpecifyCacheNode", bytes, low, high, boundary)
    }

    /// Allocates physically contiguous memory.
    #[irql(DISPATCH)]
    fn MmAllocateContiguousMemory(bytes: usize, high: u64) -> *mut u8 {
        allocate_contiguous("MmAllocateContiguousMemory", bytes, 0, high, 0)
    }

    /// Frees physically contiguous memory.
    #[irql(DISPATCH)]
    fn MmFreeContiguousMemory(base: usize) {
        mdl_result("MmFreeContiguousMemory", base, kernel().mem.free_contiguous(base));
    }

    /// Frees physically contiguous memory.
    #[irql(DISPATCH)]
    fn MmFreeContiguousMemorySpecifyCache(base: usize, _bytes: usize, _caching: i32) {
        mdl_result("MmFreeContiguousMemorySpecifyCache", base, kernel().mem.free_contiguous(base));
    }

    /// The physical address behind an address; zero when there is none.
    #[irql(ANY)]
    fn MmGetPhysicalAddress(address: usize) -> u64 {
        kernel().mem.physical_address(address).unwrap_or(0)
    }

    /// Whether an access to the address would not fault.
    #[irql(DISPATCH)]
    fn MmIsAddressValid(address: usize) -> u8 {
        kernel().mem.physical_address(address).is_some().into()
    }

    /// Maps physical memory; null when the machine has none there.
    #[irql(DISPATCH)]
    fn MmMapIoSpaceEx(physical: u64, bytes: usize, page_protection: u32) -> usize {
        let mem = &kernel().mem;
        let caller = caller::capture();
        match protection(page_protection) {
            Some(protection) if !mem.faults.should_fail("MmMapIoSpaceEx", &caller) => {
                mem.map_io_space(physical, bytes, protection).unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Maps physical memory.
    #[irql(DISPATCH)]
    fn MmMapIoSpace(physical: u64, bytes: usize, _caching: i32) -> usize {
        let mem = &kernel().mem;
        if mem.faults.should_fail("MmMapIoSpace", &caller::capture()) {
            return 0;
        }
        mem.map_io_space(physical, bytes, Protection::ReadWrite).unwrap_or(0)
    }

    /// Undoes a mapping of physical memory.
    #[irql(DISPATCH)]
    fn MmUnmapIoSpace(base: usize, bytes: usize) {
        let result: Result<(), MdlError> = kernel().mem.unmap_io_space(base, bytes);
        mdl_result("MmUnmapIoSpace", base, result);
    }

    /// Copies from kernel or physical memory that may not be there.
    #[irql(APC)]
    fn MmCopyMemory(target: *mut u8, source: u64, bytes: usize, flags: u32, transferred: *mut usize) -> i32 {
        let (status, count) = copy_memory(target, source, bytes, flags);
        guest::store(transferred, count);
        status
    }
}
