//! The per-thread block that the GS register points at, and the kernel stack.

use std::ptr::NonNull;

/// Bytes of a kernel stack on x64 Windows.
pub(crate) const KERNEL_STACK_SIZE: usize = 24 * 1024;

/// What `gs:` addresses: the fields of the processor control region that drivers read inline, at
/// their Windows offsets, followed by what the call and thunk code of this crate needs.
#[repr(C, align(4096))]
pub(crate) struct ThreadBlock {
    _tib: [u8; 0x18],
    /// `KPCR.Self`.
    pub(crate) self_pointer: *mut ThreadBlock,
    /// `KPCR.CurrentPrcb`.
    pub(crate) current_prcb: *mut u8,
    _28: [u8; 0x180 - 0x28],
    /// `KPCR.Prcb.MxCsr` and `LegacyNumber`.
    pub(crate) prcb_mxcsr: u32,
    pub(crate) prcb_legacy_number: u32,
    /// `KPCR.Prcb.CurrentThread`: `gs:[0x188]`.
    pub(crate) current_thread: *mut u8,
    pub(crate) next_thread: *mut u8,
    pub(crate) idle_thread: *mut u8,
    _1a0: [u8; 4],
    /// `KPCR.Prcb.Number`: `gs:[0x1a4]`.
    pub(crate) processor_number: u32,
    _1a8: [u8; 0x1800 - 0x1a8],
    /// Where the next exported function's frame goes: below the frames of the host stack.
    pub(crate) host_rsp: u64,
    /// Where the next driver frame goes on the kernel stack.
    pub(crate) kernel_rsp: u64,
    /// Registers of the driver code that called the innermost raising export.
    pub(crate) raise_context: *mut super::RaiseContext,
    /// Innermost call into a driver.
    pub(crate) call_frame: *mut super::call::CallFrame,
    /// Whether import thunks change stacks.
    pub(crate) switch_stacks: u64,
}

pub(crate) const HOST_RSP: usize = std::mem::offset_of!(ThreadBlock, host_rsp);
pub(crate) const KERNEL_RSP: usize = std::mem::offset_of!(ThreadBlock, kernel_rsp);
pub(crate) const RAISE_CONTEXT: usize = std::mem::offset_of!(ThreadBlock, raise_context);
pub(crate) const SWITCH_STACKS: usize = std::mem::offset_of!(ThreadBlock, switch_stacks);

const _: () = {
    assert!(std::mem::offset_of!(ThreadBlock, current_thread) == 0x188);
    assert!(std::mem::offset_of!(ThreadBlock, processor_number) == 0x1a4);
    assert!(HOST_RSP == 0x1800);
};

impl ThreadBlock {
    /// Makes a block for a thread whose `KTHREAD` is at `kthread`.
    pub(crate) fn new(kthread: *mut u8) -> Box<ThreadBlock> {
        // SAFETY: every field is an integer or a raw pointer, for which zero is a value.
        let mut block: Box<ThreadBlock> = unsafe { Box::new_zeroed().assume_init() };
        block.self_pointer = &raw mut *block;
        block.current_prcb = (&raw mut block.prcb_mxcsr).cast();
        block.prcb_mxcsr = 0x1f80;
        block.current_thread = kthread;
        block
    }

    /// Points this thread's GS at the block.
    pub(crate) fn install(&self) {
        const ARCH_SET_GS: libc::c_int = 0x1001;
        // SAFETY: nothing in a Linux process uses GS; the block lives as long as the thread.
        let result = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, self) };
        assert_eq!(result, 0, "arch_prctl(ARCH_SET_GS) failed");
    }
}

/// A guarded stack for driver code.
pub(crate) struct KernelStack {
    base: NonNull<u8>,
}

// SAFETY: owned memory, used by one thread at a time.
unsafe impl Send for KernelStack {}
// SAFETY: as above; shared references only read addresses.
unsafe impl Sync for KernelStack {}

const GUARD: usize = 16 * 1024;
const PAINT: u64 = 0x5354_4143_4b53_5441;

impl KernelStack {
    /// Maps a stack; `None` when the host has no memory.
    pub(crate) fn new() -> Option<KernelStack> {
        // SAFETY: a new anonymous mapping at an address of the host's choice.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                GUARD + KERNEL_STACK_SIZE,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return None;
        }
        let stack = KernelStack {
            base: NonNull::new(base.cast())?,
        };
        let limit = stack.limit() as *mut libc::c_void;
        // SAFETY: the upper part of the mapping made above.
        let result =
            unsafe { libc::mprotect(limit, KERNEL_STACK_SIZE, libc::PROT_READ | libc::PROT_WRITE) };
        if result != 0 {
            return None;
        }
        stack.paint();
        Some(stack)
    }

    fn paint(&self) {
        for slot in (self.limit()..self.top()).step_by(8) {
            // SAFETY: inside the writable part of the mapping, aligned; nothing runs on it yet.
            unsafe { (slot as *mut u64).write(PAINT) };
        }
    }

    /// Lowest usable address.
    pub(crate) fn limit(&self) -> usize {
        self.base.as_ptr() as usize + GUARD
    }

    /// First address above.
    pub(crate) fn top(&self) -> usize {
        self.limit() + KERNEL_STACK_SIZE
    }

    /// Whether `address` lies in the guard pages: the stack has overflowed.
    pub(crate) fn guards(&self, address: usize) -> bool {
        (self.base.as_ptr() as usize..self.limit()).contains(&address)
    }

    /// Whether `address` lies in the stack.
    pub(crate) fn contains(&self, address: usize) -> bool {
        (self.limit()..self.top()).contains(&address)
    }

    /// Most bytes that were ever in use.
    pub(crate) fn high_water(&self) -> usize {
        let lowest = (self.limit()..self.top())
            .step_by(8)
            .find(|&slot| {
                // SAFETY: inside the mapping and aligned.
                let value = unsafe { (slot as *const u64).read_volatile() };
                value != PAINT
            })
            .unwrap_or(self.top());
        self.top() - lowest
    }
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; no code runs on it any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), GUARD + KERNEL_STACK_SIZE) };
    }
}
