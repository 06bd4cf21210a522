//! The memory that holds an image.

use std::{io, ptr::NonNull};

use super::headers::{PAGE, Section};

/// A private mapping for one image. Readable and writable until protected.
pub(crate) struct Mapping {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: owned memory; who writes to it after loading is the driver.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `size` zeroed bytes at an address of the host's choice, with an inaccessible page on
    /// either side so that running off the image is caught.
    pub(crate) fn new(size: usize) -> io::Result<Mapping> {
        let size = size.next_multiple_of(PAGE);
        // SAFETY: a new anonymous mapping.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size + 2 * PAGE,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let inner = (base as usize + PAGE) as *mut u8;
        let mapping = Mapping {
            base: NonNull::new(inner).ok_or(io::ErrorKind::OutOfMemory)?,
            size,
        };
        mapping.protect(0, size, libc::PROT_READ | libc::PROT_WRITE)?;
        Ok(mapping)
    }

    pub(crate) fn base(&self) -> usize {
        self.base.as_ptr() as usize
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The bytes while the image is being built.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is readable and writable until the loader protects it, after which
        // it does not call this any more; `&mut self` makes the slice the only view.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.size) }
    }

    /// Gives each section the protection it asks for, and everything else read-only.
    pub(crate) fn protect_sections(&self, sections: &[Section]) -> io::Result<()> {
        self.protect(0, self.size, libc::PROT_READ)?;
        for section in sections {
            let mut protection = libc::PROT_NONE;
            if section.readable() || section.executable() {
                protection |= libc::PROT_READ;
            }
            if section.writable() {
                protection |= libc::PROT_WRITE;
            }
            if section.executable() {
                protection |= libc::PROT_EXEC;
            }
            self.protect(section.rva as usize, section.size as usize, protection)?;
        }
        Ok(())
    }

    /// Frees the memory of a range and keeps its addresses inaccessible.
    pub(crate) fn revoke(&self, offset: usize, size: usize) -> io::Result<()> {
        assert!(offset + size <= self.size, "revoking outside of an image");
        let at = (self.base() + offset) as *mut libc::c_void;
        // SAFETY: replaces a part of our own mapping (checked above) by one that nothing can reach.
        let result = unsafe {
            libc::mmap(
                at,
                size,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED,
                -1,
                0,
            )
        };
        if result == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    fn protect(&self, offset: usize, size: usize, protection: libc::c_int) -> io::Result<()> {
        assert!(offset + size <= self.size, "protecting outside of an image");
        let at = (self.base() + offset) as *mut libc::c_void;
        // SAFETY: a part of our own mapping (checked above).
        if unsafe { libc::mprotect(at, size, protection) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let start = (self.base() - PAGE) as *mut libc::c_void;
        // SAFETY: the whole mapping made in `new`, guard pages included; its owner is going away.
        unsafe { libc::munmap(start, self.size + 2 * PAGE) };
    }
}
