//! Processors, time, and stopping the system.

use nt::sys::{GROUP_AFFINITY, PROCESSOR_NUMBER};

use crate::{exports, kernel::kernel, sched, verifier::Rule};

/// `ALL_PROCESSOR_GROUPS`.
const ALL_GROUPS: u16 = 0xffff;

fn cpus() -> u32 {
    kernel().config.cpus
}

fn mask() -> u64 {
    u64::MAX >> (64 - cpus())
}

fn number(index: u32) -> PROCESSOR_NUMBER {
    PROCESSOR_NUMBER {
        Group: 0,
        Number: index as u8,
        Reserved: 0,
    }
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Number of the current processor; also in `out` if given.
    #[irql(ANY)]
    fn KeGetCurrentProcessorNumberEx(out: *mut PROCESSOR_NUMBER) -> u32 {
        let index = sched::current().processor();
        if !out.is_null() {
            // SAFETY: the caller gives memory for a processor number.
            unsafe { out.write(number(index)) };
        }
        index
    }

    /// Processors that are active in a group, or in all.
    #[irql(ANY)]
    fn KeQueryActiveProcessorCountEx(group: u16) -> u32 {
        if group == 0 || group == ALL_GROUPS { cpus() } else { 0 }
    }

    /// Processors that may become active in a group, or in all.
    #[irql(ANY)]
    fn KeQueryMaximumProcessorCountEx(group: u16) -> u32 {
        if group == 0 || group == ALL_GROUPS { cpus() } else { 0 }
    }

    /// Number of processor groups.
    #[irql(ANY)]
    fn KeQueryActiveGroupCount() -> u16 {
        1
    }

    /// Largest number of processor groups.
    #[irql(ANY)]
    fn KeQueryMaximumGroupCount() -> u16 {
        1
    }

    /// Active processors of a group.
    #[irql(ANY)]
    fn KeQueryGroupAffinity(group: u16) -> u64 {
        if group == 0 { mask() } else { 0 }
    }

    /// NUMA node of the current processor: there is one node.
    #[irql(ANY)]
    fn KeGetCurrentNodeNumber() -> u16 {
        0
    }

    /// Highest NUMA node number.
    #[irql(ANY)]
    fn KeQueryHighestNodeNumber() -> u16 {
        0
    }

    /// Processors of a NUMA node.
    #[irql(ANY)]
    fn KeQueryNodeActiveAffinity(node: u16, affinity: *mut GROUP_AFFINITY, count: *mut u16) {
        if !affinity.is_null() {
            // SAFETY: the caller gives memory for a group affinity.
            unsafe {
                affinity.write(GROUP_AFFINITY {
                    Mask: if node == 0 { mask() as usize } else { 0 },
                    Group: 0,
                    Reserved: [0; 3],
                });
            }
        }
        if !count.is_null() {
            // SAFETY: the caller gives memory for a count.
            unsafe { count.write(if node == 0 { cpus() as u16 } else { 0 }) };
        }
    }

    /// System-wide index of a processor.
    #[irql(ANY)]
    fn KeGetProcessorIndexFromNumber(processor: *const PROCESSOR_NUMBER) -> u32 {
        // SAFETY: the caller passes a processor number.
        let processor = unsafe { processor.read() };
        let index = u32::from(processor.Number);
        if processor.Group == 0 && index < cpus() { index } else { u32::MAX }
    }

    /// Group and number of the processor with a system-wide index.
    #[irql(ANY)]
    fn KeGetProcessorNumberFromIndex(index: u32, out: *mut PROCESSOR_NUMBER) -> i32 {
        if index >= cpus() {
            return 0xC000_000D_u32 as i32;
        }
        // SAFETY: the caller gives memory for a processor number.
        unsafe { out.write(number(index)) };
        0
    }

    /// Whether code at DISPATCH_LEVEL has run for long enough.
    #[irql(DISPATCH)]
    fn KeShouldYieldProcessor() -> u32 {
        0
    }

    /// Performance counter, and its frequency if asked for.
    #[irql(ANY)]
    fn KeQueryPerformanceCounter(frequency: *mut i64) -> i64 {
        if !frequency.is_null() {
            // SAFETY: the caller gives memory for the frequency.
            unsafe { frequency.write(crate::clock::SECOND) };
        }
        kernel().clock.now()
    }

    /// Time since boot without the time asleep, in 100 ns units.
    #[irql(ANY)]
    fn KeQueryUnbiasedInterruptTime() -> u64 {
        kernel().clock.awake() as u64
    }

    /// Time since boot in 100 ns units.
    #[irql(ANY)]
    fn KeQueryInterruptTime() -> u64 {
        kernel().clock.now() as u64
    }

    /// Time since boot in 100 ns units, and the performance counter.
    #[irql(ANY)]
    fn KeQueryInterruptTimePrecise(counter: *mut u64) -> u64 {
        let now = kernel().clock.now() as u64;
        // SAFETY: the caller gives memory for the counter.
        unsafe { counter.write(now) };
        now
    }

    /// System time.
    #[irql(ANY)]
    fn KeQuerySystemTimePrecise(out: *mut i64) {
        // SAFETY: the caller gives memory for the time.
        unsafe { out.write(kernel().clock.system_time()) };
    }

    /// 100 ns units per clock tick.
    #[irql(ANY)]
    fn KeQueryTimeIncrement() -> u32 {
        156_250
    }

    /// Busy-waits.
    #[irql(ANY)]
    fn KeStallExecutionProcessor(microseconds: u32) {
        if kernel().config.clock == crate::ClockMode::Real {
            let end = kernel().clock.now() + i64::from(microseconds) * 10;
            sched::spin_until(|| kernel().clock.now() >= end);
        } else {
            sched::yield_point();
        }
    }

    /// Stops the system.
    #[irql(ANY)]
    fn KeBugCheckEx(code: u32, p1: usize, p2: usize, p3: usize, p4: usize) {
        crate::bugcheck!(Rule::DriverBugCheck, p1, p2, p3, p4;
            "the driver called KeBugCheckEx({code:#010x}, {p1:#x}, {p2:#x}, {p3:#x}, {p4:#x})");
    }

    /// Stops the system.
    #[irql(ANY)]
    fn KeBugCheck(code: u32) {
        crate::bugcheck!(Rule::DriverBugCheck; "the driver called KeBugCheck({code:#010x})");
    }
}
