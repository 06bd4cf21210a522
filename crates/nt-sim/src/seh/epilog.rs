//! Epilogues: unwind codes describe a function up to its last instructions, which undo the prologue
//! one by one. What is left of them is read from the code and carried out on the context.

use super::{
    context::{Context, RSP},
    unwind::{Code, FrameRegister, Stack, UnwindError, pop_return_address},
};
use crate::pe::{RuntimeFunction, array_at, slice_at};

/// What an epilogue still has to do.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// `add rsp, n`.
    Add(u64),
    /// `lea rsp, [frame + n]`.
    FromFrame(usize, i64),
    Pop(usize),
}

/// If `rva` lies in an epilogue, carries out the rest of it, return included.
pub(super) fn finish(
    code: Code<'_>,
    function: &RuntimeFunction,
    frame: &Option<FrameRegister>,
    stack: &dyn Stack,
    context: &mut Context,
    rva: u32,
) -> Result<bool, UnwindError> {
    let Some(body) = slice_at(code.bytes, rva as usize, (function.end - rva) as usize) else {
        return Err(UnwindError::BadUnwindInfo);
    };
    let Some(steps) = steps(body, function, frame, rva) else {
        return Ok(false);
    };
    for step in steps {
        match step {
            Step::Add(n) => context.gpr[RSP] = context.rsp().wrapping_add(n),
            Step::FromFrame(register, n) => {
                context.gpr[RSP] = context.gpr[register].wrapping_add_signed(n);
            }
            Step::Pop(register) => {
                let at = context.rsp();
                context.gpr[register] = stack.word(at).ok_or(UnwindError::BadStack(at))?;
                context.gpr[RSP] = at.wrapping_add(8);
            }
        }
    }
    pop_return_address(stack, context)?;
    Ok(true)
}

/// Reads `[add rsp, n | lea rsp, [frame + n]] pop* (ret | tail jump)`; `None` if the code is
/// anything else.
fn steps(
    body: &[u8],
    function: &RuntimeFunction,
    frame: &Option<FrameRegister>,
    rva: u32,
) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut at = 0;
    let byte = |at: usize| body.get(at).copied();
    let dword = |at: usize| array_at(body, at).map(i32::from_le_bytes);
    match (byte(0)?, byte(1), byte(2)) {
        (0x48, Some(0x83), Some(0xc4)) => {
            steps.push(Step::Add(i64::from(byte(3)? as i8) as u64));
            at = 4;
        }
        (0x48, Some(0x81), Some(0xc4)) => {
            steps.push(Step::Add(i64::from(dword(3)?) as u64));
            at = 7;
        }
        // lea rsp, [reg + disp]: REX.W with or without REX.B, modrm reg = 4.
        (rex @ (0x48 | 0x49), Some(0x8d), Some(modrm)) if modrm & 0x38 == 0x20 => {
            let register = usize::from(modrm & 7) | usize::from(rex & 1) << 3;
            if frame.is_none_or(|frame| frame.register != register) || modrm & 7 == 4 {
                return None;
            }
            let (n, len) = match modrm >> 6 {
                0 if modrm & 7 != 5 => (0, 3),
                1 => (i64::from(byte(3)? as i8), 4),
                2 => (i64::from(dword(3)?), 7),
                _ => return None,
            };
            steps.push(Step::FromFrame(register, n));
            at = len;
        }
        _ => {}
    }
    loop {
        match (byte(at)?, byte(at + 1)) {
            (op @ 0x58..=0x5f, _) => {
                steps.push(Step::Pop(usize::from(op & 7)));
                at += 1;
            }
            (0x41, Some(op @ 0x58..=0x5f)) => {
                steps.push(Step::Pop(usize::from(op & 7) + 8));
                at += 2;
            }
            // ret; rep ret; ret n.
            (0xc3 | 0xc2, _) | (0xf3, Some(0xc3)) => return Some(steps),
            // A jump out of the function is a tail call once the stack has been given back; before, it
            // goes to a part of the function that the compiler has put elsewhere.
            (0xeb | 0xe9 | 0xff | 0x48 | 0x49, _) if steps.is_empty() => return None,
            (0xeb, Some(n)) => {
                let target = i64::from(rva) + at as i64 + 2 + i64::from(n as i8);
                return leaves(function, target).then_some(steps);
            }
            (0xe9, _) => {
                let target = i64::from(rva) + at as i64 + 5 + i64::from(dword(at + 1)?);
                return leaves(function, target).then_some(steps);
            }
            // jmp [rip + n], with REX as the compilers mark tail calls; jmp reg with REX.W likewise.
            (0xff, Some(0x25)) => return Some(steps),
            (0x48 | 0x49, Some(0xff)) => {
                let modrm = byte(at + 2)?;
                return (modrm == 0x25 || modrm & 0xf8 == 0xe0).then_some(steps);
            }
            _ => return None,
        }
    }
}

/// Whether a jump to `target` leaves the function, or goes back to its very start.
fn leaves(function: &RuntimeFunction, target: i64) -> bool {
    !(i64::from(function.begin) + 1..i64::from(function.end)).contains(&target)
}
