//! Memory of NDIS's own objects and of what it allocates for drivers.

use std::{alloc::Layout, os::unix::fs::FileExt};

use nt::sys::MDL;

use super::raw::{get, put};
use crate::{
    kernel::{kernel, strict, try_kernel},
    mem::{
        caller::{self, Caller, Tag},
        mdl::view::MdlView,
        pool::{PoolKind, Request},
        user::Access,
    },
};

/// `MDL_MAPPED_TO_SYSTEM_VA`.
const MAPPED: i16 = 1;
/// `MDL_SOURCE_IS_NONPAGED_POOL`.
const NON_PAGED: i16 = 4;
const PAGE: usize = 4096;

/// Tag of NDIS's blocks in reports.
const TAG: Tag = Tag::new(b"NDsi");

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size.max(1), 16).expect("a size that fits in memory")
}

/// Allocates zeroed bytes, aligned to 16; null when memory is used up. In strict mode they are a pool
/// block of their own, so that a driver that uses them after they are freed is caught.
pub(crate) fn allocate(size: usize) -> *mut u8 {
    allocate_as(size, TAG, &Caller::default())
}

fn allocate_as(size: usize, tag: Tag, caller: &Caller) -> *mut u8 {
    if !strict() {
        // SAFETY: the size is not zero.
        return unsafe { std::alloc::alloc_zeroed(layout(size)) };
    }
    let request = Request {
        size: size.max(1),
        tag,
        kind: PoolKind {
            paged: false,
            executable: false,
        },
        zero: true,
        cache_aligned: false,
        raise: false,
    };
    let mem = &kernel().mem;
    match mem.pool.alloc(&mem.phys, &mem.va, &request, caller) {
        Ok(address) => address.unwrap_or(0) as *mut u8,
        Err(violation) => crate::mem::report::pool_violation(&violation),
    }
}

/// Frees what [`allocate`] returned for the same size.
pub(crate) fn free(address: *mut u8, size: usize) {
    if !strict() {
        // SAFETY: the caller passes a live block and its size.
        return unsafe { std::alloc::dealloc(address, layout(size)) };
    }
    // When the kernel is being taken down, its pool goes as a whole.
    let Some(kernel) = try_kernel() else {
        return;
    };
    let mem = &kernel.mem;
    let freed = mem.pool.free(
        &mem.phys,
        &mem.va,
        address as usize,
        None,
        &Caller::default(),
    );
    if let Err(violation) = freed {
        crate::mem::report::pool_violation(&violation);
    }
}

/// Whether a driver's allocation through `function` is to fail now, because a test asked for it.
pub(crate) fn must_fail(function: &'static str) -> bool {
    let faults = &kernel().mem.faults;
    faults.is_armed() && faults.should_fail(function, &crate::mem::caller::capture())
}

fn pages(address: usize, len: usize) -> usize {
    ((address % PAGE) + len).div_ceil(PAGE)
}

fn mdl_size(address: usize, len: usize) -> usize {
    size_of::<MDL>() + pages(address, len) * 8
}

/// Makes an MDL for `len` bytes of non-paged memory; null when memory is used up.
pub(crate) fn new_mdl(address: *mut u8, len: usize) -> *mut MDL {
    new_mdl_as(address, len, &Caller::default())
}

/// As [`new_mdl`], for the driver that calls, which must free it.
pub(crate) fn new_mdl_for_driver(address: *mut u8, len: usize) -> *mut MDL {
    new_mdl_as(address, len, &caller::capture())
}

fn new_mdl_as(address: *mut u8, len: usize, caller: &Caller) -> *mut MDL {
    let size = mdl_size(address as usize, len);
    let mdl = allocate_as(size, TAG, caller).cast::<MDL>();
    if mdl.is_null() {
        return mdl;
    }
    put!(mdl => [Size] size as i16);
    put!(mdl => [MdlFlags] NON_PAGED);
    put!(mdl => [MappedSystemVa] address.cast());
    put!(mdl => [StartVa] ((address as usize) & !(PAGE - 1)) as *mut _);
    put!(mdl => [ByteCount] len as u32);
    put!(mdl => [ByteOffset] (address as usize % PAGE) as u32);
    let frames = if len == 0 {
        Ok(Vec::new())
    } else {
        kernel()
            .mem
            .kernel_pfns(address as usize, len, Access::Read)
    };
    let Ok(frames) = frames else {
        free(mdl.cast(), size);
        return std::ptr::null_mut();
    };
    MdlView(mdl as usize).set_pfns(&frames);
    mdl
}

