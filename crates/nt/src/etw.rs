//! Event tracing.

use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::irql::Passive;
use crate::status::{Result, Status};
use crate::sys::imports::ntoskrnl;
use crate::sys::{
    EVENT_DATA_DESCRIPTOR, EVENT_DESCRIPTOR, EVENT_FILTER_DESCRIPTOR, GUID, PVOID, REGHANDLE,
};

/// Up to which level somebody listens to a provider: one load where an event might be worth making.
#[derive(Debug)]
pub struct Listening(AtomicU32);

impl Listening {
    /// Nobody listens.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Whether somebody listens to events of a level, of whatever keyword. Any level of interrupts.
    #[inline]
    #[must_use]
    pub fn wants(&self, level: u8) -> bool {
        u32::from(level) < self.0.load(Ordering::Relaxed)
    }

    /// Notes the highest level that is listened to; level 0 stands for all.
    fn note(&self, level: Option<u8>) {
        let below = match level {
            None => 0,
            Some(0) => u32::MAX,
            Some(level) => u32::from(level) + 1,
        };
        self.0.store(below, Ordering::Relaxed);
    }
}

impl Default for Listening {
    fn default() -> Self {
        Self::new()
    }
}

/// A registered event provider; unregistered when dropped at PASSIVE_LEVEL.
#[doc(alias = "EtwRegister")]
#[derive(Debug)]
pub struct EventProvider {
    handle: REGHANDLE,
    listening: &'static Listening,
}

/// The most pieces that one event has.
const MAX_FIELDS: usize = 16;

kernel_fn! {
    unsafe fn enabled(
        _source: *const GUID,
        code: u32,
        level: u8,
        _any: u64,
        _all: u64,
        _filter: *mut EVENT_FILTER_DESCRIPTOR,
        context: PVOID,
    ) {
        const DISABLE: u32 = 0;
        const ENABLE: u32 = 1;
        // SAFETY: `EventProvider::register` passes a static variable.
        let listening = unsafe { &*context.cast::<Listening>().cast_const() };
        match code {
            DISABLE => listening.note(None),
            ENABLE => listening.note(Some(level)),
            // Asked for its state, a provider says nothing about who listens.
            _ => {}
        }
    }
}

impl EventProvider {
    /// Registers a provider; `listening` is kept up to date, and is for this provider alone.
    ///
    /// # Errors
    ///
    /// The status of `EtwRegister`.
    pub fn register(
        id: &GUID,
        listening: &'static Listening,
        _passive: Passive<'_>,
    ) -> Result<Self> {
        let mut handle = 0;
        let context = ptr::from_ref(listening).cast_mut().cast();
        // SAFETY: the callback takes a static `Listening`; the other pointers are to locals.
        Status(unsafe { ntoskrnl::EtwRegister(id, Some(enabled), context, &mut handle) }).ok()?;
        Ok(Self { handle, listening })
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
        // SAFETY: registered, unregistered once. No call is in progress when this returns.
        let _ = unsafe { ntoskrnl::EtwUnregister(self.handle) };
        self.listening.note(None);
    }
}
