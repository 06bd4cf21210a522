//! `Ke`: IRQL, spin locks, dispatcher objects, DPCs, timers, processors, threads.

use crate::sys::*;

imports! { "ntoskrnl.exe" {
    fn KeGetCurrentIrql() -> KIRQL;
    fn KfRaiseIrql(NewIrql: KIRQL) -> KIRQL;
    fn KeLowerIrql(NewIrql: KIRQL);
    fn KeEnterCriticalRegion();
    fn KeLeaveCriticalRegion();
    fn KeEnterGuardedRegion();
    fn KeLeaveGuardedRegion();
    fn KeAreApcsDisabled() -> BOOLEAN;
    fn KeAreAllApcsDisabled() -> BOOLEAN;

    fn KeInitializeSpinLock(SpinLock: *mut KSPIN_LOCK);
    fn KeAcquireSpinLockRaiseToDpc(SpinLock: *mut KSPIN_LOCK) -> KIRQL;
    fn KeReleaseSpinLock(SpinLock: *mut KSPIN_LOCK, NewIrql: KIRQL);
    fn KeAcquireSpinLockAtDpcLevel(SpinLock: *mut KSPIN_LOCK);
    fn KeReleaseSpinLockFromDpcLevel(SpinLock: *mut KSPIN_LOCK);
    fn KeTestSpinLock(SpinLock: *mut KSPIN_LOCK) -> BOOLEAN;
    fn KeAcquireInStackQueuedSpinLock(SpinLock: *mut KSPIN_LOCK, LockHandle: *mut KLOCK_QUEUE_HANDLE);
    fn KeReleaseInStackQueuedSpinLock(LockHandle: *mut KLOCK_QUEUE_HANDLE);

    fn KeInitializeEvent(Event: *mut KEVENT, Type: EVENT_TYPE, State: BOOLEAN);
    fn KeSetEvent(Event: *mut KEVENT, Increment: KPRIORITY, Wait: BOOLEAN) -> i32;
    fn KeResetEvent(Event: *mut KEVENT) -> i32;
    fn KeClearEvent(Event: *mut KEVENT);
    fn KeReadStateEvent(Event: *mut KEVENT) -> i32;
    fn KeInitializeMutex(Mutex: *mut KMUTANT, Level: u32);
    fn KeReleaseMutex(Mutex: *mut KMUTANT, Wait: BOOLEAN) -> i32;
    fn KeInitializeSemaphore(Semaphore: *mut KSEMAPHORE, Count: i32, Limit: i32);
    fn KeReleaseSemaphore(Semaphore: *mut KSEMAPHORE, Increment: KPRIORITY, Adjustment: i32, Wait: BOOLEAN) -> i32;
    fn KeWaitForSingleObject(
        Object: PVOID,
        WaitReason: KWAIT_REASON,
        WaitMode: KPROCESSOR_MODE,
        Alertable: BOOLEAN,
        Timeout: *mut LARGE_INTEGER,
    ) -> NTSTATUS;
    fn KeWaitForMultipleObjects(
        Count: u32,
        Object: *mut PVOID,
        WaitType: WAIT_TYPE,
        WaitReason: KWAIT_REASON,
        WaitMode: KPROCESSOR_MODE,
        Alertable: BOOLEAN,
        Timeout: *mut LARGE_INTEGER,
        WaitBlockArray: *mut KWAIT_BLOCK,
    ) -> NTSTATUS;
    fn KeDelayExecutionThread(WaitMode: KPROCESSOR_MODE, Alertable: BOOLEAN, Interval: *mut LARGE_INTEGER) -> NTSTATUS;

    fn KeInitializeDpc(Dpc: *mut KDPC, DeferredRoutine: PKDEFERRED_ROUTINE, DeferredContext: PVOID);
    fn KeInsertQueueDpc(Dpc: *mut KDPC, SystemArgument1: PVOID, SystemArgument2: PVOID) -> BOOLEAN;
    fn KeRemoveQueueDpc(Dpc: *mut KDPC) -> BOOLEAN;
    fn KeRemoveQueueDpcEx(Dpc: *mut KDPC, WaitIfActive: BOOLEAN) -> BOOLEAN;
    fn KeSetImportanceDpc(Dpc: *mut KDPC, Importance: KDPC_IMPORTANCE);
    fn KeSetTargetProcessorDpcEx(Dpc: *mut KDPC, ProcNumber: *mut PROCESSOR_NUMBER) -> NTSTATUS;
    fn KeFlushQueuedDpcs();
    fn KeShouldYieldProcessor() -> u32;
    fn KeIpiGenericCall(BroadcastFunction: PKIPI_BROADCAST_WORKER, Context: usize) -> usize;

    fn KeInitializeTimer(Timer: *mut KTIMER);
    fn KeInitializeTimerEx(Timer: *mut KTIMER, Type: TIMER_TYPE);
    fn KeSetTimer(Timer: *mut KTIMER, DueTime: LARGE_INTEGER, Dpc: *mut KDPC) -> BOOLEAN;
    fn KeSetTimerEx(Timer: *mut KTIMER, DueTime: LARGE_INTEGER, Period: i32, Dpc: *mut KDPC) -> BOOLEAN;
    fn KeSetCoalescableTimer(
        Timer: *mut KTIMER,
        DueTime: LARGE_INTEGER,
        Period: u32,
        TolerableDelay: u32,
        Dpc: *mut KDPC,
    ) -> BOOLEAN;
    fn KeCancelTimer(Timer: *mut KTIMER) -> BOOLEAN;

    fn KeQueryTimeIncrement() -> u32;
    fn KeQueryUnbiasedInterruptTime() -> u64;
    fn KeQueryInterruptTimePrecise(QpcTimeStamp: *mut u64) -> u64;
    fn KeQuerySystemTimePrecise(CurrentTime: *mut LARGE_INTEGER);

    fn KeGetCurrentProcessorNumberEx(ProcNumber: *mut PROCESSOR_NUMBER) -> u32;
    fn KeGetProcessorIndexFromNumber(ProcNumber: *mut PROCESSOR_NUMBER) -> u32;
    fn KeGetProcessorNumberFromIndex(ProcIndex: u32, ProcNumber: *mut PROCESSOR_NUMBER) -> NTSTATUS;
    fn KeQueryActiveProcessorCountEx(GroupNumber: u16) -> u32;
    fn KeQueryMaximumProcessorCountEx(GroupNumber: u16) -> u32;
    fn KeQueryActiveGroupCount() -> u16;
    fn KeQueryMaximumGroupCount() -> u16;
    fn KeQueryGroupAffinity(GroupNumber: u16) -> KAFFINITY;
    fn KeGetCurrentNodeNumber() -> u16;
    fn KeQueryNodeActiveAffinity(NodeNumber: u16, Affinity: *mut GROUP_AFFINITY, Count: *mut u16);
    fn KeQueryLogicalProcessorRelationship(
        ProcessorNumber: *mut PROCESSOR_NUMBER,
        RelationshipType: LOGICAL_PROCESSOR_RELATIONSHIP,
        Information: *mut SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX,
        Length: *mut u32,
    ) -> NTSTATUS;
    fn KeRegisterProcessorChangeCallback(
        CallbackFunction: PPROCESSOR_CALLBACK_FUNCTION,
        CallbackContext: PVOID,
        Flags: u32,
    ) -> PVOID;
    fn KeDeregisterProcessorChangeCallback(CallbackHandle: PVOID);

    fn KeSetSystemGroupAffinityThread(Affinity: *mut GROUP_AFFINITY, PreviousAffinity: *mut GROUP_AFFINITY);
    fn KeRevertToUserGroupAffinityThread(PreviousAffinity: *mut GROUP_AFFINITY);
    fn KeSetSystemAffinityThreadEx(Affinity: KAFFINITY) -> KAFFINITY;
    fn KeRevertToUserAffinityThreadEx(Affinity: KAFFINITY);
    fn KeSetPriorityThread(Thread: *mut KTHREAD, Priority: KPRIORITY) -> KPRIORITY;
    fn KeStackAttachProcess(Process: *mut EPROCESS, ApcState: *mut KAPC_STATE);
    fn KeUnstackDetachProcess(ApcState: *mut KAPC_STATE);
    fn KeExpandKernelStackAndCalloutEx(
        Callout: PEXPAND_STACK_CALLOUT,
        Parameter: PVOID,
        Size: usize,
        Wait: BOOLEAN,
        Context: PVOID,
    ) -> NTSTATUS;
    fn KeBugCheck(BugCheckCode: u32);
    fn KeBugCheckEx(
        BugCheckCode: u32,
        BugCheckParameter1: usize,
        BugCheckParameter2: usize,
        BugCheckParameter3: usize,
        BugCheckParameter4: usize,
    );
} }
