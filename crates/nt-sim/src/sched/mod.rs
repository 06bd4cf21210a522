//! Threads and who runs.
//!
//! A kernel thread is an OS thread. Normally they all run, as the host decides. With a seed, one
//! runs at a time: a baton goes from thread to thread at exported functions, waits and level
//! changes, and the seed alone decides where, so that an interleaving can be run again.

pub(crate) mod baton;
pub(crate) mod processor;
pub(crate) mod thread;

use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::sync::Mutex;

pub(crate) use self::thread::{Thread, ThreadKind};
use crate::{
    export::Exit,
    kernel::{kernel, seeded, try_kernel},
    mem::caller::KERNEL,
    sync,
};

/// How long threads may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// The scheduler's state.
pub(crate) struct Sched {
    pub(crate) processors: Vec<processor::Processor>,
    pub(crate) baton: Option<baton::Baton>,
    pub(crate) threads: Mutex<Vec<Arc<Thread>>>,
    joins: Mutex<Vec<std::thread::JoinHandle<()>>>,
    next_id: std::sync::atomic::AtomicU32,
}

impl Sched {
    pub(crate) fn new(cpus: u32, seed: Option<u64>) -> Sched {
        Sched {
            processors: (0..cpus).map(processor::Processor::new).collect(),
            baton: seed.map(baton::Baton::new),
            threads: Mutex::new(Vec::new()),
            joins: Mutex::new(Vec::new()),
            next_id: std::sync::atomic::AtomicU32::new(1),
        }
    }

    /// Waits for every spawned thread to end; says whether all did. Those that wait for something that nobody will
    /// bring about, as a driver's own threads may, are made to leave.
    pub(crate) fn end_threads(&self) -> bool {
        if !self.join_all(PATIENCE) {
            kernel().verifier.shut_down();
            if !self.join_all(PATIENCE) {
                return false;
            }
        }
        true
    }

    /// Waits for the threads to end, unless it takes longer than `patience` or only drivers' threads are left.
    fn join_all(&self, patience: Duration) -> bool {
        let start = Instant::now();
        loop {
            let ended = {
                let mut joins = self.joins.lock();
                let ended = joins.extract_if(.., |join| join.is_finished());
                ended.collect::<Vec<_>>()
            };
            for join in ended {
                let _ = join.join();
            }
            if self.joins.lock().is_empty() {
                return true;
            }
            let waiting = !kernel().verifier.crashed() && self.only_drivers_threads_left();
            if waiting || start.elapsed() > patience {
                return false;
            }
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    fn only_drivers_threads_left(&self) -> bool {
        self.threads
            .lock()
            .iter()
            .all(|thread| thread.owner.load(std::sync::atomic::Ordering::Relaxed) != KERNEL)
    }
}

thread_local! {
    static CURRENT: Cell<*const Thread> = const { Cell::new(std::ptr::null()) };
}

/// The kernel thread that this OS thread is.
///
/// # Panics
/// When this OS thread has not been made one: see [`attach`].
#[inline]
pub(crate) fn current() -> &'static Thread {
    try_current().expect("not a kernel thread")
}

/// As [`current`]; `None` outside the kernel.
#[inline]
pub(crate) fn try_current() -> Option<&'static Thread> {
    let thread = CURRENT.get();
    // SAFETY: null, or set by `attach`, which keeps the thread alive until `detach` has cleared
    // it on this same OS thread; callers do not send the reference to other threads.
    unsafe { thread.as_ref() }
}

/// Makes this OS thread a kernel thread until the guard is dropped.
pub(crate) fn attach(name: &str, kind: ThreadKind) -> Attached {
    let thread = new_thread(name, kind);
    let attached = adopt(Arc::clone(&thread));
    if let Some(baton) = kernel().sched.baton.as_ref() {
        baton.add(&thread);
        baton.wait_for_turn(&thread);
    }
    attached
}

/// Makes a kernel thread that an OS thread is to become by [`begin`]; it takes part in the turns from now on.
pub(crate) fn prepare(name: &str, kind: ThreadKind) -> Arc<Thread> {
    let thread = new_thread(name, kind);
    if let Some(baton) = kernel().sched.baton.as_ref() {
        baton.add(&thread);
    }
    thread
}

/// Makes this OS thread the kernel thread that was prepared, until the guard is dropped.
pub(crate) fn begin(thread: Arc<Thread>) -> Attached {
    let attached = adopt(Arc::clone(&thread));
    if let Some(baton) = kernel().sched.baton.as_ref() {
        baton.wait_for_turn(&thread);
    }
    attached
}

fn new_thread(name: &str, kind: ThreadKind) -> Arc<Thread> {
    let sched = &kernel().sched;
    let id = sched
        .next_id
        .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let thread = Thread::new(id, name, kind);
    sched.threads.lock().push(Arc::clone(&thread));
    thread
}

