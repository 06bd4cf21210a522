//! Interrupt request levels.
//!
//! Code at DISPATCH_LEVEL or above owns one virtual processor: no other thread runs at that level on
//! it. Below, threads run side by side on any processor, which allows every interleaving that
//! preemption allows.

use crate::{
    kernel::{kernel, strict},
    sched::{self, processor},
    verifier::Rule,
};

pub(crate) const PASSIVE: u8 = 0;
pub(crate) const APC: u8 = 1;
pub(crate) const DISPATCH: u8 = 2;
pub(crate) const HIGH: u8 = 15;

/// Name of a level, for reports.
pub(crate) fn name(level: u8) -> &'static str {
    match level {
        PASSIVE => "PASSIVE_LEVEL",
        APC => "APC_LEVEL",
        DISPATCH => "DISPATCH_LEVEL",
        HIGH => "HIGH_LEVEL",
        _ => "a device interrupt level",
    }
}

/// Level of this thread.
#[inline]
pub(crate) fn current() -> u8 {
    sched::current().irql()
}

/// Raises this thread's level and returns the old one.
pub(crate) fn raise(new: u8) -> u8 {
    let thread = sched::current();
    let old = thread.irql();
    if new < old {
        crate::bugcheck!(Rule::IrqlRaiseLowers, new, old;
            "the level is {} and was to be raised to {}", name(old), name(new));
    }
    if old < DISPATCH && new >= DISPATCH {
        processor::acquire(thread);
    }
    thread.set_irql(new);
    old
}

/// Lowers this thread's level, which lets the processor's queued DPCs run first.
pub(crate) fn lower(new: u8) {
    let thread = sched::current();
    let old = thread.irql();
    if new > old {
        crate::bugcheck!(Rule::IrqlLowerRaises, new, old;
            "the level is {} and was to be lowered to {}", name(old), name(new));
    }
    if old >= DISPATCH && new < DISPATCH {
        if strict() {
            kernel()
                .verifier
                .check_no_spin_lock_held(thread, "lowering IRQL");
        }
        thread.set_irql(DISPATCH);
        crate::ke::dpc::drain(thread);
        processor::release(thread);
    }
    thread.set_irql(new);
}

/// Runs `body` at DISPATCH_LEVEL.
pub(crate) fn at_dispatch<R>(body: impl FnOnce() -> R) -> R {
    struct Lower(u8);
    impl Drop for Lower {
        fn drop(&mut self) {
            if std::thread::panicking() {
                // The kernel has stopped; only give the processor back.
                let thread = sched::current();
                if thread.irql() >= DISPATCH && self.0 < DISPATCH {
                    processor::release(thread);
                }
                thread.set_irql(self.0);
            } else {
                lower(self.0);
            }
        }
    }
    let old = sched::current().irql();
    if old >= DISPATCH {
        return body();
    }
    let _lower = Lower(raise(DISPATCH));
    body()
}
