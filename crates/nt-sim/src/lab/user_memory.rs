//! Memory of user processes, as their own code reaches it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Memory of a user process.
///
/// Drivers see it at [`UserMemory::address`]; the test reaches it through [`UserMemory::write`] and
/// [`UserMemory::read`], as the program's own code would.
#[derive(Clone, Copy, Debug)]
pub struct UserMemory {
    pub(super) address: usize,
    pub(super) host: usize,
    pub(super) size: usize,
}

impl UserMemory {
    /// The address that drivers see.
    pub fn address(&self) -> usize {
        self.address
    }

    /// Size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Where the program's own code (which runs as host code) reaches the memory.
    pub fn as_ptr(&self) -> *mut u8 {
        self.host as *mut u8
    }

    /// Writes bytes.
    ///
    /// # Panics
    /// When they do not fit.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.size, "write behind the memory");
        let to = (self.host + offset) as *mut u8;
        // SAFETY: inside the mapping (checked above), which lives until the memory is freed; the
        // driver may write at the same time, which gives wrong bytes and nothing worse.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Reads bytes.
    ///
    /// # Panics
    /// When the range lies behind the memory.
    pub fn read(&self, offset: usize, size: usize) -> Vec<u8> {
        assert!(offset + size <= self.size, "read behind the memory");
        let from = (self.host + offset) as *const u8;
        let mut bytes = vec![0; size];
        // SAFETY: as in `write`.
        unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), size) };
        bytes
    }

    fn word<T>(&self, offset: usize) -> *mut T {
        let size = size_of::<T>();
        assert!(
            offset.is_multiple_of(size) && offset + size <= self.size,
            "a word at {offset} is not in the memory"
        );
        (self.host + offset) as *mut T
    }

    /// Loads a word with acquire semantics.
    ///
    /// # Panics
    /// When `offset` is not aligned or lies behind the memory.
    pub fn load_u32(&self, offset: usize) -> u32 {
        // SAFETY: aligned and inside the mapping, which lives until the memory is freed.
        let word = unsafe { AtomicU32::from_ptr(self.word(offset)) };
        word.load(Ordering::Acquire)
    }

    /// Stores a word with release semantics.
    ///
    /// # Panics
    /// As [`UserMemory::load_u32`].
    pub fn store_u32(&self, offset: usize, value: u32) {
        // SAFETY: as in `load_u32`.
        let word = unsafe { AtomicU32::from_ptr(self.word(offset)) };
        word.store(value, Ordering::Release);
    }

    /// Loads a word of 64 bits with acquire semantics.
    ///
    /// # Panics
    /// As [`UserMemory::load_u32`].
    pub fn load_u64(&self, offset: usize) -> u64 {
        // SAFETY: as in `load_u32`.
        let word = unsafe { AtomicU64::from_ptr(self.word(offset)) };
        word.load(Ordering::Acquire)
    }

    /// Stores a word of 64 bits with release semantics.
    ///
    /// # Panics
    /// As [`UserMemory::load_u32`].
    pub fn store_u64(&self, offset: usize, value: u64) {
        // SAFETY: as in `load_u32`.
        let word = unsafe { AtomicU64::from_ptr(self.word(offset)) };
        word.store(value, Ordering::Release);
    }
}
