//! What the system and its processors are, as data and as questions.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::{export::Export, exports, kernel::kernel};

/// The build number; the upper bits say that it is no checked build.
#[unsafe(no_mangle)]
static NtBuildNumber: AtomicU32 = AtomicU32::new(0);
/// Not started in safe mode.
#[unsafe(no_mangle)]
static InitSafeBootMode: AtomicU32 = AtomicU32::new(0);
/// No kernel debugger is enabled ...
#[unsafe(no_mangle)]
static KdDebuggerEnabled: AtomicU32 = AtomicU32::new(0);
/// ... and none is there.
#[unsafe(no_mangle)]
static KdDebuggerNotPresent: AtomicU32 = AtomicU32::new(1);

const FREE_BUILD: u32 = 0xf000_0000;

/// Fills in what the configuration decides.
pub(crate) fn boot() {
    NtBuildNumber.store(kernel().config.build | FREE_BUILD, Ordering::Release);
}

/// Exported data.
pub(crate) static DATA: &[Export] = &[
    crate::export_data!("ntoskrnl.exe", NtBuildNumber),
    crate::export_data!("ntoskrnl.exe", InitSafeBootMode),
    crate::export_data!("ntoskrnl.exe", KdDebuggerEnabled),
    crate::export_data!("ntoskrnl.exe", KdDebuggerNotPresent),
];

/// Whether the processors (those of the host) have a `PF_...` feature.
fn has(feature: u32) -> bool {
    match feature {
        // What every x86-64 processor has: compare-exchange of 8 bytes, MMX, SSE, time stamps, PAE, SSE2,
        // no-execute, and fast fail, which is the kernel's.
        2 | 3 | 6 | 8 | 9 | 10 | 12 | 23 => true,
        13 => is_x86_feature_detected!("sse3"),
        14 => is_x86_feature_detected!("cmpxchg16b"),
        17 => is_x86_feature_detected!("xsave"),
        28 => is_x86_feature_detected!("rdrand"),
        36 => is_x86_feature_detected!("ssse3"),
        37 => is_x86_feature_detected!("sse4.1"),
        38 => is_x86_feature_detected!("sse4.2"),
        39 => is_x86_feature_detected!("avx"),
        40 => is_x86_feature_detected!("avx2"),
        41 => is_x86_feature_detected!("avx512f"),
        _ => false,
    }
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Whether the processors have a feature.
    #[irql(PASSIVE)]
    fn ExIsProcessorFeaturePresent(feature: u32) -> u8 {
        has(feature).into()
    }

    /// Makes memory coherent for a transfer; it is, on this processor.
    #[irql(DISPATCH)]
    fn KeFlushIoBuffers(mdl: *mut nt::sys::MDL, read: u8, dma: u8) {
        let _ = (crate::mem::guest::load(mdl), read, dma);
    }
}
