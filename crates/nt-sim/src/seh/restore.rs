//! Going on with other registers.

use std::{arch::global_asm, mem::offset_of};

use super::context::Context;

unsafe extern "sysv64" {
    /// Loads every register of a context, its flags and its stack included, and goes on there.
    fn nt_sim_restore_context(context: *const Context) -> !;
}

const GPR: usize = offset_of!(Context, gpr);

global_asm!(
    ".text",
    ".globl nt_sim_restore_context",
    ".type nt_sim_restore_context,@function",
    "nt_sim_restore_context:",
    "cld",
    "ldmxcsr [rdi + {mxcsr}]",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
    "movaps xmm\\n, [rdi + {xmm} + 16*\\n]",
    ".endr",
    // What cannot be loaded while the context is still needed goes below the new stack pointer,
    // where the Windows convention keeps nothing.
    "mov rcx, [rdi + {gpr} + 32]",
    "sub rcx, 32",
    "mov rax, [rdi + {rip}]",
    "mov [rcx + 24], rax",
    "mov rax, [rdi + {gpr} + 56]",
    "mov [rcx + 16], rax",
    "mov rax, [rdi + {gpr} + 8]",
    "mov [rcx + 8], rax",
    "mov eax, [rdi + {eflags}]",
    "and eax, 0x0cd5", // arithmetic and direction flags only
    "or eax, 0x202",
    "mov [rcx], rax",
    "mov rax, [rdi + {gpr}]",
    "mov rdx, [rdi + {gpr} + 16]",
    "mov rbx, [rdi + {gpr} + 24]",
    "mov rbp, [rdi + {gpr} + 40]",
    "mov rsi, [rdi + {gpr} + 48]",
    "mov r8, [rdi + {gpr} + 64]",
    "mov r9, [rdi + {gpr} + 72]",
    "mov r10, [rdi + {gpr} + 80]",
    "mov r11, [rdi + {gpr} + 88]",
    "mov r12, [rdi + {gpr} + 96]",
    "mov r13, [rdi + {gpr} + 104]",
    "mov r14, [rdi + {gpr} + 112]",
    "mov r15, [rdi + {gpr} + 120]",
    "mov rsp, rcx",
    "popfq",
    "pop rcx",
    "pop rdi",
    "ret",
    ".size nt_sim_restore_context, . - nt_sim_restore_context",
    mxcsr = const offset_of!(Context, mxcsr),
    xmm = const offset_of!(Context, xmm),
    gpr = const GPR,
    rip = const offset_of!(Context, rip),
    eflags = const offset_of!(Context, eflags),
);

/// Goes on at a place of a driver's code.
///
/// # Safety
/// The context is one of a live frame of this thread, and no frame that is skipped owns anything.
pub(crate) unsafe fn restore(context: &Context) -> ! {
    // SAFETY: as the caller states; `Context` is aligned as the loads need.
    unsafe { nt_sim_restore_context(context) }
}
