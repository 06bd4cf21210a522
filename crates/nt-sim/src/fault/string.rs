//! String instructions on memory that is elsewhere, element by element.

use iced_x86::{Instruction, Mnemonic};

use super::{
    access::{Outcome, Place, place},
    guarded,
    registers::Registers,
};

const RAX: usize = 0;
const RCX: usize = 1;
const RSI: usize = 6;
const RDI: usize = 7;

const CARRY: u64 = 1;
const PARITY: u64 = 1 << 2;
const ADJUST: u64 = 1 << 4;
const ZERO: u64 = 1 << 6;
const SIGN: u64 = 1 << 7;
const DIRECTION: u64 = 1 << 10;
const OVERFLOW: u64 = 1 << 11;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Move,
    Store,
    Load,
    Compare,
    Scan,
}

fn kind(instruction: &Instruction) -> Option<(Kind, usize)> {
    use Mnemonic::*;
    Some(match instruction.mnemonic() {
        Movsb => (Kind::Move, 1),
        Movsw => (Kind::Move, 2),
        Movsd => (Kind::Move, 4),
        Movsq => (Kind::Move, 8),
        Stosb => (Kind::Store, 1),
        Stosw => (Kind::Store, 2),
        Stosd => (Kind::Store, 4),
        Stosq => (Kind::Store, 8),
        Lodsb => (Kind::Load, 1),
        Lodsw => (Kind::Load, 2),
        Lodsd => (Kind::Load, 4),
        Lodsq => (Kind::Load, 8),
        Cmpsb => (Kind::Compare, 1),
        Cmpsw => (Kind::Compare, 2),
        Cmpsd => (Kind::Compare, 4),
        Cmpsq => (Kind::Compare, 8),
        Scasb => (Kind::Scan, 1),
        Scasw => (Kind::Scan, 2),
        Scasd => (Kind::Scan, 4),
        Scasq => (Kind::Scan, 8),
        _ => return None,
    })
}

/// Carries out the instruction as far as memory allows: to its end, or to the element that is
/// refused, with the registers as the processor leaves them.
pub(super) fn emulate(instruction: &Instruction, registers: &mut Registers<'_>) -> Outcome {
    let Some((kind, size)) = kind(instruction) else {
        return Outcome::NotOurs;
    };
    let repeats = instruction.has_rep_prefix() || instruction.has_repne_prefix();
    let step = if registers.flags() & DIRECTION != 0 {
        (size as u64).wrapping_neg()
    } else {
        size as u64
    };
    loop {
        if repeats && registers.gpr(RCX) == 0 {
            break;
        }
        if let Err(outcome) = element(kind, size, registers) {
            return outcome;
        }
        if matches!(kind, Kind::Move | Kind::Load | Kind::Compare) {
            let at = registers.gpr(RSI);
            registers.set_gpr(RSI, at.wrapping_add(step));
        }
        if kind != Kind::Load {
            let at = registers.gpr(RDI);
            registers.set_gpr(RDI, at.wrapping_add(step));
        }
        if !repeats {
            break;
        }
        let left = registers.gpr(RCX) - 1;
        registers.set_gpr(RCX, left);
        if matches!(kind, Kind::Compare | Kind::Scan) {
            let equal = registers.flags() & ZERO != 0;
            // REP is REPE for these.
            if equal == instruction.has_repne_prefix() {
                break;
            }
        }
    }
    registers.set_rip(instruction.next_ip());
    Outcome::Done
}

/// One element. A place that is neither redirected nor accessible is an ordinary fault: going on at
/// the instruction makes the processor report it.
fn element(kind: Kind, size: usize, registers: &mut Registers<'_>) -> Result<(), Outcome> {
    let (source, target) = (registers.gpr(RSI), registers.gpr(RDI));
    match kind {
        Kind::Move => {
            let value = load(source, size)?;
            store(target, size, value)
        }
        Kind::Store => store(target, size, registers.gpr(RAX)),
        Kind::Load => {
            let value = load(source, size)?;
            let value = match size {
                8 | 4 => value,
                _ => registers.gpr(RAX) & !mask(size) | value,
            };
            registers.set_gpr(RAX, value);
            Ok(())
        }
        Kind::Compare => {
            let (a, b) = (load(source, size)?, load(target, size)?);
            compare(registers, a, b, size);
            Ok(())
        }
        Kind::Scan => {
            let b = load(target, size)?;
            compare(registers, registers.gpr(RAX) & mask(size), b, size);
            Ok(())
        }
    }
}

fn mask(size: usize) -> u64 {
    u64::MAX >> (64 - 8 * size)
}

fn real_address(address: u64, size: usize, write: bool) -> Result<usize, Outcome> {
    match place(address, size, write) {
        Place::Direct => Ok(address as usize),
        Place::Elsewhere(delta) => Ok(address.wrapping_add(delta) as usize),
        Place::Refused(fault) => Err(Outcome::Refused(fault)),
    }
}

fn load(address: u64, size: usize) -> Result<u64, Outcome> {
    let at = real_address(address, size, false)?;
    let mut word = [0; 8];
    guarded::copy(word.as_mut_ptr() as usize, at, size).map_err(|_| Outcome::NotOurs)?;
    Ok(u64::from_le_bytes(word))
}

fn store(address: u64, size: usize, value: u64) -> Result<(), Outcome> {
    let at = real_address(address, size, true)?;
    let word = value.to_le_bytes();
    guarded::copy(at, word.as_ptr() as usize, size).map_err(|_| Outcome::NotOurs)
}

/// Sets the flags as `cmp a, b` does.
fn compare(registers: &mut Registers<'_>, a: u64, b: u64, size: usize) {
    let difference = a.wrapping_sub(b) & mask(size);
    let top = 1_u64 << (8 * size - 1);
    let conditions = [
        (CARRY, a < b),
        (PARITY, (difference as u8).count_ones().is_multiple_of(2)),
        (ADJUST, (a ^ b ^ difference) & 0x10 != 0),
        (ZERO, difference == 0),
        (SIGN, difference & top != 0),
        (OVERFLOW, (a ^ b) & (a ^ difference) & top != 0),
    ];
    let mut flags = registers.flags();
    for (flag, on) in conditions {
        flags = if on { flags | flag } else { flags & !flag };
    }
    registers.set_flags(flags);
}
