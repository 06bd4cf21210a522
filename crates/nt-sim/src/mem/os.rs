//! The Linux memory calls underneath the simulated memory.
//!
//! UNSAFETY: mapping pages at chosen addresses has no safe interface. A [`Reservation`] owns its address range, so
//! every call stays inside memory that nothing else in the process uses; what lies in it is only ever reached through
//! raw pointers, never through Rust references that outlive a call.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use super::PAGE_SIZE;

/// What may be done with mapped pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Every access faults.
    None,
    /// Read only.
    Read,
    /// Read and write.
    ReadWrite,
    /// Read, write and execute (the old executable pool).
    ReadWriteExecute,
    /// Read and execute.
    ReadExecute,
}

impl Protection {
    /// Whether a write goes through.
    pub fn writable(self) -> bool {
        matches!(self, Self::ReadWrite | Self::ReadWriteExecute)
    }

    fn bits(self) -> libc::c_int {
        match self {
            Self::None => libc::PROT_NONE,
            Self::Read => libc::PROT_READ,
            Self::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
            Self::ReadWriteExecute => libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
            Self::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
        }
    }
}

/// Creates an anonymous file of `len` bytes that pages are taken from.
pub(crate) fn create_memory_file(len: u64) -> io::Result<File> {
    // SAFETY: the name is a NUL-terminated literal.
    let fd = unsafe { libc::memfd_create(c"nt-sim-physical".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was just returned by the kernel and nothing else owns it.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.set_len(len)?;
    Ok(file)
}

/// Gives the pages of `[offset, offset + len)` back to Linux; they read as zero afterwards.
pub(crate) fn discard(file: &File, offset: u64, len: u64) {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // Best effort: when it fails the pages merely stay resident.
    // SAFETY: plain system call on a descriptor that `file` keeps open.
    let _ = unsafe { libc::fallocate(file.as_raw_fd(), mode, offset as i64, len as i64) };
}

/// The number of separate mappings Linux allows this process.
pub(crate) fn mapping_limit() -> usize {
    const DEFAULT: usize = 65_530;
    std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(DEFAULT)
}

/// Whether Linux has anything mapped at an address of this process.
pub(crate) fn is_mapped(address: usize) -> bool {
    let page = address & !(PAGE_SIZE - 1);
    let mut resident = 0u8;
    // SAFETY: the call only looks at the page tables and writes one byte, for one page, to `resident`.
    unsafe { libc::mincore(page as *mut libc::c_void, PAGE_SIZE, &raw mut resident) == 0 }
}

/// A range of addresses that this process keeps for itself; every page of it faults until something is mapped.
#[derive(Debug)]
pub(crate) struct Reservation {
    base: usize,
    len: usize,
}

impl Reservation {
    /// Reserves `len` bytes wherever Linux finds room (always above the simulated user range).
    pub(crate) fn anywhere(len: usize) -> io::Result<Self> {
        // SAFETY: a fresh anonymous mapping at an address the kernel chooses replaces nothing.
        let base =
            unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, RESERVE_FLAGS, -1, 0) };
        Self::checked(base, len)
    }

    /// Reserves exactly `[base, base + len)`, or fails if something is there.
    pub(crate) fn at(base: usize, len: usize) -> io::Result<Self> {
        let flags = RESERVE_FLAGS | libc::MAP_FIXED_NOREPLACE;
        // SAFETY: MAP_FIXED_NOREPLACE never replaces an existing mapping.
        let got = unsafe {
            libc::mmap(
                base as *mut libc::c_void,
                len,
                libc::PROT_NONE,
                flags,
                -1,
                0,
            )
        };
        let reservation = Self::checked(got, len)?;
        if reservation.base == base {
            return Ok(reservation);
        }
        Err(io::Error::from(io::ErrorKind::AddrInUse))
    }

    fn checked(base: *mut libc::c_void, len: usize) -> io::Result<Self> {
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            base: base as usize,
            len,
        })
    }

    pub(crate) fn base(&self) -> usize {
        self.base
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.base) < self.len
    }

    /// Maps `len` bytes of `file` from `offset` at `address`.
    pub(crate) fn map(
        &self,
        address: usize,
        len: usize,
        file: &File,
        offset: u64,
        protection: Protection,
    ) -> io::Result<()> {
        self.check(address, len);
        // Few pages are touched at once by whoever maps them: taking them now saves a fault for each.
        let populate = if len <= POPULATE_BYTES {
            libc::MAP_POPULATE
        } else {
            0
        };
        let flags = libc::MAP_SHARED | libc::MAP_FIXED | populate;
        let at = address as *mut libc::c_void;
        // SAFETY: the range lies inside this reservation (checked), which nothing else in the process uses.
        let got = unsafe {
            libc::mmap(
                at,
                len,
                protection.bits(),
                flags,
                file.as_raw_fd(),
                offset as i64,
            )
        };
        if got == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Takes away whatever is mapped at the range; accesses fault again.
    pub(crate) fn unmap(&self, address: usize, len: usize) -> io::Result<()> {
        self.check(address, len);
        let flags = RESERVE_FLAGS | libc::MAP_FIXED;
        let at = address as *mut libc::c_void;
        // SAFETY: the range lies inside this reservation (checked), which nothing else in the process uses.
        let got = unsafe { libc::mmap(at, len, libc::PROT_NONE, flags, -1, 0) };
        if got == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Changes what may be done with the pages of the range.
    pub(crate) fn protect(
        &self,
        address: usize,
        len: usize,
        protection: Protection,
    ) -> io::Result<()> {
        self.check(address, len);
        // SAFETY: the range lies inside this reservation (checked), which nothing else in the process uses.
        let got = unsafe { libc::mprotect(address as *mut libc::c_void, len, protection.bits()) };
        if got != 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    fn check(&self, address: usize, len: usize) {
        let inside =
            address >= self.base && len <= self.len && address - self.base <= self.len - len;
        assert!(
            inside && address.is_multiple_of(PAGE_SIZE) && len.is_multiple_of(PAGE_SIZE),
            "range {address:#x}+{len:#x} is not made of pages of the reservation {:#x}+{:#x}",
            self.base,
            self.len
        );
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the reservation owns the range; its owner is gone, so nobody uses the addresses any more.
        let _ = unsafe { libc::munmap(self.base as *mut libc::c_void, self.len) };
    }
}

/// Mappings up to this size get their pages when they are made.
const POPULATE_BYTES: usize = 64 << 10;

const RESERVE_FLAGS: libc::c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
