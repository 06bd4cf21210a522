//! Checks a function's unwind information without an exception.

use super::{
    context::Context,
    dispatch::code_of,
    scope,
    unwind::{EXCEPTION_HANDLER, Stack, TERMINATION_HANDLER, unwind_frame},
};
use crate::pe::{Image, RuntimeFunction, u32_at};

/// What is wrong with a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// Its unwind information.
    Unwind,
    /// The scope table of its `__C_specific_handler`.
    Scopes,
}

/// A stack on which every word can be read.
struct AnyStack;

impl Stack for AnyStack {
    fn word(&self, address: u64) -> Option<u64> {
        Some(address)
    }
}

/// Unwinds `function` from its start and from behind its prologue.
pub(crate) fn check_function(image: &Image, function: RuntimeFunction) -> Result<(), Damage> {
    let last = function.end - 1;
    for place in [function.begin, (function.begin + 255).min(last), last] {
        let mut context = Context::zeroed();
        context.rip = image.base() as u64 + u64::from(place);
        let wanted = EXCEPTION_HANDLER | TERMINATION_HANDLER;
        let frame = unwind_frame(code_of(image), &AnyStack, &mut context, wanted)
            .map_err(|_| Damage::Unwind)?;
        let Some(handler) = frame.handler else {
            continue;
        };
        if !image.is_code(handler.routine as usize) {
            return Err(Damage::Unwind);
        }
        if is_c_handler(image, handler.routine as usize) {
            let table = image.rva(handler.data as usize).ok_or(Damage::Scopes)?;
            scope::read(image.bytes(), table).ok_or(Damage::Scopes)?;
        }
    }
    Ok(())
}

/// Whether a handler is the usual jump (`jmp qword ptr [rip + n]`) to an imported
/// `__C_specific_handler`.
fn is_c_handler(image: &Image, routine: usize) -> bool {
    let jump = || {
        let at = image.rva(routine)? as usize;
        let opcode: [u8; 2] = crate::pe::array_at(image.bytes(), at)?;
        let offset = u32_at(image.bytes(), at + 2)?;
        (opcode == [0xff, 0x25]).then(|| (at as u32 + 6).wrapping_add(offset))
    };
    let slot = jump();
    image
        .imports()
        .iter()
        .any(|import| Some(import.slot) == slot && import.name == "__C_specific_handler")
}
