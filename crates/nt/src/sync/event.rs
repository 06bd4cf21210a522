//! Events.

use core::cell::UnsafeCell;
use core::fmt;
use core::ptr;
use core::time::Duration;

use crate::irql::Passive;
use crate::pool::{Box, Tag};
use crate::status::{Result, Status};
use crate::sys::imports::ntoskrnl;
use crate::sys::{
    Executive, KEVENT, KPROCESSOR_MODE, KernelMode, LARGE_INTEGER, MODE, NotificationEvent,
    SynchronizationEvent, UserMode,
};

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// The object was signalled.
    Signalled,
    /// The time was up first.
    TimedOut,
}

/// An event that threads wait for.
#[doc(alias = "KEVENT")]
pub struct Event {
    // In a block of its own: a waited-for event is linked to its waiters and must not move.
    event: Box<UnsafeCell<KEVENT>>,
}

// SAFETY: the kernel's event functions may be called from any thread.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// An event that, once set, lets everybody through until it is cleared.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    pub fn manual_reset(tag: Tag, set: bool) -> Result<Self> {
        Self::new(tag, NotificationEvent, set)
    }

    /// An event that lets one waiter through each time it is set.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    pub fn auto_reset(tag: Tag, set: bool) -> Result<Self> {
        Self::new(tag, SynchronizationEvent, set)
    }

    fn new(tag: Tag, kind: i32, set: bool) -> Result<Self> {
        let event = Box::new(tag, UnsafeCell::new(KEVENT::zeroed()))?;
        // SAFETY: room for an event that stays where it is.
        unsafe { ntoskrnl::KeInitializeEvent(event.get(), kind, set.into()) };
        Ok(Self { event })
    }

    /// Sets the event; returns whether it was set already. Any level up to DISPATCH_LEVEL.
    pub fn set(&self) -> bool {
        // SAFETY: initialised; `Wait` is false, so the call does not have to be followed by a wait.
        unsafe { ntoskrnl::KeSetEvent(self.event.get(), 0, 0) != 0 }
    }

    /// Clears the event.
    pub fn clear(&self) {
        // SAFETY: initialised.
        unsafe { ntoskrnl::KeClearEvent(self.event.get()) }
    }

    /// Whether the event is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        // SAFETY: initialised.
        unsafe { ntoskrnl::KeReadStateEvent(self.event.get()) != 0 }
    }

    /// Waits until the event is set.
    pub fn wait(&self, _passive: Passive<'_>) {
        self.wait_raw(ptr::null_mut());
    }

    /// Waits until the event is set or the time is up.
    pub fn wait_for(&self, timeout: Duration, _passive: Passive<'_>) -> Waited {
        let mut due = relative(timeout);
        if self.wait_raw(&mut due) == Status::TIMEOUT {
            Waited::TimedOut
        } else {
            Waited::Signalled
        }
    }

    /// Waits on behalf of a program: until the event is set ([`Status::SUCCESS`]), the time is up
    /// ([`Status::TIMEOUT`]), or the thread is to end or to run a user APC ([`Status::USER_APC`]).
    pub fn wait_user(&self, timeout: Option<Duration>, _passive: Passive<'_>) -> Status {
        let mut due = timeout.map(relative);
        let due = due.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
        self.wait_as(UserMode, due)
    }

    fn wait_raw(&self, timeout: *mut LARGE_INTEGER) -> Status {
        self.wait_as(KernelMode, timeout)
    }

    fn wait_as(&self, mode: MODE, timeout: *mut LARGE_INTEGER) -> Status {
        let object = self.event.get().cast();
        let mode = mode as KPROCESSOR_MODE;
        // SAFETY: initialised; the callers have proven the level. A wait in user mode may let the stack be paged out,
        // which is no harm: the event is in pool, and the time is read before.
        Status(unsafe { ntoskrnl::KeWaitForSingleObject(object, Executive, mode, 0, timeout) })
    }

    /// The event, for functions that signal it; valid until the value is dropped.
    #[must_use]
    pub fn as_ptr(&self) -> *mut KEVENT {
        self.event.get()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Event")
    }
}

/// A duration in units of 100 ns. (Not through 128 bits, whose division brings floating point into the image.)
pub(crate) fn units(duration: Duration) -> i64 {
    let seconds = duration.as_secs().saturating_mul(10_000_000);
    let units = seconds.saturating_add((duration.subsec_nanos() / 100).into());
    i64::try_from(units).unwrap_or(i64::MAX)
}

/// A duration from now, as the kernel counts it: negative, in units of 100 ns.
pub(crate) fn relative(duration: Duration) -> LARGE_INTEGER {
    let units = units(duration);
    LARGE_INTEGER { QuadPart: -units }
}
