//! MDL functions.

use nt::sys::{IRP, MDL};

use crate::exports;
use crate::irql;
use crate::kernel::kernel;
use crate::mem::caller::{self, Tag};
use crate::mem::mdl::{HEADER, MapMode, MapOptions, MdlError, MdlView, spanned_pages};
use crate::mem::report::mdl_result;
use crate::mem::user::Access;
use crate::mem::{guest, is_user};
use crate::verifier::Rule;

const WRITE_ACCESS: i32 = 1;
const MODIFY_ACCESS: i32 = 2;

/// `MdlMappingNoWrite`, a bit of the priority argument.
const MAPPING_NO_WRITE: u32 = 0x8000_0000;

fn view(mdl: *mut MDL) -> MdlView {
    // Looking at the header once checks that it is there, for all that follows.
    let _ = guest::load(mdl);
    MdlView(mdl as usize)
}

fn user_mode(mode: i8) -> bool {
    mode != 0
}

/// The functions that touch pageable memory only work below DISPATCH.
fn check_pageable(function: &'static str, user: bool) {
    let level = irql::current();
    if user && level > irql::APC {
        crate::bugcheck!(
            Rule::IrqlTooHigh, level, irql::APC;
            "{function} was called for user memory at {}", irql::name(level)
        );
    }
}

fn unmap(mdl: *mut MDL, address: usize) -> Result<(), MdlError> {
    let mem = &kernel().mem;
    let mdl = view(mdl);
    if is_user(address) {
        check_pageable("MmUnmapLockedPages", true);
        mem.mdl_unmap_user(mdl, address)
    } else {
        mem.mdl_unmap_system(mdl, address)
    }
}

