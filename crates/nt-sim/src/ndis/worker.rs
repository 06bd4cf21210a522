//! Threads on which NDIS changes stacks and runs drivers' work items.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use crate::sync::Mutex;

use super::signal::{Signal, poll_for_driver};
use crate::{
    kernel::kernel,
    sched::{self, Thread},
};

type Job = Box<dyn FnOnce() + Send>;

/// A job queue with threads that are started as they are needed.
#[derive(Default)]
pub(crate) struct Workers {
    jobs: Mutex<VecDeque<Job>>,
    threads: Mutex<Vec<Arc<Worker>>>,
    /// Jobs queued or running.
    busy: AtomicU32,
    stop: AtomicBool,
}

struct Worker {
    wake: Signal,
    idle: AtomicBool,
    thread: Mutex<Option<Arc<Thread>>>,
}

/// Jobs may wait for each other (a work item for the end of a pause), so there is a thread for each
/// that runs, up to this many.
const MAX_THREADS: usize = 16;

impl Workers {
    /// Runs `job` on a worker at PASSIVE_LEVEL.
    pub(crate) fn queue(&self, job: impl FnOnce() + Send + 'static) {
        self.busy.fetch_add(1, Ordering::AcqRel);
        self.jobs.lock().push_back(Box::new(job));
        let mut threads = self.threads.lock();
        let idle = threads
            .iter()
            .find(|w| w.idle.swap(false, Ordering::AcqRel))
            .cloned();
        if let Some(worker) = idle {
            drop(threads);
            worker.wake.set();
        } else if threads.len() < MAX_THREADS {
            let worker = Arc::new(Worker {
                wake: Signal::new(),
                idle: AtomicBool::new(false),
                thread: Mutex::new(None),
            });
            threads.push(Arc::clone(&worker));
            let number = threads.len();
            drop(threads);
            let start = Arc::clone(&worker);
            let thread = sched::spawn_system(&format!("ndis/{number}"), move || serve(&start));
            *worker.thread.lock() = Some(thread);
        }
    }

    /// Waits until every job has run.
    pub(crate) fn settle(&self) {
        poll_for_driver(
            || self.busy.load(Ordering::Acquire) == 0,
            || "work that was queued to NDIS does not end".to_owned(),
        );
    }

    /// Lets the threads end.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        for worker in self.threads.lock().iter() {
            worker.wake.set();
        }
    }
}

fn serve(worker: &Worker) {
    let workers = &kernel().ndis.workers;
    loop {
        while let Some(job) = { workers.jobs.lock().pop_front() } {
            struct Done<'a>(&'a AtomicU32);
            impl Drop for Done<'_> {
                fn drop(&mut self) {
                    self.0.fetch_sub(1, Ordering::AcqRel);
                }
            }
            let _done = Done(&workers.busy);
            job();
        }
        if workers.stop.load(Ordering::Acquire) {
            return;
        }
        worker.wake.clear();
        worker.idle.store(true, Ordering::Release);
        if !workers.jobs.lock().is_empty() || workers.stop.load(Ordering::Acquire) {
            worker.idle.store(false, Ordering::Release);
            continue;
        }
        worker.wake.wait(None);
        worker.idle.store(false, Ordering::Release);
    }
}
