//! Defects with pool, addresses and memory descriptor lists.

use std::{ffi::c_void, ptr::null_mut};

use nt::sys::{imports::ntoskrnl::*, *};

use crate::{
    driver::{Answer, Request, TAG, free, nt, object, pool, read, write},
    kernel::raise,
};

pub(crate) fn frees_twice(_: &Request) -> Answer {
    let block = pool(24);
    free(block);
    free(block);
    Answer::Done
}

pub(crate) fn frees_the_middle(_: &Request) -> Answer {
    free(pool(100).wrapping_byte_add(16));
    Answer::Done
}

pub(crate) fn frees_with_another_tag(_: &Request) -> Answer {
    nt!(ExFreePoolWithTag(pool(10), u32::from_le_bytes(*b"Xxxx")));
    Answer::Done
}

pub(crate) fn writes_behind(_: &Request) -> Answer {
    let block = pool(10);
    write(block.cast::<u8>().wrapping_add(10), 0);
    free(block);
    Answer::Done
}

pub(crate) fn writes_in_front(_: &Request) -> Answer {
    let block = pool(10);
    write(block.cast::<u8>().wrapping_sub(1), 0);
    free(block);
    Answer::Done
}

pub(crate) fn uses_after_free(_: &Request) -> Answer {
    let block = pool(10);
    free(block);
    read(block.cast::<u8>());
    Answer::Done
}

pub(crate) fn reads_behind(_: &Request) -> Answer {
    read(pool(16).cast::<u8>().wrapping_add(4096));
    Answer::Done
}

pub(crate) fn asks_for_a_pool_that_is_none(_: &Request) -> Answer {
    nt!(ExAllocatePoolWithTag(0x8000, 1, TAG));
    Answer::Done
}

pub(crate) fn asks_for_nothing(_: &Request) -> Answer {
    nt!(ExAllocatePoolWithTag(NonPagedPoolNx, 0, TAG));
    Answer::Done
}

pub(crate) fn asks_for_paged_pool_at_dispatch(_: &Request) -> Answer {
    raise();
    nt!(ExAllocatePoolWithTag(PagedPool, 8, TAG));
    Answer::Done
}

pub(crate) fn leaks_a_block(_: &Request) -> Answer {
    pool(48);
    Answer::Done
}

pub(crate) fn deletes_a_list_that_is_none(_: &Request) -> Answer {
    nt!(ExDeleteLookasideListEx(object()));
    Answer::Done
}

pub(crate) fn pushes_an_odd_entry(_: &Request) -> Answer {
    let head = object();
    nt!(InitializeSListHead(head));
    let entry = pool(64).wrapping_byte_add(8);
    nt!(ExpInterlockedPushEntrySList(head, entry.cast()));
    Answer::Done
}

pub(crate) fn reads_nowhere(_: &Request) -> Answer {
    read(0xffff_9000_0000_1000_usize as *const u8);
    Answer::Done
}

pub(crate) fn reads_user_memory(request: &Request) -> Answer {
    read(request.user.cast::<u8>());
    Answer::Done
}

unsafe extern "win64" fn worker(_: *mut DEVICE_OBJECT, context: *mut c_void) {
    read(read(context.cast::<*const u8>()));
    let event = context.cast::<u64>().wrapping_add(1).cast();
    nt!(KeSetEvent(event, 0, 0));
}

pub(crate) fn reads_user_memory_on_a_worker(request: &Request) -> Answer {
    let context = pool(64).cast::<u64>();
    write(context, request.user as u64);
    let event = context.wrapping_add(1).cast();
    nt!(KeInitializeEvent(event, NotificationEvent, 0));
    let item = nt!(IoAllocateWorkItem(request.device));
    nt!(IoQueueWorkItem(
        item,
        Some(worker),
        DelayedWorkQueue,
        context.cast()
    ));
    nt!(KeWaitForSingleObject(
        event.cast(),
        Executive,
        0,
        0,
        null_mut()
    ));
    Answer::Done
}

pub(crate) fn has_user_memory_compared_at_dispatch(request: &Request) -> Answer {
    let block = pool(8);
    raise();
    nt!(RtlCompareMemory(request.user, block, 8));
    Answer::Done
}

pub(crate) fn reads_null_at_dispatch(_: &Request) -> Answer {
    raise();
    read(0x10 as *const u64);
    Answer::Done
}

fn describe(address: *mut c_void, size: u32) -> *mut MDL {
    nt!(IoAllocateMdl(address, size, 0, 0, null_mut()))
}

