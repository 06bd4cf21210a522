// UNSAFETY: turns memory that was mapped elsewhere, and that another party writes, into atomic words and copies.
#![expect(
    unsafe_code,
    reason = "memory shared with another party is only reachable through its address"
)]

//! Rings and frame memory at an address.

use crate::layout::{RingLayout, RingLayoutError};
use crate::memory::{ElementWord, FrameMemory, RingMemory, full_barrier};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

impl ElementWord for AtomicU64 {
    #[inline]
    fn load(&self) -> u64 {
        AtomicU64::load(self, Ordering::Relaxed)
    }

    #[inline]
    fn store(&self, value: u64) {
        AtomicU64::store(self, value, Ordering::Relaxed);
    }

    /// On x86-64 asks for the line with the right to write to it. Assembly, because the compiler makes a prefetch for reading
    /// of it where it is not told that the processor knows this one; 64-bit Windows demands one that does.
    #[cfg(all(target_arch = "x86_64", not(xdp_ring_plain_words)))]
    #[inline]
    fn expect_store(&self) {
        // SAFETY: a hint, which reads and writes nothing.
        unsafe {
            core::arch::asm!(
                "prefetchw [{word}]",
                word = in(reg) ptr::from_ref(self).addr(),
                options(nostack, preserves_flags, nomem),
            );
        }
    }

    /// On x86-64 asks for the line.
    #[cfg(all(target_arch = "x86_64", not(xdp_ring_plain_words)))]
    #[inline]
    fn expect_load(&self) {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which reads and writes nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(ptr::from_ref(self).cast()) };
    }

    /// On x86-64 eight words at a time, which the compiler does not do with atomics by itself.
    #[cfg(all(target_arch = "x86_64", not(xdp_ring_plain_words)))]
    #[inline]
    fn load_all(words: &[Self], values: &mut [u64]) {
        let count = words.len().min(values.len());
        let (word_lines, words) = words.get(..count).unwrap_or_default().as_chunks::<8>();
        let (value_lines, values) = values
            .get_mut(..count)
            .unwrap_or_default()
            .as_chunks_mut::<8>();
        for (words, values) in word_lines.iter().zip(value_lines) {
            // SAFETY: both are eight readable words, the second writable and ours.
            unsafe { copy_line(words.as_ptr().cast(), values.as_mut_ptr()) };
        }
        for (word, value) in words.iter().zip(values) {
            *value = ElementWord::load(word);
        }
    }

    /// As [`Self::load_all`].
    #[cfg(all(target_arch = "x86_64", not(xdp_ring_plain_words)))]
    #[inline]
    fn store_all(words: &[Self], values: &[u64]) {
        let count = words.len().min(values.len());
        let (word_lines, words) = words.get(..count).unwrap_or_default().as_chunks::<8>();
        let (value_lines, values) = values.get(..count).unwrap_or_default().as_chunks::<8>();
        for (words, values) in word_lines.iter().zip(value_lines) {
            let target = ptr::from_ref(words).cast_mut().cast();
            // SAFETY: the first is eight readable words, the second eight atomics, which may be written.
            unsafe { copy_line(values.as_ptr(), target) };
        }
        for (word, &value) in words.iter().zip(values) {
            ElementWord::store(word, value);
        }
    }
}

/// Copies eight words.
///
/// Assembly, so that to the compiler it means relaxed atomic accesses, whichever side is shared, and cannot be
/// merged, split or repeated: the processor accesses each aligned word whole. Needs SSE2 only, which kernel code may
/// use too.
///
/// # Safety
///
/// Eight words must be readable at `from` and writable at `to`.
#[cfg(all(target_arch = "x86_64", not(xdp_ring_plain_words)))]
#[inline(always)]
unsafe fn copy_line(from: *const u64, to: *mut u64) {
    // SAFETY: reads and writes what the caller vouches for, and registers the compiler hands out.
    unsafe {
        core::arch::asm!(
            "movups {a}, [{from}]",
            "movups {b}, [{from} + 16]",
            "movups {c}, [{from} + 32]",
            "movups {d}, [{from} + 48]",
            "movups [{to}], {a}",
            "movups [{to} + 16], {b}",
            "movups [{to} + 32], {c}",
            "movups [{to} + 48], {d}",
            from = in(reg) from,
            to = in(reg) to,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack, preserves_flags),
        );
    }
}

/// A ring in memory shared with another party.
///
/// The memory is seen as atomic words only: whatever the other party does to it, each access yields some value.
#[derive(Debug)]
pub struct MappedRing {
    producer_index: NonNull<AtomicU32>,
    consumer_index: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    elements: NonNull<[AtomicU64]>,
}

