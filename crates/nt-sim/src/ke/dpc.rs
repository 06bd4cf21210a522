//! Deferred procedure calls.
//!
//! Each processor has a queue. It is drained by whoever owns the processor when that thread lowers
//! its IRQL, as the software interrupt would; when nobody is there to do it, by the processor's
//! own thread.

use std::{
    collections::VecDeque,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::sync::Mutex;
use nt::sys::KDPC;

use crate::{
    arch::KernelStack,
    exports, invoke, irql,
    kernel::{kernel, strict},
    sched::{self, Thread, processor},
    verifier::Rule,
};

/// Added to `KDPC.Number` when a target processor was set.
const TARGETED: u16 = 0x500;
const DPC_OBJECT: u8 = 19;
const IMPORTANCE_MEDIUM: u8 = 1;
const IMPORTANCE_HIGH: u8 = 2;

enum Item {
    Driver(usize),
    Internal(Box<dyn FnOnce() + Send>),
}

/// One processor's queue.
#[derive(Default)]
pub(crate) struct Queue {
    items: Mutex<VecDeque<Item>>,
    pending: AtomicBool,
    /// Calls begun and ended: equal when none is running.
    begun: AtomicU64,
    ended: AtomicU64,
    stop: AtomicBool,
    thread: OnceLock<Arc<Thread>>,
    stack: OnceLock<KernelStack>,
}

impl Queue {
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.get() {
            sched::unblock(thread);
        }
    }

    fn idle(&self) -> bool {
        !self.pending.load(Ordering::Acquire)
            && self.begun.load(Ordering::Acquire) == self.ended.load(Ordering::Acquire)
    }
}

/// Starts a thread for each processor.
pub(crate) fn start_threads() {
    for (number, queue) in kernel().ke.dpc.iter().enumerate() {
        if strict() {
            let stack = KernelStack::new().expect("no memory for a DPC stack");
            assert!(queue.stack.set(stack).is_ok(), "started twice");
        }
        let thread = sched::spawn_system(&format!("dpc/{number}"), move || serve(number as u32));
        assert!(queue.thread.set(thread).is_ok(), "started twice");
    }
}

fn serve(number: u32) {
    let queue = &kernel().ke.dpc[number as usize];
    let thread = sched::current();
    thread.set_affinity(1 << number);
    thread.set_processor(number);
    loop {
        while !queue.pending.load(Ordering::Acquire) {
            if queue.stop.load(Ordering::Acquire) {
                return;
            }
            sched::block();
        }
        let old = irql::raise(irql::DISPATCH);
        irql::lower(old);
    }
}

/// Runs what is queued on the processor that `thread` owns.
pub(crate) fn drain(thread: &Thread) {
    let queue = &kernel().ke.dpc[thread.processor() as usize];
    if !queue.pending.load(Ordering::Acquire) {
        return;
    }
    // DPCs have a stack of their own, one per processor.
    let block = thread.block();
    // SAFETY: the block is this thread's.
    let saved = unsafe { (*block).kernel_rsp };
    if let Some(stack) = queue.stack.get() {
        // SAFETY: as above; the stack is free, because nobody else owns the processor.
        unsafe { (*block).kernel_rsp = stack.top() as u64 - 256 };
    }
    loop {
        let mut items = queue.items.lock();
        let Some(item) = items.pop_front() else {
            queue.pending.store(false, Ordering::Release);
            break;
        };
        queue.begun.fetch_add(1, Ordering::AcqRel);
        if let Item::Driver(dpc) = item {
            set_queued(dpc, false);
        }
        drop(items);
        run(thread, item);
        queue.ended.fetch_add(1, Ordering::AcqRel);
    }
    // SAFETY: as above.
    unsafe { (*block).kernel_rsp = saved };
}

