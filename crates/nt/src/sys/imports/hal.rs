//! Exports of hal.dll (forwarded to ntoskrnl on newer systems).

use crate::sys::*;

imports! { "hal.dll" {
    fn KeQueryPerformanceCounter(PerformanceFrequency: *mut LARGE_INTEGER) -> LARGE_INTEGER;
    fn KeStallExecutionProcessor(MicroSeconds: u32);
} }
