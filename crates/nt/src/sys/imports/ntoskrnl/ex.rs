//! `Ex`: pools, lookaside lists, push locks, run-down protection, timers, callbacks, worker threads.

use crate::sys::*;

imports! { "ntoskrnl.exe" {
    fn ExAllocatePoolWithTag(PoolType: POOL_TYPE, NumberOfBytes: usize, Tag: u32) -> PVOID;
    fn ExAllocatePoolWithTagPriority(
        PoolType: POOL_TYPE,
        NumberOfBytes: usize,
        Tag: u32,
        Priority: EX_POOL_PRIORITY,
    ) -> PVOID;
    fn ExFreePoolWithTag(P: PVOID, Tag: u32);
    fn ExInitializeLookasideListEx(
        Lookaside: *mut LOOKASIDE_LIST_EX,
        Allocate: PALLOCATE_FUNCTION_EX,
        Free: PFREE_FUNCTION_EX,
        PoolType: POOL_TYPE,
        Flags: u32,
        Size: usize,
        Tag: u32,
        Depth: u16,
    ) -> NTSTATUS;
    fn ExDeleteLookasideListEx(Lookaside: *mut LOOKASIDE_LIST_EX);
    fn ExAllocateFromLookasideListEx(Lookaside: *mut LOOKASIDE_LIST_EX) -> PVOID;
    fn ExFreeToLookasideListEx(Lookaside: *mut LOOKASIDE_LIST_EX, Entry: PVOID);

    fn ExInitializePushLock(PushLock: *mut EX_PUSH_LOCK);
    fn ExAcquirePushLockExclusiveEx(PushLock: *mut EX_PUSH_LOCK, Flags: u32);
    fn ExReleasePushLockExclusiveEx(PushLock: *mut EX_PUSH_LOCK, Flags: u32);
    fn ExAcquirePushLockSharedEx(PushLock: *mut EX_PUSH_LOCK, Flags: u32);
    fn ExReleasePushLockSharedEx(PushLock: *mut EX_PUSH_LOCK, Flags: u32);
    fn ExAcquireSpinLockExclusive(SpinLock: *mut EX_SPIN_LOCK) -> KIRQL;
    fn ExReleaseSpinLockExclusive(SpinLock: *mut EX_SPIN_LOCK, OldIrql: KIRQL);
    fn ExAcquireSpinLockShared(SpinLock: *mut EX_SPIN_LOCK) -> KIRQL;
    fn ExReleaseSpinLockShared(SpinLock: *mut EX_SPIN_LOCK, OldIrql: KIRQL);
    fn ExAcquireFastMutex(FastMutex: *mut FAST_MUTEX);
    fn ExReleaseFastMutex(FastMutex: *mut FAST_MUTEX);

    fn ExInitializeRundownProtection(RunRef: *mut EX_RUNDOWN_REF);
    fn ExReInitializeRundownProtection(RunRef: *mut EX_RUNDOWN_REF);
    fn ExAcquireRundownProtection(RunRef: *mut EX_RUNDOWN_REF) -> BOOLEAN;
    fn ExAcquireRundownProtectionEx(RunRef: *mut EX_RUNDOWN_REF, Count: u32) -> BOOLEAN;
    fn ExReleaseRundownProtection(RunRef: *mut EX_RUNDOWN_REF);
    fn ExReleaseRundownProtectionEx(RunRef: *mut EX_RUNDOWN_REF, Count: u32);
    fn ExWaitForRundownProtectionRelease(RunRef: *mut EX_RUNDOWN_REF);
    fn ExRundownCompleted(RunRef: *mut EX_RUNDOWN_REF);
    fn ExAllocateCacheAwareRundownProtection(PoolType: POOL_TYPE, PoolTag: u32) -> *mut EX_RUNDOWN_REF_CACHE_AWARE;
    fn ExFreeCacheAwareRundownProtection(RunRef: *mut EX_RUNDOWN_REF_CACHE_AWARE);
    fn ExReInitializeRundownProtectionCacheAware(RunRef: *mut EX_RUNDOWN_REF_CACHE_AWARE);
    fn ExAcquireRundownProtectionCacheAware(RunRef: *mut EX_RUNDOWN_REF_CACHE_AWARE) -> BOOLEAN;
    fn ExAcquireRundownProtectionCacheAwareEx(RunRef: *mut EX_RUNDOWN_REF_CACHE_AWARE, Count: u32) -> BOOLEAN;
    fn ExReleaseRundownProtectionCacheAware(RunRef: *mut EX_RUNDOWN_REF_CACHE_AWARE);
    fn ExReleaseRundownProtectionCacheAwareEx(RunRef: *mut EX_RUNDOWN_REF_CACHE_AWARE, Count: u32);
    fn ExWaitForRundownProtectionReleaseCacheAware(RunRef: *mut EX_RUNDOWN_REF_CACHE_AWARE);

    fn ExAllocateTimer(Callback: PEXT_CALLBACK, CallbackContext: PVOID, Attributes: u32) -> *mut EX_TIMER;
    fn ExSetTimer(Timer: *mut EX_TIMER, DueTime: i64, Period: i64, Parameters: *mut EXT_SET_PARAMETERS) -> BOOLEAN;
    fn ExCancelTimer(Timer: *mut EX_TIMER, Parameters: PVOID) -> BOOLEAN;
    fn ExDeleteTimer(
        Timer: *mut EX_TIMER,
        Cancel: BOOLEAN,
        Wait: BOOLEAN,
        Parameters: *mut EXT_DELETE_PARAMETERS,
    ) -> BOOLEAN;

    fn ExCreateCallback(
        CallbackObject: *mut *mut CALLBACK_OBJECT,
        ObjectAttributes: *mut OBJECT_ATTRIBUTES,
        Create: BOOLEAN,
        AllowMultipleCallbacks: BOOLEAN,
    ) -> NTSTATUS;
    fn ExRegisterCallback(
        CallbackObject: *mut CALLBACK_OBJECT,
        CallbackFunction: PCALLBACK_FUNCTION,
        CallbackContext: PVOID,
    ) -> PVOID;
    fn ExUnregisterCallback(CallbackRegistration: PVOID);
    fn ExNotifyCallback(CallbackObject: PVOID, Argument1: PVOID, Argument2: PVOID);

    fn ExQueueWorkItem(WorkItem: *mut WORK_QUEUE_ITEM, QueueType: WORK_QUEUE_TYPE);
    fn ExGetPreviousMode() -> KPROCESSOR_MODE;
    fn ExRaiseStatus(Status: NTSTATUS);
    fn ExUuidCreate(Uuid: *mut GUID) -> NTSTATUS;
    fn ExSystemTimeToLocalTime(SystemTime: *mut LARGE_INTEGER, LocalTime: *mut LARGE_INTEGER);

    fn InitializeSListHead(SListHead: *mut SLIST_HEADER);
    fn ExpInterlockedPushEntrySList(ListHead: *mut SLIST_HEADER, ListEntry: *mut SLIST_ENTRY) -> *mut SLIST_ENTRY;
    fn ExpInterlockedPopEntrySList(ListHead: *mut SLIST_HEADER) -> *mut SLIST_ENTRY;
    fn ExpInterlockedFlushSList(ListHead: *mut SLIST_HEADER) -> *mut SLIST_ENTRY;
} }
