//! Memory accesses that may fault: they report it instead.

use std::arch::global_asm;

/// A memory access that did not go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadAccess {
    pub(crate) address: usize,
    pub(crate) write: bool,
}

/// What the guarded routines return in RAX and RDX.
#[repr(C)]
struct Outcome {
    kind: u64,
    address: u64,
}

unsafe extern "sysv64" {
    fn nt_sim_guarded_copy(to: *mut u8, from: *const u8, len: usize) -> Outcome;
    fn nt_sim_guarded_probe(at: *const u8) -> Outcome;
    safe fn nt_sim_guarded_end();
}

/// Outcomes: zero is success.
const READ_FAULT: u64 = 1;
const WRITE_FAULT: u64 = 2;

global_asm!(
    ".text",
    ".globl nt_sim_guarded_copy",
    "nt_sim_guarded_copy:",
    "mov rcx, rdx",
    "rep movsb",
    "xor eax, eax",
    "ret",
    ".globl nt_sim_guarded_probe",
    "nt_sim_guarded_probe:",
    "mov al, [rdi]",
    "xor eax, eax",
    ".globl nt_sim_guarded_end",
    "nt_sim_guarded_end:",
    "ret",
);

/// If `rip` is inside a guarded routine: where to go on after a fault, and the outcome for RAX and
/// RDX.
pub(super) fn fix_up(rip: u64, address: u64, write: bool) -> Option<(u64, u64, u64)> {
    let start = nt_sim_guarded_copy as *const () as u64;
    let end = nt_sim_guarded_end as *const () as u64;
    let kind = if write { WRITE_FAULT } else { READ_FAULT };
    (start..end).contains(&rip).then_some((end, kind, address))
}

fn result(outcome: Outcome) -> Result<(), BadAccess> {
    match outcome.kind {
        0 => Ok(()),
        kind => Err(BadAccess {
            address: outcome.address as usize,
            write: kind == WRITE_FAULT,
        }),
    }
}

/// Copies bytes between addresses that nobody vouches for, which must not be memory of Rust
/// objects. The ranges may not overlap.
///
/// # Errors
/// The first address that could not be accessed; bytes before it have been copied.
pub(crate) fn copy(to: usize, from: usize, len: usize) -> Result<(), BadAccess> {
    // SAFETY: the routine touches exactly the two ranges; a fault inside it makes it return early.
    result(unsafe { nt_sim_guarded_copy(to as *mut u8, from as *const u8, len) })
}

/// Reads a word at any address; `None` if it cannot be read.
pub(crate) fn read_word(address: usize) -> Option<u64> {
    let mut word = 0_u64;
    copy(&raw mut word as usize, address, 8).ok()?;
    Some(word)
}

/// Whether a byte can be read at an address.
#[inline]
pub(crate) fn readable(address: usize) -> bool {
    // SAFETY: the routine reads one byte and throws it away; a fault makes it return early.
    result(unsafe { nt_sim_guarded_probe(address as *const u8) }).is_ok()
}
