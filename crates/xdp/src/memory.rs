// UNSAFETY: turns addresses of memory that the driver writes to into rings, words and the bytes of frames.
#![expect(
    unsafe_code,
    reason = "memory shared with the driver is only reachable through its address"
)]

//! Memory that is shared with the driver.

use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

use xdp_abi::ring::RingInfo;
use xdp_ring::{MappedRing, RingLayout, RingLayoutError, RingMemory};

/// What keeps memory mapped.
///
/// # Safety
///
/// Until the value is dropped, [`Mapped::size`] bytes at [`Mapped::pointer`] are mapped, readable and writable, aligned to
/// a page, and no reference to them exists but those that [`Memory`] makes. The driver may write to them at any time.
pub(crate) unsafe trait Mapped: Send + Sync {
    /// Where this process sees the memory.
    fn pointer(&self) -> NonNull<u8>;
    /// Where requests say that it is.
    fn address(&self) -> u64;
    /// Its size in bytes.
    fn size(&self) -> usize;
}

/// Memory that is shared with the driver.
#[derive(Clone)]
pub(crate) struct Memory {
    mapped: Arc<dyn Mapped>,
    pointer: NonNull<u8>,
    size: usize,
}

// SAFETY: the pointer is that of `mapped`, which is `Send`; it is only used for copies and atomics, and for the bytes of
// frames, whose owner is one thread at a time.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {:#x}", self.size, self.address())
    }
}

impl Memory {
    pub(crate) fn new(mapped: Arc<dyn Mapped>) -> Self {
        Self {
            pointer: mapped.pointer(),
            size: mapped.size(),
            mapped,
        }
    }

    /// Where requests say that it is.
    pub(crate) fn address(&self) -> u64 {
        self.mapped.address()
    }

    /// Its size in bytes.
    #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Where a range starts.
    #[inline]
    fn at(&self, offset: usize, bytes: usize) -> NonNull<u8> {
        assert!(
            offset
                .checked_add(bytes)
                .is_some_and(|end| end <= self.size),
            "{bytes} bytes at {offset} are not in {self:?}"
        );
        // SAFETY: inside the mapping, as was just checked.
        unsafe { self.pointer.add(offset) }
    }

    /// Copies bytes into it.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        let to = self.at(offset, bytes.len());
        // SAFETY: inside the mapping, and no reference to shared memory is passed as `bytes`.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
    }

    /// A word of it.
    pub(crate) fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8), "a word at {offset}");
        let word = self.at(offset, 8).cast::<AtomicU64>();
        // SAFETY: aligned, as the mapping is aligned to a page, and mapped for as long as `self` is.
        unsafe { word.as_ref() }
    }

    /// The bytes of a range.
    ///
    /// # Safety
    ///
    /// Nobody may write to the range while the reference lives: neither the driver, which must have given it to
    /// this program, nor this program.
    #[inline]
    pub(crate) unsafe fn bytes(&self, offset: usize, bytes: usize) -> &[u8] {
        let start = self.at(offset, bytes);
        // SAFETY: mapped for as long as `self` is; the caller answers for the rest.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), bytes) }
    }

    /// The bytes of a range, to be changed.
    ///
    /// # Safety
    ///
    /// Nobody else may read or write the range while the reference lives.
    #[inline]
    #[expect(
        clippy::mut_from_ref,
        reason = "parts of the memory have different owners"
    )]
    pub(crate) unsafe fn bytes_mut(&self, offset: usize, bytes: usize) -> &mut [u8] {
        let start = self.at(offset, bytes);
        // SAFETY: mapped for as long as `self` is; the caller answers for the rest.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), bytes) }
    }
}

/// A ring in shared memory, which it keeps mapped.
#[derive(Debug)]
pub(crate) struct SharedRing {
    ring: MappedRing,
    _memory: Memory,
}

impl SharedRing {
    /// The ring that the driver described and that lies in `memory`.
    pub(crate) fn new(memory: Memory, info: &RingInfo) -> Result<Self, RingLayoutError> {
        let layout = RingLayout::from_info(info, memory.size as u64)?;
        // SAFETY: mapped until the memory is dropped, which is after the ring; only the ring accesses it.
        let ring = unsafe { MappedRing::from_raw(memory.pointer, memory.size as u64, &layout) }?;
        Ok(Self {
            ring,
            _memory: memory,
        })
    }
}

impl RingMemory for SharedRing {
    type Index = AtomicU32;
    type Word = AtomicU64;

    #[inline]
    fn producer_index(&self) -> &AtomicU32 {
        self.ring.producer_index()
    }

    #[inline]
    fn consumer_index(&self) -> &AtomicU32 {
        self.ring.consumer_index()
    }

    #[inline]
    fn flags(&self) -> &AtomicU32 {
        self.ring.flags()
    }

    #[inline]
    fn elements(&self) -> &[AtomicU64] {
        self.ring.elements()
    }

    #[inline]
    fn full_barrier(&self) {
        self.ring.full_barrier();
    }
}
