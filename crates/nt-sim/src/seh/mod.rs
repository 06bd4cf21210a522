//! Structured exceptions.
//!
//! An exception begins as a fault ([`crate::fault`]) or as a raise from an exported function. It is
//! dispatched as on Windows: the driver's frames are walked through the unwind information of its
//! image, each frame's language handler is asked, and the frames below the one that takes it are
//! unwound with their termination handlers called. At the boundary to kernel code there is no
//! handler: the kernel stops.
//!
//! Drivers that are linked into the process have no such frames; for them [`try_frame`] plays the
//! part of the one handler that the `nt` crate writes in assembly.

mod check;
mod context;
mod dispatch;
mod epilog;
mod exports;
mod restore;
mod scope;
mod stack;
pub(crate) mod status;
#[cfg(test)]
mod tests;
mod try_frame;
mod unwind;

use self::context::{R12, R13, R14, R15, RBP, RSI, flag};
pub(crate) use self::{
    check::{Damage, check_function},
    context::{Context, ExceptionRecord, RBX, RDI, RSP},
    exports::EXPORTS,
    restore::restore,
    stack::driver_stack,
    try_frame::{catches as linked_handler_catches, way_back as linked_way_back},
};
use crate::{
    arch::{self, RaiseContext},
    bugcheck,
    export::{Exit, Raise},
    pe, sched,
    verifier::Rule,
};

/// The handlers of this thread at the time of a call into a driver. When the driver's frames are
/// abandoned, those inside the call are gone.
pub(crate) struct Handlers {
    running: *const (),
    linked: *const (),
}

impl Handlers {
    /// Those of now.
    #[inline]
    pub(crate) fn current() -> Handlers {
        Handlers {
            running: dispatch::running(),
            linked: try_frame::innermost(),
        }
    }

    /// Forgets later ones.
    pub(crate) fn restore(&self) {
        dispatch::forget_inside(self.running);
        try_frame::forget_inside(self.linked);
    }
}

/// Raises an exception into the driver code that called the running exported function, which must
/// be declared `#[raises]`. Unwinds the kernel code in between.
pub(crate) fn raise(code: u32, information: &[u64]) -> ! {
    let information = information.to_vec();
    std::panic::resume_unwind(Box::new(Exit::Raise(Raise { code, information })))
}

/// Gives an exception raised by an exported function to the driver code that called it.
pub(crate) fn dispatch_raise(raise: Raise) -> ! {
    try_frame::resume_if_active(raise.code);
    let Some(context) = caller_context() else {
        let stopped = std::panic::catch_unwind(|| {
            bugcheck!(Rule::UnhandledException, raise.code;
                "{} was raised into a caller that handles no exceptions",
                status::describe(raise.code, &raise.information))
        });
        match stopped {
            Ok(never) => never,
            Err(payload) => arch::abandon_driver(payload),
        }
    };
    let record = ExceptionRecord::new(
        raise.code,
        flag::NONCONTINUABLE,
        context.rip,
        &raise.information,
    );
    dispatch::dispatch(record, context)
}

/// Dispatches a fault that happened in driver code with the registers of `origin`.
pub(crate) fn dispatch_fault(record: ExceptionRecord, origin: Context) -> ! {
    dispatch::dispatch(record, origin)
}

/// Runs `report`, which stops the kernel, with the stack of a fault for the report.
pub(crate) fn report_at(context: &Context, report: impl FnOnce()) -> ! {
    dispatch::set_origin(context);
    report();
    unreachable!("reports do not return")
}

/// Registers of the driver code that called the running exported function, as after its return;
/// `None` unless the function is declared `#[raises]` and was called from an image.
pub(crate) fn caller_context() -> Option<Context> {
    // SAFETY: the block belongs to this thread.
    let saved = unsafe { (*sched::current().block()).raise_context };
    // SAFETY: null, or the registers saved by the stub of the function that is running.
    let registers = unsafe { saved.as_ref() }?;
    Some(context_of(registers))
}

fn context_of(registers: &RaiseContext) -> Context {
    let mut context = Context::zeroed();
    context.gpr[RBX] = registers.rbx;
    context.gpr[RBP] = registers.rbp;
    context.gpr[RSI] = registers.rsi;
    context.gpr[RDI] = registers.rdi;
    context.gpr[R12] = registers.r12;
    context.gpr[R13] = registers.r13;
    context.gpr[R14] = registers.r14;
    context.gpr[R15] = registers.r15;
    context.xmm[6..].copy_from_slice(&registers.xmm);
    context.rip = registers.rip;
    context.gpr[RSP] = &raw const registers.rip as u64 + 8;
    context
}

/// Stops the kernel because no driver frame handles an exception.
fn unhandled(record: &ExceptionRecord, origin: &Context) -> ! {
    let at = pe::describe(record.address as usize);
    let first = record.information[0];
    let second = record.information[1];
    let caller = if pe::find(record.address as usize).is_none() {
        format!(" (called from {})", pe::describe(origin.rip as usize))
    } else {
        String::new()
    };
    bugcheck!(Rule::UnhandledException, record.code, record.address, first, second;
        "{} at {at}{caller}, and no driver frame handles it", record.describe())
}

impl ExceptionRecord {
    /// The exception in words.
    pub(crate) fn describe(&self) -> String {
        let count = (self.count as usize).min(self.information.len());
        status::describe(self.code, &self.information[..count])
    }
}
