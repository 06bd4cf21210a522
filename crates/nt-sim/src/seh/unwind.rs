//! Virtual unwinding: from the registers in a function to those in its caller, by the unwind
//! information of the image.

use super::context::{Context, RSP};
use crate::pe::{FunctionTable, array_at, entry_at, slice_at, u16_at, u32_at};

/// Where saved registers and return addresses are read from.
pub(crate) trait Stack {
    /// The word at `address`; `None` when it cannot be read.
    fn word(&self, address: u64) -> Option<u64>;

    /// The 16 bytes at `address`.
    fn oword(&self, address: u64) -> Option<u128> {
        let low = u128::from(self.word(address)?);
        let high = u128::from(self.word(address.checked_add(8)?)?);
        Some(low | high << 64)
    }
}

/// An image as the unwinder sees it.
#[derive(Clone, Copy)]
pub(crate) struct Code<'a> {
    pub(crate) base: u64,
    pub(crate) bytes: &'a [u8],
    pub(crate) functions: &'a FunctionTable,
}

/// Why a frame cannot be unwound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnwindError {
    /// The unwind information contradicts itself or leaves the image.
    BadUnwindInfo,
    /// The stack cannot be read where a register should have been saved.
    BadStack(u64),
}

/// A language handler to be asked about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handler {
    /// Address of the handler routine.
    pub(crate) routine: u64,
    /// Address of its data (a scope table for `__C_specific_handler`).
    pub(crate) data: u64,
}

/// A frame that has been unwound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The frame's identity: the value of its frame register, or RSP after the prologue.
    pub(crate) establisher: u64,
    /// RVA of the function table entry; `None` for a leaf function.
    pub(crate) entry: Option<u32>,
    pub(crate) handler: Option<Handler>,
}

/// Which handlers are wanted: bits of the unwind information's flags.
pub(crate) const EXCEPTION_HANDLER: u8 = 1;
pub(crate) const TERMINATION_HANDLER: u8 = 2;
const CHAINED: u8 = 4;
const LONGEST_CHAIN: usize = 32;

struct Info<'a> {
    version: u8,
    flags: u8,
    prolog: u8,
    register: u8,
    offset: u8,
    codes: &'a [u8],
    /// RVA of what follows the codes.
    tail: u32,
}

impl<'a> Info<'a> {
    fn read(bytes: &'a [u8], rva: u32) -> Option<Info<'a>> {
        let [first, prolog, count, frame] = array_at(bytes, rva as usize)?;
        let codes = slice_at(bytes, rva as usize + 4, usize::from(count) * 2)?;
        let info = Info {
            version: first & 7,
            flags: first >> 3,
            prolog,
            register: frame & 15,
            offset: frame >> 4,
            codes,
            tail: rva + 4 + u32::from(count).next_multiple_of(2) * 2,
        };
        matches!(info.version, 1 | 2).then_some(info)
    }

    fn ops(&self) -> Ops<'a> {
        Ops {
            codes: self.codes,
            version: self.version,
            at: 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Push(u8),
    Alloc(u32),
    SetFrame,
    Save(u8, u32),
    SaveXmm(u8, u32),
    MachineFrame { error_code: bool },
    Ignored,
}

struct Ops<'a> {
    codes: &'a [u8],
    version: u8,
    at: usize,
}

impl Ops<'_> {
    /// The next operation and its offset in the prologue; `Some(None)` when damaged.
    fn next(&mut self) -> Option<Option<(u8, Op)>> {
        let [offset, word] = array_at(self.codes, self.at)?;
        let (operation, info) = (word & 15, word >> 4);
        let small = |slot: usize| u16_at(self.codes, self.at + slot * 2).map(u32::from);
        let large = |slot: usize| u32_at(self.codes, self.at + slot * 2);
        let decoded = match (operation, info) {
            (0, r) => Some((1, Op::Push(r))),
            (1, 0) => small(1).map(|n| (2, Op::Alloc(n * 8))),
            (1, 1) => large(1).map(|n| (3, Op::Alloc(n))),
            (2, n) => Some((1, Op::Alloc(u32::from(n) * 8 + 8))),
            (3, _) => Some((1, Op::SetFrame)),
            (4, r) => small(1).map(|n| (2, Op::Save(r, n * 8))),
            (5, r) => large(1).map(|n| (3, Op::Save(r, n))),
            // Version 2 describes epilogues here; we read their code instead.
            (6, _) if self.version == 2 => Some((1, Op::Ignored)),
            (6, _) => Some((2, Op::Ignored)),
            (7, _) => Some((3, Op::Ignored)),
            (8, r) => small(1).map(|n| (2, Op::SaveXmm(r, n * 16))),
            (9, r) => large(1).map(|n| (3, Op::SaveXmm(r, n))),
            (10, 0 | 1) => Some((
                1,
                Op::MachineFrame {
                    error_code: info == 1,
                },
            )),
            _ => None,
        };
        let Some((slots, op)) = decoded else {
            return Some(None);
        };
        self.at += slots * 2;
        Some(Some((offset, op)))
    }
}

