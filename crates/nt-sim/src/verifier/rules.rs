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
    DpcQueuedAtUnload = 0x0000_00ce "DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS", "pending-at-unload",
        "Timers, DPCs, work items and threads must have ended when a driver unloads.";
    CriticalRegionUnbalanced = 0x0000_0020 "KERNEL_APC_PENDING_DURING_EXIT", "critical-region-unbalanced",
        "Every critical region that is entered must be left before control returns to the system.";
    // Exceptions.
    UnhandledException = 0x0000_001e "KMODE_EXCEPTION_NOT_HANDLED", "unhandled-exception",
        "Every exception that a driver causes must be handled by it.";
}
