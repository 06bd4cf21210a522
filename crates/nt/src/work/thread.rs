//! System threads.

use core::fmt;
use core::ptr::{self, NonNull};

use crate::handle::KernelHandle;
use crate::irql::Passive;
use crate::pool::{Box, Tag};
use crate::processor::ProcessorNumber;
use crate::status::{Result, Status};
use crate::sys::imports::ntoskrnl;
use crate::sys::{Executive, GROUP_AFFINITY, KTHREAD, KernelMode, PVOID, THREAD_ALL_ACCESS};

/// A thread of the system process; waited for when dropped at PASSIVE_LEVEL.
#[doc(alias = "PsCreateSystemThread")]
pub struct Thread {
    object: NonNull<KTHREAD>,
}

// SAFETY: a counted reference to a thread object.
unsafe impl Send for Thread {}
// SAFETY: as above.
unsafe impl Sync for Thread {}

impl Thread {
    /// Starts a thread.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`], or the status of `PsCreateSystemThread`; `body` is dropped.
    pub fn spawn<F>(tag: Tag, body: F, _passive: Passive<'_>) -> Result<Self>
    where
        F: FnOnce(Passive<'_>) + Send + 'static,
    {
        let body = Box::into_raw(Box::new(tag, body)?);
        let mut handle = ptr::null_mut();
        // SAFETY: the body is taken back by the thread.
        let status = unsafe {
            ntoskrnl::PsCreateSystemThread(
                &mut handle,
                THREAD_ALL_ACCESS,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                start_of(&body),
                body.cast(),
            )
        };
        if let Err(status) = Status(status).ok() {
            // SAFETY: no thread has it.
            drop(unsafe { Box::from_raw(body) });
            return Err(status);
        }
        // SAFETY: a new kernel handle.
        let handle = unsafe { KernelHandle::new(handle) };
        // SAFETY: a variable of the kernel, constant after boot.
        let kind = unsafe { ntoskrnl::PsThreadType };
        let mut object = ptr::null_mut();
        let mode = KernelMode as i8;
        // SAFETY: the handle of a thread with all access, so this cannot fail.
        let status = unsafe {
            ntoskrnl::ObReferenceObjectByHandle(
                handle.raw(),
                THREAD_ALL_ACCESS,
                kind,
                mode,
                &mut object,
                ptr::null_mut(),
            )
        };
        Status(status).ok()?;
        let object = NonNull::new(object.cast()).ok_or(Status::UNSUCCESSFUL)?;
        Ok(Self { object })
    }

    /// Sets the thread's priority; 16 and above are real time.
    pub fn set_priority(&self, priority: i32) {
        // SAFETY: a referenced thread.
        let _ = unsafe { ntoskrnl::KeSetPriorityThread(self.object.as_ptr(), priority) };
    }

    /// Waits until the thread has ended.
    pub fn join(self, _passive: Passive<'_>) {
        drop(self);
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        let object = self.object.as_ptr().cast();
        let mode = KernelMode as i8;
        // SAFETY: a referenced thread.
        let _ =
            unsafe { ntoskrnl::KeWaitForSingleObject(object, Executive, mode, 0, ptr::null_mut()) };
        // SAFETY: the reference is owned.
        let _ = unsafe { ntoskrnl::ObfDereferenceObject(object) };
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Thread")
    }
}

/// The start routine for a body, whose type cannot be named.
fn start_of<F: FnOnce(Passive<'_>) + Send + 'static>(
    _body: &*mut F,
) -> crate::sys::PKSTART_ROUTINE {
    Some(start::<Body<F>>)
}

/// A thread body by its type.
trait Start {
    /// Runs the body.
    ///
    /// # Safety
    ///
    /// `context` is a box of the body, taken once.
    unsafe fn start(context: PVOID, passive: Passive<'_>);
}

struct Body<F>(core::marker::PhantomData<F>);

impl<F: FnOnce(Passive<'_>)> Start for Body<F> {
    unsafe fn start(context: PVOID, passive: Passive<'_>) {
        // SAFETY: the caller's promise.
        let body = unsafe { Box::from_raw(context.cast::<F>()) };
        body.into_inner()(passive);
    }
}

kernel_fn! {
    unsafe fn start<B: Start>(context: PVOID) {
        // SAFETY: threads start at PASSIVE_LEVEL.
        let passive = unsafe { Passive::assume() };
        // SAFETY: the box that `spawn` gave away. Returning from here ends the thread.
        unsafe { B::start(context, passive) };
    }
}

/// The current thread bound to one processor until the value is dropped.
#[must_use]
pub struct Pinned {
    previous: GROUP_AFFINITY,
    thread: core::marker::PhantomData<*const ()>,
}

impl Pinned {
    /// Binds the current thread.
    pub fn to(processor: ProcessorNumber, _passive: Passive<'_>) -> Self {
        let mut affinity = GROUP_AFFINITY::zeroed();
        affinity.Group = processor.raw().Group;
        affinity.Mask = 1 << processor.raw().Number;
        let mut previous = GROUP_AFFINITY::zeroed();
        // SAFETY: locals.
        unsafe { ntoskrnl::KeSetSystemGroupAffinityThread(&mut affinity, &mut previous) };
        Self {
            previous,
            thread: core::marker::PhantomData,
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: what `to` stored, on the same thread.
        unsafe { ntoskrnl::KeRevertToUserGroupAffinityThread(&mut self.previous) }
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pinned")
    }
}
