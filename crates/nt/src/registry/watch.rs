//! Watching a key for changes.

use core::cell::UnsafeCell;
use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use super::Key;
use crate::irql::Passive;
use crate::pool::{Arc, Box, Tag};
use crate::status::{Result, Status};
use crate::sync::{Event, PushLock};
use crate::sys::imports::ntoskrnl;
use crate::sys::{
    DelayedWorkQueue, IO_STATUS_BLOCK, PIO_APC_ROUTINE, PVOID, PWORKER_THREAD_ROUTINE,
    REG_NOTIFY_CHANGE_LAST_SET, REG_NOTIFY_CHANGE_NAME, WORK_QUEUE_ITEM,
};

/// What happens when a watched key has changed.
pub trait Changed: Send + Sync + 'static {
    /// Runs in a system thread.
    fn changed(&self, passive: Passive<'_>);
}

/// A watched key: calls back after every change of its values or subkeys, until dropped at PASSIVE_LEVEL.
#[doc(alias = "ZwNotifyChangeKey")]
pub struct Watch<C: Changed> {
    inner: Box<Inner<C>>,
}

struct Inner<C> {
    /// Taken away to end the watch; the lock keeps closing and rearming apart.
    key: PushLock<Option<Key>>,
    /// Queued by the configuration manager when the key changes or is closed.
    item: UnsafeCell<WORK_QUEUE_ITEM>,
    status: UnsafeCell<IO_STATUS_BLOCK>,
    /// Set when the work routine will not run any more.
    ended: AtomicBool,
    tick: Event,
    target: Arc<C>,
}

// SAFETY: the cells are the configuration manager's, which uses them for one notification at a time.
unsafe impl<C: Changed> Send for Inner<C> {}
// SAFETY: as above.
unsafe impl<C: Changed> Sync for Inner<C> {}

impl<C: Changed> Inner<C> {
    /// Asks for one notification.
    fn arm(&self, key: &Key) -> Result<()> {
        // A kernel-mode caller gives a work item and a queue in place of a routine and its context.
        // SAFETY: a pointer is as large as a nullable function pointer, and never called.
        let routine = unsafe {
            core::mem::transmute::<*mut WORK_QUEUE_ITEM, PIO_APC_ROUTINE>(self.item.get())
        };
        let queue: PVOID = ptr::without_provenance_mut(DelayedWorkQueue as usize);
        let filter = REG_NOTIFY_CHANGE_NAME | REG_NOTIFY_CHANGE_LAST_SET;
        let handle = key.handle.raw();
        // SAFETY: the item is not queued, and stays in place until the watch has ended.
        let status = unsafe {
            ntoskrnl::ZwNotifyChangeKey(
                handle,
                ptr::null_mut(),
                routine,
                queue,
                self.status.get(),
                filter,
                1,
                ptr::null_mut(),
                0,
                1,
            )
        };
        Status(status).ok()
    }
}

impl<C: Changed> Watch<C> {
    /// Watches a key and what is below it.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`], or the status of `ZwNotifyChangeKey`.
    pub fn new(tag: Tag, key: Key, target: Arc<C>, passive: Passive<'_>) -> Result<Self> {
        let inner = Box::new(
            tag,
            Inner {
                key: PushLock::new(None),
                item: UnsafeCell::new(WORK_QUEUE_ITEM::zeroed()),
                status: UnsafeCell::new(IO_STATUS_BLOCK::zeroed()),
                ended: AtomicBool::new(true),
                tick: Event::manual_reset(tag, false)?,
                target,
            },
        )?;
        let mut item = WORK_QUEUE_ITEM::zeroed();
        let routine: PWORKER_THREAD_ROUTINE = Some(notified::<C>);
        item.WorkerRoutine = routine;
        item.Parameter = Box::as_ptr(&inner).cast();
        // SAFETY: nobody has the item yet.
        unsafe { inner.item.get().write(item) };
        let watch = Self { inner };
        let mut slot = watch.inner.key.write(passive);
        watch.inner.ended.store(false, Ordering::Release);
        let armed = watch.inner.arm(&key);
        if armed.is_err() {
            watch.inner.ended.store(true, Ordering::Release);
        } else {
            *slot = Some(key);
        }
        drop(slot);
        armed?;
        Ok(watch)
    }
}

impl<C: Changed> Drop for Watch<C> {
    fn drop(&mut self) {
        // SAFETY: values that need PASSIVE_LEVEL to be dropped say so.
        let passive = unsafe { Passive::assume() };
        // Closing the key ends the notification, which queues the item a last time.
        drop(self.inner.key.write(passive).take());
        // Polled rather than signalled: after its last store the routine runs nothing but its return, so that the
        // driver's code can go soon after.
        while !self.inner.ended.load(Ordering::Acquire) {
            let _ = self.inner.tick.wait_for(Duration::from_millis(1), passive);
        }
    }
}

impl<C: Changed> fmt::Debug for Watch<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

kernel_fn! {
    unsafe fn notified<C: Changed>(context: PVOID) {
        // SAFETY: the block of a watch, which waits for `ended`.
        let inner = unsafe { &*context.cast::<Inner<C>>().cast_const() };
        // SAFETY: work items run at PASSIVE_LEVEL.
        let passive = unsafe { Passive::assume() };
        // Armed before the callback, so that no change is missed.
        let key = inner.key.write(passive);
        let armed = key.as_ref().is_some_and(|key| inner.arm(key).is_ok());
        let watched = key.is_some();
        drop(key);
        if watched {
            inner.target.changed(passive);
        }
        if !armed {
            inner.ended.store(true, Ordering::Release);
        }
    }
}
