//! Structured exceptions as statuses.
//!
//! A few kernel functions raise, and user memory can fault at any time. Rust cannot catch that, so what may raise is
//! a plain function of raw operations (nothing to drop) called through a small assembly function whose unwind data
//! names the kernel's own handler.

use core::ffi::c_void;

use crate::status::{Result, Status};

#[cfg(target_arch = "x86_64")]
type Protected = unsafe extern "win64" fn(*mut c_void);
#[cfg(not(target_arch = "x86_64"))]
type Protected = unsafe extern "C" fn(*mut c_void);

#[cfg(windows)]
mod trampoline {
    // `nt_try(f, context)`: calls `f(context)` and returns 0. An exception inside is handled at `except`, where the
    // unwinder leaves its code in the return register. The `nop` keeps the call's return address inside the scope.
    #[cfg(target_arch = "x86_64")]
    core::arch::global_asm!(
        ".text",
        ".globl nt_try",
        ".def nt_try",
        ".scl 2",
        ".type 32",
        ".endef",
        ".p2align 4, 0x90",
        "nt_try:",
        ".seh_proc nt_try",
        "sub rsp, 40",
        ".seh_stackalloc 40",
        ".seh_endprologue",
        "nt_try_begin:",
        "mov rax, rcx",
        "mov rcx, rdx",
        "call rax",
        "nop",
        "nt_try_end:",
        "xor eax, eax",
        "nt_try_except:",
        "add rsp, 40",
        "ret",
        ".seh_handler __C_specific_handler, @except",
        ".seh_handlerdata",
        ".long 1",
        ".long nt_try_begin@IMGREL",
        ".long nt_try_end@IMGREL",
        ".long 1",
        ".long nt_try_except@IMGREL",
        ".text",
        ".seh_endproc",
    );

    #[cfg(target_arch = "aarch64")]
    core::arch::global_asm!(
        ".text",
        ".globl nt_try",
        ".def nt_try",
        ".scl 2",
        ".type 32",
        ".endef",
        ".p2align 2",
        "nt_try:",
        ".seh_proc nt_try",
        "stp x29, x30, [sp, #-16]!",
        ".seh_save_fplr_x 16",
        "mov x29, sp",
        ".seh_set_fp",
        ".seh_endprologue",
        "nt_try_begin:",
        "mov x8, x0",
        "mov x0, x1",
        "blr x8",
        "nop",
        "nt_try_end:",
        "mov w0, wzr",
        "nt_try_except:",
        ".seh_startepilogue",
        "ldp x29, x30, [sp], #16",
        ".seh_save_fplr_x 16",
        ".seh_endepilogue",
        "ret",
        ".seh_handler __C_specific_handler, @except",
        ".seh_handlerdata",
        ".long 1",
        ".long nt_try_begin@IMGREL",
        ".long nt_try_end@IMGREL",
        ".long 1",
        ".long nt_try_except@IMGREL",
        ".text",
        ".seh_endproc",
    );
}

#[cfg(target_arch = "x86_64")]
unsafe extern "win64" {
    #[cfg_attr(not(windows), link_name = "nt_sim_try")]
    fn nt_try(function: Protected, context: *mut c_void) -> i32;
}
#[cfg(not(target_arch = "x86_64"))]
unsafe extern "C" {
    #[cfg_attr(not(windows), link_name = "nt_sim_try")]
    fn nt_try(function: Protected, context: *mut c_void) -> i32;
}

/// Calls a function; when it raises, the rest of it does not happen and the exception's code is returned.
///
/// # Safety
///
/// `function` must accept a pointer to `context`, and must own nothing that needs dropping at any point where it, or
/// what it calls, may raise.
pub(crate) unsafe fn guarded<C>(function: Protected, context: &mut C) -> Result<()> {
    // SAFETY: the caller's promise.
    Status(unsafe { nt_try(function, (&raw mut *context).cast()) }).ok()
}
