//! From kernel code into a driver.

use std::{any::Any, arch::global_asm, panic::resume_unwind};

use crate::{
    export::{Exit, Raise},
    sched, sync,
};

/// A call into a driver that has not returned yet. Lives on the host stack.
#[repr(C)]
pub(crate) struct CallFrame {
    /// Host stack pointer inside the call stub; `nt_sim_abandon` goes back to it.
    rsp: u64,
    previous: *mut CallFrame,
    /// The function that was called.
    function: usize,
    saved_host_rsp: u64,
    saved_kernel_rsp: u64,
    saved_raise_context: *mut super::RaiseContext,
    /// Why the driver's frames were skipped.
    payload: Option<Box<dyn Any + Send>>,
}

unsafe extern "C" {
    /// Where driver functions return to: marks the outermost driver frame of a call.
    safe fn nt_sim_call_driver_return();
}

/// Address that driver functions called from here return to.
pub(crate) fn return_address() -> u64 {
    nt_sim_call_driver_return as *const () as u64
}

/// The call into a driver that this thread is in; null in kernel code that no driver called.
pub(crate) fn current_call() -> *mut CallFrame {
    // SAFETY: the block belongs to this thread.
    unsafe { (*sched::current().block()).call_frame }
}

impl CallFrame {
    /// The call that this one is inside of.
    pub(crate) fn previous(&self) -> *mut CallFrame {
        self.previous
    }

    /// The driver's function that was called.
    pub(crate) fn function(&self) -> usize {
        self.function
    }

    /// Makes this the innermost call again, with the calls inside it forgotten, as when control
    /// goes back to a frame of its driver.
    ///
    /// # Safety
    /// The call has not returned, and nothing inside it goes on running.
    pub(crate) unsafe fn resume_inside(&mut self) {
        let block = sched::current().block();
        // SAFETY: the block belongs to this thread.
        let block = unsafe { &mut *block };
        block.call_frame = self;
        block.host_rsp = self.rsp - HOST_GAP;
        block.raise_context = std::ptr::null_mut();
    }

    /// Stack pointer of the driver frame that called the kernel code which made this call, and
    /// that kernel function's saved registers, if it saved them.
    pub(crate) fn outer_driver_stack(&self) -> (u64, *mut super::RaiseContext) {
        (self.saved_kernel_rsp, self.saved_raise_context)
    }
}

/// Bytes between the call stub's frame and those of exported functions.
const HOST_GAP: u64 = 256;

#[expect(
    improper_ctypes,
    reason = "the stubs only store into the first field of the frame"
)]
unsafe extern "sysv64" {
    /// Calls `function` with `count` integer arguments (at least four slots readable at
    /// `arguments`) in the Windows x64 convention, on `stack` if that is not null.
    fn nt_sim_call_driver(
        function: *const (),
        arguments: *const u64,
        count: usize,
        stack: u64,
        frame: *mut CallFrame,
        host_rsp: *mut u64,
    ) -> u64;
    /// Returns from the call that saved `rsp`, skipping everything above it.
    fn nt_sim_abandon(rsp: u64) -> !;
}

global_asm!(
    ".text",
    ".globl nt_sim_call_driver",
    ".type nt_sim_call_driver,@function",
    "nt_sim_call_driver:",
    "push rbp",
    "mov rbp, rsp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "sub rsp, 8",
    "mov [r8], rsp",
    // Exported functions build their frames below this one and its red zone.
    "lea rax, [rsp - {gap}]",
    "mov [r9], rax",
    "mov rbx, rdi",
    "test rcx, rcx",
    "jz 1f",
    "mov rsp, rcx",
    "1:",
    "and rsp, -16",
    "mov rax, rdx",
    "mov ecx, 4",
    "cmp rax, rcx",
    "cmovb rax, rcx",
    "inc rax",
    "and rax, -2",
    "shl rax, 3",
    "sub rsp, rax",
    "xor ecx, ecx",
    "2:",
    "cmp rcx, rdx",
    "jae 3f",
    "mov rax, [rsi + rcx*8]",
    "mov [rsp + rcx*8], rax",
    "inc rcx",
    "jmp 2b",
    "3:",
    "mov rcx, [rsi]",
    "mov rdx, [rsi + 8]",
    "mov r8, [rsi + 16]",
    "mov r9, [rsi + 24]",
    "call rbx",
    ".globl nt_sim_call_driver_return",
    "nt_sim_call_driver_return:",
    "lea rsp, [rbp - 40]",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    ".size nt_sim_call_driver, . - nt_sim_call_driver",
    ".globl nt_sim_abandon",
    ".type nt_sim_abandon,@function",
    "nt_sim_abandon:",
    "cld",
    "lea rbp, [rdi + 48]",
    "jmp nt_sim_call_driver_return",
    ".size nt_sim_abandon, . - nt_sim_abandon",
    gap = const HOST_GAP,
);