/// An MDL of non-paged pool, ready to be mapped.
fn pool_mdl() -> *mut MDL {
    let mdl = describe(pool(100), 100);
    nt!(MmBuildMdlForNonPagedPool(mdl));
    mdl
}

fn lock(mdl: *mut MDL) {
    nt!(MmProbeAndLockPages(mdl, 1, IoWriteAccess));
}

/// An MDL of user memory that is locked.
fn locked_mdl(request: &Request) -> *mut MDL {
    let mdl = describe(request.user, 100);
    lock(mdl);
    mdl
}

fn map(mdl: *mut MDL, mode: KPROCESSOR_MODE, must: u32) -> *mut c_void {
    nt!(MmMapLockedPagesSpecifyCache(
        mdl,
        mode,
        MmCached,
        null_mut(),
        must,
        16
    ))
}

pub(crate) fn frees_a_locked_mdl(request: &Request) -> Answer {
    nt!(IoFreeMdl(locked_mdl(request)));
    Answer::Done
}

pub(crate) fn frees_a_mapped_mdl(_: &Request) -> Answer {
    let mdl = pool_mdl();
    map(mdl, 0, 0);
    nt!(IoFreeMdl(mdl));
    Answer::Done
}

pub(crate) fn locks_twice(request: &Request) -> Answer {
    lock(locked_mdl(request));
    Answer::Done
}

pub(crate) fn unlocks_what_is_not_locked(request: &Request) -> Answer {
    nt!(MmUnlockPages(describe(request.user, 100)));
    Answer::Done
}

pub(crate) fn maps_twice(request: &Request) -> Answer {
    let mdl = locked_mdl(request);
    map(mdl, 0, 0);
    map(mdl, 0, 0);
    Answer::Done
}

pub(crate) fn unmaps_what_is_not_mapped(request: &Request) -> Answer {
    let mdl = locked_mdl(request);
    nt!(MmUnmapLockedPages(pool(8), mdl));
    Answer::Done
}

pub(crate) fn maps_pages_that_are_not_locked(request: &Request) -> Answer {
    map(describe(request.user, 100), 0, 0);
    Answer::Done
}

pub(crate) fn frees_an_mdl_that_a_program_sees(_: &Request) -> Answer {
    let mdl = pool_mdl();
    map(mdl, 1, 0);
    nt!(IoFreeMdl(mdl));
    Answer::Done
}

pub(crate) fn maps_and_forgets(_: &Request) -> Answer {
    map(pool_mdl(), 1, 0);
    Answer::Done
}

unsafe extern "win64" fn locker(_: *mut DEVICE_OBJECT, context: *mut c_void) {
    lock(context.cast());
}

pub(crate) fn locks_on_a_worker(request: &Request) -> Answer {
    let mdl = describe(request.user, 100);
    let item = nt!(IoAllocateWorkItem(request.device));
    nt!(IoQueueWorkItem(
        item,
        Some(locker),
        DelayedWorkQueue,
        mdl.cast()
    ));
    let event = object();
    nt!(KeInitializeEvent(event, NotificationEvent, 0));
    nt!(KeWaitForSingleObject(
        event.cast(),
        Executive,
        0,
        0,
        null_mut()
    ));
    Answer::Done
}

pub(crate) fn describes_a_part_that_is_outside(_: &Request) -> Answer {
    let source = pool_mdl();
    let part = describe(pool(100), 100);
    let start = nt!((*source).StartVa);
    nt!(IoBuildPartialMdl(
        source,
        part,
        start.wrapping_byte_add(0x10_0000),
        50
    ));
    Answer::Done
}

pub(crate) fn frees_reserved_addresses_with_another_tag(_: &Request) -> Answer {
    let addresses = nt!(MmAllocateMappingAddress(4096, TAG));
    nt!(MmFreeMappingAddress(addresses, TAG + 1));
    Answer::Done
}

pub(crate) fn describes_paged_pool_as_non_paged(_: &Request) -> Answer {
    let paged = nt!(ExAllocatePoolWithTag(PagedPool, 64, TAG));
    nt!(MmBuildMdlForNonPagedPool(describe(paged, 64)));
    Answer::Done
}

pub(crate) fn leaks_an_mdl(_: &Request) -> Answer {
    let block = pool(8);
    describe(block, 8);
    free(block);
    Answer::Done
}

pub(crate) fn insists_on_a_mapping(_: &Request) -> Answer {
    map(pool_mdl(), 0, 1);
    Answer::Done
}

pub(crate) fn locks_and_forgets(request: &Request) -> Answer {
    locked_mdl(request);
    Answer::Done
}
