//! The few kernel functions that unit tests of this crate reach, with one simple state for each test thread.
//!
//! Whether the wrappers keep the kernel's rules is tested with the simulated kernel; here it is their own logic.

extern crate std;

use std::alloc::{Layout, alloc, dealloc};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::vec::Vec;

use crate::sys::*;

std::thread_local! {
    /// Allocations that still succeed.
    pub(crate) static ALLOWED: Cell<usize> = const { Cell::new(usize::MAX) };
    static BLOCKS: RefCell<BTreeMap<usize, (Layout, u32)>> = const { RefCell::new(BTreeMap::new()) };
    /// Completed requests: their address, status and information.
    pub(crate) static COMPLETED: RefCell<Vec<(usize, NTSTATUS, usize)>> = const { RefCell::new(Vec::new()) };
    /// What the module below does with an OID request; pending ones are kept in `BELOW`.
    pub(crate) static ANSWER: Cell<NDIS_STATUS> = const { Cell::new(NDIS_STATUS_SUCCESS) };
    pub(crate) static BELOW: RefCell<Vec<*mut NDIS_OID_REQUEST>> = const { RefCell::new(Vec::new()) };
    /// OID requests that went back up: their address and status.
    pub(crate) static ANSWERED: RefCell<Vec<(usize, NDIS_STATUS)>> = const { RefCell::new(Vec::new()) };
}

/// The number of blocks that are allocated.
pub(crate) fn blocks() -> usize {
    BLOCKS.with_borrow(BTreeMap::len)
}

/// The pool types and tags of what is allocated are checked when it is freed.
fn allocate(size: usize, align: usize, tag: u32) -> PVOID {
    if ALLOWED.get() == 0 {
        return core::ptr::null_mut();
    }
    ALLOWED.set(ALLOWED.get() - 1);
    let layout = Layout::from_size_align(size, align).unwrap();
    // SAFETY: sizes are not zero; checked by the assertion.
    assert!(size != 0, "an allocation of no bytes");
    // SAFETY: not zero-sized.
    let block = unsafe { alloc(layout) };
    // SAFETY: a new block of that size. Filled, so that nobody counts on zeros.
    unsafe { core::ptr::write_bytes(block, 0xa5, size) };
    BLOCKS.with_borrow_mut(|blocks| blocks.insert(block.addr(), (layout, tag)));
    block.cast()
}

#[unsafe(no_mangle)]
extern "win64" fn ExAllocatePoolWithTag(pool: POOL_TYPE, size: usize, tag: u32) -> PVOID {
    match pool {
        NON_PAGED_NX => allocate(size, 16, tag),
        CACHE_ALIGNED_NX => allocate(size, 64, tag),
        _ => panic!("pool type {pool:#x}"),
    }
}

const NON_PAGED_NX: POOL_TYPE = NonPagedPoolNx;
const CACHE_ALIGNED_NX: POOL_TYPE = NonPagedPoolNxCacheAligned;

#[unsafe(no_mangle)]
extern "win64" fn ExFreePoolWithTag(block: PVOID, tag: u32) {
    let found = BLOCKS.with_borrow_mut(|blocks| blocks.remove(&block.addr()));
    let (layout, allocated) = found.expect("freeing what is not allocated");
    assert!(tag == 0 || tag == allocated, "freeing with another tag");
    // SAFETY: allocated with this layout, and forgotten above.
    unsafe { dealloc(block.cast(), layout) };
}

#[unsafe(no_mangle)]
extern "win64" fn KeAcquireSpinLockRaiseToDpc(lock: *mut KSPIN_LOCK) -> KIRQL {
    // SAFETY: a lock of this thread's test.
    let word = unsafe { &mut *lock };
    assert_eq!(*word, 0, "taking a lock that is held");
    *word = 1;
    PASSIVE_LEVEL
}

#[unsafe(no_mangle)]
extern "win64" fn KeReleaseSpinLock(lock: *mut KSPIN_LOCK, level: KIRQL) {
    // SAFETY: a lock of this thread's test.
    let word = unsafe { &mut *lock };
    assert_eq!(
        (*word, level),
        (1, PASSIVE_LEVEL),
        "releasing a lock that is not held"
    );
    *word = 0;
}