/// Calls a driver's function and returns what it left in RAX.
///
/// # Panics
/// Unwinds when the kernel stopped, or an exception left the driver, during the call.
#[track_caller]
pub(crate) fn call_driver(function: *const (), arguments: &[u64]) -> u64 {
    let mut padded = [0; 16];
    assert!(arguments.len() <= padded.len(), "too many arguments");
    sync::assert_none_held();
    padded[..arguments.len()].copy_from_slice(arguments);
    let block = sched::current().block();
    let mut frame = CallFrame {
        rsp: 0,
        function: function as usize,
        // SAFETY: the block belongs to this thread and lives as long as it.
        previous: unsafe { (*block).call_frame },
        // SAFETY: as above.
        saved_host_rsp: unsafe { (*block).host_rsp },
        // SAFETY: as above.
        saved_kernel_rsp: unsafe { (*block).kernel_rsp },
        // SAFETY: as above.
        saved_raise_context: unsafe { (*block).raise_context },
        payload: None,
    };
    // SAFETY: as above.
    unsafe { (*block).call_frame = &raw mut frame };
    // Registers saved for the outer driver are not those of a caller inside this call.
    // SAFETY: as above.
    unsafe { (*block).raise_context = std::ptr::null_mut() };
    let handlers = crate::seh::Handlers::current();
    let stack = if crate::kernel::strict() && super::in_image(function as usize) {
        frame.saved_kernel_rsp
    } else {
        0
    };
    let host_rsp = (block as usize + super::block::HOST_RSP) as *mut u64;
    // SAFETY: the caller names a function of a driver image and its arguments; the stub keeps the
    // host's registers; `stack` is the free part of this thread's kernel stack.
    let result = unsafe {
        nt_sim_call_driver(
            function,
            padded.as_ptr(),
            arguments.len(),
            stack,
            &raw mut frame,
            host_rsp,
        )
    };
    // SAFETY: as above; undoes what the call and the thunks under it changed.
    unsafe {
        (*block).call_frame = frame.previous;
    }
    // SAFETY: as above.
    unsafe { (*block).host_rsp = frame.saved_host_rsp };
    // SAFETY: as above.
    unsafe { (*block).kernel_rsp = frame.saved_kernel_rsp };
    // SAFETY: as above.
    unsafe { (*block).raise_context = frame.saved_raise_context };
    if let Some(payload) = frame.payload.take() {
        handlers.restore();
        resume_unwind(payload);
    }
    result
}

/// Ends an exported function that did not return: an exception is given to the driver that called
/// it, everything else skips the driver's frames and goes on unwinding in kernel code.
pub(crate) fn leave_by_unwinding(payload: Box<dyn Any + Send>) -> ! {
    let payload = match payload.downcast::<Exit>() {
        Ok(exit) => match *exit {
            Exit::Raise(raise) => raise_into_caller(raise),
            Exit::Stopped => exit as Box<dyn Any + Send>,
        },
        Err(other) => other,
    };
    abandon_driver(payload)
}

/// Skips the frames of the innermost driver call and unwinds from there.
pub(crate) fn abandon_driver(payload: Box<dyn Any + Send>) -> ! {
    let block = sched::current().block();
    // SAFETY: the block belongs to this thread.
    let frame = unsafe { (*block).call_frame };
    assert!(
        !frame.is_null(),
        "an exported function ran outside a driver call"
    );
    // SAFETY: the frame is alive: its call has not returned.
    unsafe { (*frame).payload = Some(payload) };
    // SAFETY: as above.
    let rsp = unsafe { (*frame).rsp };
    // SAFETY: the stub's frame is intact below us; the frames skipped are the driver's, which need
    // no clean-up, and this function's own, which own nothing.
    unsafe { nt_sim_abandon(rsp) }
}

fn raise_into_caller(raise: Raise) -> ! {
    crate::seh::dispatch_raise(raise)
}
