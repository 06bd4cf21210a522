//! Event tracing.

use core::ptr;

use crate::irql::Passive;
use crate::status::{Result, Status};
use crate::sys::imports::ntoskrnl;
use crate::sys::{EVENT_DATA_DESCRIPTOR, EVENT_DESCRIPTOR, GUID, REGHANDLE};

/// A registered event provider; unregistered when dropped at PASSIVE_LEVEL.
#[doc(alias = "EtwRegister")]
#[derive(Debug)]
pub struct EventProvider {
    handle: REGHANDLE,
}

/// The most pieces that one event has.
const MAX_FIELDS: usize = 16;

impl EventProvider {
    /// Registers a provider.
    ///
    /// # Errors
    ///
    /// The status of `EtwRegister`.
    pub fn register(id: &GUID, _passive: Passive<'_>) -> Result<Self> {
        let mut handle = 0;
        // SAFETY: no callback; the other pointers are to locals.
        Status(unsafe { ntoskrnl::EtwRegister(id, None, ptr::null_mut(), &mut handle) }).ok()?;
        Ok(Self { handle })
    }

    /// Whether somebody wants events of a level and keyword. Any level.
    #[must_use]
    pub fn is_enabled(&self, level: u8, keyword: u64) -> bool {
        // SAFETY: registered.
        unsafe { ntoskrnl::EtwProviderEnabled(self.handle, level, keyword) != 0 }
    }

    /// Writes an event whose data are the given pieces, one after the other. Any level.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_PARAMETER`] for more than 16 pieces or one of 4 GiB, or the status of `EtwWrite`.
    pub fn write(&self, event: &EVENT_DESCRIPTOR, fields: &[&[u8]]) -> Result<()> {
        let mut data = [EVENT_DATA_DESCRIPTOR::zeroed(); MAX_FIELDS];
        if fields.len() > data.len() {
            return Err(Status::INVALID_PARAMETER);
        }
        for (descriptor, field) in data.iter_mut().zip(fields) {
            descriptor.Ptr = field.as_ptr().expose_provenance() as u64;
            descriptor.Size = u32::try_from(field.len()).map_err(|_| Status::INVALID_PARAMETER)?;
        }
        let count = fields.len() as u32;
        // SAFETY: registered; the data is borrowed during the call.
        Status(unsafe {
            ntoskrnl::EtwWrite(self.handle, event, ptr::null(), count, data.as_mut_ptr())
        })
        .ok()
    }
}

impl Drop for EventProvider {
    fn drop(&mut self) {
        // SAFETY: registered, unregistered once.
        let _ = unsafe { ntoskrnl::EtwUnregister(self.handle) };
    }
}
