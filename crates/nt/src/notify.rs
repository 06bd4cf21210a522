//! Callback objects: telling other drivers that something happened.

use core::ptr::{self, NonNull};

use crate::irql::Passive;
use crate::status::{Result, Status};
use crate::string::UnicodeStr;
use crate::sys::imports::ntoskrnl;
use crate::sys::{CALLBACK_OBJECT, OBJ_CASE_INSENSITIVE, OBJ_PERMANENT, OBJECT_ATTRIBUTES, PVOID};

/// A named callback object, opened or made.
#[doc(alias = "CALLBACK_OBJECT")]
#[derive(Debug)]
pub struct CallbackObject(NonNull<CALLBACK_OBJECT>);

// SAFETY: a counted reference to an object that is safe to use from any thread.
unsafe impl Send for CallbackObject {}
// SAFETY: as above.
unsafe impl Sync for CallbackObject {}

impl CallbackObject {
    /// Opens the object `name`, making it if need be. Once made it stays for as long as the system
    /// runs, so that those who registered before a driver restarts are told again.
    ///
    /// # Errors
    ///
    /// The status of `ExCreateCallback`.
    #[doc(alias = "ExCreateCallback")]
    pub fn create(name: UnicodeStr<'_>, _passive: Passive<'_>) -> Result<Self> {
        let mut name = name.raw();
        let mut attributes = OBJECT_ATTRIBUTES {
            Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
            RootDirectory: ptr::null_mut(),
            ObjectName: &mut name,
            Attributes: OBJ_CASE_INSENSITIVE | OBJ_PERMANENT,
            SecurityDescriptor: ptr::null_mut(),
            SecurityQualityOfService: ptr::null_mut(),
        };
        let mut object = ptr::null_mut();
        // SAFETY: all pointers are to locals.
        Status(unsafe { ntoskrnl::ExCreateCallback(&mut object, &mut attributes, 1, 1) }).ok()?;
        NonNull::new(object).map(Self).ok_or(Status::UNSUCCESSFUL)
    }

    /// Calls everybody who registered, with two null arguments. Callable at up to DISPATCH_LEVEL.
    #[doc(alias = "ExNotifyCallback")]
    pub fn notify(&self) {
        let object: PVOID = self.0.as_ptr().cast();
        // SAFETY: a referenced callback object.
        unsafe { ntoskrnl::ExNotifyCallback(object, ptr::null_mut(), ptr::null_mut()) }
    }
}

impl Drop for CallbackObject {
    fn drop(&mut self) {
        let object: PVOID = self.0.as_ptr().cast();
        // SAFETY: the reference of `create`, dropped once.
        let _ = unsafe { ntoskrnl::ObfDereferenceObject(object) };
    }
}
