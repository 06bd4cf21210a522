//! Runs one instruction with another base register: a copy of it, in a slot of executable memory,
//! followed by a breakpoint.

use std::{
    cell::Cell,
    ptr,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use iced_x86::{Encoder, FlowControl, Instruction, InstructionInfoFactory, Register};

use super::{decode::gpr, guarded, registers::Registers};

const SLOT: usize = 64;
const SLOTS: usize = 64;
const BREAKPOINT: u8 = 0xcc;

/// Base of the slots; zero until first used.
static AREA: AtomicUsize = AtomicUsize::new(0);
/// A bit per slot in use.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// An instruction under way on this thread.
#[derive(Clone, Copy)]
struct Step {
    slot: usize,
    /// Address of the copy's breakpoint.
    end: u64,
    start: u64,
    next: u64,
    scratch: usize,
    saved: u64,
}

thread_local! {
    static STEP: Cell<Option<Step>> = const { Cell::new(None) };
}

/// Arranges that the instruction runs with its memory operand moved by `delta`. `false` when that
/// cannot be done (branches, no free register).
pub(super) fn start(instruction: &Instruction, registers: &mut Registers<'_>, delta: u64) -> bool {
    if STEP.get().is_some() || instruction.flow_control() != FlowControl::Next {
        return false;
    }
    let Some(step) = prepare(instruction, registers, delta) else {
        return false;
    };
    STEP.set(Some(step));
    true
}

fn prepare(instruction: &Instruction, registers: &mut Registers<'_>, delta: u64) -> Option<Step> {
    // Registers without REX first: instructions that name AH and its like cannot have one.
    const CANDIDATES: [Register; 7] = [
        Register::RAX,
        Register::RCX,
        Register::RDX,
        Register::RBX,
        Register::RSI,
        Register::RDI,
        Register::RBP,
    ];
    let mut factory = InstructionInfoFactory::new();
    let used = factory.info(instruction).used_registers();
    let is_free = |r: &&Register| used.iter().all(|u| u.register().full_register() != **r);
    let scratch = *CANDIDATES.iter().find(is_free)?;
    let mut copy = *instruction;
    copy.set_memory_base(scratch);
    let value = match instruction.memory_base() {
        // The displacement is the address itself, or relative to an instruction that moves.
        Register::None | Register::RIP | Register::EIP => {
            copy.set_memory_displacement64(0);
            copy.set_memory_displ_size(0);
            instruction.memory_displacement64()
        }
        base => registers.gpr(gpr(base)?.0),
    };
    let value = value.wrapping_add(delta);
    let slot = take_slot()?;
    let at = AREA.load(Ordering::Acquire) + slot * SLOT;
    let mut encoder = Encoder::new(64);
    let Ok(len) = encoder.encode(&copy, at as u64) else {
        free_slot(slot);
        return None;
    };
    let mut code = encoder.take_buffer();
    code.push(BREAKPOINT);
    if guarded::copy(at, code.as_ptr() as usize, code.len()).is_err() {
        free_slot(slot);
        return None;
    }
    let (scratch, _, _) = gpr(scratch)?;
    let step = Step {
        slot,
        end: at as u64 + len as u64,
        start: registers.rip(),
        next: instruction.next_ip(),
        scratch,
        saved: registers.gpr(scratch),
    };
    registers.set_gpr(scratch, value);
    registers.set_rip(at as u64);
    Some(step)
}

/// If the breakpoint behind this thread's copy was hit, goes on behind the original instruction.
pub(super) fn finish(registers: &mut Registers<'_>) -> bool {
    let Some(step) = STEP.get() else {
        return false;
    };
    if registers.rip() != step.end + 1 {
        return false;
    }
    leave(step, registers, step.next);
    true
}

/// If the copy itself faulted, puts the original instruction's registers back.
pub(super) fn cancel(registers: &mut Registers<'_>) {
    if let Some(step) = STEP.get() {
        leave(step, registers, step.start);
    }
}

fn leave(step: Step, registers: &mut Registers<'_>, rip: u64) {
    registers.set_gpr(step.scratch, step.saved);
    registers.set_rip(rip);
    STEP.set(None);
    free_slot(step.slot);
}

fn take_slot() -> Option<usize> {
    if AREA.load(Ordering::Acquire) == 0 {
        // SAFETY: a new anonymous mapping.
        let area = unsafe {
            libc::mmap(
                ptr::null_mut(),
                SLOT * SLOTS,
                libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if area == libc::MAP_FAILED {
            return None;
        }
        let first = AREA.compare_exchange(0, area as usize, Ordering::AcqRel, Ordering::Acquire);
        if first.is_err() {
            // SAFETY: our own mapping, which lost the race and was not used.
            unsafe { libc::munmap(area, SLOT * SLOTS) };
        }
    }
    loop {
        let taken = TAKEN.load(Ordering::Acquire);
        let slot = taken.trailing_ones() as usize;
        if slot == SLOTS {
            // Every slot is in use by a thread that is about to give it back.
            std::hint::spin_loop();
            continue;
        }
        let with = taken | 1 << slot;
        if TAKEN
            .compare_exchange_weak(taken, with, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
        {
            return Some(slot);
        }
    }
}

fn free_slot(slot: usize) {
    TAKEN.fetch_and(!(1 << slot), Ordering::AcqRel);
}