/// Unwinds the frame that `context` is in: leaves the caller's registers there.
///
/// `wanted` says for which phase a handler is looked for; there is none while the function's
/// prologue or epilogue runs.
pub(crate) fn unwind_frame(
    code: Code<'_>,
    stack: &dyn Stack,
    context: &mut Context,
    wanted: u8,
) -> Result<Frame, UnwindError> {
    let rva = context.rip.wrapping_sub(code.base) as u32;
    let Some((index, function)) = code.functions.find(code.bytes, rva) else {
        // A leaf function: it has touched neither RSP nor a nonvolatile register.
        let establisher = context.rsp();
        pop_return_address(stack, context)?;
        return Ok(Frame {
            establisher,
            entry: None,
            handler: None,
        });
    };
    let mut frame = Frame {
        establisher: context.rsp(),
        entry: Some(code.functions.rva_of(index)),
        handler: None,
    };
    let info = Info::read(code.bytes, function.unwind).ok_or(UnwindError::BadUnwindInfo)?;
    let offset = rva - function.begin;
    let in_prolog = offset < u32::from(info.prolog) && info.flags & CHAINED == 0;
    frame.establisher = establisher(&info, context, in_prolog.then_some(offset))?;
    if !in_prolog && super::epilog::finish(code, &function, &info.frame(), stack, context, rva)? {
        return Ok(frame);
    }
    if !in_prolog && info.flags & wanted & (EXCEPTION_HANDLER | TERMINATION_HANDLER) != 0 {
        frame.handler = handler_of(&code, &info);
    }
    undo(&code, stack, context, info, in_prolog.then_some(offset))?;
    Ok(frame)
}

/// The frame register of a function and its offset from RSP, if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameRegister {
    pub(super) register: usize,
    pub(super) offset: u64,
}

impl Info<'_> {
    fn frame(&self) -> Option<FrameRegister> {
        (self.register != 0).then(|| FrameRegister {
            register: usize::from(self.register),
            offset: u64::from(self.offset) * 16,
        })
    }
}

fn establisher(
    info: &Info<'_>,
    context: &Context,
    prolog_offset: Option<u32>,
) -> Result<u64, UnwindError> {
    let Some(frame) = info.frame() else {
        return Ok(context.rsp());
    };
    let mut established = true;
    if let Some(offset) = prolog_offset {
        established = false;
        let mut ops = info.ops();
        while let Some(op) = ops.next() {
            let (at, op) = op.ok_or(UnwindError::BadUnwindInfo)?;
            if op == Op::SetFrame {
                established = offset >= u32::from(at);
            }
        }
    }
    Ok(if established {
        context.gpr[frame.register].wrapping_sub(frame.offset)
    } else {
        context.rsp()
    })
}

fn handler_of(code: &Code<'_>, info: &Info<'_>) -> Option<Handler> {
    let routine = u32_at(code.bytes, info.tail as usize)?;
    Some(Handler {
        routine: code.base + u64::from(routine),
        data: code.base + u64::from(info.tail) + 4,
    })
}

fn undo<'a>(
    code: &Code<'a>,
    stack: &dyn Stack,
    context: &mut Context,
    mut info: Info<'a>,
    mut prolog_offset: Option<u32>,
) -> Result<(), UnwindError> {
    let mut machine_frame = false;
    for _ in 0..LONGEST_CHAIN {
        let base = establisher(&info, context, prolog_offset)?;
        let mut ops = info.ops();
        while let Some(op) = ops.next() {
            let (at, op) = op.ok_or(UnwindError::BadUnwindInfo)?;
            if prolog_offset.is_some_and(|offset| offset < u32::from(at)) {
                continue;
            }
            match op {
                Op::Push(register) => {
                    let at = context.rsp();
                    context.gpr[usize::from(register)] =
                        stack.word(at).ok_or(UnwindError::BadStack(at))?;
                    context.gpr[RSP] = at.wrapping_add(8);
                }
                Op::Alloc(size) => {
                    context.gpr[RSP] = context.rsp().wrapping_add(size.into());
                }
                Op::SetFrame => {
                    let frame = info.frame().ok_or(UnwindError::BadUnwindInfo)?;
                    context.gpr[RSP] = context.gpr[frame.register].wrapping_sub(frame.offset);
                }
                Op::Save(register, offset) => {
                    let at = base.wrapping_add(offset.into());
                    context.gpr[usize::from(register)] =
                        stack.word(at).ok_or(UnwindError::BadStack(at))?;
                }
                Op::SaveXmm(register, offset) => {
                    let at = base.wrapping_add(offset.into());
                    context.xmm[usize::from(register)] =
                        stack.oword(at).ok_or(UnwindError::BadStack(at))?;
                }
                Op::MachineFrame { error_code } => {
                    let at = context.rsp().wrapping_add(u64::from(error_code) * 8);
                    let word = |at| stack.word(at).ok_or(UnwindError::BadStack(at));
                    context.rip = word(at)?;
                    context.gpr[RSP] = word(at.wrapping_add(24))?;
                    machine_frame = true;
                }
                Op::Ignored => {}
            }
        }
        if info.flags & CHAINED == 0 {
            if !machine_frame {
                pop_return_address(stack, context)?;
            }
            return Ok(());
        }
        let next = entry_at(code.bytes, info.tail).ok_or(UnwindError::BadUnwindInfo)?;
        info = Info::read(code.bytes, next.unwind).ok_or(UnwindError::BadUnwindInfo)?;
        prolog_offset = None;
    }
    Err(UnwindError::BadUnwindInfo)
}

pub(super) fn pop_return_address(
    stack: &dyn Stack,
    context: &mut Context,
) -> Result<(), UnwindError> {
    let at = context.rsp();
    context.rip = stack.word(at).ok_or(UnwindError::BadStack(at))?;
    context.gpr[RSP] = at.wrapping_add(8);
    Ok(())
}
