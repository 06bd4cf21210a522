//! Work items: code that system threads run at PASSIVE_LEVEL.

use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::io::Device;
use crate::irql::Passive;
use crate::pool::{Arc, Tag};
use crate::status::{Result, Status};
use crate::sys::imports::ntoskrnl;
use crate::sys::{DelayedWorkQueue, IO_WORKITEM, PVOID};

/// What a [`WorkItem`] does.
pub trait Work: Send + Sync + 'static {
    /// Runs in a system thread.
    fn run(&self, passive: Passive<'_>);
}

/// A work item that can be queued again and again. What is queued runs even when the item is dropped meanwhile; the
/// driver is not unloaded before it has.
pub struct WorkItem<W: Work> {
    inner: Arc<Inner<W>>,
}

struct Inner<W> {
    item: NonNull<IO_WORKITEM>,
    queued: AtomicBool,
    work: Arc<W>,
}

// SAFETY: the kernel's item is only queued, once at a time, and freed.
unsafe impl<W: Work> Send for Inner<W> {}
// SAFETY: as above.
unsafe impl<W: Work> Sync for Inner<W> {}

impl<W> Drop for Inner<W> {
    fn drop(&mut self) {
        // SAFETY: allocated by `new`; a queued item would hold a reference to this value.
        unsafe { ntoskrnl::IoFreeWorkItem(self.item.as_ptr()) }
    }
}

impl<W: Work> WorkItem<W> {
    /// Makes a work item on behalf of a device.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    pub fn new(tag: Tag, device: &Device, work: Arc<W>) -> Result<Self> {
        // SAFETY: the device exists.
        let item = unsafe { ntoskrnl::IoAllocateWorkItem(device.as_ptr()) };
        let item = NonNull::new(item).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        let queued = AtomicBool::new(false);
        let inner = Arc::new(tag, Inner { item, queued, work })?;
        Ok(Self { inner })
    }

    /// Queues the item, unless it is queued already; then `false`. Any level up to DISPATCH_LEVEL.
    pub fn queue(&self) -> bool {
        if self.inner.queued.swap(true, Ordering::AcqRel) {
            return false;
        }
        let context = Arc::into_raw(self.inner.clone()).cast_mut().cast();
        let item = self.inner.item.as_ptr();
        // SAFETY: not queued; the context is a reference that `run` takes back.
        unsafe { ntoskrnl::IoQueueWorkItemEx(item, Some(run::<W>), DelayedWorkQueue, context) };
        true
    }

    /// Whether the item is queued or runs.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        Arc::references(&self.inner) > 1
    }
}

impl<W: Work> fmt::Debug for WorkItem<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorkItem")
    }
}

kernel_fn! {
    unsafe fn run<W: Work>(_object: PVOID, context: PVOID, _item: *mut IO_WORKITEM) {
        // SAFETY: the reference that `queue` gave away.
        let inner = unsafe { Arc::from_raw(context.cast::<Inner<W>>().cast_const()) };
        // From here on the item may be queued again: what is queued now may be news to the work below.
        inner.queued.store(false, Ordering::Release);
        // SAFETY: work items run at PASSIVE_LEVEL.
        inner.work.run(unsafe { Passive::assume() });
    }
}