#[unsafe(no_mangle)]
extern "win64" fn KeReleaseSpinLockFromDpcLevel(_lock: *mut KSPIN_LOCK) {
    unreachable!("no test takes a lock at DISPATCH_LEVEL");
}

#[unsafe(no_mangle)]
extern "win64" fn IoReleaseCancelSpinLock(level: KIRQL) {
    assert_eq!(level, PASSIVE_LEVEL);
}

#[unsafe(no_mangle)]
extern "win64" fn IofCompleteRequest(irp: *mut IRP, _boost: i8) {
    // SAFETY: a request of this thread's test.
    let status = unsafe { (*irp).IoStatus };
    COMPLETED.with_borrow_mut(|done| done.push((irp.addr(), status.Status, status.Information)));
}

#[unsafe(no_mangle)]
extern "win64" fn MmMapLockedPagesSpecifyCache(
    _mdl: *mut MDL,
    _mode: KPROCESSOR_MODE,
    _cache: MEMORY_CACHING_TYPE,
    _address: PVOID,
    _bug_check: u32,
    _priority: u32,
) -> PVOID {
    // There is no room for mappings in the tests.
    core::ptr::null_mut()
}

#[unsafe(no_mangle)]
extern "win64" fn NdisAllocateCloneOidRequest(
    _source: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
    tag: u32,
    clone: *mut *mut NDIS_OID_REQUEST,
) -> NDIS_STATUS {
    let block: *mut NDIS_OID_REQUEST = allocate(size_of::<NDIS_OID_REQUEST>(), 16, tag).cast();
    if block.is_null() {
        return NDIS_STATUS_RESOURCES;
    }
    // SAFETY: the test's request.
    let copy = unsafe { request.read() };
    // SAFETY: a new block of that size.
    unsafe { block.write(copy) };
    // SAFETY: the caller's variable.
    unsafe { clone.write(block) };
    NDIS_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
extern "win64" fn NdisFreeCloneOidRequest(_source: NDIS_HANDLE, clone: *mut NDIS_OID_REQUEST) {
    ExFreePoolWithTag(clone.cast(), 0);
}

#[unsafe(no_mangle)]
extern "win64" fn NdisFOidRequest(
    _filter: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
) -> NDIS_STATUS {
    // SAFETY: a clone made above.
    let data = unsafe { &mut (*request).DATA };
    // The module below answers every query with 6 bytes.
    data.QUERY_INFORMATION.BytesWritten = 6;
    if ANSWER.get() == NDIS_STATUS_PENDING {
        BELOW.with_borrow_mut(|below| below.push(request));
    }
    ANSWER.get()
}

#[unsafe(no_mangle)]
extern "win64" fn NdisFDirectOidRequest(
    filter: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
) -> NDIS_STATUS {
    NdisFOidRequest(filter, request)
}

#[unsafe(no_mangle)]
extern "win64" fn NdisFOidRequestComplete(
    _filter: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
    status: NDIS_STATUS,
) {
    ANSWERED.with_borrow_mut(|answered| answered.push((request.addr(), status)));
}

#[unsafe(no_mangle)]
extern "win64" fn NdisFDirectOidRequestComplete(
    filter: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
    status: NDIS_STATUS,
) {
    NdisFOidRequestComplete(filter, request, status);
}

macro_rules! unreached {
    ($($name:ident)*) => { $(
        #[unsafe(no_mangle)]
        extern "win64" fn $name() {
            unreachable!(stringify!($name));
        }
    )* };
}
// Linked because a drop or a branch that no test takes refers to them.
unreached! {
    KeSetEvent KeInitializeEvent KeWaitForSingleObject
    NdisFSetAttributes NdisSetOptionalHandlers NdisFSendNetBufferLists NdisFSendNetBufferListsComplete
    NdisFCancelSendNetBufferLists NdisFIndicateReceiveNetBufferLists NdisFReturnNetBufferLists
    NdisFCancelOidRequest NdisFCancelDirectOidRequest NdisFIndicateStatus NdisFNetPnPEvent
    NdisFDevicePnPEventNotify
}
