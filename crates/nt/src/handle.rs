//! Kernel handles and references to objects.

use core::ptr::{self, NonNull};

use crate::irql::Passive;
use crate::memory::Mode;
use crate::status::{Result, Status};
use crate::string::UnicodeStr;
use crate::sys::imports::ntoskrnl;
use crate::sys::{
    ACCESS_MASK, FILE_OBJECT, HANDLE, OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES,
    PVOID, UNICODE_STRING,
};

/// A kernel handle, closed when dropped at PASSIVE_LEVEL.
#[derive(Debug)]
pub struct KernelHandle(HANDLE);

// SAFETY: kernel handles belong to the system process and can be used from any thread.
unsafe impl Send for KernelHandle {}
// SAFETY: as above.
unsafe impl Sync for KernelHandle {}

impl KernelHandle {
    /// Owns a handle.
    ///
    /// # Safety
    ///
    /// `handle` is a kernel handle that nobody else closes.
    pub(crate) const unsafe fn new(handle: HANDLE) -> Self {
        Self(handle)
    }

    pub(crate) const fn raw(&self) -> HANDLE {
        self.0
    }
}

impl Drop for KernelHandle {
    fn drop(&mut self) {
        // SAFETY: owned; the status of closing a valid handle is of no use.
        let _ = unsafe { ntoskrnl::ZwClose(self.0) };
    }
}

/// Attributes of a named kernel-handle object; `name` outlives the use.
pub(crate) fn attributes(name: &mut UNICODE_STRING) -> OBJECT_ATTRIBUTES {
    OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: ptr::null_mut(),
        ObjectName: name,
        Attributes: OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE,
        SecurityDescriptor: ptr::null_mut(),
        SecurityQualityOfService: ptr::null_mut(),
    }
}

/// A directory of the object namespace, which lives as long as a handle to it does.
#[derive(Debug)]
pub struct Directory {
    _handle: KernelHandle,
}

impl Directory {
    /// Creates a directory.
    ///
    /// # Errors
    ///
    /// The status of `ZwCreateDirectoryObject`.
    pub fn create(name: UnicodeStr<'_>, _passive: Passive<'_>) -> Result<Self> {
        let mut name = name.raw();
        let mut attributes = attributes(&mut name);
        let mut handle = ptr::null_mut();
        let access = crate::sys::DIRECTORY_ALL_ACCESS;
        // SAFETY: all pointers are to locals.
        Status(unsafe { ntoskrnl::ZwCreateDirectoryObject(&mut handle, access, &mut attributes) })
            .ok()?;
        // SAFETY: a new kernel handle.
        let _handle = unsafe { KernelHandle::new(handle) };
        Ok(Self { _handle })
    }
}

/// A counted reference to a file object.
#[doc(alias = "FILE_OBJECT")]
#[derive(Debug)]
pub struct FileObject(NonNull<FILE_OBJECT>);

// SAFETY: a counted reference may be dropped anywhere up to DISPATCH_LEVEL.
unsafe impl Send for FileObject {}
// SAFETY: as above.
unsafe impl Sync for FileObject {}

impl FileObject {
    /// References the file behind a handle of the current process.
    ///
    /// # Errors
    ///
    /// The status of `ObReferenceObjectByHandle`: a bad handle, not a file, not that much access.
    #[doc(alias = "ObReferenceObjectByHandle")]
    pub fn by_handle(
        handle: u64,
        access: ACCESS_MASK,
        mode: Mode,
        _passive: Passive<'_>,
    ) -> Result<Self> {
        let value = usize::try_from(handle).map_err(|_| Status::INVALID_HANDLE)?;
        let handle: PVOID = ptr::without_provenance_mut(value);
        // SAFETY: a variable of the kernel, constant after boot.
        let kind = unsafe { ntoskrnl::IoFileObjectType };
        let mut object = ptr::null_mut();
        let mode = mode.raw();
        // SAFETY: any handle value may be given; the object is returned referenced.
        let status = unsafe {
            ntoskrnl::ObReferenceObjectByHandle(
                handle,
                access,
                kind,
                mode,
                &mut object,
                ptr::null_mut(),
            )
        };
        Status(status).ok()?;
        NonNull::new(object.cast())
            .map(Self)
            .ok_or(Status::INVALID_HANDLE)
    }

    pub(crate) const fn as_ptr(&self) -> *mut FILE_OBJECT {
        self.0.as_ptr()
    }
}

impl Drop for FileObject {
    fn drop(&mut self) {
        // SAFETY: the reference is owned.
        let _ = unsafe { ntoskrnl::ObfDereferenceObject(self.0.as_ptr().cast()) };
    }
}
