//! Run-down references, queued locks, SLISTs, lookaside lists and work queue items.

use crate::sys::*;

foreign! {
    pub struct EX_RUNDOWN_REF(0x8, 8) {
        0x00 Count: usize,
    }

    pub struct KLOCK_QUEUE_HANDLE(0x18, 8) {
        0x00 LockQueue: KSPIN_LOCK_QUEUE,
        0x10 OldIrql: u8,
    }

    pub struct KSPIN_LOCK_QUEUE(0x10, 8) {
        0x00 Next: *mut KSPIN_LOCK_QUEUE,
        0x08 Lock: *mut KSPIN_LOCK,
    }

    pub struct FAST_MUTEX(0x38, 8) {
        0x00 Count: i32,
        0x08 Owner: PVOID,
        0x10 Contention: u32,
        0x18 Event: KEVENT,
        0x30 OldIrql: u32,
    }

    #[repr(align(16))]
    pub struct SLIST_ENTRY(0x10, 16) {
        0x00 Next: *mut SLIST_ENTRY,
    }

    #[repr(align(16))]
    pub struct SLIST_HEADER(0x10, 16) {
        0x00 Alignment: u64,
        0x08 Region: u64,
    }

    pub struct GENERAL_LOOKASIDE_POOL(0x60, 16) {
        0x00 ListHead: SLIST_HEADER,
        0x10 Depth: u16,
        0x12 MaximumDepth: u16,
        0x14 TotalAllocates: u32,
        0x18 AllocateMisses: u32,
        0x1c TotalFrees: u32,
        0x20 FreeMisses: u32,
        0x24 Type: POOL_TYPE,
        0x28 Tag: u32,
        0x2c Size: u32,
        0x30 AllocateEx: PALLOCATE_FUNCTION_EX,
        0x38 FreeEx: PFREE_FUNCTION_EX,
        0x40 ListEntry: LIST_ENTRY,
        0x50 LastTotalAllocates: u32,
        0x54 LastAllocateMisses: u32,
        0x58 Future: [u32; 2],
    }

    pub struct LOOKASIDE_LIST_EX(0x60, 16) {
        0x00 L: GENERAL_LOOKASIDE_POOL,
    }

    pub struct WORK_QUEUE_ITEM(0x20, 8) {
        0x00 List: LIST_ENTRY,
        0x10 WorkerRoutine: PWORKER_THREAD_ROUTINE,
        0x18 Parameter: PVOID,
    }
}
