//! Every rule that is checked.

macro_rules! rules {
    ($( $variant:ident = $code:literal $name:literal, $id:literal, $sentence:literal; )*) => {
        /// A kernel rule that a driver can break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $( #[doc = $sentence] $variant, )*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Rule] = &[$(Rule::$variant),*];

            /// The stop code that Windows, or its Driver Verifier, would show.
            pub fn stop_code(self) -> u32 {
                match self { $(Rule::$variant => $code),* }
            }

            /// The stop code's symbolic name.
            pub fn stop_name(self) -> &'static str {
                match self { $(Rule::$variant => $name),* }
            }

            /// A short stable name of the rule itself.
            pub fn id(self) -> &'static str {
                match self { $(Rule::$variant => $id),* }
            }

            /// The rule in one sentence.
            pub fn sentence(self) -> &'static str {
                match self { $(Rule::$variant => $sentence),* }
            }
        }
    };
}

rules! {
    // The simulator itself.
    Simulator = 0x0000_0000 "NT_SIM_INTERNAL_ERROR", "simulator",
        "The simulated kernel itself failed; this is a defect of nt-sim, not of the driver.";
    UnimplementedImport = 0x0000_0000 "NT_SIM_UNIMPLEMENTED_IMPORT", "unimplemented-import",
        "The driver called a function that this simulated kernel does not have.";
    Deadlock = 0x0000_0133 "DPC_WATCHDOG_VIOLATION", "deadlock",
        "Some thread must always be able to go on.";
    DriverBugCheck = 0x0000_00e2 "MANUALLY_INITIATED_CRASH", "driver-bugcheck",
        "The driver stopped the system itself (KeBugCheckEx).";
    // IRQL.
    IrqlTooHigh = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "irql-too-high",
        "A function must not be called above the IRQL that its reference page allows.";
    IrqlTooLow = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "irql-too-low",
        "Functions that only work at DISPATCH_LEVEL must be called there.";
    IrqlRaiseLowers = 0x0000_0009 "IRQL_NOT_GREATER_OR_EQUAL", "irql-raise-lowers",
        "KeRaiseIrql must not be given a level below the current one.";
    IrqlLowerRaises = 0x0000_000a "IRQL_NOT_LESS_OR_EQUAL", "irql-lower-raises",
        "KeLowerIrql must not be given a level above the current one.";
    IrqlNotRestored = 0x0000_00c8 "IRQL_UNEXPECTED_VALUE", "irql-not-restored",
        "A callback must return at the IRQL at which it was called.";
    WaitAtDispatch = 0x0000_00b8 "ATTEMPTED_SWITCH_FROM_DPC", "wait-at-dispatch",
        "A thread must not wait at DISPATCH_LEVEL unless its time-out is zero.";
    // Spin locks.
    SpinLockHeld = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "spin-lock-held",
        "A spin lock must be released before IRQL is lowered, a callback returns or a thread waits.";
    SpinLockRecursive = 0x0000_000f "SPIN_LOCK_ALREADY_OWNED", "spin-lock-recursive",
        "A thread must not acquire a spin lock that it holds.";
    SpinLockNotOwned = 0x0000_0010 "SPIN_LOCK_NOT_OWNED", "spin-lock-not-owned",
        "Only a held spin lock can be released.";
    // Dispatcher objects.
    ObjectNotInitialized = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "object-not-initialized",
        "A kernel object must be initialised before it is used.";
    MutexNotOwned = 0x0000_0092 "UP_DRIVER_ON_MP_SYSTEM", "mutex-not-owned",
        "A mutex can only be released by the thread that owns it.";
    ActiveObjectFreed = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "active-object-freed",
        "Memory must not be freed while it holds an active timer, DPC, work item, lock or event.";
    PendingAtUnload = 0x0000_00ce "DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS", "pending-at-unload",
        "Timers, DPCs, work items and threads must have ended when a driver unloads.";
    CriticalRegionUnbalanced = 0x0000_0020 "KERNEL_APC_PENDING_DURING_EXIT", "critical-region-unbalanced",
        "Every critical region that is entered must be left before control returns to the system.";
    // Pool.
    PoolDoubleFree = 0x0000_00c2 "BAD_POOL_CALLER", "pool-double-free",
        "A pool block must be freed once.";
    PoolFreeNotPool = 0x0000_00c2 "BAD_POOL_CALLER", "pool-free-not-pool",
        "Only the address that a pool allocation returned can be freed.";
    PoolWrongTag = 0x0000_00c2 "BAD_POOL_CALLER", "pool-wrong-tag",
        "A pool block must be freed with the tag it was allocated with.";
    PoolOverrun = 0x0000_00c1 "SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION", "pool-overrun",
        "A driver must not write behind the end of a pool block.";
    PoolUnderrun = 0x0000_00c1 "SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION", "pool-underrun",
        "A driver must not write in front of a pool block.";
    PoolWriteAfterFree = 0x0000_00c1 "SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION", "pool-write-after-free",
        "A driver must not write to a pool block that it has freed.";
    PoolUseAfterFree = 0x0000_00cc "PAGE_FAULT_IN_FREED_SPECIAL_POOL", "pool-use-after-free",
        "A driver must not touch a pool block that it has freed.";
    PoolBeyondEnd = 0x0000_00cd "PAGE_FAULT_BEYOND_END_OF_ALLOCATION", "pool-beyond-end",
        "A driver must not touch memory behind the end of a pool block.";
    PoolBadRequest = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "pool-bad-request",
        "A pool allocation must name one pool and only flags that exist.";
    PoolZeroBytes = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "pool-zero-bytes",
        "A pool allocation must not be of zero bytes.";
    PoolPagedIrql = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "pool-paged-irql",
        "Paged pool must be allocated and freed below DISPATCH_LEVEL.";
    PoolLeak = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "pool-leak",
        "A driver must free all its pool blocks before it unloads.";
    LookasideMisuse = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "lookaside-misuse",
        "A lookaside list must be initialised once, aligned, used as initialised, and deleted once.";
    SListMisuse = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "slist-misuse",
        "The head and the entries of an interlocked list must be aligned to 16 bytes.";
    // Addresses.
    InvalidAddress = 0x0000_0050 "PAGE_FAULT_IN_NONPAGED_AREA", "invalid-address",
        "A driver must only touch memory that is there.";
    UserNotProbed = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "user-not-probed",
        "User memory must be probed in the same system call before it is touched.";
    UserWrongProcess = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "user-wrong-process",
        "User memory can only be touched in the context of its process.";
    UserAtDispatch = 0x0000_000a "IRQL_NOT_LESS_OR_EQUAL", "user-at-dispatch",
        "User memory must not be touched at DISPATCH_LEVEL or above.";
    // MDLs.
    MdlFreedLocked = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "mdl-freed-locked",
        "An MDL must not be freed while its pages are locked.";
    MdlFreedMapped = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "mdl-freed-mapped",
        "An MDL must not be freed while it is mapped.";
    MdlLockedTwice = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "mdl-locked-twice",
        "The pages of an MDL must not be locked while they are.";
    MdlNotLocked = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "mdl-not-locked",
        "Only pages that MmProbeAndLockPages locked can be unlocked, and once.";
    MdlMappedTwice = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "mdl-mapped-twice",
        "An MDL must not be mapped, or built again, while it is mapped.";
    MdlNotMapped = 0x0000_00da "SYSTEM_PTE_MISUSE", "mdl-not-mapped",
        "A mapping must be undone once, by the address and the MDL it was made with.";
    MdlPagesNotLocked = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "mdl-pages-not-locked",
        "Only an MDL of locked or non-paged pages can be mapped.";
    MdlUserMappingLeft = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "mdl-user-mapping-left",
        "An MDL's mapping into a process must be undone before the MDL is unlocked or freed and before the process ends.";
    MdlWrongProcess = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "mdl-wrong-process",
        "User buffers are locked, and user mappings made and undone, in the context of their process.";
    MdlMalformed = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "mdl-malformed",
        "An MDL must describe what the function it is given to works on.";
    MdlReservedMapping = 0x0000_00da "SYSTEM_PTE_MISUSE", "mdl-reserved-mapping",
        "Reserved addresses are used with their tag, for one MDL at a time, and freed when none is mapped.";
    MdlBadAddress = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "mdl-bad-address",
        "An MDL, or the memory it describes, must be what the function works on.";
    MdlLeak = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "mdl-leak",
        "MDLs, locks, mappings and pages must be given back before the driver unloads.";
    MappingFailed = 0x0000_003f "NO_MORE_SYSTEM_PTES", "mapping-failed",
        "A mapping that must not fail failed: ask for it without BugCheckOnFailure.";
    ProcessHasLockedPages = 0x0000_0076 "PROCESS_HAS_LOCKED_PAGES", "process-has-locked-pages",
        "All pages of a process must be unlocked when it ends.";
    LeakAtUnload = 0x0000_00ce "DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS", "leak-at-unload",
        "A driver gives everything back before it has unloaded.";
    // NDIS.
    NdisBadHandle = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "ndis-bad-handle",
        "An NDIS function must be given a handle of the kind it asks for.";
    NdisStaleHandle = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "ndis-stale-handle",
        "An NDIS handle must not be used after its object was freed, detached or deregistered.";
    NdisBadStructure = 0x0000_007c "BUGCODE_NDIS_DRIVER", "ndis-bad-structure",
        "A structure given to NDIS must have the type, revision, size and handlers that its reference page asks for.";
    NdisWrongState = 0x0000_007c "BUGCODE_NDIS_DRIVER", "ndis-wrong-state",
        "Pause, restart, attach and their completions must come in the state that they belong to.";
    NdisDispatchFlag = 0x0000_007c "BUGCODE_NDIS_DRIVER", "ndis-dispatch-flag",
        "The DISPATCH_LEVEL flag of a send, receive, return or completion must only be set at DISPATCH_LEVEL.";
    NdisPausedTraffic = 0x0000_007c "BUGCODE_NDIS_DRIVER", "ndis-paused-traffic",
        "Nothing may be sent or indicated by a paused filter module or miniport.";
    NblNotInFlight = 0x0000_007c "BUGCODE_NDIS_DRIVER", "nbl-not-in-flight",
        "A NET_BUFFER_LIST must be completed or returned exactly once.";
    NblNotOwned = 0x0000_007c "BUGCODE_NDIS_DRIVER", "nbl-not-owned",
        "Only the current owner of a NET_BUFFER_LIST may pass it on, complete or return it.";
    NblInFlightTwice = 0x0000_007c "BUGCODE_NDIS_DRIVER", "nbl-in-flight-twice",
        "A NET_BUFFER_LIST must not be sent or indicated again before it came back.";
    NblChanged = 0x0000_007c "BUGCODE_NDIS_DRIVER", "nbl-changed",
        "A NET_BUFFER_LIST must not be changed by a driver that does not own it at the time.";
    NblLeaked = 0x0000_007c "BUGCODE_NDIS_DRIVER", "nbl-leaked",
        "Every NET_BUFFER_LIST must be freed before its pool's owner is detached or deregistered.";
    NblPausedOutstanding = 0x0000_007c "BUGCODE_NDIS_DRIVER", "nbl-outstanding-at-pause",
        "A filter must not complete a pause while it holds, or waits for, NET_BUFFER_LISTs.";
    NblResourcesKept = 0x0000_007c "BUGCODE_NDIS_DRIVER", "nbl-resources-kept",
        "NET_BUFFER_LISTs indicated with the RESOURCES flag belong to the miniport again when the receive handler returns, linked as they were.";
    NblResourcesReturned = 0x0000_007c "BUGCODE_NDIS_DRIVER", "nbl-resources-returned",
        "NET_BUFFER_LISTs indicated with the RESOURCES flag must not be returned.";
    NblBadNetBuffer = 0x0000_007c "BUGCODE_NDIS_DRIVER", "net-buffer-bad",
        "A NET_BUFFER's current MDL, offset and length must describe bytes that its MDL chain has.";
    NblCount = 0x0000_007c "BUGCODE_NDIS_DRIVER", "nbl-count",
        "The number of NET_BUFFER_LISTs indicated must be the length of the chain.";
    NblFreedInFlight = 0x0000_007c "BUGCODE_NDIS_DRIVER", "nbl-freed-in-flight",
        "A NET_BUFFER_LIST must not be freed while it is sent or indicated.";
    NblDoubleFree = 0x0000_007c "BUGCODE_NDIS_DRIVER", "nbl-double-free",
        "A NET_BUFFER_LIST or NET_BUFFER must be freed once, to the pool it came from.";
    NblPoolInUse = 0x0000_007c "BUGCODE_NDIS_DRIVER", "nbl-pool-in-use",
        "A NET_BUFFER_LIST or NET_BUFFER pool must not be freed before everything allocated from it.";
    NblHandlerMissing = 0x0000_007c "BUGCODE_NDIS_DRIVER", "nbl-handler-missing",
        "A filter that sends must have a send-complete handler, one that indicates receives a return handler.";
    NdisCallbackIrql = 0x0000_00c8 "IRQL_UNEXPECTED_VALUE", "ndis-callback-irql",
        "An NDIS callback must return at the IRQL at which it was called.";
    NdisCallbackLock = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "ndis-callback-lock",
        "An NDIS callback must not return with a spin lock or reader-writer lock held that it acquired.";
    OidNotPending = 0x0000_007c "BUGCODE_NDIS_DRIVER", "oid-not-pending",
        "An OID request must be completed exactly once, by the driver that holds it.";
    OidCloneLeaked = 0x0000_007c "BUGCODE_NDIS_DRIVER", "oid-clone-leaked",
        "Every cloned OID request must be freed before its filter module or binding goes away.";
    NdisObjectLeaked = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "ndis-object-leaked",
        "Pools, locks, timers, work items and other NDIS objects must be freed before their owner is detached or deregistered.";
    NdisPendingAtDetach = 0x0000_00ce "DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS", "ndis-pending-at-detach",
        "NDIS timers must be cancelled, and work items must have run, before their owner is detached or deregistered.";
    NdisPort = 0x0000_007c "BUGCODE_NDIS_DRIVER", "ndis-port",
        "A port is allocated, activated, used, deactivated and freed, in this order.";
    NdisLeftRegistered = 0x0000_007c "BUGCODE_NDIS_DRIVER", "ndis-left-registered",
        "A driver must deregister from NDIS before it unloads.";
    NdisHang = 0x0000_0133 "DPC_WATCHDOG_VIOLATION", "ndis-hang",
        "A pause, an OID request and a halt must complete in finite time.";
    // Exceptions.
    UnhandledException = 0x0000_001e "KMODE_EXCEPTION_NOT_HANDLED", "unhandled-exception",
        "Every exception that a driver causes must be handled by it.";
    // Objects and handles.
    BadObject = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "bad-object",
        "Pointers to objects must be to objects that are alive and of the right kind.";
    BadHandle = 0x0000_0093 "INVALID_KERNEL_HANDLE", "bad-handle",
        "A system handle must be open when it is used, and is closed once.";
    ReferenceUnderflow = 0x0000_0018 "REFERENCE_BY_POINTER", "reference-underflow",
        "An object must not be dereferenced more often than it was referenced.";
    // Requests.
    IrpInvalid = 0x0000_00c9 "DRIVER_VERIFIER_IOMANAGER_VIOLATION", "irp-invalid",
        "Only live request packets may be passed to the I/O manager, and only by who owns them.";
    IrpCompletedTwice = 0x0000_0044 "MULTIPLE_IRP_COMPLETE_REQUESTS", "irp-completed-twice",
        "A request must be completed once.";
    IrpCompletedPending = 0x0000_00c9 "DRIVER_VERIFIER_IOMANAGER_VIOLATION", "irp-completed-pending",
        "A request must not be completed with STATUS_PENDING.";
    IrpCancelRoutineSet = 0x0000_00c9 "DRIVER_VERIFIER_IOMANAGER_VIOLATION", "irp-cancel-routine-set",
        "A request's cancel routine must be taken back before the request is completed.";
    IrpNoStackLocation = 0x0000_0035 "NO_MORE_IRP_STACK_LOCATIONS", "irp-no-stack-location",
        "A request must not be passed to more drivers than it has stack locations.";
    IrpPendingNotMarked = 0x0000_00c9 "DRIVER_VERIFIER_IOMANAGER_VIOLATION", "irp-pending-not-marked",
        "A dispatch routine that returns STATUS_PENDING must have marked the request pending.";
    IrpPendingNotReturned = 0x0000_00c9 "DRIVER_VERIFIER_IOMANAGER_VIOLATION", "irp-pending-not-returned",
        "A dispatch routine that marks a request pending must return STATUS_PENDING.";
    IrpNotCompleted = 0x0000_00c9 "DRIVER_VERIFIER_IOMANAGER_VIOLATION", "irp-not-completed",
        "A dispatch routine must complete the request, pass it on, or return STATUS_PENDING.";
    IrpInformation = 0x0000_00c9 "DRIVER_VERIFIER_IOMANAGER_VIOLATION", "irp-information",
        "A request must not be completed with more bytes to copy back than its caller has room for.";
    WorkItemMisused = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "work-item-misused",
        "A work item must be initialised, queued once at a time, and freed when it is not queued.";
    PushLockMisused = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "push-lock-misused",
        "Push locks and fast mutexes are taken inside a critical region, not twice, and released by their owner.";
    ResourceMisused = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "resource-misused",
        "An executive resource is initialised once, taken inside a critical region, released by its owner and deleted when free.";
    RundownMisused = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "rundown-misused",
        "Rundown protection is released as often as acquired, and reused or freed only after run-down.";
    NmrMisused = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "nmr-misused",
        "Network modules attach, detach and deregister in order, each once.";
    StackCorrupted = 0x0000_00f7 "DRIVER_OVERRAN_STACK_BUFFER", "stack-corrupted",
        "The stack and the unwind information must allow every frame to be unwound.";
    BadUnwindTarget = 0x0000_001e "KMODE_EXCEPTION_NOT_HANDLED", "bad-unwind-target",
        "An unwind must go to a frame that is on the driver's stack.";
    BadDisposition = 0x0000_001e "KMODE_EXCEPTION_NOT_HANDLED", "bad-disposition",
        "A language handler must say whether to go on or to search on.";
    PageFaultAtDispatch = 0x0000_00d1 "DRIVER_IRQL_NOT_LESS_OR_EQUAL", "page-fault-at-dispatch",
        "At DISPATCH_LEVEL and above, only memory that is certain to be there may be touched.";
    FastFail = 0x0000_0139 "KERNEL_SECURITY_CHECK_FAILURE", "fast-fail",
        "A driver's own checks must not find its state damaged.";
    PrivilegedInstruction = 0x0000_001e "KMODE_EXCEPTION_NOT_HANDLED", "privileged-instruction",
        "A driver must leave the processor's own state and I/O ports to the kernel's functions.";
    StackOverflow = 0x0000_007f "UNEXPECTED_KERNEL_MODE_TRAP", "stack-overflow",
        "All frames of a thread must fit its kernel stack of 24 KiB.";
    UnloadedDriver = 0x0000_00ce "DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS", "unloaded-driver",
        "Nothing may use a driver's code or data after they have been freed.";
    ExecuteData = 0x0000_00fc "ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY", "execute-data",
        "Only code may be executed.";
    WriteReadOnly = 0x0000_00be "ATTEMPTED_WRITE_TO_READONLY_MEMORY", "write-read-only",
        "Code and constants must not be written.";
    BadPointerArgument = 0x0000_0050 "PAGE_FAULT_IN_NONPAGED_AREA", "bad-pointer-argument",
        "Pointers that are passed to the kernel must point at memory.";
    MisalignedArgument = 0x0000_00c4 "DRIVER_VERIFIER_DETECTED_VIOLATION", "misaligned-argument",
        "Pointers that are passed to the kernel must be aligned as what they point at must be.";
}
