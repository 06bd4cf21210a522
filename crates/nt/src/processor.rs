//! Processors and clocks.

use crate::status::{Result, Status};
use crate::sys::imports::{hal, ntoskrnl};
use crate::sys::{ALL_PROCESSOR_GROUPS, LARGE_INTEGER, PROCESSOR_NUMBER};

/// A processor by group and number.
#[doc(alias = "PROCESSOR_NUMBER")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessorNumber(PROCESSOR_NUMBER);

impl ProcessorNumber {
    /// The processor of an index, 0 to [`max_count`].
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_PARAMETER`] when there is no such processor.
    pub fn from_index(index: u32) -> Result<Self> {
        let mut number = PROCESSOR_NUMBER::zeroed();
        // SAFETY: a local.
        Status(unsafe { ntoskrnl::KeGetProcessorNumberFromIndex(index, &mut number) }).ok()?;
        Ok(Self(number))
    }

    /// The structure.
    #[must_use]
    pub const fn from_raw(number: PROCESSOR_NUMBER) -> Self {
        Self(number)
    }

    /// The structure.
    #[must_use]
    pub const fn raw(self) -> PROCESSOR_NUMBER {
        self.0
    }

    /// The processor's group.
    #[must_use]
    pub const fn group(self) -> u16 {
        self.0.Group
    }

    /// The processor's number in its group.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0.Number
    }

    /// The processor's index; `None` when there is no such processor.
    #[must_use]
    pub fn index(self) -> Option<u32> {
        let mut number = self.0;
        // SAFETY: a local.
        let index = unsafe { ntoskrnl::KeGetProcessorIndexFromNumber(&mut number) };
        (index != crate::sys::INVALID_PROCESSOR_INDEX).then_some(index)
    }
}

/// The index of the processor that runs this; below DISPATCH_LEVEL it may have changed by the time it is used.
#[must_use]
#[inline]
pub fn current_index() -> u32 {
    // SAFETY: the number is not wanted.
    unsafe { ntoskrnl::KeGetCurrentProcessorNumberEx(core::ptr::null_mut()) }
}

/// The processor that runs this; below DISPATCH_LEVEL it may have changed by the time it is used.
#[must_use]
#[inline]
pub fn current() -> ProcessorNumber {
    let mut number = PROCESSOR_NUMBER::zeroed();
    // SAFETY: a local.
    let _ = unsafe { ntoskrnl::KeGetCurrentProcessorNumberEx(&mut number) };
    ProcessorNumber(number)
}

/// The number of running processors.
#[must_use]
pub fn active_count() -> u32 {
    // SAFETY: callable at any level.
    unsafe { ntoskrnl::KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS) }
}

/// The number of processors that there can be; indices stay below.
#[must_use]
pub fn max_count() -> u32 {
    // SAFETY: callable at any level.
    unsafe { ntoskrnl::KeQueryMaximumProcessorCountEx(ALL_PROCESSOR_GROUPS) }
}

/// Time since the system started, while it was not asleep, in units of 100 ns.
#[doc(alias = "KeQueryUnbiasedInterruptTime")]
#[must_use]
pub fn interrupt_time() -> u64 {
    // SAFETY: callable at any level.
    unsafe { ntoskrnl::KeQueryUnbiasedInterruptTime() }
}

/// The performance counter and its frequency in counts a second.
#[doc(alias = "KeQueryPerformanceCounter")]
#[must_use]
pub fn performance_counter() -> (i64, i64) {
    let mut frequency = LARGE_INTEGER { QuadPart: 0 };
    // SAFETY: a local.
    let counter = unsafe { hal::KeQueryPerformanceCounter(&mut frequency) };
    // SAFETY: the union has one member.
    let counter = unsafe { counter.QuadPart };
    // SAFETY: the union has one member.
    let frequency = unsafe { frequency.QuadPart };
    (counter, frequency)
}
