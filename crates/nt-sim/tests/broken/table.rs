//! Which defect breaks which rule, and what the report must say.

use nt_sim::Rule;

use crate::{driver::Defect, kernel, memory, network, requests};

/// What there is before the driver is asked for its defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// The driver's device and nothing else.
    Device,
    /// The same, and the I/O manager copies what the driver is asked and what it answers, for which there is no room.
    NoRoom,
    /// The seeded scheduler, whose clock skips what everybody waits for.
    Seed,
    /// The allocation with this number fails.
    Failure(u64),
    /// A network card.
    Card,
    /// A network card, under the seeded scheduler.
    CardAndSeed,
    /// A network card that is paused.
    PausedCard,
    /// A network card that lends its buffers with the RESOURCES flag.
    LendingCard,
    /// A network card whose sends stay under way.
    SlowWire,
    /// A network card whose receives stay with the stack.
    SlowStack,
}

/// What happens after the driver was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    /// Three frames come from the wire.
    Receive,
    /// A frame comes, and the stack gives it back.
    ReceiveAndRelease,
    /// A frame comes, and the card is paused.
    ReceiveAndPause,
    Pause,
    /// The card is restarted and the driver is asked again.
    RestartAndAskAgain,
    /// The stack asks for an OID.
    Query,
    /// The stack asks for an OID, and the card is removed.
    QueryAndRemove,
    Remove,
    Unload,
    /// The process ends.
    Terminate,
}

/// Which driver functions the report's stack names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stack {
    /// That of the defect.
    Defect,
    /// This one.
    Function(&'static str),
    /// None: what was broken is found when the driver is not running.
    Empty,
}

/// A defect and its report.
pub(crate) struct Row {
    pub(crate) rule: Rule,
    pub(crate) stop: u32,
    pub(crate) name: &'static str,
    pub(crate) defect: Defect,
    pub(crate) words: &'static str,
    pub(crate) before: Before,
    pub(crate) then: Then,
    pub(crate) stack: Stack,
}

impl Row {
    const fn before(self, before: Before) -> Row {
        Row { before, ..self }
    }

    const fn then(self, then: Then) -> Row {
        Row { then, ..self }
    }

    const fn in_function(self, name: &'static str) -> Row {
        Row {
            stack: Stack::Function(name),
            ..self
        }
    }

    const fn in_no_function(self) -> Row {
        Row {
            stack: Stack::Empty,
            ..self
        }
    }
}

macro_rules! row {
    ($rule:ident, $stop:literal, $file:ident::$defect:ident, $words:literal) => {
        Row {
            rule: Rule::$rule,
            stop: $stop,
            name: stringify!($defect),
            defect: $file::$defect,
            words: $words,
            before: Before::Device,
            then: Then::Nothing,
            stack: Stack::Defect,
        }
    };
}

