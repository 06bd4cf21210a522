//! Return addresses of the driver code that called into the kernel.

use std::ffi::c_void;

use crate::seh;

/// Innermost first. For a driver file: the return addresses on its kernel stack. For a linked driver: the frames of this
/// thread's stack.
pub(crate) fn driver_frames(max: usize) -> Vec<usize> {
    let frames = seh::driver_stack(max);
    if frames.is_empty() {
        unwind(max)
    } else {
        frames
    }
}

type Trace = extern "C" fn(*mut c_void, *mut c_void) -> i32;

unsafe extern "C" {
    fn _Unwind_Backtrace(trace: Trace, context: *mut c_void) -> i32;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
}

extern "C" fn collect(context: *mut c_void, frames: *mut c_void) -> i32 {
    const GO_ON: i32 = 0;
    const STOP: i32 = 5;
    // SAFETY: `unwind` passes a pointer to its vector, which nothing else uses during the walk.
    let frames = unsafe { &mut *frames.cast::<Vec<usize>>() };
    // SAFETY: the unwinder passes a valid context.
    frames.push(unsafe { _Unwind_GetIP(context) });
    if frames.len() < frames.capacity() {
        GO_ON
    } else {
        STOP
    }
}

/// The frames of this thread's host stack, without those of this module.
fn unwind(max: usize) -> Vec<usize> {
    const OWN: usize = 3;
    let mut frames: Vec<usize> = Vec::with_capacity(max + OWN);
    // SAFETY: the callback matches the unwinder's prototype and only pushes within the capacity.
    unsafe { _Unwind_Backtrace(collect, (&raw mut frames).cast()) };
    frames.drain(..OWN.min(frames.len()));
    frames
}
