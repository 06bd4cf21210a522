//! The rules of the kernel, and what happens when a driver breaks one.

pub(crate) mod objects;
mod report;
mod rules;

use std::{
    any::Any,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use crate::sync::Mutex;

pub use self::{report::BugCheck, rules::Rule};
use crate::{
    export::Exit,
    kernel::{kernel, try_kernel},
    sched::{self, Thread},
};

/// Stops the kernel: `bugcheck!(Rule::X, p1, p2; "details {}", x)`. Parameters (up to four) are
/// integers. Never returns; unwinds to the lab.
#[macro_export]
#[doc(hidden)]
macro_rules! bugcheck {
    ($rule:expr $(, $p:expr)*; $($details:tt)+) => {
        $crate::verifier::stop($rule, &[$($p as u64),*], format!($($details)+))
    };
}

/// The verifier's state.
#[derive(Default)]
pub(crate) struct Verifier {
    report: OnceLock<BugCheck>,
    stopped: AtomicBool,
    deepest_stack: AtomicUsize,
    pub(crate) objects: Mutex<objects::Active>,
}

impl Verifier {
    /// Whether the kernel has stopped.
    #[inline]
    pub(crate) fn crashed(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Stops the kernel without a report: the lab ends.
    pub(crate) fn shut_down(&self) {
        self.stopped.store(true, Ordering::Release);
        sched::wake_all();
    }

    /// Why it stopped.
    pub(crate) fn report(&self) -> Option<&BugCheck> {
        self.report.get()
    }

    /// Remembers how much kernel stack a thread used.
    pub(crate) fn note_stack_depth(&self, bytes: usize) {
        self.deepest_stack.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Most bytes of kernel stack that any ended thread used.
    pub(crate) fn deepest_stack(&self) -> usize {
        self.deepest_stack.load(Ordering::Relaxed)
    }

    /// As [`Verifier::deepest_stack`], running threads included.
    pub(crate) fn deepest_stack_now(&self) -> usize {
        for thread in kernel().sched.threads.lock().iter() {
            if let Some(stack) = thread.stack() {
                self.note_stack_depth(stack.high_water());
            }
        }
        self.deepest_stack()
    }

    /// Bugchecks if `thread` holds a spin lock.
    pub(crate) fn check_no_spin_lock_held(&self, thread: &Thread, doing: &str) {
        let held = thread.held_locks.borrow().last().copied();
        if let Some(lock) = held {
            crate::bugcheck!(Rule::SpinLockHeld, lock.address;
                "{doing} while the spin lock at {:#x}, taken with {}, is held",
                lock.address, lock.function);
        }
    }
}

/// Stops the kernel with a report and unwinds this thread.
#[cold]
pub(crate) fn stop(rule: Rule, parameters: &[u64], details: String) -> ! {
    let kernel = kernel();
    let mut padded = [0; 4];
    padded[..parameters.len()].copy_from_slice(parameters);
    let first = kernel
        .verifier
        .report
        .set(BugCheck::new(rule, padded, details))
        .is_ok();
    kernel.verifier.stopped.store(true, Ordering::Release);
    if first {
        sched::wake_all();
    }
    std::panic::resume_unwind(Box::new(Exit::Stopped))
}

/// A kernel thread ended by unwinding. A stopped kernel is the expected cause; anything else is a
/// defect of the simulator, and is reported as such rather than lost.
pub(crate) fn thread_died(thread: &Thread, payload: Box<dyn Any + Send>) {
    if payload.is::<Exit>() {
        return;
    }
    let words = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words");
    if let Some(kernel) = try_kernel() {
        let report = BugCheck::new(
            Rule::Simulator,
            [u64::from(thread.id), 0, 0, 0],
            format!("thread {}: {words}", thread.name),
        );
        if kernel.verifier.report.set(report).is_ok() {
            kernel.verifier.stopped.store(true, Ordering::Release);
            sched::wake_all();
        }
    }
}

/// Whether the allocation that `function` is about to make must fail: fault injection.
pub(crate) fn fault(function: &'static str) -> bool {
    let faults = &kernel().mem.faults;
    faults.is_armed() && faults.should_fail(function, &crate::mem::caller::capture())
}