/// Every defect; a request's code is its place here.
#[rustfmt::skip]
pub(crate) static ROWS: &[Row] = &[
    // Levels, locks, waits, threads, exceptions.
    row!(Deadlock, 0x133, kernel::waits_for_nobody, "every thread waits").before(Before::Seed).in_no_function(),
    row!(DriverBugCheck, 0xe2, kernel::stops_the_system, "0xdeadbeef"),
    row!(IrqlTooHigh, 0xc4, kernel::closes_at_dispatch, "ZwClose was called at DISPATCH_LEVEL, the highest allowed is PASSIVE_LEVEL"),
    row!(IrqlTooLow, 0xc4, kernel::takes_a_raised_lock_at_passive, "KeAcquireSpinLockAtDpcLevel"),
    row!(IrqlRaiseLowers, 0x9, kernel::raises_downwards, "the level is DISPATCH_LEVEL and was to be raised to PASSIVE_LEVEL"),
    row!(IrqlLowerRaises, 0xa, kernel::lowers_upwards, "the level is PASSIVE_LEVEL and was to be lowered to DISPATCH_LEVEL"),
    row!(IrqlNotRestored, 0xc8, kernel::returns_raised, "called at PASSIVE_LEVEL and returned at DISPATCH_LEVEL").in_no_function(),
    row!(WaitAtDispatch, 0xb8, kernel::waits_at_dispatch, "at DISPATCH_LEVEL"),
    row!(SpinLockHeld, 0xc4, kernel::lowers_with_a_lock, "taken with KeAcquireSpinLockRaiseToDpc, is held"),
    row!(SpinLockRecursive, 0xf, kernel::takes_a_lock_twice, "KeAcquireSpinLockAtDpcLevel"),
    row!(SpinLockNotOwned, 0x10, kernel::releases_a_free_lock, "KeReleaseSpinLockFromDpcLevel"),
    row!(ObjectNotInitialized, 0xc4, kernel::sets_an_event_that_is_none, "is used as an event, but its type is 165"),
    row!(MutexNotOwned, 0x92, kernel::releases_a_mutex_of_nobody, "is not owned by this thread"),
    row!(ActiveObjectFreed, 0xc4, kernel::frees_a_set_timer, "timer that is in use"),
    row!(PendingAtUnload, 0xce, kernel::leaves_a_thread, "left 1 threads: driver thread").then(Then::Unload).in_no_function(),
    row!(CriticalRegionUnbalanced, 0x20, kernel::enters_a_critical_region, "left 1 critical regions open").in_no_function(),
    row!(PushLockMisused, 0xc4, kernel::takes_a_push_lock_outside_a_region, "outside a critical region"),
    row!(ResourceMisused, 0xc4, kernel::releases_a_resource_it_has_not, "does not own"),
    row!(RundownMisused, 0xc4, kernel::releases_rundown_it_has_not, "released more often than acquired"),
    row!(BadPointerArgument, 0x50, kernel::sets_an_event_near_null, "KeSetEvent was passed 0x18"),
    row!(MisalignedArgument, 0xc4, kernel::sets_an_odd_event, "KeSetEvent was passed"),
    row!(UnhandledException, 0x1e, kernel::raises_an_exception, "0xc000009a"),
    // Pool and addresses.
    row!(PoolDoubleFree, 0xc2, memory::frees_twice, "'Brkn'"),
    row!(PoolFreeNotPool, 0xc2, memory::frees_the_middle, "100 bytes"),
    row!(PoolWrongTag, 0xc2, memory::frees_with_another_tag, "'Xxxx'"),
    row!(PoolOverrun, 0xc1, memory::writes_behind, "10 bytes"),
    row!(PoolUnderrun, 0xc1, memory::writes_in_front, "10 bytes"),
    row!(PoolUseAfterFree, 0xcc, memory::uses_after_free, "read at offset 0 of freed"),
    row!(PoolBeyondEnd, 0xcd, memory::reads_behind, "behind the end of"),
    row!(PoolBadRequest, 0xc4, memory::asks_for_a_pool_that_is_none, "0x8000"),
    row!(PoolZeroBytes, 0xc4, memory::asks_for_nothing, "ExAllocatePoolWithTag"),
    row!(PoolPagedIrql, 0xc4, memory::asks_for_paged_pool_at_dispatch, "ExAllocatePoolWithTag"),
    row!(PoolLeak, 0xc4, memory::leaks_a_block, "tag 'Brkn': 1 blocks, 48 bytes").then(Then::Unload).in_no_function(),
    row!(LookasideMisuse, 0xc4, memory::deletes_a_list_that_is_none, "ExDeleteLookasideListEx"),
    row!(SListMisuse, 0xc4, memory::pushes_an_odd_entry, "is not aligned to 16 bytes"),
    row!(InvalidAddress, 0x50, memory::reads_nowhere, "0xffff900000001000"),
    row!(UserNotProbed, 0xc4, memory::reads_user_memory, "was read without having been probed"),
    row!(UserWrongProcess, 0xc4, memory::reads_user_memory_on_a_worker, "the current process is none").in_function("worker"),
    row!(UserAtDispatch, 0xa, memory::has_user_memory_compared_at_dispatch, "DISPATCH_LEVEL"),
    row!(PageFaultAtDispatch, 0xd1, memory::reads_null_at_dispatch, "a null pointer or an offset from one"),
    // MDLs.
    row!(MdlFreedLocked, 0xc4, memory::frees_a_locked_mdl, "IoFreeMdl"),
    row!(MdlFreedMapped, 0xc4, memory::frees_a_mapped_mdl, "IoFreeMdl"),
    row!(MdlLockedTwice, 0xc4, memory::locks_twice, "MmProbeAndLockPages"),
    row!(MdlNotLocked, 0xc4, memory::unlocks_what_is_not_locked, "MmUnlockPages"),
    row!(MdlMappedTwice, 0xc4, memory::maps_twice, "MmMapLockedPagesSpecifyCache"),
    row!(MdlNotMapped, 0xda, memory::unmaps_what_is_not_mapped, "MmUnmapLockedPages"),
    row!(MdlPagesNotLocked, 0xc4, memory::maps_pages_that_are_not_locked, "MmMapLockedPagesSpecifyCache"),
    row!(MdlUserMappingLeft, 0xc4, memory::frees_an_mdl_that_a_program_sees, "IoFreeMdl"),
    row!(MdlWrongProcess, 0xc4, memory::locks_on_a_worker, "MmProbeAndLockPages").in_function("locker"),
    row!(MdlMalformed, 0xc4, memory::describes_a_part_that_is_outside, "IoBuildPartialMdl"),
    row!(MdlReservedMapping, 0xda, memory::frees_reserved_addresses_with_another_tag, "MmFreeMappingAddress"),
    row!(MdlBadAddress, 0xc4, memory::describes_paged_pool_as_non_paged, "MmBuildMdlForNonPagedPool"),
    row!(MdlLeak, 0xc4, memory::leaks_an_mdl, "left 1 things of MDLs behind").then(Then::Unload).in_no_function(),
    row!(MappingFailed, 0x3f, memory::insists_on_a_mapping, "MmMapLockedPagesSpecifyCache").before(Before::Failure(3)),
    row!(MdlUserMappingLeft, 0xc4, memory::maps_and_forgets, "mapped into it").then(Then::Terminate).in_no_function(),
    row!(ProcessHasLockedPages, 0x76, memory::locks_and_forgets, "locked").then(Then::Terminate).in_no_function(),
    // Requests, objects, handles.
    row!(IrpCompletedTwice, 0x44, requests::completes_twice, "was completed already").in_function("control"),
    row!(IrpCompletedPending, 0xc9, requests::completes_pending, "was completed with STATUS_PENDING"),
    row!(IrpCancelRoutineSet, 0xc9, requests::completes_what_can_be_cancelled, "while its cancel routine is set").in_function("control"),
    row!(IrpNoStackLocation, 0x35, requests::passes_on_too_often, "stack locations are used up"),
    row!(IrpPendingNotMarked, 0xc9, requests::pends_without_marking, "without IoMarkIrpPending").in_no_function(),
    row!(IrpPendingNotReturned, 0xc9, requests::marks_and_does_not_pend, "marked the packet pending and returned 0x00000000").in_no_function(),
    row!(IrpNotCompleted, 0xc9, requests::forgets_a_request, "without completing the packet").in_no_function(),
    row!(IrpInformation, 0xc9, requests::answers_with_more_than_there_is_room_for, "4096 bytes, which are copied to a buffer of 0").before(Before::NoRoom),
    row!(IrpInvalid, 0xc9, requests::frees_a_request_of_others, "which the I/O manager made"),
    row!(WorkItemMisused, 0xc4, requests::frees_a_work_item_that_is_none, "did not come from IoAllocateWorkItem"),
    row!(BadObject, 0xc4, requests::dereferences_what_is_no_object, "which is no object"),
    row!(ReferenceUnderflow, 0x18, requests::dereferences_too_often, "more often than"),
    row!(BadHandle, 0x93, requests::closes_a_handle_twice, "was closed, but is not open"),
    row!(LeakAtUnload, 0xce, requests::leaks_a_handle, "left 1 system handles: 0x").then(Then::Unload).in_no_function(),
    row!(NmrMisused, 0xc4, requests::deregisters_a_module_that_is_none, "which is no registered Client"),
    // NDIS.
    row!(NdisBadHandle, 0xc4, network::sends_by_a_handle_that_is_none, "NdisFSendNetBufferLists").before(Before::Card),
    row!(NdisStaleHandle, 0xc4, network::frees_a_pool_twice, "NdisFreeNetBufferListPool").before(Before::Card),
    row!(NdisBadStructure, 0x7c, network::gives_a_structure_without_header, "NET_BUFFER_LIST_POOL_PARAMETERS has type 0x0").before(Before::Card),
    row!(NdisWrongState, 0x7c, network::completes_a_pause_that_is_none, "NdisFPauseComplete for").before(Before::Card),
    row!(NdisDispatchFlag, 0x7c, network::claims_dispatch_level, "PASSIVE_LEVEL").before(Before::Card),
    row!(NdisPausedTraffic, 0x7c, network::sends, "broken filter").before(Before::PausedCard),
    row!(NblNotInFlight, 0x7c, network::returns_twice, "is not in flight").before(Before::Card).then(Then::Receive).in_function("receive"),
    row!(NblNotOwned, 0x7c, network::completes_a_send_of_others, "is with").before(Before::SlowWire),
    row!(NblInFlightTwice, 0x7c, network::sends_twice, "is with").before(Before::SlowWire),
    row!(NblChanged, 0x7c, network::changes_what_the_stack_has, "was changed while").before(Before::SlowStack).then(Then::ReceiveAndRelease).in_no_function(),
    row!(NblLeaked, 0x7c, network::leaks_a_list, "'Brkn'").before(Before::Card).then(Then::Remove).in_no_function(),
    row!(NblPausedOutstanding, 0x7c, network::keeps_receives, "holds 3 NBLs of others").before(Before::Card).then(Then::ReceiveAndPause).in_no_function(),
    row!(NblResourcesKept, 0x7c, network::cuts_links, "RESOURCES").before(Before::LendingCard).then(Then::Receive).in_no_function(),
    row!(NblResourcesReturned, 0x7c, network::returns_lent_lists, "RESOURCES flag").before(Before::LendingCard).then(Then::Receive).in_function("receive"),
    row!(NblBadNetBuffer, 0x7c, network::tells_more_bytes_than_there_are, "9000").before(Before::Card).then(Then::Receive).in_function("receive"),
    row!(NblCount, 0x7c, network::counts_wrong, "4").before(Before::Card).then(Then::Receive).in_function("receive"),
    row!(NblFreedInFlight, 0x7c, network::frees_while_sent, "is freed while the miniport of eth0 has it").before(Before::SlowWire),
    row!(NblDoubleFree, 0x7c, network::frees_a_list_twice, "NdisFreeNetBufferList").before(Before::Card),
    row!(NblPoolInUse, 0x7c, network::frees_a_pool_in_use, "(tag 'Brkn') with 1 allocated from it").before(Before::Card),
    row!(NblHandlerMissing, 0x7c, network::sends_without_handler, "no handler for the NBL").before(Before::Card).then(Then::RestartAndAskAgain),
    row!(NdisCallbackIrql, 0xc8, network::returns_from_a_callback_raised, "FilterReceiveNetBufferLists").before(Before::Card).then(Then::Receive).in_no_function(),
    row!(NdisCallbackLock, 0xc4, network::returns_from_a_callback_with_a_lock, "FilterReceiveNetBufferLists").before(Before::Card).then(Then::Receive).in_no_function(),
    row!(OidNotPending, 0x7c, network::completes_a_request_and_answers, "and also returned").before(Before::Card).then(Then::Query).in_no_function(),
    row!(OidCloneLeaked, 0x7c, network::leaks_a_clone, "1 cloned OID requests").before(Before::Card).then(Then::QueryAndRemove).in_no_function(),
    row!(NdisObjectLeaked, 0xc4, network::keeps_its_pool, "a pool (tag 'Brkn'").before(Before::Card).then(Then::Remove).in_no_function(),
    row!(NdisPendingAtDetach, 0xce, network::leaves_a_timer, "1 of its timers and work items").before(Before::Card).then(Then::Remove).in_no_function(),
    row!(NdisLeftRegistered, 0x7c, network::stays_registered, "broken filter").then(Then::Unload).in_no_function(),
    row!(NdisHang, 0x133, network::never_pauses, "FilterPause of").before(Before::CardAndSeed).then(Then::Pause).in_no_function(),
];
