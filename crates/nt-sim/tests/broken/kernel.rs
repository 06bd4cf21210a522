//! Defects with levels, locks, waits, threads and exceptions.

use std::{ffi::c_void, ptr::null_mut};

use nt::sys::{imports::ntoskrnl::*, *};

use crate::driver::{Answer, Request, free, nt, object, pool};

/// Raises to DISPATCH_LEVEL.
pub(crate) fn raise() {
    nt!(KfRaiseIrql(2));
}

pub(crate) fn closes_at_dispatch(_: &Request) -> Answer {
    raise();
    nt!(ZwClose(null_mut()));
    Answer::Done
}

pub(crate) fn takes_a_raised_lock_at_passive(_: &Request) -> Answer {
    nt!(KeAcquireSpinLockAtDpcLevel(object()));
    Answer::Done
}

pub(crate) fn raises_downwards(_: &Request) -> Answer {
    raise();
    nt!(KfRaiseIrql(0));
    Answer::Done
}

pub(crate) fn lowers_upwards(_: &Request) -> Answer {
    nt!(KeLowerIrql(2));
    Answer::Done
}

pub(crate) fn returns_raised(request: &Request) -> Answer {
    crate::driver::complete(request.irp, STATUS_SUCCESS);
    raise();
    Answer::Leave(STATUS_SUCCESS)
}

fn wait(event: *mut KEVENT) {
    nt!(KeWaitForSingleObject(
        event.cast(),
        Executive,
        0,
        0,
        null_mut()
    ));
}

fn event() -> *mut KEVENT {
    let event = object();
    nt!(KeInitializeEvent(event, NotificationEvent, 0));
    event
}

pub(crate) fn waits_at_dispatch(_: &Request) -> Answer {
    let event = event();
    raise();
    wait(event);
    Answer::Done
}

pub(crate) fn waits_for_nobody(_: &Request) -> Answer {
    wait(event());
    Answer::Done
}

pub(crate) fn lowers_with_a_lock(_: &Request) -> Answer {
    nt!(KeAcquireSpinLockRaiseToDpc(object()));
    nt!(KeLowerIrql(0));
    Answer::Done
}

pub(crate) fn takes_a_lock_twice(_: &Request) -> Answer {
    let lock = object();
    nt!(KeAcquireSpinLockRaiseToDpc(lock));
    nt!(KeAcquireSpinLockAtDpcLevel(lock));
    Answer::Done
}

pub(crate) fn releases_a_free_lock(_: &Request) -> Answer {
    raise();
    nt!(KeReleaseSpinLockFromDpcLevel(object()));
    Answer::Done
}

pub(crate) fn sets_an_event_that_is_none(_: &Request) -> Answer {
    nt!(KeSetEvent(pool(size_of::<KEVENT>()).cast(), 0, 0));
    Answer::Done
}

pub(crate) fn releases_a_mutex_of_nobody(_: &Request) -> Answer {
    let mutex = object();
    nt!(KeInitializeMutex(mutex, 0));
    nt!(KeReleaseMutex(mutex, 0));
    Answer::Done
}

pub(crate) fn frees_a_set_timer(_: &Request) -> Answer {
    let timer: *mut KTIMER = object();
    nt!(KeInitializeTimer(timer));
    nt!(KeSetTimer(timer, due_in_an_hour(), null_mut()));
    free(timer.cast());
    Answer::Done
}

fn due_in_an_hour() -> LARGE_INTEGER {
    let mut due = LARGE_INTEGER::zeroed();
    due.QuadPart = -36_000_000_000;
    due
}

pub(crate) fn enters_a_critical_region(_: &Request) -> Answer {
    nt!(KeEnterCriticalRegion());
    Answer::Done
}

pub(crate) fn stops_the_system(_: &Request) -> Answer {
    nt!(KeBugCheckEx(0xdead_beef, 1, 2, 3, 4));
    Answer::Done
}

unsafe extern "win64" fn sleeper(event: *mut c_void) {
    wait(event.cast());
}

pub(crate) fn leaves_a_thread(_: &Request) -> Answer {
    let mut thread = null_mut();
    nt!(PsCreateSystemThread(
        &raw mut thread,
        0,
        null_mut(),
        null_mut(),
        null_mut(),
        Some(sleeper),
        event().cast()
    ));
    nt!(ZwClose(thread));
    Answer::Done
}

pub(crate) fn takes_a_push_lock_outside_a_region(_: &Request) -> Answer {
    nt!(ExAcquirePushLockExclusiveEx(object(), 0));
    Answer::Done
}

pub(crate) fn releases_rundown_it_has_not(_: &Request) -> Answer {
    let reference: *mut EX_RUNDOWN_REF = object();
    nt!(ExInitializeRundownProtection(reference));
    nt!(ExReleaseRundownProtection(reference));
    Answer::Done
}

/// An `ERESOURCE`, which has 13 words.
type Resource = [usize; 13];

unsafe extern "win64" {
    fn ExInitializeResourceLite(resource: *mut Resource) -> i32;
    fn ExReleaseResourceLite(resource: *mut Resource);
}

pub(crate) fn releases_a_resource_it_has_not(_: &Request) -> Answer {
    let resource: *mut Resource = object();
    nt!(ExInitializeResourceLite(resource));
    nt!(ExReleaseResourceLite(resource));
    Answer::Done
}

pub(crate) fn sets_an_event_near_null(_: &Request) -> Answer {
    nt!(KeSetEvent(0x18 as *mut KEVENT, 0, 0));
    Answer::Done
}

pub(crate) fn sets_an_odd_event(_: &Request) -> Answer {
    nt!(KeSetEvent(pool(64).wrapping_byte_add(1).cast(), 0, 0));
    Answer::Done
}

pub(crate) fn raises_an_exception(_: &Request) -> Answer {
    nt!(ExRaiseStatus(STATUS_INSUFFICIENT_RESOURCES));
    Answer::Done
}
