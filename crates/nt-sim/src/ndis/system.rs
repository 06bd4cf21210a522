//! Memory and processors, as NDIS gives them to drivers.

use std::ffi::c_void;

use nt::sys::{
    NDIS_GENERIC_OBJECT, NDIS_OBJECT_TYPE_RSS_PROCESSOR_INFO, NDIS_RSS_PROCESSOR,
    NDIS_RSS_PROCESSOR_INFO, NDIS_STATUS_BUFFER_TOO_SHORT, NDIS_STATUS_RESOURCES,
    NDIS_STATUS_SUCCESS, NdisRssProfileClosest, PROCESSOR_NUMBER,
};

use super::{
    header, memory,
    raw::{at, load, put, store},
};
use crate::{exports, kernel::kernel, sched};

/// Bytes that shared data should be aligned to: a cache line.
const CACHE_LINE: u32 = 64;

/// Bytes of NDIS_SYSTEM_PROCESSOR_INFO_EX.
const SYSTEM_INFO: usize = 0x28;
/// Bytes of NDIS_PROCESSOR_INFO_EX: processor, socket, core, thread, node, distance.
const PROCESSOR_INFO: usize = 0x14;
/// `NdisProcessorVendorGenuinIntel`.
const VENDOR_INTEL: u32 = 1;

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

