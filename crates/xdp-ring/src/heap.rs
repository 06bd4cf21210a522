//! Rings and frame memory on the heap.

use crate::index::RingSize;
use crate::memory::{FrameMemory, RingMemory, full_barrier};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// A word alone on its cache line, and on the one that processors fetch with it.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Line(AtomicU32);

/// A ring on the heap.
#[derive(Debug)]
pub struct HeapRing {
    producer_index: Line,
    consumer_index: Line,
    flags: Line,
    elements: Box<[AtomicU64]>,
}

impl HeapRing {
    /// Zeroed memory for `size` elements of `words` words each.
    #[must_use]
    pub fn new(size: RingSize, words: usize) -> Self {
        let words = size.get() as usize * words;
        Self {
            producer_index: Line::default(),
            consumer_index: Line::default(),
            flags: Line::default(),
            elements: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl RingMemory for HeapRing {
    type Index = AtomicU32;
    type Word = AtomicU64;

    #[inline]
    fn producer_index(&self) -> &AtomicU32 {
        &self.producer_index.0
    }

    #[inline]
    fn consumer_index(&self) -> &AtomicU32 {
        &self.consumer_index.0
    }

    #[inline]
    fn flags(&self) -> &AtomicU32 {
        &self.flags.0
    }

    #[inline]
    fn elements(&self) -> &[AtomicU64] {
        &self.elements
    }

    #[inline]
    fn full_barrier(&self) {
        full_barrier();
    }
}

/// Frame memory on the heap. Byte by byte, so that two threads may touch the same frame: not for speed.
#[derive(Debug)]
pub struct HeapUmem {
    bytes: Vec<AtomicU8>,
}

impl HeapUmem {
    /// Zeroed memory.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            bytes: (0..bytes).map(|_| AtomicU8::new(0)).collect(),
        }
    }
}

impl FrameMemory for HeapUmem {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn write(&self, at: usize, bytes: &[u8]) -> bool {
        let Some(target) = at
            .checked_add(bytes.len())
            .and_then(|end| self.bytes.get(at..end))
        else {
            return false;
        };
        for (target, &byte) in target.iter().zip(bytes) {
            target.store(byte, Ordering::Relaxed);
        }
        true
    }

    fn read(&self, at: usize, bytes: &mut [u8]) -> bool {
        let Some(source) = at
            .checked_add(bytes.len())
            .and_then(|end| self.bytes.get(at..end))
        else {
            return false;
        };
        for (source, byte) in source.iter().zip(bytes) {
            *byte = source.load(Ordering::Relaxed);
        }
        true
    }
}
