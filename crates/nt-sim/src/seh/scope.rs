//! `__C_specific_handler`: the language handler of C's `__try`, by the scope table of a function.

use super::{
    context::{Context, DispatcherContext, ExceptionPointers, ExceptionRecord, flag},
    dispatch::call_funclet,
};
use crate::pe::u32_at;

const EXECUTE_HANDLER: u32 = 1;

/// One guarded range of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    begin: u32,
    end: u32,
    /// RVA of the filter, or 1 for "always", or, if there is no target, of the termination handler.
    handler: u32,
    /// RVA of the handler block.
    target: u32,
}

impl Scope {
    fn contains(&self, rva: u64) -> bool {
        (u64::from(self.begin)..u64::from(self.end)).contains(&rva)
    }
}

/// Reads the scope table at `rva`; `None` when it leaves the image.
pub(super) fn read(image: &[u8], rva: u32) -> Option<Vec<Scope>> {
    let at = rva as usize;
    let count = u32_at(image, at)? as usize;
    if count > image.len() / 16 {
        return None;
    }
    (0..count)
        .map(|i| {
            let entry = at + 4 + i * 16;
            Some(Scope {
                begin: u32_at(image, entry)?,
                end: u32_at(image, entry + 4)?,
                handler: u32_at(image, entry + 8)?,
                target: u32_at(image, entry + 12)?,
            })
        })
        .collect()
}

/// What the search found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A filter wants the handler block at this address to run.
    Handler(u64),
    /// A filter has repaired the cause.
    ContinueExecution,
    /// Not for this function.
    Nothing,
}

/// Asks the filters of the ranges that `dispatcher`'s frame is in.
pub(super) fn search(
    scopes: &[Scope],
    record: *mut ExceptionRecord,
    context: *mut Context,
    dispatcher: &DispatcherContext,
) -> Found {
    let base = dispatcher.image_base;
    let pc = dispatcher.control_pc.wrapping_sub(base);
    let guards = scopes
        .iter()
        .skip(dispatcher.scope_index as usize)
        .filter(|scope| scope.target != 0 && scope.contains(pc));
    for scope in guards {
        let answer = if scope.handler == EXECUTE_HANDLER {
            1
        } else {
            let pointers = ExceptionPointers { record, context };
            let filter = base + u64::from(scope.handler);
            let first = &raw const pointers as u64;
            call_funclet(filter, first, dispatcher.establisher_frame) as i32
        };
        if answer < 0 {
            return Found::ContinueExecution;
        }
        if answer > 0 {
            return Found::Handler(base + u64::from(scope.target));
        }
    }
    Found::Nothing
}

/// Calls the termination handlers of the ranges that control leaves.
pub(super) fn terminate(scopes: &[Scope], flags: u32, dispatcher: &mut DispatcherContext) {
    let base = dispatcher.image_base;
    let pc = dispatcher.control_pc.wrapping_sub(base);
    let target = dispatcher.target_ip.wrapping_sub(base);
    let is_target = flags & flag::TARGET_UNWIND != 0;
    let first = dispatcher.scope_index as usize;
    for (i, scope) in scopes.iter().enumerate().skip(first) {
        if !scope.contains(pc) {
            continue;
        }
        // Ranges that hold the place control goes to are not left; those further out neither.
        let stays = is_target && stays_inside(scopes, i, target);
        let arrives = is_target && scope.target != 0 && u64::from(scope.target) == target;
        if stays || arrives {
            return;
        }
        if scope.target == 0 {
            dispatcher.scope_index = i as u32 + 1;
            let handler = base + u64::from(scope.handler);
            call_funclet(handler, 1, dispatcher.establisher_frame);
        }
    }
}

/// Whether `target` lies in a range with the same guard as range `i` (a guarded block may be in
/// several pieces).
fn stays_inside(scopes: &[Scope], i: usize, target: u64) -> bool {
    scopes.iter().any(|other| {
        other.contains(target)
            && other.handler == scopes[i].handler
            && other.target == scopes[i].target
    })
}
