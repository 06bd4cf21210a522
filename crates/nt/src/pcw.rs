//! Performance counters: sets of counters, and instances that have values of them.

use core::fmt;
use core::ptr::{self, NonNull};
use core::sync::atomic::AtomicU64;

use crate::irql::Passive;
use crate::pool::{Arc, Tag, Vec};
use crate::status::{Result, Status};
use crate::string::UnicodeStr;
use crate::sys::imports::ntoskrnl;
use crate::sys::{
    PCW_COUNTER_DESCRIPTOR, PCW_DATA, PCW_INSTANCE, PCW_REGISTRATION, PCW_REGISTRATION_INFORMATION,
    PCW_VERSION_1, PcwRegistrationNone,
};

/// A counter of a set: its number in the manifest, and which of an instance's values it is.
#[doc(alias = "PCW_COUNTER_DESCRIPTOR")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counter {
    /// The identifier in the manifest.
    pub id: u16,
    /// The index of its value.
    pub index: u16,
}

/// Something that has values for the counters of a set.
///
/// They are read whenever somebody collects the counters, each by itself and while others may count.
pub trait Counted: Send + Sync + 'static {
    /// The values, by index; always the same ones.
    fn values(&self) -> &[AtomicU64];
}

/// A registered set of counters; unregistered when dropped at PASSIVE_LEVEL, after its last instance.
#[doc(alias = "PcwRegister")]
pub struct CounterSet {
    registration: NonNull<PCW_REGISTRATION>,
    /// How many values an instance must have.
    needed: usize,
}

// SAFETY: the kernel's functions on counter sets may be called from any thread.
unsafe impl Send for CounterSet {}
// SAFETY: as above.
unsafe impl Sync for CounterSet {}

impl CounterSet {
    /// Registers a set by the name that its manifest gives it.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_PARAMETER`] without counters or with an index of 8192 and more;
    /// [`Status::INSUFFICIENT_RESOURCES`], or the status of `PcwRegister`.
    pub fn register(
        tag: Tag,
        name: UnicodeStr<'_>,
        counters: &[Counter],
        _passive: Passive<'_>,
    ) -> Result<Self> {
        const SIZE: u16 = size_of::<AtomicU64>() as u16;
        let mut descriptors = Vec::with_capacity(tag, counters.len())?;
        let mut needed = 0;
        for counter in counters {
            let offset = counter.index.checked_mul(SIZE);
            descriptors.push(PCW_COUNTER_DESCRIPTOR {
                Id: counter.id,
                StructIndex: 0,
                Offset: offset.ok_or(Status::INVALID_PARAMETER)?,
                Size: SIZE,
            })?;
            needed = needed.max(usize::from(counter.index) + 1);
        }
        if counters.is_empty() {
            return Err(Status::INVALID_PARAMETER);
        }
        let mut name = name.raw();
        let mut information = PCW_REGISTRATION_INFORMATION::zeroed();
        information.Version = PCW_VERSION_1.into();
        information.Name = &mut name;
        information.CounterCount = descriptors.len() as u32;
        information.Counters = descriptors.as_mut_ptr();
        information.Flags = PcwRegistrationNone;
        let mut registration = ptr::null_mut();
        // SAFETY: what the information refers to is read during the call; there is no callback.
        Status(unsafe { ntoskrnl::PcwRegister(&mut registration, &mut information) }).ok()?;
        let registration = NonNull::new(registration).ok_or(Status::UNSUCCESSFUL)?;
        Ok(Self {
            registration,
            needed,
        })
    }
}

impl Drop for CounterSet {
    fn drop(&mut self) {
        // SAFETY: registered, unregistered once; instances refer to the set, so there is none left.
        unsafe { ntoskrnl::PcwUnregister(self.registration.as_ptr()) }
    }
}

impl fmt::Debug for CounterSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CounterSet")
    }
}

/// An instance of a [`CounterSet`]; closed when dropped at PASSIVE_LEVEL.
#[doc(alias = "PcwCreateInstance")]
pub struct Instance<C: Counted> {
    instance: NonNull<PCW_INSTANCE>,
    counted: Arc<C>,
    _set: Arc<CounterSet>,
}

// SAFETY: the kernel's functions on instances may be called from any thread.
unsafe impl<C: Counted> Send for Instance<C> {}
// SAFETY: as above.
unsafe impl<C: Counted> Sync for Instance<C> {}

impl<C: Counted> Instance<C> {
    /// Makes an instance with the values of `counted`.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_BUFFER_SIZE`] when a counter of the set has no value; otherwise the status of
    /// `PcwCreateInstance`.
    pub fn create(
        set: &Arc<CounterSet>,
        name: UnicodeStr<'_>,
        counted: Arc<C>,
        _passive: Passive<'_>,
    ) -> Result<Self> {
        let values = counted.values();
        if values.len() < set.needed {
            return Err(Status::INVALID_BUFFER_SIZE);
        }
        let mut data = PCW_DATA {
            Data: values.as_ptr().cast_mut().cast(),
            Size: u32::try_from(size_of_val(values)).map_err(|_| Status::INVALID_BUFFER_SIZE)?,
        };
        let name = name.raw();
        let mut instance = ptr::null_mut();
        let registration = set.registration.as_ptr();
        // SAFETY: registered; the name is copied; the values are only read, and are borrowed from what the instance
        // keeps.
        Status(unsafe {
            ntoskrnl::PcwCreateInstance(&mut instance, registration, &name, 1, &mut data)
        })
        .ok()?;
        Ok(Self {
            instance: NonNull::new(instance).ok_or(Status::UNSUCCESSFUL)?,
            counted,
            _set: set.clone(),
        })
    }

    /// What has the values.
    #[must_use]
    pub const fn counted(&self) -> &Arc<C> {
        &self.counted
    }
}

impl<C: Counted> Drop for Instance<C> {
    fn drop(&mut self) {
        // SAFETY: created, closed once; on return nobody reads the values any more.
        unsafe { ntoskrnl::PcwCloseInstance(self.instance.as_ptr()) }
    }
}

impl<C: Counted> fmt::Debug for Instance<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instance")
    }
}
