//! Work items: routines that system threads call at PASSIVE_LEVEL.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::sync::Mutex;
use nt::sys::WORK_QUEUE_ITEM;

use super::driver::check_return;
use crate::{
    exports, invoke,
    kernel::kernel,
    mem::caller,
    ob::Body,
    sched::{self, Thread},
    verifier::Rule,
};

type Job = Box<dyn FnOnce() + Send>;

/// Work items and the threads that serve them.
#[derive(Default)]
pub(crate) struct WorkItems {
    jobs: Mutex<VecDeque<Job>>,
    workers: Mutex<Vec<Arc<Thread>>>,
    stop: AtomicBool,
    /// Allocated or initialised work items, by address.
    items: Mutex<BTreeMap<usize, Item>>,
}

struct Item {
    queued: bool,
    device: usize,
    body: Option<Body>,
    owner: u16,
}

/// Bytes of an `IO_WORKITEM`, opaque to drivers.
const SIZE: usize = 0x58;
const WORKERS: usize = 4;

/// Starts the worker threads.
pub(crate) fn start() {
    for number in 0..WORKERS {
        let worker = sched::spawn_system(&format!("worker/{number}"), serve);
        kernel().io.work.workers.lock().push(worker);
    }
}

/// Lets the worker threads end.
pub(crate) fn stop() {
    let work = &kernel().io.work;
    work.stop.store(true, Ordering::Release);
    wake();
}

fn wake() {
    let workers = kernel().io.work.workers.lock().clone();
    for worker in workers {
        sched::unblock(&worker);
    }
}

fn serve() {
    let work = &kernel().io.work;
    loop {
        let job = work.jobs.lock().pop_front();
        match job {
            Some(job) => {
                job();
                check_return("a work item's routine");
            }
            None if work.stop.load(Ordering::Acquire) => return,
            None => sched::block(),
        }
    }
}

/// Runs kernel code on a worker thread.
pub(crate) fn queue_internal(job: impl FnOnce() + Send + 'static) {
    kernel().io.work.jobs.lock().push_back(Box::new(job));
    wake();
}

/// Work items that a driver allocated or initialised and did not free, in words.
pub(crate) fn left_by(owner: u16) -> Vec<String> {
    let items = kernel().io.work.items.lock();
    items
        .iter()
        .filter(|(_, item)| item.owner == owner)
        .map(|(address, item)| {
            let state = if item.queued { "queued" } else { "idle" };
            format!("{address:#x} ({state})")
        })
        .collect()
}

fn set_queued(item: usize, doing: &str) -> usize {
    let mut items = kernel().io.work.items.lock();
    let problem = match items.get_mut(&item) {
        None => "is no work item",
        Some(found) if found.queued => "is queued already",
        Some(found) => {
            found.queued = true;
            return found.device;
        }
    };
    drop(items);
    crate::bugcheck!(Rule::WorkItemMisused, item; "{doing}: {item:#x} {problem}");
}

fn unqueue(item: usize) {
    if let Some(found) = kernel().io.work.items.lock().get_mut(&item) {
        found.queued = false;
    }
}

fn remove(item: usize, doing: &str) {
    let removed = kernel().io.work.items.lock().remove(&item);
    match removed {
        Some(found) if found.queued => {
            crate::bugcheck!(Rule::WorkItemMisused, item; "{doing}: {item:#x} is queued");
        }
        Some(_) => {}
        None => {
            crate::bugcheck!(Rule::WorkItemMisused, item; "{doing}: {item:#x} is no work item");
        }
    }
}

fn insert(item: usize, device: usize, body: Option<Body>) {
    let owner = caller::owner();
    let new = Item {
        queued: false,
        device,
        body,
        owner,
    };
    kernel().io.work.items.lock().insert(item, new);
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Allocates a work item of a device (or driver).
    #[irql(DISPATCH)]
    fn IoAllocateWorkItem(device: usize) -> usize {
        if crate::verifier::fault("IoAllocateWorkItem") {
            return 0;
        }
        let body = Body::new(SIZE);
        let item = body.address();
        insert(item, device, Some(body));
        item
    }

    /// Frees a work item.
    #[irql(DISPATCH)]
    fn IoFreeWorkItem(item: usize) {
        let ours = kernel().io.work.items.lock().get(&item).is_some_and(|i| i.body.is_some());
        if !ours {
            crate::bugcheck!(Rule::WorkItemMisused, item;
                "IoFreeWorkItem: {item:#x} did not come from IoAllocateWorkItem");
        }
        remove(item, "IoFreeWorkItem");
    }

    /// Bytes that IoInitializeWorkItem needs.
    #[irql(ANY)]
    fn IoSizeofWorkItem() -> u32 {
        SIZE as u32
    }

    /// Makes a work item in the driver's memory.
    #[irql(ANY)]
    fn IoInitializeWorkItem(device: usize, item: usize) {
        let owner = caller::owner();
        kernel().verifier.objects.lock().insert(item, "work item", SIZE, owner);
        insert(item, device, None);
    }

    /// Undoes IoInitializeWorkItem.
    #[irql(ANY)]
    fn IoUninitializeWorkItem(item: usize) {
        remove(item, "IoUninitializeWorkItem");
        kernel().verifier.objects.lock().remove(item);
    }

    /// Queues a work item: `routine(device, context)`.
    #[irql(DISPATCH)]
    fn IoQueueWorkItem(item: usize, routine: usize, queue: i32, context: usize) {
        let _ = queue;
        let device = set_queued(item, "IoQueueWorkItem");
        queue_internal(move || {
            unqueue(item);
            invoke!(routine, device, context);
        });
    }

    /// Queues a work item: `routine(device, context, item)`.
    #[irql(DISPATCH)]
    fn IoQueueWorkItemEx(item: usize, routine: usize, queue: i32, context: usize) {
        let _ = queue;
        let device = set_queued(item, "IoQueueWorkItemEx");
        queue_internal(move || {
            unqueue(item);
            invoke!(routine, device, context, item);
        });
    }

    /// Queues an executive work item.
    #[irql(DISPATCH)]
    fn ExQueueWorkItem(item: *mut WORK_QUEUE_ITEM, queue: i32) {
        let _ = queue;
        // SAFETY: the caller passes an initialised work queue item, which it keeps until the
        // routine is called; read now, because the routine may free it.
        let copy = unsafe { item.read() };
        let routine = copy.WorkerRoutine.map_or(0, |f| f as *const () as usize);
        let parameter = copy.Parameter as usize;
        let owner = caller::owner();
        kernel().verifier.objects.lock().insert(item as usize, "queued work item", size_of::<WORK_QUEUE_ITEM>(), owner);
        let address = item as usize;
        queue_internal(move || {
            kernel().verifier.objects.lock().remove(address);
            invoke!(routine, parameter);
        });
    }
}
