//! Virtual processors: at DISPATCH_LEVEL and above a thread owns one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Thread;
use crate::{irql, kernel::kernel};

/// A virtual processor.
pub(crate) struct Processor {
    pub(crate) number: u32,
    owned: AtomicBool,
    /// Times it was taken: tells that a processor has left DISPATCH_LEVEL since.
    pub(crate) generation: AtomicU64,
}

impl Processor {
    pub(crate) fn new(number: u32) -> Processor {
        Processor {
            number,
            owned: AtomicBool::new(false),
            generation: AtomicU64::new(0),
        }
    }

    fn try_acquire(&self) -> bool {
        !self.owned.load(Ordering::Relaxed)
            && self
                .owned
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }
}

/// Takes a processor for `thread`: the one it ran on last if that is free, or else any that its
/// affinity allows.
pub(crate) fn acquire(thread: &Thread) {
    let processors = &kernel().sched.processors;
    let last = thread.processor();
    let affinity = thread.affinity();
    if affinity & (1 << last) != 0 && processors[last as usize].try_acquire() {
        return;
    }
    let mut taken = last;
    super::spin_until(|| {
        let free = (0..processors.len())
            .map(|offset| (last as usize + offset) % processors.len())
            .find(|&n| affinity & (1 << n) != 0 && processors[n].try_acquire());
        if let Some(n) = free {
            taken = n as u32;
        }
        free.is_some()
    });
    if taken != last {
        thread.set_processor(taken);
    }
}

/// Gives the thread's processor back.
pub(crate) fn release(thread: &Thread) {
    let processor = &kernel().sched.processors[thread.processor() as usize];
    processor.generation.fetch_add(1, Ordering::Relaxed);
    processor.owned.store(false, Ordering::Release);
    // A DPC that was queued between the drain and the release found the processor busy.
    crate::ke::dpc::kick_if_pending(processor.number);
}

/// Whether `thread` owns processor `number`.
pub(crate) fn owns(thread: &Thread, number: u32) -> bool {
    thread.irql() >= irql::DISPATCH && thread.processor() == number
}
