//! Which driver functions are on this thread's stack.

use super::{
    context::{Context, RBP, RSP},
    context_of,
    dispatch::{LiveStack, code_of, origin},
    unwind::{Stack, unwind_frame},
};
use crate::{
    arch::{self, CallFrame, RaiseContext},
    pe, sched,
};

/// Addresses in driver images, innermost first, at most `limit`: return addresses, preceded by the
/// place of the exception if one is being dispatched. Frames of every driver on the stack, with the
/// kernel code between them left out.
pub(crate) fn driver_stack(limit: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let Some(thread) = sched::try_current() else {
        return found;
    };
    // SAFETY: an exception's dispatch is further up this thread's stack.
    if let Some(origin) = unsafe { origin().as_ref() } {
        walk(origin.clone(), limit, &mut found);
    } else {
        let block = thread.block();
        // SAFETY: the block belongs to this thread.
        let rsp = unsafe { (*block).kernel_rsp };
        // SAFETY: as above.
        let registers = unsafe { (*block).raise_context };
        start(rsp, registers, limit, &mut found);
    }
    let mut call: *const CallFrame = arch::current_call();
    // SAFETY: null, or a call that has not returned.
    while let Some(frame) = unsafe { call.as_ref() } {
        let (rsp, registers) = frame.outer_driver_stack();
        start(rsp, registers, limit, &mut found);
        call = frame.previous();
    }
    found
}

/// Walks from an import thunk: `rsp` is where it left the driver's stack.
fn start(rsp: u64, registers: *mut RaiseContext, limit: usize, found: &mut Vec<usize>) {
    // SAFETY: null, or saved by a stub whose call has not returned.
    let saved = unsafe { registers.as_ref() };
    let context = match saved {
        Some(saved) if registers as u64 == rsp || rsp == 0 => context_of(saved),
        _ => {
            // The plain stub saves RBP only, which is what frame registers nearly always are.
            let (Some(rbp), Some(rip)) = (LiveStack.word(rsp), LiveStack.word(rsp + 8)) else {
                return;
            };
            let mut context = Context::zeroed();
            context.gpr[RBP] = rbp;
            context.rip = rip;
            context.gpr[RSP] = rsp + 16;
            context
        }
    };
    walk(context, limit, found);
}

fn walk(mut context: Context, limit: usize, found: &mut Vec<usize>) {
    while found.len() < limit {
        let Some(image) = pe::find(context.rip as usize).filter(|image| !image.unloaded()) else {
            return;
        };
        let before = context.rsp();
        found.push(context.rip as usize);
        let unwound = unwind_frame(code_of(image), &LiveStack, &mut context, 0);
        if unwound.is_err() || context.rsp() <= before {
            return;
        }
    }
}