// SAFETY: the memory is accessed through atomics only, and `from_raw` demands that it stays valid on any thread.
unsafe impl Send for MappedRing {}
// SAFETY: as above: a shared reference gives out shared references to atomics, which are `Sync`.
unsafe impl Sync for MappedRing {}

impl MappedRing {
    /// The ring that lies at `base` in memory of `bytes` bytes.
    ///
    /// # Errors
    ///
    /// If the layout is not inside the memory, or a part is not aligned.
    ///
    /// # Safety
    ///
    /// Until the value is dropped, `bytes` bytes from `base` on must be mapped, readable and writable, and nobody in
    /// this program may access them except through atomics. Other programs and devices may do what they like.
    pub unsafe fn from_raw(
        base: NonNull<u8>,
        bytes: u64,
        layout: &RingLayout,
    ) -> Result<Self, RingLayoutError> {
        layout.check(bytes)?;
        if !base.as_ptr().addr().is_multiple_of(align_of::<AtomicU64>()) {
            return Err(RingLayoutError::Misaligned { offset: 0 });
        }
        let part = |offset: u32| {
            // SAFETY: `check` has found every offset inside the memory, which the caller says is mapped.
            unsafe { base.add(offset as usize) }
        };
        let words =
            NonNull::slice_from_raw_parts(part(layout.elements).cast(), layout.element_words());
        Ok(Self {
            producer_index: part(layout.producer_index).cast(),
            consumer_index: part(layout.consumer_index).cast(),
            flags: part(layout.flags).cast(),
            elements: words,
        })
    }
}

impl RingMemory for MappedRing {
    type Index = AtomicU32;
    type Word = AtomicU64;

    #[inline]
    fn producer_index(&self) -> &AtomicU32 {
        // SAFETY: inside the memory, aligned for it (base to 8 bytes, offset to 4), mapped and atomic as `from_raw` demands.
        unsafe { self.producer_index.as_ref() }
    }

    #[inline]
    fn consumer_index(&self) -> &AtomicU32 {
        // SAFETY: as for the producer's index.
        unsafe { self.consumer_index.as_ref() }
    }

    #[inline]
    fn flags(&self) -> &AtomicU32 {
        // SAFETY: as for the producer's index.
        unsafe { self.flags.as_ref() }
    }

    #[inline]
    fn elements(&self) -> &[AtomicU64] {
        // SAFETY: inside the memory and aligned to 8 bytes, both of which `from_raw` has checked; mapped and atomic as it demands.
        unsafe { self.elements.as_ref() }
    }

    #[inline]
    fn full_barrier(&self) {
        full_barrier();
    }
}

/// Frame memory shared with another party.
///
/// No reference to a byte of it ever exists: frames are copied in and out through addresses, and a frame the other
/// party changes in mid-copy comes out as some mixture of bytes.
#[derive(Debug)]
pub struct MappedUmem {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is only copied from and to, and `from_raw` demands that it stays valid on any thread.
unsafe impl Send for MappedUmem {}
// SAFETY: as above; copies of one frame by two threads at once are excluded by `from_raw`.
unsafe impl Sync for MappedUmem {}

impl MappedUmem {
    /// The frame memory of `len` bytes at `base`.
    ///
    /// # Safety
    ///
    /// Until the value is dropped, `len` bytes from `base` on must be mapped, readable and writable, nobody in this
    /// program may hold a reference to them, and no two threads of this program may copy the same bytes at once (the
    /// rings see to that: a chunk has one owner). Other programs and devices may do what they like.
    #[must_use]
    pub unsafe fn from_raw(base: NonNull<u8>, len: usize) -> Self {
        Self { base, len }
    }

    /// Address of a range, if it is inside the memory.
    #[inline]
    #[must_use]
    pub fn address(&self, at: usize, length: usize) -> Option<NonNull<u8>> {
        if at.checked_add(length)? > self.len {
            return None;
        }
        // SAFETY: the sum is inside the memory, which is one object as `from_raw` demands.
        Some(unsafe { self.base.add(at) })
    }
}

impl FrameMemory for MappedUmem {
    #[inline]
    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn write(&self, at: usize, bytes: &[u8]) -> bool {
        let Some(target) = self.address(at, bytes.len()) else {
            return false;
        };
        // SAFETY: the target is inside mapped memory to which no reference exists, so it cannot overlap `bytes`.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target.as_ptr(), bytes.len()) };
        true
    }

    #[inline]
    fn read(&self, at: usize, bytes: &mut [u8]) -> bool {
        let Some(source) = self.address(at, bytes.len()) else {
            return false;
        };
        // SAFETY: the source is inside mapped memory to which no reference exists, so it cannot overlap `bytes`.
        unsafe { ptr::copy_nonoverlapping(source.as_ptr(), bytes.as_mut_ptr(), bytes.len()) };
        true
    }
}
