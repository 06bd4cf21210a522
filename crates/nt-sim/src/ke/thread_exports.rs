//! What a thread can do to itself: sleep, move, enter regions.

use nt::sys::GROUP_AFFINITY;

use super::dispatcher;
use crate::{exports, irql, kernel::kernel, sched, verifier::Rule};

fn mask_of_all() -> u64 {
    u64::MAX >> (64 - kernel().config.cpus)
}

/// An object that is never signaled: what a sleep waits for.
fn never() -> usize {
    #[repr(align(8))]
    struct Never([u8; 24]);
    static NEVER: Never = Never([0; 24]);
    NEVER.0.as_ptr() as usize
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Sleeps.
    #[irql(APC)]
    fn KeDelayExecutionThread(mode: i8, alertable: u8, interval: *const i64) -> i32 {
        let _ = alertable;
        // SAFETY: the caller passes an interval.
        let interval = unsafe { interval.read() };
        if interval == 0 {
            sched::yield_point();
            return 0;
        }
        match dispatcher::wait_in(mode != 0, &[never()], false, Some(interval)) {
            dispatcher::STATUS_TIMEOUT => 0,
            status => status,
        }
    }

    /// The calling thread.
    #[irql(ANY)]
    fn KeGetCurrentThread() -> *mut u8 {
        sched::current().kthread()
    }

    /// Sets a thread's priority; returns the old one. Priorities do not change who runs here.
    #[irql(DISPATCH)]
    fn KeSetPriorityThread(thread: *mut u8, priority: i32) -> i32 {
        let current = sched::current();
        if thread == current.kthread() {
            current.priority.replace(priority)
        } else {
            8
        }
    }

    /// Moves the calling thread to a set of processors.
    #[irql(APC)]
    fn KeSetSystemGroupAffinityThread(affinity: *const GROUP_AFFINITY, previous: *mut GROUP_AFFINITY) {
        // SAFETY: the caller passes a group affinity.
        let wanted = unsafe { (*affinity).Mask } as u64;
        let allowed = wanted & mask_of_all();
        let thread = sched::current();
        let old = if allowed == 0 { 0 } else { thread.set_affinity(allowed) };
        if !previous.is_null() {
            // SAFETY: the caller gives memory for a group affinity.
            unsafe { previous.write(GROUP_AFFINITY { Mask: old as usize, Group: 0, Reserved: [0; 3] }) };
        }
    }

    /// Undoes KeSetSystemGroupAffinityThread.
    #[irql(APC)]
    fn KeRevertToUserGroupAffinityThread(previous: *const GROUP_AFFINITY) {
        // SAFETY: the caller passes what the set function filled in.
        let old = unsafe { (*previous).Mask } as u64;
        let mask = if old == 0 { mask_of_all() } else { old & mask_of_all() };
        sched::current().set_affinity(mask);
    }

    /// Moves the calling thread to a set of processors; returns the old set.
    #[irql(APC)]
    fn KeSetSystemAffinityThreadEx(affinity: u64) -> u64 {
        let allowed = affinity & mask_of_all();
        if allowed == 0 { 0 } else { sched::current().set_affinity(allowed) }
    }

    /// Undoes KeSetSystemAffinityThreadEx.
    #[irql(APC)]
    fn KeRevertToUserAffinityThreadEx(affinity: u64) {
        let mask = if affinity == 0 { mask_of_all() } else { affinity & mask_of_all() };
        sched::current().set_affinity(mask);
    }

    /// Keeps normal kernel APCs away.
    #[irql(APC)]
    fn KeEnterCriticalRegion() {
        let depth = &sched::current().apc_disable;
        depth.set(depth.get() + 1);
    }

    /// Undoes KeEnterCriticalRegion.
    #[irql(APC)]
    fn KeLeaveCriticalRegion() {
        let depth = &sched::current().apc_disable;
        if depth.get() == 0 {
            crate::bugcheck!(Rule::CriticalRegionUnbalanced;
                "KeLeaveCriticalRegion without KeEnterCriticalRegion");
        }
        depth.set(depth.get() - 1);
    }

    /// Keeps all APCs away.
    #[irql(APC)]
    fn KeEnterGuardedRegion() {
        let depth = &sched::current().guarded;
        depth.set(depth.get() + 1);
    }

    /// Undoes KeEnterGuardedRegion.
    #[irql(APC)]
    fn KeLeaveGuardedRegion() {
        let depth = &sched::current().guarded;
        if depth.get() == 0 {
            crate::bugcheck!(Rule::CriticalRegionUnbalanced;
                "KeLeaveGuardedRegion without KeEnterGuardedRegion");
        }
        depth.set(depth.get() - 1);
    }

    /// Whether normal kernel APCs are kept away.
    #[irql(DISPATCH)]
    fn KeAreApcsDisabled() -> u8 {
        let thread = sched::current();
        u8::from(thread.apc_disable.get() > 0 || thread.guarded.get() > 0)
    }

    /// Whether all APCs are kept away.
    #[irql(DISPATCH)]
    fn KeAreAllApcsDisabled() -> u8 {
        let thread = sched::current();
        u8::from(thread.guarded.get() > 0 || thread.irql() >= irql::APC)
    }
}
