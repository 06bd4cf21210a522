//! Objects that threads wait for, and the waits.
//!
//! The signal state lives in the object, in the driver's memory, as on Windows. Who waits for it is
//! kept here, by the object's address.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Weak},
};

use crate::sync::Mutex;
use nt::sys::{DISPATCHER_HEADER, KMUTANT};

use crate::{
    irql,
    kernel::{kernel, strict},
    sched::{self, Thread},
    verifier::Rule,
};

pub(crate) const STATUS_TIMEOUT: i32 = 0x102;
pub(crate) const STATUS_WAIT_0: i32 = 0;
/// How a wait in user mode ends when its process does.
pub(crate) const STATUS_USER_APC: i32 = 0xc0;

/// Object types, as in `DISPATCHER_HEADER.Type`.
pub(crate) mod kind {
    pub(crate) const NOTIFICATION_EVENT: u8 = 0;
    pub(crate) const SYNCHRONIZATION_EVENT: u8 = 1;
    pub(crate) const MUTANT: u8 = 2;
    pub(crate) const PROCESS: u8 = 3;
    pub(crate) const SEMAPHORE: u8 = 5;
    pub(crate) const THREAD: u8 = 6;
    pub(crate) const NOTIFICATION_TIMER: u8 = 8;
    pub(crate) const SYNCHRONIZATION_TIMER: u8 = 9;
}

struct Wait {
    thread: Weak<Thread>,
    kthread: usize,
    objects: Vec<usize>,
    all: bool,
    /// The process whose end ends the wait; `None` for waits in kernel mode.
    process: Option<usize>,
    outcome: Mutex<Option<i32>>,
}

/// Who waits for what.
#[derive(Default)]
pub(crate) struct Dispatcher {
    waits: Mutex<BTreeMap<usize, VecDeque<Arc<Wait>>>>,
}

fn header(object: usize) -> *mut DISPATCHER_HEADER {
    object as *mut DISPATCHER_HEADER
}

/// The object's type byte.
pub(crate) fn kind_of(object: usize) -> u8 {
    // SAFETY: the caller names a dispatcher object, which starts with its type.
    unsafe { *(object as *const u8) }
}

/// Writes a fresh header.
pub(crate) fn initialize(object: usize, kind: u8, size: usize, signal: i32) {
    // SAFETY: the driver gives memory for an object of this kind; the header comes first.
    unsafe {
        header(object)
            .cast::<[u8; 4]>()
            .write([kind, 0, (size / 4) as u8, 0])
    };
    write_state(object, signal);
    // SAFETY: as above; an empty list points at itself.
    let list = unsafe { &raw mut (*header(object)).WaitListHead };
    // SAFETY: as above.
    unsafe { (*list).Flink = list };
    // SAFETY: as above.
    unsafe { (*list).Blink = list };
}

fn state_of(object: usize) -> *mut i32 {
    (object + std::mem::offset_of!(DISPATCHER_HEADER, SignalState)) as *mut i32
}

/// Signal state of the object.
pub(crate) fn state(object: usize) -> i32 {
    // SAFETY: the caller names a dispatcher object; other threads may write the word meanwhile.
    unsafe { state_of(object).read_volatile() }
}

fn write_state(object: usize, value: i32) {
    // SAFETY: as in `state`; writers hold the dispatcher lock or own the fresh object.
    unsafe { state_of(object).write_volatile(value) };
}

fn mutant(object: usize) -> *mut KMUTANT {
    object as *mut KMUTANT
}

fn owner(object: usize) -> usize {
    // SAFETY: only called for objects whose type byte says mutant.
    unsafe { (*mutant(object)).OwnerThread as usize }
}

fn set_owner(object: usize, kthread: usize) {
    // SAFETY: as in `owner`; under the dispatcher lock.
    unsafe { (*mutant(object)).OwnerThread = kthread as *mut _ };
}

fn satisfied(object: usize, kthread: usize) -> bool {
    state(object) > 0 || (kind_of(object) == kind::MUTANT && owner(object) == kthread)
}

fn consume(object: usize, kthread: usize) {
    match kind_of(object) {
        kind::SYNCHRONIZATION_EVENT | kind::SYNCHRONIZATION_TIMER => write_state(object, 0),
        kind::SEMAPHORE => write_state(object, state(object) - 1),
        kind::MUTANT => {
            write_state(object, state(object) - 1);
            set_owner(object, kthread);
        }
        _ => {}
    }
}

fn try_satisfy(objects: &[usize], all: bool, kthread: usize) -> Option<i32> {
    if all {
        if objects.iter().all(|&o| satisfied(o, kthread)) {
            for &object in objects {
                consume(object, kthread);
            }
            return Some(STATUS_WAIT_0);
        }
        return None;
    }
    let index = objects.iter().position(|&o| satisfied(o, kthread))?;
    consume(objects[index], kthread);
    Some(STATUS_WAIT_0 + index as i32)
}

fn forget(waits: &mut BTreeMap<usize, VecDeque<Arc<Wait>>>, wait: &Arc<Wait>) {
    for object in &wait.objects {
        if let Some(queue) = waits.get_mut(object) {
            queue.retain(|w| !Arc::ptr_eq(w, wait));
            if queue.is_empty() {
                waits.remove(object);
            }
        }
    }
}

