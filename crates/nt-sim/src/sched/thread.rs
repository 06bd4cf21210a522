//! A kernel thread.

use std::{
    cell::{Cell, RefCell, UnsafeCell},
    sync::{
        Arc, Weak,
        atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering},
    },
};

use parking_lot::{Condvar, Mutex};

use crate::{
    arch::{KernelStack, ThreadBlock},
    irql,
    ke::dispatcher,
    kernel::{kernel, strict},
    mem::caller::KERNEL,
};

/// What a thread is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThreadKind {
    /// A thread of a user process (or of the test) that makes system calls.
    User,
    /// A system thread: made by a driver or by the kernel.
    System,
}

/// Bytes of the opaque `KTHREAD`: a dispatcher header first, as waits on threads need.
const KTHREAD_SIZE: usize = 0x600;

/// A spin lock that a thread holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldLock {
    pub(crate) address: usize,
    pub(crate) function: &'static str,
}

/// A kernel thread. Cells are touched by the thread itself only.
pub(crate) struct Thread {
    this: Weak<Thread>,
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) kind: ThreadKind,
    /// The driver that started it.
    pub(crate) owner: AtomicU16,
    kthread: Box<[u128; KTHREAD_SIZE / 16]>,
    block: UnsafeCell<Box<ThreadBlock>>,
    stack: Option<KernelStack>,
    irql: Cell<u8>,
    /// Processor it runs on, or ran on last.
    processor: AtomicU32,
    /// Processors it may run on, a bit each.
    affinity: AtomicU64,
    /// Depth of critical and guarded regions.
    pub(crate) apc_disable: Cell<i32>,
    pub(crate) guarded: Cell<i32>,
    /// Mode of the system call in progress: `false` kernel, `true` user.
    pub(crate) previous_mode_user: Cell<bool>,
    pub(crate) priority: Cell<i32>,
    pub(crate) held_locks: RefCell<Vec<HeldLock>>,
    token: Mutex<bool>,
    wake: Condvar,
}

// SAFETY: the cells are only touched by the OS thread that the kernel thread is; everything else
// is atomic, locked or immutable.
unsafe impl Sync for Thread {}
// SAFETY: as above.
unsafe impl Send for Thread {}

impl Thread {
    pub(super) fn new(id: u32, name: &str, kind: ThreadKind) -> Arc<Thread> {
        let mut kthread = Box::new([0_u128; KTHREAD_SIZE / 16]);
        dispatcher::initialize(
            kthread.as_ptr() as usize,
            dispatcher::kind::THREAD,
            0x100,
            0,
        );
        let object = kthread.as_mut_ptr().cast::<u8>();
        let mut block = ThreadBlock::new(object);
        let stack = if strict() {
            Some(KernelStack::new().expect("no memory for a kernel stack"))
        } else {
            None
        };
        if let Some(stack) = &stack {
            // Thunks copy stack arguments without knowing how many there are: leave room to read.
            block.kernel_rsp = stack.top() as u64 - 256;
            block.switch_stacks = 1;
        }
        let cpus = kernel().config.cpus;
        Arc::new_cyclic(|this| Thread {
            this: Weak::clone(this),
            id,
            name: name.to_owned(),
            kind,
            owner: AtomicU16::new(KERNEL),
            kthread,
            block: UnsafeCell::new(block),
            stack,
            irql: Cell::new(irql::PASSIVE),
            processor: AtomicU32::new((id - 1) % cpus),
            affinity: AtomicU64::new(u64::MAX >> (64 - cpus)),
            apc_disable: Cell::new(0),
            guarded: Cell::new(0),
            previous_mode_user: Cell::new(false),
            priority: Cell::new(8),
            held_locks: RefCell::new(Vec::new()),
            token: Mutex::new(false),
            wake: Condvar::new(),
        })
    }

    pub(super) fn install(&self) {
        // SAFETY: only this OS thread uses the block from here on.
        let block = unsafe { &*self.block.get() };
        block.install();
    }

    pub(super) fn retire(&self) {
        if let Some(stack) = &self.stack
            && let Some(kernel) = crate::kernel::try_kernel()
        {
            kernel.verifier.note_stack_depth(stack.high_water());
        }
    }

    /// The block that GS points at while this thread runs.
    #[inline]
    pub(crate) fn block(&self) -> *mut ThreadBlock {
        // SAFETY: the box is never replaced, so reading its pointer does not race.
        let block: &ThreadBlock = unsafe { &*self.block.get() };
        std::ptr::from_ref(block).cast_mut()
    }

    /// A reference that does not keep the thread.
    pub(crate) fn weak(&self) -> Weak<Thread> {
        Weak::clone(&self.this)
    }

    /// Address that drivers know as `PKTHREAD`.
    pub(crate) fn kthread(&self) -> *mut u8 {
        self.kthread.as_ptr().cast_mut().cast()
    }

    pub(crate) fn stack(&self) -> Option<&KernelStack> {
        self.stack.as_ref()
    }

    #[inline]
    pub(crate) fn irql(&self) -> u8 {
        self.irql.get()
    }

    #[inline]
    pub(crate) fn set_irql(&self, level: u8) {
        self.irql.set(level);
    }

    #[inline]
    pub(crate) fn processor(&self) -> u32 {
        self.processor.load(Ordering::Relaxed)
    }

    pub(crate) fn set_processor(&self, number: u32) {
        self.processor.store(number, Ordering::Relaxed);
        // SAFETY: the block is this thread's; drivers read the field through GS.
        unsafe { (*self.block()).processor_number = number };
    }

    pub(crate) fn affinity(&self) -> u64 {
        self.affinity.load(Ordering::Relaxed)
    }

    /// Restricts the thread to the processors in `mask` (not empty), moving it if need be.
    pub(crate) fn set_affinity(&self, mask: u64) -> u64 {
        let old = self.affinity.swap(mask, Ordering::Relaxed);
        if mask & (1 << self.processor()) == 0 && self.irql() < irql::DISPATCH {
            self.set_processor(mask.trailing_zeros());
        }
        old
    }

    pub(super) fn park(&self) {
        let mut token = self.token.lock();
        while !*token {
            self.wake.wait(&mut token);
        }
        *token = false;
    }

    pub(super) fn unpark(&self) {
        *self.token.lock() = true;
        self.wake.notify_one();
    }
}
