//! Timers.

use core::fmt;
use core::ptr::{self, NonNull};
use core::time::Duration;

use crate::irql::Dispatch;
use crate::pool::Arc;
use crate::status::{Result, Status};
use crate::sync::{relative, units};
use crate::sys::imports::ntoskrnl;
use crate::sys::{EX_TIMER, EX_TIMER_HIGH_RESOLUTION, PVOID};

/// What happens when a [`Timer`] expires.
pub trait Tick: Send + Sync + 'static {
    /// Runs at DISPATCH_LEVEL.
    fn tick(&self, dispatch: Dispatch<'_>);
}

/// A timer that can be set again and again.
#[doc(alias = "EX_TIMER")]
pub struct Timer<T: Tick> {
    timer: NonNull<EX_TIMER>,
    tick: Arc<T>,
}

// SAFETY: the kernel's timer functions may be called from anywhere.
unsafe impl<T: Tick> Send for Timer<T> {}
// SAFETY: as above.
unsafe impl<T: Tick> Sync for Timer<T> {}

impl<T: Tick> Timer<T> {
    /// Makes a timer, with the precision of the system's clock tick or better.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    pub fn new(tick: Arc<T>, high_resolution: bool) -> Result<Self> {
        let context = ptr::from_ref(&*tick).cast_mut().cast();
        let attributes = if high_resolution {
            EX_TIMER_HIGH_RESOLUTION
        } else {
            0
        };
        // SAFETY: the context is kept by `tick`.
        let timer = unsafe { ntoskrnl::ExAllocateTimer(Some(expired::<T>), context, attributes) };
        let timer = NonNull::new(timer).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        Ok(Self { timer, tick })
    }

    /// What happens when the timer expires.
    #[must_use]
    pub const fn tick(&self) -> &Arc<T> {
        &self.tick
    }

    /// Sets the timer, once or with a period; returns whether it was set already. Any level up to DISPATCH_LEVEL.
    pub fn set(&self, due: Duration, period: Option<Duration>) -> bool {
        let period = period.map_or(0, units);
        // SAFETY: the union has one member.
        let due = unsafe { relative(due).QuadPart };
        // SAFETY: allocated.
        unsafe { ntoskrnl::ExSetTimer(self.timer.as_ptr(), due, period, ptr::null_mut()) != 0 }
    }

    /// Cancels the timer; returns whether it was set. The last expiry may still be running.
    pub fn cancel(&self) -> bool {
        // SAFETY: allocated.
        unsafe { ntoskrnl::ExCancelTimer(self.timer.as_ptr(), ptr::null_mut()) != 0 }
    }
}

impl<T: Tick> Drop for Timer<T> {
    /// Cancels the timer and waits for what is running; at PASSIVE_LEVEL.
    fn drop(&mut self) {
        // SAFETY: allocated, deleted once.
        let _ = unsafe { ntoskrnl::ExDeleteTimer(self.timer.as_ptr(), 1, 1, ptr::null_mut()) };
    }
}

impl<T: Tick> fmt::Debug for Timer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timer")
    }
}

kernel_fn! {
    unsafe fn expired<T: Tick>(_timer: *mut EX_TIMER, context: PVOID) {
        // SAFETY: the value that `Timer::new` passed; the `Timer` waits for this call before it lets go of it.
        let tick = unsafe { &*context.cast::<T>().cast_const() };
        // SAFETY: timer callbacks run at DISPATCH_LEVEL.
        tick.tick(unsafe { Dispatch::assume() });
    }
}