/// Waits for one of `objects`, or for all. `timeout` is in Windows units; `None` waits for ever.
pub(crate) fn wait(objects: &[usize], all: bool, timeout: Option<i64>) -> i32 {
    wait_in(false, objects, all, timeout)
}

/// As [`wait`]; one in user mode ends with [`STATUS_USER_APC`] when the thread's process ends.
pub(crate) fn wait_in(user_mode: bool, objects: &[usize], all: bool, timeout: Option<i64>) -> i32 {
    let process = user_mode.then(crate::ps::own_process);
    let thread = sched::current();
    if thread.irql() >= irql::DISPATCH && timeout != Some(0) {
        crate::bugcheck!(Rule::WaitAtDispatch, objects[0], thread.irql();
            "a wait for the object at {:#x} at {}", objects[0], irql::name(thread.irql()));
    }
    if strict() && thread.irql() < irql::DISPATCH {
        kernel().verifier.check_no_spin_lock_held(thread, "waiting");
    }
    let kthread = thread.kthread() as usize;
    let dispatcher = &kernel().ke.dispatcher;
    let mut waits = dispatcher.waits.lock();
    if let Some(status) = try_satisfy(objects, all, kthread) {
        return status;
    }
    if timeout == Some(0) {
        return STATUS_TIMEOUT;
    }
    // Looked at under the lock that `interrupt` takes: no wait begins after it.
    if process.as_ref().is_some_and(|process| process.is_dying()) {
        return STATUS_USER_APC;
    }
    let wait = Arc::new(Wait {
        thread: thread.weak(),
        kthread,
        objects: objects.to_vec(),
        all,
        process: process.map(|process| process.id),
        outcome: Mutex::new(None),
    });
    for &object in objects {
        waits
            .entry(object)
            .or_default()
            .push_back(Arc::clone(&wait));
    }
    drop(waits);
    let timer = timeout.map(|timeout| {
        let clock = &kernel().clock;
        let wait = Arc::clone(&wait);
        clock.at(clock.due(timeout), Box::new(move || expire(&wait)))
    });
    /// Takes the wait back when the kernel stops under it.
    struct Forget<'a>(&'a Arc<Wait>);
    impl Drop for Forget<'_> {
        fn drop(&mut self) {
            if self.0.outcome.lock().is_none() {
                forget(&mut kernel().ke.dispatcher.waits.lock(), self.0);
            }
        }
    }
    let guard = Forget(&wait);
    let status = loop {
        if let Some(status) = *wait.outcome.lock() {
            break status;
        }
        sched::block();
    };
    drop(guard);
    if let Some(timer) = timer {
        kernel().clock.cancel(timer);
    }
    status
}

fn expire(wait: &Arc<Wait>) {
    end(wait, STATUS_TIMEOUT);
}

/// Ends a wait that has not ended.
fn end(wait: &Arc<Wait>, status: i32) {
    let mut waits = kernel().ke.dispatcher.waits.lock();
    let mut outcome = wait.outcome.lock();
    if outcome.is_none() {
        *outcome = Some(status);
        drop(outcome);
        forget(&mut waits, wait);
        drop(waits);
        if let Some(thread) = wait.thread.upgrade() {
            sched::unblock(&thread);
        }
    }
}

/// Ends the waits in user mode of a process, which is dying.
pub(crate) fn interrupt(process: usize) {
    let waiting: Vec<Arc<Wait>> = {
        let waits = kernel().ke.dispatcher.waits.lock();
        let all = waits.values().flatten();
        all.filter(|w| w.process == Some(process))
            .cloned()
            .collect()
    };
    for wait in waiting {
        end(&wait, STATUS_USER_APC);
    }
}

/// Changes the object's state by `change` (given the old one) and lets satisfied waits go.
/// Returns the old state.
pub(crate) fn update(object: usize, change: impl FnOnce(i32) -> i32) -> i32 {
    let mut waits = kernel().ke.dispatcher.waits.lock();
    let old = state(object);
    write_state(object, change(old));
    release_waiters(&mut waits, object);
    old
}

fn release_waiters(waits: &mut BTreeMap<usize, VecDeque<Arc<Wait>>>, object: usize) {
    loop {
        let Some(queue) = waits.get(&object) else {
            return;
        };
        let found = queue.iter().find_map(|wait| {
            try_satisfy(&wait.objects, wait.all, wait.kthread).map(|s| (Arc::clone(wait), s))
        });
        let Some((wait, status)) = found else {
            return;
        };
        *wait.outcome.lock() = Some(status);
        forget(waits, &wait);
        if let Some(thread) = wait.thread.upgrade() {
            sched::unblock(&thread);
        }
    }
}

/// Releases a mutex held by the current thread; returns its old state.
pub(crate) fn release_mutant(object: usize) -> i32 {
    let kthread = sched::current().kthread() as usize;
    let mut waits = kernel().ke.dispatcher.waits.lock();
    if owner(object) != kthread {
        drop(waits);
        crate::bugcheck!(Rule::MutexNotOwned, object, kthread;
            "the mutex at {object:#x} is not owned by this thread");
    }
    let old = state(object);
    write_state(object, old + 1);
    if old + 1 > 0 {
        set_owner(object, 0);
        release_waiters(&mut waits, object);
    }
    old
}

/// Signals a thread's object when it has ended.
pub(crate) fn thread_ended(thread: &Thread) {
    update(thread.kthread() as usize, |_| 1);
}
