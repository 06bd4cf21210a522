//! Accesses to memory that is somewhere else: user memory in strict mode, the shared user data page.
//!
//! The instruction is carried out on the place where the memory really is, in one of three ways:
//! plain moves here, string instructions element by element ([`super::string`]), everything else by
//! running a copy of it with another base register ([`super::step`]).

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::{
    decode::{self, gpr},
    guarded,
    registers::Registers,
    shared_data, step, string,
};
use crate::{
    irql,
    kernel::{strict, try_kernel},
    mem::{
        is_user,
        user::{Access, Denied, UserFault},
    },
};

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Memory as it is.
    Direct,
    /// The memory is at the address plus this.
    Elsewhere(u64),
    /// The access is refused.
    Refused(UserFault),
}

/// What became of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Carried out, or about to be: the registers say where to go on.
    Done,
    /// Not an access that is redirected: an ordinary fault.
    NotOurs,
    /// A rule of user memory, or a mapping that is missing.
    Refused(UserFault),
}

/// Finds where `[address, address + len)` leads.
pub(super) fn place(address: u64, len: usize, write: bool) -> Place {
    if let Some(delta) = shared_data::delta(address, len, write) {
        return Place::Elsewhere(delta);
    }
    let Ok(at) = usize::try_from(address) else {
        return Place::Direct;
    };
    if !is_user(at) {
        return Place::Direct;
    }
    let access = if write { Access::Write } else { Access::Read };
    let Some(kernel) = try_kernel() else {
        return Place::Direct;
    };
    if strict() && irql::current() >= irql::DISPATCH {
        // Memory that happens to be there is no excuse.
        return Place::Direct;
    }
    match kernel.mem.spaces.resolve(at, len, access) {
        Ok(delta) => Place::Elsewhere(delta as u64),
        // In fast mode user memory is where its addresses say; what is not there faults.
        Err(fault) if fault.why == Denied::NotAccessible || strict() => Place::Refused(fault),
        Err(_) => Place::Direct,
    }
}

/// Carries out the access that faulted at `address`, if it goes to memory that is elsewhere.
pub(super) fn emulate(registers: &mut Registers<'_>, address: u64, write: bool) -> Outcome {
    if place(address, 1, write) == Place::Direct {
        return Outcome::NotOurs;
    }
    let Some(instruction) = decode::at(registers.rip()) else {
        return Outcome::NotOurs;
    };
    if instruction.is_string_instruction() {
        return string::emulate(&instruction, registers);
    }
    let Some(start) = decode::effective_address(&instruction, registers) else {
        return Outcome::NotOurs;
    };
    let len = instruction.memory_size().size().max(1);
    if address.wrapping_sub(start) >= len as u64 {
        return Outcome::NotOurs;
    }
    let delta = match place(start, len, write) {
        Place::Elsewhere(delta) => delta,
        Place::Refused(fault) => return Outcome::Refused(fault),
        Place::Direct => return Outcome::NotOurs,
    };
    if plain_move(&instruction, registers, start.wrapping_add(delta), len).is_some() {
        registers.set_rip(instruction.next_ip());
        return Outcome::Done;
    }
    if step::start(&instruction, registers, delta) {
        return Outcome::Done;
    }
    Outcome::NotOurs
}

/// Carries out a move between memory and an integer register, or of a constant to memory.
fn plain_move(
    instruction: &Instruction,
    registers: &mut Registers<'_>,
    address: u64,
    len: usize,
) -> Option<()> {
    if len > 8 || instruction.op_count() != 2 {
        return None;
    }
    let sign = match instruction.mnemonic() {
        Mnemonic::Mov | Mnemonic::Movzx => false,
        Mnemonic::Movsx | Mnemonic::Movsxd => true,
        _ => return None,
    };
    let mut word = [0; 8];
    let buffer = word.as_mut_ptr() as usize;
    match (instruction.op0_kind(), instruction.op1_kind()) {
        (OpKind::Register, OpKind::Memory) => {
            let to = instruction.op0_register();
            gpr(to)?;
            guarded::copy(buffer, address as usize, len).ok()?;
            let unused = 64 - 8 * len as u32;
            let value = u64::from_le_bytes(word) << unused;
            let value = if sign {
                (value as i64 >> unused) as u64
            } else {
                value >> unused
            };
            write_register(registers, to, value)
        }
        (OpKind::Memory, from) => {
            let value = if from == OpKind::Register {
                let (number, _, shift) = gpr(instruction.op1_register())?;
                registers.gpr(number) >> shift
            } else {
                instruction.try_immediate(1).ok()?
            };
            word = value.to_le_bytes();
            guarded::copy(address as usize, word.as_ptr() as usize, len).ok()
        }
        _ => None,
    }
}

/// Writes the part of a register that an instruction names, as the processor does: 32-bit writes
/// clear the upper half, narrower ones keep the rest.
pub(super) fn write_register(
    registers: &mut Registers<'_>,
    register: Register,
    value: u64,
) -> Option<()> {
    let (number, size, shift) = gpr(register)?;
    let value = match size {
        8 => value,
        4 => value & 0xffff_ffff,
        _ => {
            let mask = ((1 << (8 * size)) - 1) << shift;
            registers.gpr(number) & !mask | value << shift & mask
        }
    };
    registers.set_gpr(number, value);
    Some(())
}
