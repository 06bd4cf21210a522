//! What is left of a panic: a bugcheck with a code of its own.

// UNSAFETY: stopping the system is a call of the kernel.
#![expect(unsafe_code, reason = "KeBugCheckEx is a kernel import")]

use core::panic::PanicInfo;

/// Stop code of a Rust panic, `RUST` in ASCII. `cargo xtask driver --check` finds the panic handler in the image by
/// this constant, so the handler must load it as an immediate.
const PANIC_STOP_CODE: u32 = 0x5255_5354;

#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    fn KeBugCheckEx(code: u32, p1: usize, p2: usize, p3: usize, p4: usize) -> !;
}

/// Stops the system. The message and the location are not looked at, so that neither is linked into the image.
#[panic_handler]
#[cold]
#[inline(never)]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: the call has no precondition; any thread may stop the system at any IRQL.
    unsafe { KeBugCheckEx(PANIC_STOP_CODE, 0, 0, 0, 0) }
}
