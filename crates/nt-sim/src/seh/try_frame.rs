//! Exceptions in drivers that are linked into the process.
//!
//! Such a driver is compiled for Linux and has no `.pdata`. The `nt` crate calls code that may raise
//! through one function; on Windows that is an assembly trampoline with an exception handler, here
//! it is [`nt_sim_try`], which keeps the registers to come back to.

use std::{arch::global_asm, cell::Cell, ptr};

use crate::arch::{self, CallFrame};

/// Registers of a call of `nt_sim_try` are kept on its stack; this is what leads back to them.
#[repr(C)]
struct TryFrame {
    rsp: u64,
    previous: *mut TryFrame,
    call: *mut CallFrame,
}

thread_local! {
    static INNERMOST: Cell<*mut TryFrame> = const { Cell::new(ptr::null_mut()) };
}

unsafe extern "win64" {
    /// Calls `f(context)`. Returns zero, or the status of the exception that `f` raised; its frames
    /// are skipped then.
    #[expect(dead_code, reason = "called by linked drivers, by its C name")]
    fn nt_sim_try(
        f: unsafe extern "win64" fn(*mut core::ffi::c_void),
        context: *mut core::ffi::c_void,
    ) -> i32;
}

unsafe extern "sysv64" {
    fn nt_sim_try_resume(rsp: u64, status: u32) -> !;
}

extern "sysv64" fn try_enter(frame: &mut TryFrame) {
    frame.previous = INNERMOST.get();
    frame.call = crate::sched::try_current().map_or(ptr::null_mut(), |_| arch::current_call());
    INNERMOST.set(frame);
}

extern "sysv64" fn try_leave(frame: &TryFrame) {
    INNERMOST.set(frame.previous);
}

global_asm!(
    ".text",
    ".globl nt_sim_try",
    ".type nt_sim_try,@function",
    "nt_sim_try:",
    "push rbp",
    "push rbx",
    "push rdi",
    "push rsi",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    // 24 bytes of TryFrame, 32 of home space for the callee, 160 of XMM registers; the sum keeps
    // the stack aligned.
    "sub rsp, 216",
    "movups [rsp + 56], xmm6",
    "movups [rsp + 72], xmm7",
    "movups [rsp + 88], xmm8",
    "movups [rsp + 104], xmm9",
    "movups [rsp + 120], xmm10",
    "movups [rsp + 136], xmm11",
    "movups [rsp + 152], xmm12",
    "movups [rsp + 168], xmm13",
    "movups [rsp + 184], xmm14",
    "movups [rsp + 200], xmm15",
    "mov rbx, rcx",
    "mov r12, rdx",
    "mov [rsp + 32], rsp",
    "lea rdi, [rsp + 32]",
    "call {enter}",
    "mov rcx, r12",
    "call rbx",
    "lea rdi, [rsp + 32]",
    "call {leave}",
    "xor eax, eax",
    "2:",
    "movups xmm6, [rsp + 56]",
    "movups xmm7, [rsp + 72]",
    "movups xmm8, [rsp + 88]",
    "movups xmm9, [rsp + 104]",
    "movups xmm10, [rsp + 120]",
    "movups xmm11, [rsp + 136]",
    "movups xmm12, [rsp + 152]",
    "movups xmm13, [rsp + 168]",
    "movups xmm14, [rsp + 184]",
    "movups xmm15, [rsp + 200]",
    "add rsp, 216",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rsi",
    "pop rdi",
    "pop rbx",
    "pop rbp",
    "ret",
    ".globl nt_sim_try_resume",
    "nt_sim_try_resume:",
    "cld",
    "mov rsp, rdi",
    "mov eax, esi",
    "jmp 2b",
    ".size nt_sim_try, . - nt_sim_try",
    enter = sym try_enter,
    leave = sym try_leave,
);

/// Whether an exception in the running linked driver goes to one of its own frames.
pub(crate) fn catches() -> bool {
    // SAFETY: null, or a frame whose call has not returned: it is taken out when it returns or is
    // resumed, and `matches` below is false for what an abandoned driver call has left behind.
    let frame = unsafe { INNERMOST.get().as_ref() };
    frame.is_some_and(|frame| frame.call == arch::current_call())
}

/// Goes back to the innermost `nt_sim_try` of the running linked driver with `status`; returns if
/// there is none.
pub(crate) fn resume_if_active(status: u32) {
    if !catches() {
        return;
    }
    let frame = INNERMOST.get();
    // SAFETY: `catches` has found the frame alive.
    INNERMOST.set(unsafe { (*frame).previous });
    // SAFETY: as above.
    let rsp = unsafe { (*frame).rsp };
    // SAFETY: the call of `nt_sim_try` has not returned, so its registers are at `rsp`.
    unsafe { nt_sim_try_resume(rsp, status) }
}

/// The innermost call of `nt_sim_try` on this thread.
pub(super) fn innermost() -> *const () {
    INNERMOST.get().cast_const().cast()
}

/// Makes an earlier result of [`innermost`] the innermost call again.
pub(super) fn forget_inside(frame: *const ()) {
    INNERMOST.set(frame.cast_mut().cast());
}

/// Where to go on, and with which registers, so that the innermost call of `nt_sim_try` returns
/// `status`: the address, RDI and RSI. Takes the call out.
pub(crate) fn way_back(status: u32) -> (u64, u64, u64) {
    let frame = INNERMOST.get();
    assert!(!frame.is_null(), "no linked handler is active");
    // SAFETY: `catches` has found the frame alive.
    INNERMOST.set(unsafe { (*frame).previous });
    // SAFETY: as above.
    let rsp = unsafe { (*frame).rsp };
    (nt_sim_try_resume as *const () as u64, rsp, status.into())
}
