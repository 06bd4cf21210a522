//! Processes.

use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::irql::Passive;
use crate::sys::imports::ntoskrnl;
use crate::sys::{EPROCESS, KAPC_STATE};

/// A counted reference to a process, which may have ended meanwhile.
#[doc(alias = "EPROCESS")]
#[derive(PartialEq, Eq)]
pub struct Process {
    object: NonNull<EPROCESS>,
}

// SAFETY: a counted reference may be used and dropped on any thread, up to DISPATCH_LEVEL.
unsafe impl Send for Process {}
// SAFETY: as above.
unsafe impl Sync for Process {}

impl Process {
    /// The process whose address space the current thread uses: its own, or the one that it is attached to.
    #[doc(alias = "PsGetCurrentProcess")]
    #[must_use]
    pub fn current() -> Self {
        // SAFETY: callable at any level.
        let object = unsafe { ntoskrnl::IoGetCurrentProcess() };
        // SAFETY: a thread has a process, which exists as long as the thread uses it.
        let _ = unsafe { ntoskrnl::ObfReferenceObject(object.cast()) };
        // SAFETY: an object's address is not null.
        let object = unsafe { NonNull::new_unchecked(object) };
        Self { object }
    }

    /// The process's number.
    #[doc(alias = "PsGetProcessId")]
    #[must_use]
    pub fn id(&self) -> usize {
        // SAFETY: referenced.
        unsafe { ntoskrnl::PsGetProcessId(self.object.as_ptr()) }.addr()
    }

    /// Whether the current thread uses the address space of this process.
    #[must_use]
    pub fn is_current(&self) -> bool {
        // SAFETY: callable at any level.
        self.object.as_ptr() == unsafe { ntoskrnl::IoGetCurrentProcess() }
    }

    /// Runs `body` in the address space of this process, which must not have gone yet.
    ///
    /// (A function and not a guard, because the kernel links what it saves to the place where it lies.)
    #[doc(alias = "KeStackAttachProcess")]
    pub fn attached<R>(&self, passive: Passive<'_>, body: impl FnOnce(Passive<'_>) -> R) -> R {
        let mut state = MaybeUninit::<KAPC_STATE>::uninit();
        // SAFETY: a referenced process; the state stays where it is until it is given back.
        unsafe { ntoskrnl::KeStackAttachProcess(self.object.as_ptr(), state.as_mut_ptr()) };
        let result = body(passive);
        // SAFETY: saved above, on this thread.
        unsafe { ntoskrnl::KeUnstackDetachProcess(state.as_mut_ptr()) };
        result
    }
}

impl Clone for Process {
    fn clone(&self) -> Self {
        // SAFETY: referenced, so it can be referenced once more.
        let _ = unsafe { ntoskrnl::ObfReferenceObject(self.object.as_ptr().cast()) };
        Self {
            object: self.object,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SAFETY: the reference is owned.
        let _ = unsafe { ntoskrnl::ObfDereferenceObject(self.object.as_ptr().cast()) };
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({})", self.id())
    }
}