fn run(thread: &Thread, item: Item) {
    match item {
        Item::Internal(body) => body(),
        Item::Driver(dpc) => {
            let dpc = dpc as *const KDPC;
            // SAFETY: a queued DPC is valid until it is taken off the queue, which has just
            // happened; its routine may free it, so it is read before.
            let copy = unsafe { dpc.read() };
            let routine = copy
                .DeferredRoutine
                .map_or(std::ptr::null(), |f| f as *const ());
            invoke!(
                routine,
                dpc,
                copy.DeferredContext,
                copy.SystemArgument1,
                copy.SystemArgument2
            );
        }
    }
    if strict() {
        if thread.irql() != irql::DISPATCH {
            crate::bugcheck!(Rule::IrqlNotRestored, thread.irql(), irql::DISPATCH;
                "a DPC routine returned at {}", irql::name(thread.irql()));
        }
        kernel()
            .verifier
            .check_no_spin_lock_held(thread, "a DPC routine returned");
    }
}

/// Wakes the processor's own thread if something is queued.
pub(crate) fn kick_if_pending(number: u32) {
    let queue = &kernel().ke.dpc[number as usize];
    if queue.pending.load(Ordering::Acquire)
        && let Some(thread) = queue.thread.get()
    {
        sched::unblock(thread);
    }
}

/// Queues kernel code on a processor (`None`: the current one).
pub(crate) fn queue_internal(target: Option<u32>, body: impl FnOnce() + Send + 'static) {
    let number = target.unwrap_or_else(current_or_first);
    push(number, Item::Internal(Box::new(body)), false);
    deliver(number);
}

fn current_or_first() -> u32 {
    sched::try_current().map_or(0, Thread::processor)
}

fn push(number: u32, item: Item, front: bool) {
    let queue = &kernel().ke.dpc[number as usize];
    let mut items = queue.items.lock();
    if front {
        items.push_front(item);
    } else {
        items.push_back(item);
    }
    queue.pending.store(true, Ordering::Release);
}

/// Sees to it that processor `number` drains its queue.
fn deliver(number: u32) {
    match sched::try_current() {
        // Drained when this thread lowers its level.
        Some(thread) if processor::owns(thread, number) => {}
        // The interrupt would come at once.
        Some(thread) if thread.irql() < irql::DISPATCH && thread.processor() == number => {
            let old = irql::raise(irql::DISPATCH);
            irql::lower(old);
            kick_if_pending(number);
        }
        _ => kick_if_pending(number),
    }
}

/// `KDPC.DpcData` is not null while the DPC is queued.
fn is_queued(dpc: usize) -> bool {
    // SAFETY: the caller names an initialised DPC.
    unsafe { !(*(dpc as *const KDPC)).DpcData.is_null() }
}

fn set_queued(dpc: usize, queued: bool) {
    let data = if queued { dpc } else { 0 };
    // SAFETY: as in `is_queued`; under the queue's lock.
    unsafe { (*(dpc as *mut KDPC)).DpcData = data as *mut _ };
    let owner = crate::mem::caller::owner();
    let mut objects = kernel().verifier.objects.lock();
    if queued {
        objects.insert(dpc, "queued DPC", size_of::<KDPC>(), owner);
    } else {
        objects.remove(dpc);
    }
}

/// Queues a driver's DPC; `false` when it is queued already.
pub(crate) fn insert(dpc: usize, arguments: Option<[usize; 2]>) -> bool {
    let object = dpc as *mut KDPC;
    // SAFETY: the caller names a DPC.
    let kind = unsafe { (*object).Type };
    // SAFETY: as above.
    let number = unsafe { (*object).Number };
    // SAFETY: as above.
    let importance = unsafe { (*object).Importance };
    if strict() && kind != DPC_OBJECT {
        crate::bugcheck!(Rule::ObjectNotInitialized, dpc, kind;
            "the DPC at {dpc:#x} was not initialised with KeInitializeDpc");
    }
    let target = number
        .checked_sub(TARGETED)
        .map_or_else(current_or_first, u32::from);
    let queue = &kernel().ke.dpc[target as usize];
    let mut items = queue.items.lock();
    if is_queued(dpc) {
        return false;
    }
    if let Some([first, second]) = arguments {
        // SAFETY: not queued, so nobody reads the arguments.
        unsafe { (*object).SystemArgument1 = first as *mut _ };
        // SAFETY: as above.
        unsafe { (*object).SystemArgument2 = second as *mut _ };
    }
    set_queued(dpc, true);
    if importance == IMPORTANCE_HIGH {
        items.push_front(Item::Driver(dpc));
    } else {
        items.push_back(Item::Driver(dpc));
    }
    queue.pending.store(true, Ordering::Release);
    drop(items);
    deliver(target);
    true
}

