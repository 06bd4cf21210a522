//! The one kernel that is alive in this process, and how it was configured.

use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::{
    clock::Clock, cm::Registry, ex, io::Io, ke, mem::Memory, ndis, nmr::Nmr, ob::Ob, ps::Ps,
    rtl::convert::Random, rtl::debug::DebugLog, sched::Sched, trace, verifier::Verifier,
};

/// How much is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// Every rule is checked; the default.
    #[default]
    Strict,
    /// Only what costs nothing is checked. For benchmarks.
    Fast,
}

/// Where time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ClockMode {
    /// The host's monotonic clock; the default, unless a seed is given.
    #[default]
    Real,
    /// Time stands still except when it is advanced: by the test, or, under a seeded scheduler, when
    /// every thread waits.
    Virtual,
}

/// What a kernel was booted with.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) mode: Mode,
    pub(crate) clock: ClockMode,
    /// Number of virtual processors, 1 to 64.
    pub(crate) cpus: u32,
    /// Seed of the deterministic scheduler; `None` runs all threads freely.
    pub(crate) seed: Option<u64>,
    /// Build number that `RtlGetVersion` reports.
    pub(crate) build: u32,
}

/// All state of the running kernel, one field per subsystem, each with its own locks.
pub(crate) struct Kernel {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) sched: Sched,
    pub(crate) verifier: Verifier,
    pub(crate) ke: ke::State,
    pub(crate) mem: Memory,
    /// What drivers printed for a debugger.
    pub(crate) debug: DebugLog,
    pub(crate) random: Random,
    pub(crate) ex: ex::State,
    pub(crate) ob: Ob,
    pub(crate) ps: Ps,
    pub(crate) io: Io,
    pub(crate) registry: Registry,
    pub(crate) nmr: Nmr,
    pub(crate) trace: trace::State,
    pub(crate) ndis: ndis::State,
}

static KERNEL: AtomicPtr<Kernel> = AtomicPtr::new(std::ptr::null_mut());
static STRICT: AtomicBool = AtomicBool::new(true);
static SEEDED: AtomicBool = AtomicBool::new(false);

/// Returns the running kernel.
///
/// # Panics
/// When no lab is alive: only code that a lab runs may call this.
pub(crate) fn kernel() -> &'static Kernel {
    try_kernel().expect("no lab is running in this process")
}

/// Returns the running kernel, if there is one.
pub(crate) fn try_kernel() -> Option<&'static Kernel> {
    let kernel = KERNEL.load(Ordering::Acquire);
    // SAFETY: the pointer is null or was made by `Box::into_raw` in `install`, and `uninstall`
    // only runs when every thread that could hold the reference has ended.
    unsafe { kernel.as_ref() }
}

/// Whether the costly checks are on. A relaxed load: cheap enough for every exported function.
#[inline]
pub(crate) fn strict() -> bool {
    STRICT.load(Ordering::Relaxed)
}

/// Whether the seeded scheduler decides who runs.
#[inline]
pub(crate) fn seeded() -> bool {
    SEEDED.load(Ordering::Relaxed)
}

/// Makes `kernel` the running one.
///
/// # Panics
/// When another one is running.
pub(crate) fn install(kernel: Kernel) -> &'static Kernel {
    STRICT.store(kernel.config.mode == Mode::Strict, Ordering::Relaxed);
    SEEDED.store(kernel.config.seed.is_some(), Ordering::Relaxed);
    let new = Box::into_raw(Box::new(kernel));
    let old = KERNEL.swap(new, Ordering::AcqRel);
    assert!(old.is_null(), "two labs at the same time in one process");
    self::kernel()
}

/// Takes the running kernel out; the memory is freed unless threads of it may still run.
pub(crate) fn uninstall(threads_ended: bool) {
    let old = KERNEL.swap(std::ptr::null_mut(), Ordering::AcqRel);
    if !old.is_null() && threads_ended {
        // SAFETY: `old` came from `Box::into_raw` in `install`, and the caller states that no
        // thread is left that could use it.
        drop(unsafe { Box::from_raw(old) });
    }
}
