//! What rings and frame memory are made of.
//!
//! The memory is shared with a party that may write any of it at any time. Nobody ever holds a plain reference to it:
//! words are atomic, frames are copied.

use core::sync::atomic::{AtomicU32, Ordering, fence};

/// A shared word that holds an index or flags.
pub trait IndexWord {
    /// Reads; what the other side wrote before it stored this value is visible afterwards.
    fn load_acquire(&self) -> u32;
    /// Writes; what was written before is visible to whoever reads this value.
    fn store_release(&self, value: u32);
    /// Sets bits.
    fn set_bits(&self, bits: u32);
    /// Clears bits.
    fn clear_bits(&self, bits: u32);
}

/// A shared word that is part of an element.
pub trait ElementWord: Sized {
    /// Reads the word whole.
    fn load(&self) -> u64;

    /// Writes the word whole.
    fn store(&self, value: u64);

    /// Announces that the word, and the cache line around it, will be written soon: a hint.
    #[inline]
    fn expect_store(&self) {}

    /// Announces that the word, and the cache line around it, will be read soon: a hint.
    #[inline]
    fn expect_load(&self) {}

    /// Reads words one by one, each whole, as many as both sides have.
    #[inline]
    fn load_all(words: &[Self], values: &mut [u64]) {
        for (word, value) in words.iter().zip(values) {
            *value = word.load();
        }
    }

    /// Writes words one by one, each whole, as many as both sides have.
    #[inline]
    fn store_all(words: &[Self], values: &[u64]) {
        for (word, &value) in words.iter().zip(values) {
            word.store(value);
        }
    }
}

/// The memory of one ring.
pub trait RingMemory {
    /// A word that holds an index or flags.
    type Index: IndexWord;
    /// A word that is part of an element.
    type Word: ElementWord;

    /// The producer's index.
    fn producer_index(&self) -> &Self::Index;
    /// The consumer's index.
    fn consumer_index(&self) -> &Self::Index;
    /// The flags.
    fn flags(&self) -> &Self::Index;
    /// All elements, as words.
    fn elements(&self) -> &[Self::Word];
    /// Orders everything before it before everything after it, stores before loads included.
    fn full_barrier(&self);
}

/// Frame memory: bytes that are copied in and out.
pub trait FrameMemory {
    /// Bytes of the memory.
    fn len(&self) -> usize;

    /// Whether there is no memory at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies into the memory; `false`, and nothing is written, if that is out of bounds.
    fn write(&self, at: usize, bytes: &[u8]) -> bool;

    /// Copies out of the memory; `false`, and nothing is read, if that is out of bounds.
    fn read(&self, at: usize, bytes: &mut [u8]) -> bool;
}

impl IndexWord for AtomicU32 {
    #[inline]
    fn load_acquire(&self) -> u32 {
        self.load(Ordering::Acquire)
    }

    #[inline]
    fn store_release(&self, value: u32) {
        self.store(value, Ordering::Release);
    }

    #[inline]
    fn set_bits(&self, bits: u32) {
        self.fetch_or(bits, Ordering::AcqRel);
    }

    #[inline]
    fn clear_bits(&self, bits: u32) {
        self.fetch_and(!bits, Ordering::AcqRel);
    }
}

impl<M: RingMemory + ?Sized> RingMemory for &M {
    type Index = M::Index;
    type Word = M::Word;

    #[inline]
    fn producer_index(&self) -> &Self::Index {
        (**self).producer_index()
    }

    #[inline]
    fn consumer_index(&self) -> &Self::Index {
        (**self).consumer_index()
    }

    #[inline]
    fn flags(&self) -> &Self::Index {
        (**self).flags()
    }

    #[inline]
    fn elements(&self) -> &[Self::Word] {
        (**self).elements()
    }

    #[inline]
    fn full_barrier(&self) {
        (**self).full_barrier();
    }
}

#[cfg(feature = "alloc")]
impl<M: RingMemory + ?Sized> RingMemory for alloc::sync::Arc<M> {
    type Index = M::Index;
    type Word = M::Word;

    #[inline]
    fn producer_index(&self) -> &Self::Index {
        (**self).producer_index()
    }

    #[inline]
    fn consumer_index(&self) -> &Self::Index {
        (**self).consumer_index()
    }

    #[inline]
    fn flags(&self) -> &Self::Index {
        (**self).flags()
    }

    #[inline]
    fn elements(&self) -> &[Self::Word] {
        (**self).elements()
    }

    #[inline]
    fn full_barrier(&self) {
        (**self).full_barrier();
    }
}

/// The full barrier of memory made of `core`'s atomics.
#[inline]
pub(crate) fn full_barrier() {
    fence(Ordering::SeqCst);
}
