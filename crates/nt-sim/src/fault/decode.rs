//! Instructions that faulted.

use iced_x86::{Decoder, DecoderOptions, Instruction, OpKind, Register};

use super::{guarded, registers::Registers};
use crate::pe::find;

/// Longest instruction of the architecture.
const LONGEST: usize = 15;

/// Decodes the instruction at `rip`; `None` if there is none.
pub(super) fn at(rip: u64) -> Option<Instruction> {
    let mut bytes = [0; LONGEST];
    let to_page_end = 4096 - (rip as usize & 4095);
    let mut len = LONGEST.min(to_page_end);
    let to = bytes.as_mut_ptr() as usize;
    guarded::copy(to, rip as usize, len).ok()?;
    // The rest is on the next page, which only has to be there if the instruction needs it.
    if len < LONGEST && guarded::copy(to + len, rip as usize + len, LONGEST - len).is_ok() {
        len = LONGEST;
    }
    let mut decoder = Decoder::with_ip(64, &bytes[..len], rip, DecoderOptions::NONE);
    let instruction = decoder.decode();
    (!instruction.is_invalid()).then_some(instruction)
}

/// Number of an integer register in its encoding, and the bytes and position of the part that is
/// meant: `(number, size, shift)`.
pub(super) fn gpr(register: Register) -> Option<(usize, usize, u32)> {
    if !register.is_gpr() {
        return None;
    }
    let full = register.full_register().number();
    let high = matches!(
        register,
        Register::AH | Register::BH | Register::CH | Register::DH
    );
    Some((full, register.size(), if high { 8 } else { 0 }))
}

/// The address that the instruction's memory operand means.
pub(super) fn effective_address(
    instruction: &Instruction,
    registers: &Registers<'_>,
) -> Option<u64> {
    let operands = 0..instruction.op_count();
    let explicit = |n| instruction.op_kind(n) == OpKind::Memory;
    operands.clone().find(|&n| explicit(n))?;
    // Thread-local segments are none of the driver's business.
    if matches!(instruction.memory_segment(), Register::FS | Register::GS) {
        return None;
    }
    let value = |register: Register| -> Option<u64> {
        match register {
            Register::None => Some(0),
            // The displacement of these is the target already.
            Register::RIP | Register::EIP => Some(0),
            other => {
                let (number, size, _) = gpr(other)?;
                let value = registers.gpr(number);
                Some(if size == 4 {
                    value & 0xffff_ffff
                } else {
                    value
                })
            }
        }
    };
    let base = value(instruction.memory_base())?;
    let index = value(instruction.memory_index())?;
    Some(
        base.wrapping_add(index.wrapping_mul(instruction.memory_index_scale().into()))
            .wrapping_add(instruction.memory_displacement64()),
    )
}

/// Whether driver code runs at `rip`.
pub(super) fn in_driver(rip: u64) -> bool {
    find(rip as usize).is_some()
}
