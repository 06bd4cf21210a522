//! KTIMER.

use std::collections::BTreeMap;

use crate::sync::Mutex;
use nt::sys::{KDPC, KTIMER};

use super::{
    dispatcher::{self, kind},
    dpc,
};
use crate::{
    clock::Key,
    exports,
    kernel::kernel,
    mem::caller::{self, KERNEL},
};

/// Timers that are set, by address.
#[derive(Default)]
pub(crate) struct Timers {
    set: Mutex<BTreeMap<usize, Key>>,
}

fn arm(timer: usize, due: i64, period: i64, dpc: usize, owner: u16) {
    let mut set = kernel().ke.timers.set.lock();
    let key = kernel()
        .clock
        .at(due, Box::new(move || expire(timer, due, period, dpc)));
    set.insert(timer, key);
    kernel()
        .verifier
        .objects
        .lock()
        .insert(timer, "set timer", size_of::<KTIMER>(), owner);
}

fn expire(timer: usize, due: i64, period: i64, dpc: usize) {
    // Cancelled between becoming due and running?
    if kernel().ke.timers.set.lock().remove(&timer).is_none() {
        return;
    }
    let object = kernel().verifier.objects.lock().remove(timer);
    if period > 0 {
        let owner = object.map_or(KERNEL, |object| object.owner);
        arm(timer, due + period, period, dpc, owner);
    }
    dispatcher::update(timer, |_| 1);
    if dpc != 0 {
        dpc::insert(dpc, None);
    }
}

/// Takes the timer off the clock; `false` when it was not set.
pub(crate) fn cancel(timer: usize) -> bool {
    let key = kernel().ke.timers.set.lock().remove(&timer);
    let Some(key) = key else {
        return false;
    };
    kernel().clock.cancel(key);
    kernel().verifier.objects.lock().remove(timer);
    true
}

fn set(timer: *mut KTIMER, due: i64, period_ms: u32, dpc: *mut KDPC) -> bool {
    let was_set = cancel(timer as usize);
    dispatcher::update(timer as usize, |_| 0);
    // SAFETY: the caller passes an initialised timer, which is not set.
    unsafe { (*timer).Period = period_ms };
    // SAFETY: as above.
    unsafe { (*timer).Dpc = dpc };
    let due = kernel().clock.due(due);
    arm(
        timer as usize,
        due,
        i64::from(period_ms) * 10_000,
        dpc as usize,
        caller::owner(),
    );
    was_set
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes a notification timer.
    #[irql(DISPATCH)]
    fn KeInitializeTimer(timer: *mut KTIMER) {
        init(timer, 0);
    }

    /// Makes a timer: type 0 stays signaled, type 1 wakes one waiter.
    #[irql(DISPATCH)]
    fn KeInitializeTimerEx(timer: *mut KTIMER, timer_type: i32) {
        init(timer, timer_type as u8);
    }

    /// Sets a timer; returns whether it was set before.
    #[irql(DISPATCH)]
    fn KeSetTimer(timer: *mut KTIMER, due: i64, dpc: *mut KDPC) -> u8 {
        u8::from(set(timer, due, 0, dpc))
    }

    /// Sets a timer that goes off again every `period` milliseconds (0: once).
    #[irql(DISPATCH)]
    fn KeSetTimerEx(timer: *mut KTIMER, due: i64, period: i32, dpc: *mut KDPC) -> u8 {
        u8::from(set(timer, due, period as u32, dpc))
    }

    /// Sets a timer that may go off late by up to `delay` milliseconds; here it never does.
    #[irql(DISPATCH)]
    fn KeSetCoalescableTimer(timer: *mut KTIMER, due: i64, period: u32, delay: u32, dpc: *mut KDPC) -> u8 {
        let _ = delay;
        u8::from(set(timer, due, period, dpc))
    }

    /// Cancels a timer; returns whether it was set.
    #[irql(DISPATCH)]
    fn KeCancelTimer(timer: *mut KTIMER) -> u8 {
        u8::from(cancel(timer as usize))
    }

    /// Whether a timer is signaled.
    #[irql(DISPATCH)]
    fn KeReadStateTimer(timer: *mut KTIMER) -> u8 {
        u8::from(dispatcher::state(timer as usize) != 0)
    }
}

fn init(timer: *mut KTIMER, timer_type: u8) {
    // SAFETY: the driver gives memory for a timer, all of whose fields may be zero.
    unsafe { timer.cast::<u8>().write_bytes(0, size_of::<KTIMER>()) };
    dispatcher::initialize(
        timer as usize,
        kind::NOTIFICATION_TIMER + timer_type,
        size_of::<KTIMER>(),
        0,
    );
}