/// Maps for a driver; null, an exception or a bugcheck when it fails, as the arguments ask.
fn map(
    mdl: *mut MDL,
    mode: i8,
    requested: usize,
    bugcheck: u32,
    options: MapOptions,
    function: &'static str,
) -> usize {
    let mem = &kernel().mem;
    let caller = caller::capture();
    let user = user_mode(mode);
    check_pageable(function, user);
    let view = view(mdl);
    let mode = if user {
        MapMode::User((requested != 0).then_some(requested))
    } else {
        MapMode::Kernel
    };
    let result = if mem.faults.should_fail(function, &caller) {
        let failure = nt::sys::STATUS_INSUFFICIENT_RESOURCES;
        Err(if user {
            MdlError::Raise(failure)
        } else {
            MdlError::NoResources
        })
    } else {
        mem.mdl_map(view, mode, options, &caller)
    };
    match mdl_result(function, view.0, result) {
        Some(address) => address,
        None if bugcheck != 0 => {
            crate::bugcheck!(Rule::MappingFailed, view.0, view.len(); "{function}: {} bytes could not be mapped", view.len())
        }
        None => 0,
    }
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// The bytes that an MDL for a buffer takes.
    #[irql(ANY)]
    fn MmSizeOfMdl(base: *const u8, len: usize) -> usize {
        HEADER + spanned_pages(base as usize, len) * 8
    }

    /// Allocates an MDL for a buffer, and gives it to an IRP if there is one.
    #[irql(DISPATCH)]
    fn IoAllocateMdl(address: *const u8, len: u32, secondary: u8, _charge_quota: u8, irp: *mut IRP) -> *mut MDL {
        let mem = &kernel().mem;
        let caller = caller::capture();
        if mem.faults.should_fail("IoAllocateMdl", &caller) {
            return std::ptr::null_mut();
        }
        let result = mem.mdl_allocate(address as usize, len as usize, &caller);
        let Some(view) = mdl_result("IoAllocateMdl", 0, result) else { return std::ptr::null_mut() };
        let mdl = view.0 as *mut MDL;
        if !irp.is_null() {
            let slot = (irp as usize + std::mem::offset_of!(IRP, MdlAddress)) as *mut *mut MDL;
            let mut last = guest::load(slot);
            if secondary == 0 || last.is_null() {
                guest::store(slot, mdl);
            } else {
                loop {
                    let next = guest::load(last).Next;
                    if next.is_null() {
                        break;
                    }
                    last = next;
                }
                guest::store(last, MDL { Next: mdl, ..guest::load(last) });
            }
        }
        mdl
    }

    /// Frees an MDL.
    #[irql(DISPATCH)]
    fn IoFreeMdl(mdl: *mut MDL) {
        let caller = caller::capture();
        let view = MdlView(mdl as usize);
        mdl_result("IoFreeMdl", view.0, kernel().mem.mdl_free(view, &caller));
    }

    /// Describes part of another MDL's buffer; no length means the rest of it.
    #[irql(DISPATCH)]
    fn IoBuildPartialMdl(source: *mut MDL, target: *mut MDL, address: *const u8, len: u32) {
        let result = kernel().mem.mdl_build_partial(view(source), view(target), address as usize, len as usize);
        mdl_result("IoBuildPartialMdl", target as usize, result);
    }

    /// Fills in the page frames of a non-paged buffer.
    #[irql(DISPATCH)]
    fn MmBuildMdlForNonPagedPool(mdl: *mut MDL) {
        let result = kernel().mem.mdl_build_for_nonpaged(view(mdl));
        mdl_result("MmBuildMdlForNonPagedPool", mdl as usize, result);
    }

    /// Makes the buffer's pages resident and locks them, or raises.
    #[irql(DISPATCH)] #[raises]
    fn MmProbeAndLockPages(mdl: *mut MDL, mode: i8, operation: i32) {
        let mem = &kernel().mem;
        let caller = caller::capture();
        let view = view(mdl);
        check_pageable("MmProbeAndLockPages", is_user(view.address()));
        let write = matches!(operation, WRITE_ACCESS | MODIFY_ACCESS);
        let access = if write { Access::Write } else { Access::Read };
        let result = if mem.faults.should_fail("MmProbeAndLockPages", &caller) {
            Err(MdlError::Raise(nt::sys::STATUS_INSUFFICIENT_RESOURCES))
        } else {
            mem.mdl_lock(view, user_mode(mode), access, &caller)
        };
        mdl_result("MmProbeAndLockPages", view.0, result);
    }

    /// Unlocks the pages, and unmaps them from the kernel.
    #[irql(DISPATCH)]
    fn MmUnlockPages(mdl: *mut MDL) {
        let result = kernel().mem.mdl_unlock(view(mdl));
        mdl_result("MmUnlockPages", mdl as usize, result);
    }

    /// Maps the pages of an MDL. User-mode mappings raise when they fail.
    #[irql(DISPATCH)] #[raises]
    fn MmMapLockedPagesSpecifyCache(
        mdl: *mut MDL,
        mode: i8,
        _caching: i32,
        requested: usize,
        bugcheck_on_failure: u32,
        priority: u32,
    ) -> usize {
        let options = MapOptions { read_only: priority & MAPPING_NO_WRITE != 0 };
        map(mdl, mode, requested, bugcheck_on_failure, options, "MmMapLockedPagesSpecifyCache")
    }

    /// Maps the pages of an MDL; failure stops the system.
    #[irql(DISPATCH)] #[raises]
    fn MmMapLockedPages(mdl: *mut MDL, mode: i8) -> usize {
        map(mdl, mode, 0, 1, MapOptions::default(), "MmMapLockedPages")
    }

    /// Undoes a mapping.
    #[irql(DISPATCH)]
    fn MmUnmapLockedPages(base: usize, mdl: *mut MDL) {
        mdl_result("MmUnmapLockedPages", mdl as usize, unmap(mdl, base));
    }

    /// Reserves kernel addresses.
    #[irql(APC)]
    fn MmAllocateMappingAddress(bytes: usize, tag: u32) -> usize {
        let mem = &kernel().mem;
        let caller = caller::capture();
        if mem.faults.should_fail("MmAllocateMappingAddress", &caller) {
            return 0;
        }
        let result = mem.reserve_mapping(bytes, Tag(tag), &caller);
        mdl_result("MmAllocateMappingAddress", 0, result).unwrap_or(0)
    }

    /// Reserves kernel addresses; the flags change nothing here.
    #[irql(APC)]
    fn MmAllocateMappingAddressEx(bytes: usize, tag: u32, _flags: u32) -> usize {
        let mem = &kernel().mem;
        let caller = caller::capture();
        if mem.faults.should_fail("MmAllocateMappingAddressEx", &caller) {
            return 0;
        }
        let result = mem.reserve_mapping(bytes, Tag(tag), &caller);
        mdl_result("MmAllocateMappingAddressEx", 0, result).unwrap_or(0)
    }

    /// Gives reserved addresses back.
    #[irql(APC)]
    fn MmFreeMappingAddress(base: usize, tag: u32) {
        mdl_result("MmFreeMappingAddress", base, kernel().mem.release_mapping(base, Tag(tag)));
    }

    /// Maps an MDL at reserved addresses; null when they are too few.
    #[irql(DISPATCH)]
    fn MmMapLockedPagesWithReservedMapping(base: usize, tag: u32, mdl: *mut MDL, _caching: i32) -> usize {
        let caller = caller::capture();
        let result = kernel().mem.mdl_map_reserved(view(mdl), base, Tag(tag), &caller);
        mdl_result("MmMapLockedPagesWithReservedMapping", mdl as usize, result).flatten().unwrap_or(0)
    }

    /// Undoes a mapping at reserved addresses.
    #[irql(DISPATCH)]
    fn MmUnmapReservedMapping(base: usize, tag: u32, mdl: *mut MDL) {
        let result = kernel().mem.mdl_unmap_reserved(view(mdl), base, Tag(tag));
        mdl_result("MmUnmapReservedMapping", mdl as usize, result);
    }

    /// Changes what may be done through an MDL's mapping into the kernel (`PAGE_*`).
    #[irql(DISPATCH)]
    fn MmProtectMdlSystemAddress(mdl: *mut MDL, protection: u32) -> i32 {
        let Some(protection) = super::pages::protection(protection) else {
            return nt::sys::STATUS_INVALID_PARAMETER;
        };
        let result = kernel().mem.mdl_protect(view(mdl), protection);
        match mdl_result("MmProtectMdlSystemAddress", mdl as usize, result) {
            Some(()) => nt::sys::STATUS_SUCCESS,
            None => nt::sys::STATUS_INSUFFICIENT_RESOURCES,
        }
    }

    /// Makes an MDL in given memory, or allocates it.
    #[irql(DISPATCH)]
    fn MmCreateMdl(memory: *mut MDL, base: *const u8, len: usize) -> *mut MDL {
        let mem = &kernel().mem;
        if memory.is_null() {
            let caller = caller::capture();
            let result = mem.mdl_allocate(base as usize, len, &caller);
            return mdl_result("MmCreateMdl", 0, result).map_or(std::ptr::null_mut(), |mdl| mdl.0 as *mut MDL);
        }
        mem.describe_buffer(view(memory), base as usize, len, 0);
        memory
    }
}
