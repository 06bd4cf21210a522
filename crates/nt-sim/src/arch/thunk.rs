//! Import thunks: what an entry of a driver's import table points at.
//!
//! A thunk loads its target and goes on in one of two stubs. The *plain* one moves from the kernel
//! stack to the host stack for the call. The *raising* one also saves the driver's nonvolatile
//! registers, from which an exception is dispatched.

use std::arch::global_asm;

use super::block::{HOST_RSP, KERNEL_RSP, RAISE_CONTEXT, SWITCH_STACKS};

/// The driver's registers at a call of a raising export, as the stub lays them out.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct RaiseContext {
    /// XMM6 to XMM15.
    pub(crate) xmm: [u128; 10],
    pub(crate) previous: *mut RaiseContext,
    pub(crate) r15: u64,
    pub(crate) r14: u64,
    pub(crate) r13: u64,
    pub(crate) r12: u64,
    pub(crate) rsi: u64,
    pub(crate) rdi: u64,
    pub(crate) rbx: u64,
    pub(crate) rbp: u64,
    /// Return address in the driver; the driver's stack pointer after the return is the address of
    /// the word behind it.
    pub(crate) rip: u64,
}

unsafe extern "C" {
    fn nt_sim_thunk_plain();
    fn nt_sim_thunk_raising();
}

/// Stack arguments that a stub copies (beside the four in registers).
const STACK_ARGUMENTS: usize = 14;

global_asm!(
    ".text",
    ".globl nt_sim_thunk_plain",
    "nt_sim_thunk_plain:", // target in rax
    "push rbp",
    "mov rbp, rsp",
    "cmp qword ptr gs:[{switch}], 0",
    "je 1f",
    "mov gs:[{kernel_rsp}], rsp",
    "mov rsp, gs:[{host_rsp}]",
    "1:",
    "and rsp, -16",
    "sub rsp, {frame}",
    ".set i, 0",
    ".rept {words}",
    "mov r10, [rbp + 16 + 32 + i*8]",
    "mov [rsp + 32 + i*8], r10",
    ".set i, i+1",
    ".endr",
    "call rax",
    "mov rsp, rbp",
    "pop rbp",
    "ret",
    ".globl nt_sim_thunk_raising",
    "nt_sim_thunk_raising:",
    "push rbp",
    "push rbx",
    "push rdi",
    "push rsi",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "push qword ptr gs:[{raise}]",
    "lea r11, [rsp + 72]", // where rip is
    "sub rsp, 160",
    "movups [rsp], xmm6",
    "movups [rsp + 16], xmm7",
    "movups [rsp + 32], xmm8",
    "movups [rsp + 48], xmm9",
    "movups [rsp + 64], xmm10",
    "movups [rsp + 80], xmm11",
    "movups [rsp + 96], xmm12",
    "movups [rsp + 112], xmm13",
    "movups [rsp + 128], xmm14",
    "movups [rsp + 144], xmm15",
    "mov gs:[{raise}], rsp",
    "mov rbx, rsp",
    "cmp qword ptr gs:[{switch}], 0",
    "je 2f",
    "mov gs:[{kernel_rsp}], rsp",
    "mov rsp, gs:[{host_rsp}]",
    "2:",
    "and rsp, -16",
    "sub rsp, {frame}",
    ".set i, 0",
    ".rept {words}",
    "mov r10, [r11 + 8 + 32 + i*8]",
    "mov [rsp + 32 + i*8], r10",
    ".set i, i+1",
    ".endr",
    "call rax",
    "mov rsp, rbx",
    "add rsp, 160",
    "pop qword ptr gs:[{raise}]",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rsi",
    "pop rdi",
    "pop rbx",
    "pop rbp",
    "ret",
    switch = const SWITCH_STACKS,
    kernel_rsp = const KERNEL_RSP,
    host_rsp = const HOST_RSP,
    raise = const RAISE_CONTEXT,
    words = const STACK_ARGUMENTS,
    frame = const 32 + STACK_ARGUMENTS * 8,
);

/// Executable memory that holds the thunks of one image.
pub(crate) struct ThunkPage {
    base: *mut u8,
    size: usize,
    used: usize,
}

// SAFETY: owned memory; written only through `&mut self`.
unsafe impl Send for ThunkPage {}
// SAFETY: as above.
unsafe impl Sync for ThunkPage {}

/// Which stub a thunk goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Raising,
}

impl ThunkPage {
    /// Bytes of one thunk: `mov rax, imm64; mov r10, imm64; jmp r10`.
    const THUNK: usize = 32;

    /// Maps room for `count` thunks.
    pub(crate) fn new(count: usize) -> std::io::Result<ThunkPage> {
        let size = (count.max(1) * Self::THUNK).next_multiple_of(4096);
        // SAFETY: a new anonymous mapping.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        Ok(ThunkPage {
            base: base.cast(),
            size,
            used: 0,
        })
    }

    /// Writes a thunk that calls `target` with `argument` as its first argument.
    pub(crate) fn add_with_argument(&mut self, target: *const (), argument: u64) -> *const () {
        let mut code = Vec::with_capacity(Self::THUNK);
        code.extend([0x48, 0xb9]);
        code.extend(argument.to_le_bytes());
        code.extend([0x48, 0xb8]);
        code.extend((target as u64).to_le_bytes());
        code.extend([0xff, 0xe0]);
        self.push(&code)
    }

    /// Writes a thunk for `target` and returns its address.
    pub(crate) fn add(&mut self, kind: Kind, target: *const ()) -> *const () {
        let stub = match kind {
            Kind::Plain => nt_sim_thunk_plain as *const (),
            Kind::Raising => nt_sim_thunk_raising as *const (),
        };
        let mut code = Vec::with_capacity(Self::THUNK);
        code.extend([0x48, 0xb8]);
        code.extend((target as u64).to_le_bytes());
        code.extend([0x49, 0xba]);
        code.extend((stub as u64).to_le_bytes());
        code.extend([0x41, 0xff, 0xe2]);
        self.push(&code)
    }

    fn push(&mut self, code: &[u8]) -> *const () {
        assert!(self.used + Self::THUNK <= self.size, "thunk page is full");
        // SAFETY: `used` is inside the mapping (checked above).
        let at = unsafe { self.base.add(self.used) };
        // SAFETY: the mapping is writable until `seal` and has room (checked above).
        unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), at, code.len()) };
        self.used += Self::THUNK;
        at as *const ()
    }

    /// The first thunk.
    pub(crate) fn first(&self) -> *const () {
        self.base as *const ()
    }

    /// Makes the thunks executable and no longer writable.
    pub(crate) fn seal(&mut self) -> std::io::Result<()> {
        // SAFETY: the mapping made in `new`.
        let result = unsafe {
            libc::mprotect(
                self.base.cast(),
                self.size,
                libc::PROT_READ | libc::PROT_EXEC,
            )
        };
        if result != 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(())
    }
}

impl Drop for ThunkPage {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`.
        unsafe { libc::munmap(self.base.cast(), self.size) };
    }
}