fn adopt(thread: Arc<Thread>) -> Attached {
    assert!(
        CURRENT.get().is_null(),
        "this thread is a kernel thread already"
    );
    thread.install();
    CURRENT.set(Arc::as_ptr(&thread));
    Attached {
        thread,
        _signal_stack: crate::fault::SignalStack::install(),
    }
}

/// Undoes [`attach`] when dropped.
pub(crate) struct Attached {
    thread: Arc<Thread>,
    _signal_stack: crate::fault::SignalStack,
}

impl Drop for Attached {
    fn drop(&mut self) {
        CURRENT.set(std::ptr::null());
        if let Some(kernel) = try_kernel() {
            kernel
                .sched
                .threads
                .lock()
                .retain(|t| !Arc::ptr_eq(t, &self.thread));
            if let Some(baton) = kernel.sched.baton.as_ref() {
                baton.remove(&self.thread);
            }
        }
        self.thread.retire();
    }
}

/// Starts a system thread that runs `body`.
pub(crate) fn spawn_system(name: &str, body: impl FnOnce() + Send + 'static) -> Arc<Thread> {
    spawn(name, ThreadKind::System, body)
}

/// Starts a kernel thread of the given kind that runs `body`.
pub(crate) fn spawn(
    name: &str,
    kind: ThreadKind,
    body: impl FnOnce() + Send + 'static,
) -> Arc<Thread> {
    let thread = new_thread(name, kind);
    let baton = kernel().sched.baton.as_ref();
    if let Some(baton) = baton {
        baton.add(&thread);
    }
    let start = Arc::clone(&thread);
    let join = std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(2 << 20)
        .spawn(move || {
            let attached = adopt(Arc::clone(&start));
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                if let Some(baton) = baton {
                    baton.wait_for_turn(&start);
                }
                body();
            }));
            if let Err(payload) = result {
                crate::verifier::thread_died(&start, payload);
            }
            crate::ke::dispatcher::thread_ended(&start);
            drop(attached);
        })
        .expect("the host gives no more threads");
    kernel().sched.joins.lock().push(join);
    thread
}

/// A point at which another thread may run: only the seeded scheduler uses it.
#[inline]
#[track_caller]
pub(crate) fn yield_point() {
    sync::assert_none_held();
    if seeded()
        && let Some(baton) = kernel().sched.baton.as_ref()
        && let Some(thread) = try_current()
    {
        baton.maybe_switch(thread);
    }
}

/// Waits until another thread calls [`unblock`] on this one. Spurious returns are possible; the
/// caller checks what it waits for. Unwinds when the kernel stops.
#[track_caller]
pub(crate) fn block() {
    sync::assert_none_held();
    let thread = current();
    stop_if_crashed();
    match kernel().sched.baton.as_ref() {
        Some(baton) => baton.block(thread),
        None => thread.park(),
    }
    stop_if_crashed();
}

/// Makes `thread` leave (or not enter) its next [`block`].
pub(crate) fn unblock(thread: &Thread) {
    match kernel().sched.baton.as_ref() {
        Some(baton) => baton.unblock(thread),
        None => thread.unpark(),
    }
}

/// Rounds that a thread spins for in a kernel that has stopped.
const PATIENT_ROUNDS: u32 = 100_000;

/// Spins until `ready` returns true: for what the holder gives up without waiting itself (spin
/// locks, processors).
#[track_caller]
pub(crate) fn spin_until(mut ready: impl FnMut() -> bool) {
    sync::assert_none_held();
    let mut rounds = 0_u32;
    while !ready() {
        match kernel().sched.baton.as_ref() {
            Some(baton) => baton.spin(current()),
            None => {
                rounds += 1;
                if rounds < 200 {
                    std::hint::spin_loop();
                } else {
                    if rounds.is_multiple_of(64) {
                        stop_if_crashed();
                        if kernel().verifier.crashed() && rounds > PATIENT_ROUNDS {
                            // Unwinding already, and who should give it up may be gone.
                            return;
                        }
                    }
                    std::thread::yield_now();
                }
            }
        }
    }
}

/// Unwinds out of the kernel if it has stopped.
#[inline]
pub(crate) fn stop_if_crashed() {
    if kernel().verifier.crashed() && !std::thread::panicking() {
        std::panic::resume_unwind(Box::new(Exit::Stopped));
    }
}

/// Wakes every waiting thread, so that it notices that the kernel has stopped.
pub(crate) fn wake_all() {
    let threads: Vec<_> = kernel().sched.threads.lock().clone();
    if let Some(baton) = kernel().sched.baton.as_ref() {
        baton.release_all();
    }
    for thread in threads {
        thread.unpark();
    }
}
