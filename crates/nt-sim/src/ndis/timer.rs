//! NDIS timers and work items, and NDIS's way to sleep and wait.

use std::{
    ffi::c_void,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::sync::Mutex;
use nt::sys::{
    NDIS_OBJECT_TYPE_TIMER_CHARACTERISTICS, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS,
    NDIS_TIMER_CHARACTERISTICS,
};

use super::{
    layer::callback,
    raw::{load, store},
    signal::Signal,
};
use crate::{clock::Key, exports, irql, kernel::kernel, verifier::Rule};

/// A timer; its address is the handle.
pub(crate) struct Timer {
    pub(crate) owner: usize,
    function: usize,
    context: usize,
    armed: Mutex<Option<Key>>,
}

impl Timer {
    pub(crate) fn is_armed(&self) -> bool {
        self.armed.lock().is_some()
    }
}

fn arm(timer: &'static Timer, due: i64, period: i64, context: usize) {
    let mut armed = timer.armed.lock();
    *armed = Some(
        kernel()
            .clock
            .at(due, Box::new(move || expire(timer, due, period, context))),
    );
}

fn expire(timer: &'static Timer, due: i64, period: i64, context: usize) {
    {
        let mut armed = timer.armed.lock();
        // Cancelled between becoming due and running?
        if armed.take().is_none() {
            return;
        }
    }
    if period > 0 {
        arm(timer, due + period, period, context);
    }
    crate::ke::dpc::queue_internal(None, move || {
        callback(
            "an NDIS timer function",
            timer.function,
            &[0, context as u64, 0, 0],
        );
    });
}

fn cancel(timer: &Timer) -> bool {
    let key = timer.armed.lock().take();
    if let Some(key) = key {
        kernel().clock.cancel(key);
    }
    key.is_some()
}

fn set(
    handle: *mut c_void,
    due: i64,
    period_ms: u32,
    context: usize,
    function: &'static str,
) -> u8 {
    let timer = kernel().ndis.timers.get(handle, function);
    let was_set = cancel(timer);
    let context = if context == 0 { timer.context } else { context };
    arm(
        timer,
        kernel().clock.due(due),
        i64::from(period_ms) * 10_000,
        context,
    );
    u8::from(was_set)
}

/// A work item; its address is the handle.
pub(crate) struct WorkItem {
    pub(crate) owner: usize,
    pub(crate) queued: AtomicBool,
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// Makes a timer.
    #[irql(DISPATCH)]
    fn NdisAllocateTimerObject(
        handle: *mut c_void, characteristics: *const NDIS_TIMER_CHARACTERISTICS, out: *mut *mut c_void,
    ) -> i32 {
        let owner = super::owner(handle);
        let c = load(characteristics);
        super::check_header(c.Header, NDIS_OBJECT_TYPE_TIMER_CHARACTERISTICS, 1, 0x18, "NDIS_TIMER_CHARACTERISTICS");
        store(out, std::ptr::null_mut());
        if super::memory::must_fail("NdisAllocateTimerObject") {
            return NDIS_STATUS_RESOURCES;
        }
        let timer = kernel().ndis.timers.insert(Timer {
            owner,
            function: c.TimerFunction.map_or(0, |f| f as usize),
            context: c.FunctionContext as usize,
            armed: Mutex::new(None),
        });
        store(out, std::ptr::from_ref(timer).cast_mut().cast());
        NDIS_STATUS_SUCCESS
    }

    /// Sets a timer; says whether it was set before.
    #[irql(DISPATCH)]
    fn NdisSetTimerObject(handle: *mut c_void, due: i64, period: u32, context: *mut c_void) -> u8 {
        set(handle, due, period, context as usize, "NdisSetTimerObject")
    }

    /// Sets a timer that may go off late; here it never does.
    #[irql(DISPATCH)]
    fn NdisSetCoalescableTimerObject(
        handle: *mut c_void, due: i64, period: u32, context: *mut c_void, tolerance: u32,
    ) -> u8 {
        let _ = tolerance;
        set(handle, due, period, context as usize, "NdisSetCoalescableTimerObject")
    }

    /// Cancels a timer; says whether it was set.
    #[irql(DISPATCH)]
    fn NdisCancelTimerObject(handle: *mut c_void) -> u8 {
        u8::from(cancel(kernel().ndis.timers.get(handle, "NdisCancelTimerObject")))
    }

    /// Frees a timer that is not set.
    #[irql(DISPATCH)]
    fn NdisFreeTimerObject(handle: *mut c_void) {
        let timer = kernel().ndis.timers.get(handle, "NdisFreeTimerObject");
        if timer.is_armed() {
            crate::bugcheck!(Rule::ActiveObjectFreed, handle; "NdisFreeTimerObject for a timer that is set");
        }
        kernel().ndis.timers.retire(timer);
    }

    /// Makes a work item.
    #[irql(DISPATCH)]
    fn NdisAllocateIoWorkItem(handle: *mut c_void) -> *mut c_void {
        let owner = super::owner(handle);
        if super::memory::must_fail("NdisAllocateIoWorkItem") {
            return std::ptr::null_mut();
        }
        let item = kernel().ndis.work_items.insert(WorkItem { owner, queued: AtomicBool::new(false) });
        std::ptr::from_ref(item).cast_mut().cast()
    }

    /// Runs a function on a system thread.
    #[irql(DISPATCH)]
    fn NdisQueueIoWorkItem(handle: *mut c_void, routine: *const (), context: *mut c_void) {
        let item = kernel().ndis.work_items.get(handle, "NdisQueueIoWorkItem");
        if item.queued.swap(true, Ordering::AcqRel) {
            crate::bugcheck!(Rule::NdisWrongState, handle;
                "NdisQueueIoWorkItem for a work item that is queued and has not run");
        }
        let (handle, routine, context) = (handle as u64, routine as usize, context as u64);
        kernel().ndis.workers.queue(move || {
            item.queued.store(false, Ordering::Release);
            callback("an NDIS work item", routine, &[context, handle]);
        });
    }

    /// Frees a work item that is not queued.
    #[irql(DISPATCH)]
    fn NdisFreeIoWorkItem(handle: *mut c_void) {
        let item = kernel().ndis.work_items.get(handle, "NdisFreeIoWorkItem");
        if item.queued.load(Ordering::Acquire) {
            crate::bugcheck!(Rule::ActiveObjectFreed, handle; "NdisFreeIoWorkItem for a work item that is queued");
        }
        kernel().ndis.work_items.retire(item);
    }

    /// Sleeps for some microseconds.
    #[irql(APC)]
    fn NdisMSleep(microseconds: u32) {
        if irql::current() < irql::DISPATCH {
            Signal::new().wait(Some(i64::from(microseconds) * 10));
        }
    }

    /// Makes an event that is not set.
    #[irql(DISPATCH)]
    fn NdisInitializeEvent(event: *mut nt::sys::NDIS_EVENT) {
        // SAFETY: the driver gives memory for an event.
        unsafe { crate::ke::object_exports::KeInitializeEvent(event.cast(), 0, 0) };
    }

    /// Sets an event.
    #[irql(DISPATCH)]
    fn NdisSetEvent(event: *mut nt::sys::NDIS_EVENT) {
        crate::ke::dispatcher::update(event as usize, |_| 1);
    }

    /// Clears an event.
    #[irql(DISPATCH)]
    fn NdisResetEvent(event: *mut nt::sys::NDIS_EVENT) {
        crate::ke::dispatcher::update(event as usize, |_| 0);
    }

    /// Waits for an event for some milliseconds (0: for ever); says whether it was set.
    #[irql(PASSIVE)]
    fn NdisWaitEvent(event: *mut nt::sys::NDIS_EVENT, milliseconds: u32) -> u8 {
        let timeout = (milliseconds != 0).then(|| -i64::from(milliseconds) * 10_000);
        u8::from(crate::ke::dispatcher::wait(&[event as usize], false, timeout) == crate::ke::dispatcher::STATUS_WAIT_0)
    }
}