/// Takes the address in the kernel off an MDL of [`new_mdl`]: its pages are locked, and have to be mapped.
pub(crate) fn unmap_mdl(mdl: *mut MDL) {
    put!(mdl => [MdlFlags] nt::sys::MDL_PAGES_LOCKED);
    put!(mdl => [MappedSystemVa] std::ptr::null_mut());
}

/// Frees an MDL of [`new_mdl`], not the memory it describes.
pub(crate) fn free_mdl(mdl: *mut MDL) {
    let flags = get!(mdl => MdlFlags);
    if flags & (MAPPED | NON_PAGED) == MAPPED {
        // Whoever looked at it has mapped it; that goes with the MDL.
        let address = get!(mdl => MappedSystemVa) as usize;
        let undone = kernel()
            .mem
            .mdl_unmap_system(MdlView(mdl as usize), address);
        crate::mem::report::mdl_result("a NIC's MDL", mdl as usize, undone);
    }
    let size = get!(mdl => Size) as usize;
    free(mdl.cast(), size);
}

/// Kernel address of the bytes that an MDL describes; `None` when it has no mapping.
pub(crate) fn mdl_address(mdl: *const MDL) -> Option<*mut u8> {
    let flags = get!(mdl => MdlFlags);
    (flags & (MAPPED | NON_PAGED) != 0).then(|| get!(mdl => MappedSystemVa).cast())
}

/// Appends bytes that an unmapped MDL describes, read from the machine's memory; `false` when the MDL
/// describes no pages that are locked.
pub(crate) fn read_pages(mdl: *const MDL, start: usize, len: usize, out: &mut Vec<u8>) -> bool {
    const DESCRIBES_PAGES: i16 = nt::sys::MDL_PAGES_LOCKED | nt::sys::MDL_PARTIAL;
    if get!(mdl => MdlFlags) & DESCRIBES_PAGES == 0 {
        return false;
    }
    let memory = kernel().mem.phys.file();
    let frames = MdlView(mdl as usize).pfns();
    let mut at = get!(mdl => ByteOffset) as usize + start;
    let end = at + len;
    while at < end {
        let take = (PAGE - at % PAGE).min(end - at);
        let Some(&frame) = frames.get(at / PAGE) else {
            return false;
        };
        let old = out.len();
        out.resize(old + take, 0);
        let offset = frame * PAGE as u64 + (at % PAGE) as u64;
        if memory.read_exact_at(&mut out[old..], offset).is_err() {
            return false;
        }
        at += take;
    }
    true
}

/// Makes an MDL for part of what another describes, mapped or not; null when memory is used up.
pub(crate) fn new_partial_mdl(source: *mut MDL, start: usize, len: usize) -> *mut MDL {
    if let Some(address) = mdl_address(source) {
        return new_mdl(address.wrapping_add(start), len);
    }
    let address = get!(source => StartVa) as usize + get!(source => ByteOffset) as usize + start;
    let size = mdl_size(address, len);
    let mdl = allocate(size).cast::<MDL>();
    if mdl.is_null() {
        return mdl;
    }
    put!(mdl => [Size] size as i16);
    let (from, to) = (MdlView(source as usize), MdlView(mdl as usize));
    let built = kernel().mem.mdl_build_partial(from, to, address, len);
    crate::mem::report::mdl_result("an NBL clone", source as usize, built);
    mdl
}

/// Allocates memory that the driver that calls frees; null when memory is used up.
pub(crate) fn allocate_for_driver(len: usize, tag: u32) -> *mut u8 {
    allocate_sized(len, Tag(tag), &caller::capture())
}

/// Allocates memory that NDIS itself frees.
pub(crate) fn allocate_as_driver_would(len: usize) -> *mut u8 {
    allocate_sized(len, TAG, &Caller::default())
}

fn allocate_sized(len: usize, tag: Tag, caller: &Caller) -> *mut u8 {
    let block = allocate_as(len + 16, tag, caller);
    if block.is_null() {
        return block;
    }
    super::raw::store(block.cast::<usize>(), len);
    block.wrapping_add(16)
}

/// Frees what [`allocate_for_driver`] or [`allocate_as_driver_would`] returned.
pub(crate) fn free_for_driver(address: *mut u8) {
    let block = address.wrapping_sub(16);
    let len = super::raw::load(block.cast::<usize>());
    free(block, len + 16);
}