fn driver_memory(len: usize, tag: u32, function: &'static str) -> *mut u8 {
    if memory::must_fail(function) {
        return std::ptr::null_mut();
    }
    memory::allocate_for_driver(len, tag)
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// Allocates non-paged memory.
    #[irql(DISPATCH)]
    fn NdisAllocateMemoryWithTagPriority(handle: *mut c_void, len: u32, tag: u32, priority: i32) -> *mut u8 {
        let _ = (super::owner(handle), priority);
        driver_memory(len as usize, tag, "NdisAllocateMemoryWithTagPriority")
    }

    /// Allocates non-paged memory.
    #[irql(DISPATCH)]
    fn NdisAllocateMemoryWithTag(out: *mut *mut u8, len: u32, tag: u32) -> i32 {
        let address = driver_memory(len as usize, tag, "NdisAllocateMemoryWithTag");
        store(out, address);
        if address.is_null() { NDIS_STATUS_RESOURCES } else { NDIS_STATUS_SUCCESS }
    }

    /// Frees memory.
    #[irql(DISPATCH)]
    fn NdisFreeMemory(address: *mut u8, len: u32, flags: u32) {
        let _ = (len, flags);
        memory::free_for_driver(address);
    }

    /// Makes an object that stands for a driver component, to allocate things for.
    #[irql(DISPATCH)]
    fn NdisAllocateGenericObject(driver: *mut nt::sys::DRIVER_OBJECT, tag: u32, size: u16) -> *mut NDIS_GENERIC_OBJECT {
        let len = usize::from(size).max(size_of::<NDIS_GENERIC_OBJECT>());
        let object = driver_memory(len, tag, "NdisAllocateGenericObject").cast::<NDIS_GENERIC_OBJECT>();
        if !object.is_null() {
            put!(object => [Header] header(nt::sys::NDIS_OBJECT_TYPE_DEFAULT, 1, len as u16));
            put!(object => [DriverObject] driver);
            kernel().ndis.generic_objects.lock().insert(object as usize);
        }
        object
    }

    /// Frees a generic object.
    #[irql(DISPATCH)]
    fn NdisFreeGenericObject(object: *mut NDIS_GENERIC_OBJECT) {
        if !kernel().ndis.generic_objects.lock().remove(&(object as usize)) {
            crate::bugcheck!(crate::verifier::Rule::NdisBadHandle, object;
                "NdisFreeGenericObject was given {object:p}, which is no generic object");
        }
        super::check_owner_left_nothing(object as usize, "a generic object");
        memory::free_for_driver(object.cast());
    }

    /// Processors that RSS may use.
    #[irql(DISPATCH)]
    fn NdisGetRssProcessorInformation(handle: *mut c_void, info: *mut NDIS_RSS_PROCESSOR_INFO, size: *mut usize) -> i32 {
        let _ = super::owner(handle);
        let offset = size_of::<NDIS_RSS_PROCESSOR_INFO>();
        let needed = offset + cpus() as usize * size_of::<NDIS_RSS_PROCESSOR>();
        let given = load(size);
        store(size, needed);
        if given < needed {
            return NDIS_STATUS_BUFFER_TOO_SHORT;
        }
        let mut p = NDIS_RSS_PROCESSOR_INFO::zeroed();
        p.Header = header(NDIS_OBJECT_TYPE_RSS_PROCESSOR_INFO, 2, 0x28);
        p.RssBaseProcessor = number(0);
        p.MaxNumRssProcessors = cpus();
        p.RssProcessorArrayOffset = offset as u32;
        p.RssProcessorCount = cpus();
        p.RssProcessorEntrySize = size_of::<NDIS_RSS_PROCESSOR>() as u32;
        p.RssMaxProcessor = number(cpus() - 1);
        p.RssProfile = NdisRssProfileClosest;
        store(info, p);
        for index in 0..cpus() {
            let entry: *mut NDIS_RSS_PROCESSOR = at(info, offset + index as usize * size_of::<NDIS_RSS_PROCESSOR>());
            store(entry, NDIS_RSS_PROCESSOR { ProcNum: number(index), PreferenceIndex: 0, Reserved: 0 });
        }
        NDIS_STATUS_SUCCESS
    }

    /// Sockets, cores and processors.
    #[irql(DISPATCH)]
    fn NdisGetProcessorInformationEx(handle: *mut c_void, info: *mut u8, size: *mut usize) -> i32 {
        if !handle.is_null() {
            super::owner(handle);
        }
        let needed = SYSTEM_INFO + cpus() as usize * PROCESSOR_INFO;
        let given = load(size);
        store(size, needed);
        if given < needed {
            return NDIS_STATUS_BUFFER_TOO_SHORT;
        }
        super::raw::zero(info, needed);
        store(info.cast(), header(nt::sys::NDIS_OBJECT_TYPE_DEFAULT, 1, SYSTEM_INFO as u16));
        // One socket of one-threaded cores. Offsets as in NDIS_SYSTEM_PROCESSOR_INFO_EX.
        for (offset, value) in [
            (0x8, VENDOR_INTEL),
            (0xc, 1),
            (0x10, cpus()),
            (0x14, cpus()),
            (0x18, 1),
            (0x1c, SYSTEM_INFO as u32),
            (0x20, cpus()),
            (0x24, PROCESSOR_INFO as u32),
        ] {
            store(at(info, offset), value);
        }
        for index in 0..cpus() {
            let entry = info.wrapping_add(SYSTEM_INFO + index as usize * PROCESSOR_INFO);
            store(entry.cast(), number(index));
            store(at(entry, 8), index);
        }
        NDIS_STATUS_SUCCESS
    }

    /// The current processor.
    #[irql(ANY)]
    fn NdisCurrentGroupAndProcessor() -> u32 {
        sched::current().processor() << 16
    }

    /// Processors that are active in a group.
    #[irql(ANY)]
    fn NdisGroupActiveProcessorCount(group: u16) -> u32 {
        if group == 0 || group == 0xffff { cpus() } else { 0 }
    }

    /// Processors that may become active in a group.
    #[irql(ANY)]
    fn NdisGroupMaxProcessorCount(group: u16) -> u32 {
        if group == 0 || group == 0xffff { cpus() } else { 0 }
    }

    /// Active processors of a group.
    #[irql(ANY)]
    fn NdisGroupActiveProcessorMask(group: u16) -> u64 {
        if group == 0 { mask() } else { 0 }
    }

    /// Number of processors.
    #[irql(ANY)]
    fn NdisSystemProcessorCount() -> i8 {
        cpus() as i8
    }

    /// Number of active processors, and their mask.
    #[irql(ANY)]
    fn NdisSystemActiveProcessorCount(affinity: *mut u64) -> u32 {
        if !affinity.is_null() {
            store(affinity, mask());
        }
        cpus()
    }

    /// Alignment that keeps data of different processors apart.
    #[irql(DISPATCH)]
    fn NdisGetSharedDataAlignment() -> u32 {
        CACHE_LINE
    }

    /// Milliseconds since boot.
    #[irql(ANY)]
    fn NdisGetSystemUpTimeEx(out: *mut i64) {
        store(out, kernel().clock.now() / 10_000);
    }
}