/// Takes a DPC off whichever queue it is on; `false` when it is on none.
fn remove(dpc: usize) -> bool {
    kernel().ke.dpc.iter().any(|queue| {
        let mut items = queue.items.lock();
        let found = items
            .iter()
            .position(|item| matches!(item, Item::Driver(d) if *d == dpc));
        if let Some(index) = found {
            items.remove(index);
            set_queued(dpc, false);
        }
        found.is_some()
    })
}

/// Waits until every DPC that is queued or running now has ended.
pub(crate) fn flush() {
    for queue in &kernel().ke.dpc {
        if let Some(thread) = queue.thread.get() {
            sched::unblock(thread);
        }
        sched::spin_until(|| queue.idle());
    }
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes a DPC.
    #[irql(ANY)]
    fn KeInitializeDpc(dpc: *mut KDPC, routine: *const u8, context: *mut u8) {
        // SAFETY: the driver gives memory for a DPC, all of whose fields may be zero.
        unsafe { dpc.cast::<u8>().write_bytes(0, size_of::<KDPC>()) };
        // SAFETY: as above.
        unsafe { (*dpc).Type = DPC_OBJECT };
        // SAFETY: as above.
        unsafe { (*dpc).Importance = IMPORTANCE_MEDIUM };
        let slot = dpc.wrapping_byte_add(std::mem::offset_of!(KDPC, DeferredRoutine));
        // SAFETY: as above; a routine pointer and an optional function pointer have one layout.
        unsafe { slot.cast::<*const u8>().write(routine) };
        // SAFETY: as above.
        unsafe { (*dpc).DeferredContext = context.cast() };
    }

    /// Queues a DPC; false when it is queued already.
    #[irql(ANY)]
    fn KeInsertQueueDpc(dpc: *mut KDPC, first: *mut u8, second: *mut u8) -> u8 {
        u8::from(insert(dpc as usize, Some([first as usize, second as usize])))
    }

    /// Takes a DPC off its queue.
    #[irql(ANY)]
    fn KeRemoveQueueDpc(dpc: *mut KDPC) -> u8 {
        u8::from(remove(dpc as usize))
    }

    /// Takes a DPC off its queue and, if asked, waits for it to end where it is running.
    #[irql(ANY)]
    fn KeRemoveQueueDpcEx(dpc: *mut KDPC, wait: u8) -> u8 {
        let removed = remove(dpc as usize);
        if wait != 0 && !removed {
            flush();
        }
        u8::from(removed)
    }

    /// Sets how urgent a DPC is.
    #[irql(ANY)]
    fn KeSetImportanceDpc(dpc: *mut KDPC, importance: i32) {
        // SAFETY: the caller passes an initialised DPC.
        unsafe { (*dpc).Importance = importance as u8 };
    }

    /// Sets the processor that a DPC runs on.
    #[irql(ANY)]
    fn KeSetTargetProcessorDpc(dpc: *mut KDPC, number: i8) {
        // SAFETY: the caller passes an initialised DPC.
        unsafe { (*dpc).Number = TARGETED + number as u16 };
    }

    /// Sets the processor that a DPC runs on.
    #[irql(ANY)]
    fn KeSetTargetProcessorDpcEx(dpc: *mut KDPC, number: *const nt::sys::PROCESSOR_NUMBER) -> i32 {
        // SAFETY: the caller passes a processor number.
        let number = unsafe { number.read() };
        if number.Group != 0 || u32::from(number.Number) >= kernel().config.cpus {
            return 0xC000_000D_u32 as i32;
        }
        // SAFETY: the caller passes an initialised DPC.
        unsafe { (*dpc).Number = TARGETED + u16::from(number.Number) };
        0
    }

    /// Waits for all queued DPCs.
    #[irql(APC)]
    fn KeFlushQueuedDpcs() {
        flush();
    }
}
