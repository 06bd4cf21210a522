// UNSAFETY: a handle is known by its value, which says nothing about who else uses it.
#![expect(
    unsafe_code,
    reason = "that a handle has one owner cannot be seen from its value"
)]

//! Handles to objects of the driver that go from one process to another.

use std::fmt;
use std::sync::Arc;

use crate::error::{Call, Error, Fault};
use crate::interface::System;
use crate::sys::{Object, PeerProcess};

/// A handle to an object of the driver that another process made for this one. Dropping it closes it.
pub struct Handle {
    system: System,
    object: Arc<dyn Object>,
}

/// Another process, to which handles can be given.
pub struct Peer(PeerProcess);

impl Handle {
    /// Takes over a handle of this process by its value, as the process that duplicated it into this one says it.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidArgument`](crate::Kind::InvalidArgument) when this process has no such handle.
    ///
    /// # Safety
    ///
    /// Nobody else may use or close the handle: the value was made for this call, by
    /// [`BoundSocket::duplicate_to`](crate::BoundSocket::duplicate_to), [`Program::duplicate_to`](crate::Program::duplicate_to)
    /// or `DuplicateHandle`, and is passed to it once.
    pub unsafe fn from_value(system: &System, value: u64) -> Result<Self, Error> {
        let adopted = system.backend().adopt(value);
        let object =
            adopted.map_err(|fault| fault.during(Call::AdoptHandle, format!("{value:#x}")))?;
        Ok(Self {
            system: system.clone(),
            object,
        })
    }

    pub(crate) fn system(&self) -> &System {
        &self.system
    }

    pub(crate) fn into_object(self) -> Arc<dyn Object> {
        self.object
    }
}

impl Peer {
    /// A process of this Windows, such as a [`Child`](std::process::Child), by a handle that allows to duplicate handles into it
    /// (`PROCESS_DUP_HANDLE`).
    ///
    /// # Errors
    ///
    /// When the system gives no handle.
    #[cfg(windows)]
    pub fn of(process: &impl std::os::windows::io::AsHandle) -> std::io::Result<Self> {
        let owned = process.as_handle().try_clone_to_owned()?;
        Ok(Self(PeerProcess::Windows(owned)))
    }

    #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
    pub(crate) fn of_lab(caller: Arc<crate::sys::lab::Caller>) -> Self {
        Self(PeerProcess::Lab(caller))
    }

    /// Makes a handle of the process to an object.
    pub(crate) fn duplicate(
        &self,
        object: &dyn Object,
        name: impl FnOnce() -> String,
    ) -> Result<u64, Error> {
        let made = object.duplicate(&self.0);
        made.map_err(|fault: Fault| fault.during(Call::DuplicateHandle, name()))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({:#x})", self.object.handle())
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").finish_non_exhaustive()
    }
}
