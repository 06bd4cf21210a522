//! Instructions that only the kernel may execute.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::{access::write_register, decode::gpr, registers::Registers};
use crate::sched;

/// What an instruction that raised a protection fault asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Carried out: go on behind it.
    Done,
    /// `mov cr8, level`: to be carried out as a call.
    SetIrql(u8),
    /// `int 0x29`: the driver found itself damaged.
    FastFail(u64),
    /// `int 0x2c`: an assertion failed.
    AssertionFailure,
    /// Something that a driver must not do itself.
    Forbidden(Mnemonic),
    /// An ordinary instruction: its address operand is not canonical.
    Ordinary,
}

/// Looks at an instruction that raised a general protection fault.
pub(super) fn examine(instruction: &Instruction, registers: &mut Registers<'_>) -> Request {
    use Mnemonic::*;
    match instruction.mnemonic() {
        Mov => move_control(instruction, registers),
        Int => match instruction.immediate8() {
            0x29 => Request::FastFail(registers.gpr(1)),
            0x2c => Request::AssertionFailure,
            _ => Request::Forbidden(Int),
        },
        forbidden @ (Cli | Sti | Hlt | In | Out | Insb | Insw | Insd | Outsb | Outsw | Outsd
        | Rdmsr | Wrmsr | Rdpmc | Invlpg | Invd | Wbinvd | Lgdt | Lidt | Lldt
        | Ltr | Lmsw | Clts | Swapgs | Sysretq | Sysret | Iretq | Xsetbv | Sgdt
        | Sidt | Sldt | Str | Smsw | Monitor | Mwait | Clac | Stac | Rsm | Invpcid) => {
            Request::Forbidden(forbidden)
        }
        _ => Request::Ordinary,
    }
}

fn move_control(instruction: &Instruction, registers: &mut Registers<'_>) -> Request {
    let register = |n| match instruction.op_kind(n) {
        OpKind::Register => instruction.op_register(n),
        _ => Register::None,
    };
    let (to, from) = (register(0), register(1));
    if from == Register::CR8 {
        let level = sched::try_current().map_or(0, |thread| thread.irql());
        if write_register(registers, to, level.into()).is_some() {
            registers.set_rip(instruction.next_ip());
            return Request::Done;
        }
    }
    if to == Register::CR8
        && let Some((number, _, _)) = gpr(from)
    {
        return Request::SetIrql((registers.gpr(number) & 15) as u8);
    }
    if [to, from].iter().any(|r| r.is_cr() || r.is_dr()) {
        return Request::Forbidden(Mnemonic::Mov);
    }
    Request::Ordinary
}

/// What the code of `int 0x29` means.
pub(super) fn fast_fail_meaning(code: u64) -> &'static str {
    match code {
        0 => "a stack buffer was overrun (legacy check)",
        1 => "a virtual function table is damaged",
        2 => "a stack buffer was overrun: the stack cookie has changed",
        3 => "a doubly linked list is damaged: an entry was removed twice, freed or overwritten",
        4 => "the stack pointer left the stack",
        5 => "an invalid argument reached a checked function",
        6 => "the stack cookie was not initialised",
        7 => "the application asked to be terminated",
        8 => "an index was out of range",
        9 => "a jump buffer is damaged",
        10 => "an indirect call went to a function that is no valid target",
        14 => "a reference count is out of range",
        18 => "a jump buffer is damaged",
        19 => "memory that must be read-only was modified",
        29 => "a red-black tree is damaged",
        _ => "the driver found its own state damaged",
    }
}
