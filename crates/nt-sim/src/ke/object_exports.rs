//! Events, semaphores, mutexes and waits.

use nt::sys::{KEVENT, KMUTANT, KSEMAPHORE};

use super::dispatcher::{self, kind};
use crate::{export, exports, verifier::Rule};

fn check(object: usize, kinds: &[u8], what: &str) {
    let found = dispatcher::kind_of(object);
    if crate::kernel::strict() && !kinds.contains(&found) {
        crate::bugcheck!(Rule::ObjectNotInitialized, object, found;
            "the object at {object:#x} is used as {what}, but its type is {found}");
    }
}

const EVENTS: &[u8] = &[kind::NOTIFICATION_EVENT, kind::SYNCHRONIZATION_EVENT];

const WAITABLE: &[u8] = &[
    kind::NOTIFICATION_EVENT,
    kind::SYNCHRONIZATION_EVENT,
    kind::MUTANT,
    kind::PROCESS,
    kind::SEMAPHORE,
    kind::THREAD,
    kind::NOTIFICATION_TIMER,
    kind::SYNCHRONIZATION_TIMER,
];

fn timeout_at(timeout: *const i64) -> Option<i64> {
    // SAFETY: null or a pointer to a LARGE_INTEGER, as the wait functions ask for.
    unsafe { timeout.as_ref() }.copied()
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes an event: type 0 stays signaled, type 1 wakes one waiter.
    #[irql(ANY)]
    fn KeInitializeEvent(event: *mut KEVENT, kind: i32, signaled: u8) {
        dispatcher::initialize(event as usize, kind as u8, size_of::<KEVENT>(), i32::from(signaled != 0));
    }

    /// Signals an event; returns whether it was signaled.
    #[irql(DISPATCH)]
    fn KeSetEvent(event: *mut KEVENT, increment: i32, wait: u8) -> i32 {
        let _ = (increment, wait);
        check(event as usize, EVENTS, "an event");
        dispatcher::update(event as usize, |_| 1)
    }

    /// Takes an event's signal away; returns whether it was signaled.
    #[irql(DISPATCH)]
    fn KeResetEvent(event: *mut KEVENT) -> i32 {
        check(event as usize, EVENTS, "an event");
        dispatcher::update(event as usize, |_| 0)
    }

    /// Takes an event's signal away.
    #[irql(DISPATCH)]
    fn KeClearEvent(event: *mut KEVENT) {
        check(event as usize, EVENTS, "an event");
        dispatcher::update(event as usize, |_| 0);
    }

    /// Whether an event is signaled.
    #[irql(DISPATCH)]
    fn KeReadStateEvent(event: *mut KEVENT) -> i32 {
        check(event as usize, EVENTS, "an event");
        dispatcher::state(event as usize)
    }

    /// Makes a semaphore.
    #[irql(DISPATCH)]
    fn KeInitializeSemaphore(semaphore: *mut KSEMAPHORE, count: i32, limit: i32) {
        dispatcher::initialize(semaphore as usize, kind::SEMAPHORE, size_of::<KSEMAPHORE>(), count);
        // SAFETY: the driver gives memory for a semaphore.
        unsafe { (*semaphore).Limit = limit };
    }

    /// Adds to a semaphore's count; raises STATUS_SEMAPHORE_LIMIT_EXCEEDED above its limit.
    #[irql(DISPATCH)] #[raises]
    fn KeReleaseSemaphore(semaphore: *mut KSEMAPHORE, increment: i32, adjustment: i32, wait: u8) -> i32 {
        let _ = (increment, wait);
        check(semaphore as usize, &[kind::SEMAPHORE], "a semaphore");
        // SAFETY: an initialised semaphore (checked above).
        let limit = unsafe { (*semaphore).Limit };
        let old = dispatcher::state(semaphore as usize);
        if old.checked_add(adjustment).is_none_or(|new| new > limit) {
            export::raise(0xC000_0047);
        }
        dispatcher::update(semaphore as usize, |old| old + adjustment)
    }

    /// Current count of a semaphore.
    #[irql(ANY)]
    fn KeReadStateSemaphore(semaphore: *mut KSEMAPHORE) -> i32 {
        dispatcher::state(semaphore as usize)
    }

    /// Makes a mutex that nobody owns.
    #[irql(ANY)]
    fn KeInitializeMutex(mutex: *mut KMUTANT, level: u32) {
        let _ = level;
        dispatcher::initialize(mutex as usize, kind::MUTANT, size_of::<KMUTANT>(), 1);
        // SAFETY: the driver gives memory for a mutex.
        unsafe { (*mutex).OwnerThread = std::ptr::null_mut() };
        // SAFETY: as above.
        unsafe { (*mutex).Abandoned = 0 };
    }

    /// Releases a mutex; returns its old state.
    #[irql(DISPATCH)]
    fn KeReleaseMutex(mutex: *mut KMUTANT, wait: u8) -> i32 {
        let _ = wait;
        check(mutex as usize, &[kind::MUTANT], "a mutex");
        dispatcher::release_mutant(mutex as usize)
    }

    /// State of a mutex: 1 is free.
    #[irql(DISPATCH)]
    fn KeReadStateMutex(mutex: *mut KMUTANT) -> i32 {
        dispatcher::state(mutex as usize)
    }

    /// Waits for an object.
    #[irql(DISPATCH)]
    fn KeWaitForSingleObject(object: *mut u8, reason: i32, mode: i8, alertable: u8, timeout: *const i64) -> i32 {
        let _ = (reason, alertable);
        check(object as usize, WAITABLE, "something to wait for");
        dispatcher::wait_in(mode != 0, &[object as usize], false, timeout_at(timeout))
    }

    /// Waits for one of, or for all of, several objects.
    #[irql(DISPATCH)]
    fn KeWaitForMultipleObjects(count: u32, objects: *const *mut u8, wait_type: i32, reason: i32, mode: i8, alertable: u8, timeout: *const i64, blocks: *mut u8) -> i32 {
        let _ = (reason, alertable);
        if count == 0 || count > 64 || (count > 3 && blocks.is_null()) {
            crate::bugcheck!(Rule::DriverBugCheck, 0xCu64, count;
                "KeWaitForMultipleObjects for {count} objects: at most 3 without wait blocks, at most 64 with");
        }
        // SAFETY: the caller passes an array of `count` object pointers.
        let objects = unsafe { std::slice::from_raw_parts(objects, count as usize) };
        let objects: Vec<usize> = objects.iter().map(|&o| o as usize).collect();
        for &object in &objects {
            check(object, WAITABLE, "something to wait for");
        }
        dispatcher::wait_in(mode != 0, &objects, wait_type == 0, timeout_at(timeout))
    }
}
