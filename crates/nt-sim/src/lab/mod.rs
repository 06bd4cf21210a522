//! The public face: a laboratory in which drivers run.

mod builder;
mod driver;
pub(crate) mod ends;
mod event;
mod faults;
mod handle;
mod handover;
mod held;
pub(crate) mod kernel_client;
mod leaks;
pub(crate) mod nic;
mod process;
mod share;
mod status;
mod system;
#[cfg(test)]
mod tests;
mod threads;
mod user_memory;

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;

pub(crate) use self::held::Held;

pub use self::{
    builder::LabBuilder,
    driver::{Driver, DriverEntry},
    event::Event,
    handle::{Handle, Output, Pending},
    leaks::{Leak, UnloadReport},
    process::Process,
    status::NtStatus,
    system::{CounterInstance, TraceEvent},
    user_memory::UserMemory,
};
use crate::{
    clock::Clock,
    export::Exit,
    kernel::{self, Kernel, kernel},
    sched::{self, Attached, ThreadKind},
    verifier::BugCheck,
};

/// What can go wrong in a lab.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The kernel stopped: a driver broke a rule.
    #[error("{0}")]
    BugCheck(Box<BugCheck>),
    /// The host refuses the memory of the simulated machine.
    #[error("no memory for the simulated machine: {0}")]
    NoMemory(std::io::Error),
    /// A system call failed.
    #[error("{what}: {status}")]
    Status {
        /// What was asked for.
        what: String,
        /// What the kernel or the driver answered.
        status: NtStatus,
    },
    /// A driver file could not be loaded.
    #[error("{file}: {cause}")]
    Image {
        /// The file.
        file: String,
        /// Why.
        cause: crate::pe::PeError,
    },
    /// The lab was asked for something it cannot do.
    #[error("{0}")]
    Invalid(String),
}

/// A running simulated kernel. One can be alive in a process at a time; building a second one waits
/// for the first to be dropped.
pub struct Lab {
    id: u64,
    clock_thread: Option<std::thread::JoinHandle<()>>,
    /// Every image that was loaded, unloaded ones too. Unmapped when no thread is left.
    images: Mutex<Vec<std::sync::Arc<crate::pe::Module>>>,
    _alone: held::Alone,
}

static NEXT_LAB: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static ATTACHED: RefCell<Option<(u64, Attached)>> = const { RefCell::new(None) };
}

impl Lab {
    /// Starts describing a lab.
    pub fn builder() -> LabBuilder {
        LabBuilder::default()
    }

    /// Boots a lab with the defaults: two processors, strict, real clock.
    ///
    /// # Errors
    /// As [`LabBuilder::boot`].
    pub fn boot() -> Result<Lab, LabError> {
        LabBuilder::default().boot()
    }

    fn start(new: Kernel) -> Lab {
        let alone = held::Alone::wait();
        let kernel = kernel::install(new);
        crate::fault::install();
        crate::fault::refresh_shared_data();
        let id = NEXT_LAB.fetch_add(1, Ordering::Relaxed);
        let clock_thread = kernel.clock.needs_thread().then(|| {
            std::thread::Builder::new()
                .name("clock".to_owned())
                .spawn(Clock::serve)
                .expect("the host gives no more threads")
        });
        let lab = Lab {
            id,
            clock_thread,
            images: Mutex::new(Vec::new()),
            _alone: alone,
        };
        lab.attach();
        let started = lab.enter(|| {
            let kernel = kernel::kernel();
            kernel.ob.make_roots();
            crate::ob::fill_types();
            crate::rtl::features::boot();
            kernel.registry.make_fresh();
            crate::ke::start();
            crate::io::work_item::start();
        });
        debug_assert!(started.is_ok(), "a fresh kernel starts");
        lab
    }

    /// Makes the calling thread a thread of this kernel, if it is not one yet.
    fn attach(&self) {
        ATTACHED.with_borrow_mut(|attached| {
            if attached.as_ref().is_some_and(|(lab, _)| *lab == self.id) {
                return;
            }
            drop(attached.take());
            let name = std::thread::current().name().unwrap_or("user").to_owned();
            *attached = Some((self.id, sched::attach(&name, ThreadKind::User)));
        });
    }

    /// Runs `body` as kernel code on the calling thread.
    pub(crate) fn enter<R>(&self, body: impl FnOnce() -> R) -> Result<R, LabError> {
        if let Some(report) = kernel().verifier.report() {
            return Err(LabError::BugCheck(Box::new(report.clone())));
        }
        self.attach();
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(result) => Ok(result),
            Err(payload) if payload.is::<Exit>() => {
                let report = kernel().verifier.report().cloned();
                Err(LabError::BugCheck(Box::new(
                    report.expect("a stopped kernel has a report"),
                )))
            }
            Err(payload) => resume_unwind(payload),
        }
    }

    /// Why the kernel stopped, if it did.
    pub fn bugcheck(&self) -> Option<BugCheck> {
        kernel().verifier.report().cloned()
    }

    /// Advances a virtual clock, running timers on the way.
    ///
    /// # Errors
    /// When the kernel has stopped.
    ///
    /// # Panics
    /// When the lab runs on the real clock.
    pub fn advance(&self, duration: Duration) -> Result<(), LabError> {
        self.enter(|| kernel().clock.advance(duration))
    }

    /// Lets the machine sleep on a virtual clock: timers that become due meanwhile run when it wakes, and the time does not
    /// count as unbiased interrupt time.
    ///
    /// # Errors
    /// When the kernel has stopped.
    ///
    /// # Panics
    /// When the lab runs on the real clock.
    pub fn sleep(&self, duration: Duration) -> Result<(), LabError> {
        self.enter(|| kernel().clock.sleep(duration))
    }
}

impl LabError {
    /// The status of a failed system call.
    pub fn status(&self) -> Option<NtStatus> {
        match self {
            LabError::Status { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let kernel = kernel();
        let stop = catch_unwind(AssertUnwindSafe(|| {
            kernel.registry.forget_watchers();
            crate::io::work_item::stop();
            crate::ndis::stop();
            crate::ke::stop();
        }));
        ATTACHED.with_borrow_mut(|attached| drop(attached.take()));
        kernel.clock.stop();
        if let Some(thread) = self.clock_thread.take() {
            let _ = thread.join();
        }
        let ended = kernel.sched.end_threads();
        if !ended {
            // Somebody may still run in them.
            let images = std::mem::take(&mut *self.images.lock());
            Box::leak(Box::new(images));
        }
        kernel::uninstall(stop.is_ok() && ended);
    }
}
