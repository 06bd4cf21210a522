//! The page that the kernel shares with everyone: time, version, processors.
//!
//! Drivers read it inline at its kernel address, which no Linux process can map; programs read it at
//! its user address, which is mapped.

use std::{
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::guarded;
use crate::kernel::{Kernel, try_kernel};

/// `KI_USER_SHARED_DATA`.
const KERNEL_ADDRESS: u64 = 0xffff_f780_0000_0000;
/// `MM_SHARED_USER_DATA_VA`.
const USER_ADDRESS: usize = 0x7ffe_0000;
const SIZE: usize = 4096;
/// 100 ns units of a clock tick.
const TICK: i64 = 156_250;

/// Where the simulated kernel itself writes the page; zero until first used.
static PAGE: AtomicUsize = AtomicUsize::new(0);

/// If the access goes to the page's kernel address: what to add to reach it. The page is read-only,
/// so writes are ordinary faults.
pub(super) fn delta(address: u64, len: usize, write: bool) -> Option<u64> {
    let offset = address.wrapping_sub(KERNEL_ADDRESS);
    if write || offset > SIZE as u64 - len.min(SIZE) as u64 {
        return None;
    }
    let page = page()?;
    if let Some(kernel) = try_kernel() {
        write_times(page, kernel);
    }
    Some((page as u64).wrapping_sub(KERNEL_ADDRESS))
}

/// Brings the page up to date: everything at boot, the times whenever they should move.
pub(crate) fn refresh() {
    if let (Some(page), Some(kernel)) = (page(), try_kernel()) {
        write_machine(page, kernel);
        write_times(page, kernel);
    }
}

fn page() -> Option<usize> {
    let page = PAGE.load(Ordering::Acquire);
    if page != 0 {
        return Some(page);
    }
    let new = map()?;
    match PAGE.compare_exchange(0, new, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Some(new),
        Err(first) => {
            // SAFETY: our own mapping, which lost the race and was not used.
            unsafe { libc::munmap(new as *mut libc::c_void, SIZE) };
            Some(first)
        }
    }
}

/// Maps the page twice: writable for us, read-only at its user address.
fn map() -> Option<usize> {
    // SAFETY: the name is a C string.
    let file = unsafe { libc::memfd_create(c"shared user data".as_ptr(), libc::MFD_CLOEXEC) };
    if file < 0 {
        return None;
    }
    // SAFETY: a file of our own.
    unsafe { libc::ftruncate(file, SIZE as libc::off_t) };
    let share = |at: usize, protection, flags| {
        // SAFETY: a new mapping, at a free address (`MAP_FIXED_NOREPLACE`) where one is asked for.
        unsafe {
            libc::mmap(
                ptr::without_provenance_mut(at),
                SIZE,
                protection,
                libc::MAP_SHARED | flags,
                file,
                0,
            )
        }
    };
    let page = share(0, libc::PROT_READ | libc::PROT_WRITE, 0);
    // Programs are the only ones to miss this one, if the address is taken.
    share(USER_ADDRESS, libc::PROT_READ, libc::MAP_FIXED_NOREPLACE);
    // SAFETY: a file of our own; the mappings keep its memory.
    unsafe { libc::close(file) };
    (page != libc::MAP_FAILED).then_some(page as usize)
}

/// Writes bytes into the page. Readers use the fields as on Windows, racing with us as there.
fn put(page: usize, offset: usize, bytes: &[u8]) {
    let from = bytes.as_ptr() as usize;
    guarded::copy(page + offset, from, bytes.len()).expect("the page is mapped");
}

/// A `KSYSTEM_TIME`: the high half twice, so that readers notice a change between.
fn put_time(page: usize, offset: usize, time: i64) {
    let high = ((time >> 32) as u32).to_le_bytes();
    put(page, offset + 8, &high);
    put(page, offset, &(time as u32).to_le_bytes());
    put(page, offset + 4, &high);
}

fn write_times(page: usize, kernel: &Kernel) {
    let now = kernel.clock.now();
    put_time(page, 0x08, now);
    put_time(page, 0x14, kernel.clock.system_time());
    put_time(page, 0x320, now / TICK);
}

fn write_machine(page: usize, kernel: &Kernel) {
    const SERVER: u32 = 3;
    const AMD64: u16 = 9;
    const PRODUCT_TYPE_VALID: u8 = 1;
    // Tick count to milliseconds, as a fraction of 2^24.
    put(page, 0x04, &0x0fa0_0000_u32.to_le_bytes());
    put(page, 0x2c, &0x8664_u16.to_le_bytes());
    put(page, 0x2e, &0x8664_u16.to_le_bytes());
    for (i, unit) in "C:\\Windows".encode_utf16().enumerate() {
        put(page, 0x30 + 2 * i, &unit.to_le_bytes());
    }
    put(page, 0x260, &kernel.config.build.to_le_bytes());
    put(page, 0x264, &SERVER.to_le_bytes());
    put(page, 0x268, &[PRODUCT_TYPE_VALID]);
    put(page, 0x26a, &AMD64.to_le_bytes());
    put(page, 0x26c, &10_u32.to_le_bytes());
    put(page, 0x270, &0_u32.to_le_bytes());
    // Processor features every x86-64 machine has: compare-exchange of 8 and 16 bytes, SSE, RDTSC, PAE, SSE2.
    for feature in [2, 6, 8, 9, 10, 14] {
        put(page, 0x274 + feature, &[1]);
    }
    put(page, 0x300, &10_000_000_i64.to_le_bytes());
    put(page, 0x3c0, &kernel.config.cpus.to_le_bytes());
    put(page, 0x3c4, &[1]);
}
