//! Stack frames of more than a page.
//!
//! The compiler has each of their pages touched from the top down, so that a thread that is out of stack hits the guard
//! page instead of whatever lies beyond it. Frames of that size are for code that starts objects, never for the data path:
//! a kernel stack has six pages.

// `__chkstk`: rax has the size of the frame that is about to be made; only r10 and r11 may change.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".text",
    ".globl __chkstk",
    ".def __chkstk",
    ".scl 2",
    ".type 32",
    ".endef",
    ".p2align 4, 0x90",
    "__chkstk:",
    "lea r10, [rsp + 8]",
    "mov r11, r10",
    "sub r11, rax",
    "2:",
    "sub r10, 4096",
    "cmp r10, r11",
    "jbe 3f",
    "or dword ptr [r10], 0",
    "jmp 2b",
    "3:",
    "or dword ptr [r11], 0",
    "ret",
);

// `__chkstk`: x15 has the size in units of 16 bytes; only x16 and x17 may change.
#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".text",
    ".globl __chkstk",
    ".def __chkstk",
    ".scl 2",
    ".type 32",
    ".endef",
    ".p2align 2",
    "__chkstk:",
    "lsl x16, x15, #4",
    "mov x17, sp",
    "2:",
    "sub x17, x17, #4096",
    "ldr xzr, [x17]",
    "subs x16, x16, #4096",
    "b.hi 2b",
    "ret",
);
