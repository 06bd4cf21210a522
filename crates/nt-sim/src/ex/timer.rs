//! EX timers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::sync::Mutex;
use nt::sys::EXT_DELETE_PARAMETERS;

use crate::{
    clock::Key, exports, invoke, ke::dpc, kernel::kernel, mem::caller, ob::Body, sched,
    verifier::Rule,
};

/// Allocated timers.
#[derive(Default)]
pub(crate) struct Timers {
    timers: Mutex<BTreeMap<usize, Arc<Timer>>>,
}

struct Timer {
    body: Body,
    callback: usize,
    context: usize,
    set: Mutex<Option<(Key, i64)>>,
    /// Expirations whose callback has not returned.
    running: AtomicU64,
    deleted: AtomicBool,
    owner: u16,
}

/// Timers that a driver allocated and did not delete, in words.
pub(crate) fn left_by(owner: u16) -> Vec<String> {
    let timers = kernel().ex.timers.timers.lock();
    timers
        .iter()
        .filter(|(_, timer)| timer.owner == owner)
        .map(|(address, timer)| {
            let state = if timer.set.lock().is_some() {
                "set"
            } else {
                "not set"
            };
            format!("{address:#x} ({state})")
        })
        .collect()
}

fn expect(timer: usize, doing: &str) -> Arc<Timer> {
    let found = kernel().ex.timers.timers.lock().get(&timer).cloned();
    found.unwrap_or_else(
        || crate::bugcheck!(Rule::BadObject, timer; "{doing} with {timer:#x}, which is no timer"),
    )
}

fn arm(timer: &Arc<Timer>, due: i64, period: i64) {
    let shared = Arc::clone(timer);
    let mut set = timer.set.lock();
    let key = kernel()
        .clock
        .at(due, Box::new(move || expire(&shared, due, period)));
    *set = Some((key, period));
}

fn expire(timer: &Arc<Timer>, due: i64, period: i64) {
    if timer.set.lock().take().is_none() {
        return;
    }
    timer.running.fetch_add(1, Ordering::AcqRel);
    if period > 0 && !timer.deleted.load(Ordering::Acquire) {
        arm(timer, due + period, period);
    }
    let timer = Arc::clone(timer);
    dpc::queue_internal(None, move || {
        if timer.callback != 0 {
            invoke!(timer.callback, timer.body.address(), timer.context);
        }
        timer.running.fetch_sub(1, Ordering::AcqRel);
    });
}

fn cancel(timer: &Timer) -> bool {
    let taken = timer.set.lock().take();
    taken.is_some_and(|(key, _)| kernel().clock.cancel(key))
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Allocates a timer.
    #[irql(DISPATCH)]
    fn ExAllocateTimer(callback: usize, context: usize, attributes: u32) -> usize {
        let _ = attributes;
        if crate::verifier::fault("ExAllocateTimer") {
            return 0;
        }
        let body = Body::new(0x88);
        let address = body.address();
        crate::ke::dispatcher::initialize(address, crate::ke::dispatcher::kind::NOTIFICATION_TIMER, 0x40, 0);
        let timer = Timer { body, callback, context, set: Mutex::new(None), running: 0.into(), deleted: false.into(), owner: caller::owner() };
        kernel().ex.timers.timers.lock().insert(address, Arc::new(timer));
        address
    }

    /// Sets a timer; returns whether it was set before.
    #[irql(DISPATCH)]
    fn ExSetTimer(timer: usize, due: i64, period: i64, parameters: usize) -> u8 {
        let _ = parameters;
        let timer = expect(timer, "ExSetTimer");
        let was_set = cancel(&timer);
        arm(&timer, kernel().clock.due(due), period);
        u8::from(was_set)
    }

    /// Cancels a timer; returns whether it was set.
    #[irql(DISPATCH)]
    fn ExCancelTimer(timer: usize, parameters: usize) -> u8 {
        let _ = parameters;
        u8::from(cancel(&expect(timer, "ExCancelTimer")))
    }

    /// Deletes a timer, cancelling it first and waiting for its callback if asked.
    #[irql(DISPATCH)]
    fn ExDeleteTimer(timer: usize, cancel_first: u8, wait: u8, parameters: *const EXT_DELETE_PARAMETERS) -> u8 {
        let found = expect(timer, "ExDeleteTimer");
        found.deleted.store(true, Ordering::Release);
        let was_set = cancel_first != 0 && cancel(&found);
        if wait != 0 {
            if sched::current().irql() >= crate::irql::DISPATCH {
                crate::bugcheck!(Rule::IrqlTooHigh, sched::current().irql(); "ExDeleteTimer was asked to wait at DISPATCH_LEVEL");
            }
            sched::spin_until(|| found.running.load(Ordering::Acquire) == 0);
        }
        kernel().ex.timers.timers.lock().remove(&timer);
        // SAFETY: null or the caller's parameters.
        if let Some(parameters) = unsafe { parameters.as_ref() }
            && let Some(callback) = parameters.DeleteCallback
        {
            invoke!(callback, parameters.DeleteContext);
        }
        u8::from(was_set)
    }
}
