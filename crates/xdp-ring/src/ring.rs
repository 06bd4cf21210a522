//! What both halves of a ring share: size, stride and where elements are.

use crate::element::Element;
use crate::index::{Index, RingSize};
use crate::memory::{ElementWord, IndexWord, RingMemory};
use core::fmt;
use core::num::NonZeroU32;
use xdp_abi::ring::RingFlags;

const WORD: usize = size_of::<u64>();

/// Why memory does not make a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RingError {
    /// The distance of elements is no multiple of eight bytes, or too short for the element.
    Stride {
        /// The distance.
        bytes: u32,
    },
    /// The memory has fewer words than the elements need.
    TooShort {
        /// Words needed.
        needed: u64,
        /// Words there are.
        available: u64,
    },
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stride { bytes } => {
                write!(
                    f,
                    "elements {bytes} bytes apart are not whole words that hold an element"
                )
            }
            Self::TooShort { needed, available } => {
                write!(
                    f,
                    "the elements need {needed} words, the memory has {available}"
                )
            }
        }
    }
}

impl core::error::Error for RingError {}

/// Memory that is known to hold a ring.
#[derive(Debug)]
pub struct Ring<M> {
    memory: M,
    size: RingSize,
    stride: NonZeroU32,
}

impl<M: RingMemory> Ring<M> {
    /// A ring of `size` elements that are `stride` bytes apart.
    ///
    /// # Errors
    ///
    /// If the stride is no multiple of eight, or the memory is too short.
    pub fn new(memory: M, size: RingSize, stride: u32) -> Result<Self, RingError> {
        let words = NonZeroU32::new(stride / WORD as u32)
            .filter(|_| stride.is_multiple_of(WORD as u32))
            .ok_or(RingError::Stride { bytes: stride })?;
        let needed = u64::from(size.get()) * u64::from(words.get());
        let available = memory.elements().len() as u64;
        if available < needed {
            return Err(RingError::TooShort { needed, available });
        }
        Ok(Self {
            memory,
            size,
            stride: words,
        })
    }

    /// The memory.
    #[inline]
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Number of elements.
    #[inline]
    #[must_use]
    pub fn size(&self) -> RingSize {
        self.size
    }

    /// What the driver tells the application.
    #[inline]
    #[must_use]
    pub fn flags(&self) -> RingFlags {
        RingFlags(self.memory.flags().load_acquire())
    }

    /// Whether the application has to poke the driver, judged after everything it did so far.
    ///
    /// The barrier is what makes the answer reliable: either the driver sees what was submitted, or the application
    /// sees the flag.
    #[inline]
    #[must_use]
    pub fn needs_poke(&self) -> bool {
        self.memory.full_barrier();
        self.flags().contains(RingFlags::NEED_POKE)
    }

    /// Raises flags; for the driver.
    #[inline]
    pub fn raise(&self, flags: RingFlags) {
        self.memory.flags().set_bits(flags.0);
    }

    /// Lowers flags; for the driver.
    #[inline]
    pub fn lower(&self, flags: RingFlags) {
        self.memory.flags().clear_bits(flags.0);
    }

    pub(crate) fn holds<E: Element>(&self) -> Result<(), RingError> {
        let stride = self.stride.get();
        if (stride as usize) < E::WORDS {
            Err(RingError::Stride {
                bytes: stride * WORD as u32,
            })
        } else {
            Ok(())
        }
    }

    /// Words of the element at an index.
    #[inline]
    pub(crate) fn words(&self, index: Index) -> Option<&[M::Word]> {
        let stride = self.stride.get() as usize;
        let start = self.size.slot(index) as usize * stride;
        self.memory.elements().get(start..start + stride)
    }

    /// Words of `count` elements from an index on, in two runs: up to the ring's end, and from its start.
    #[inline]
    fn runs(&self, first: Index, count: u32) -> [&[M::Word]; 2] {
        let stride = self.stride.get() as usize;
        let slot = self.size.slot(first) as usize;
        let until_end = (count as usize).min(self.size.get() as usize - slot);
        let wrapped = count as usize - until_end;
        let words = self.memory.elements();
        let start = slot * stride;
        let run = |start: usize, count: usize| {
            words.get(start..start + count * stride).unwrap_or_default()
        };
        [run(start, until_end), run(0, wrapped)]
    }

    /// Writes elements from an index on, as many as fit.
    #[inline]
    pub(crate) fn store<E: Element>(&self, first: Index, elements: &[E]) {
        let count = elements.len().min(self.size.get() as usize);
        let [run, wrapped] = self.runs(first, count as u32);
        let stride = self.stride.get() as usize;
        let (before, after) = elements
            .split_at_checked(run.len() / stride)
            .unwrap_or((elements, &[]));
        for (words, elements) in [(run, before), (wrapped, after)] {
            // A constant distance lets the compiler unroll the usual case.
            if stride == E::WORDS {
                for (words, element) in words.chunks_exact(E::WORDS).zip(elements) {
                    element.store(words);
                }
            } else {
                for (words, element) in words.chunks_exact(stride).zip(elements) {
                    element.store(words);
                }
            }
        }
    }

    /// Reads elements from an index on, as many as fit.
    #[inline]
    pub(crate) fn load<E: Element>(&self, first: Index, elements: &mut [E]) {
        let count = elements.len().min(self.size.get() as usize);
        let [run, wrapped] = self.runs(first, count as u32);
        let stride = self.stride.get() as usize;
        let at = (run.len() / stride).min(elements.len());
        let Some((before, after)) = elements.split_at_mut_checked(at) else {
            return;
        };
        for (words, elements) in [(run, before), (wrapped, after)] {
            if stride == E::WORDS {
                for (words, element) in words.chunks_exact(E::WORDS).zip(elements) {
                    if let Some(value) = E::load(words) {
                        *element = value;
                    }
                }
            } else {
                for (words, element) in words.chunks_exact(stride).zip(elements) {
                    if let Some(value) = E::load(words) {
                        *element = value;
                    }
                }
            }
        }
    }

    /// Reads bytes of an element, its extensions included; `None` if they are not inside the element.
    pub(crate) fn read_bytes<const N: usize>(
        &self,
        index: Index,
        offset: usize,
    ) -> Option<[u8; N]> {
        let words = self.words(index)?;
        if offset.checked_add(N)? > words.len() * WORD {
            return None;
        }
        let mut bytes = [0; N];
        for (at, byte) in bytes.iter_mut().enumerate() {
            let at = offset + at;
            *byte = *words.get(at / WORD)?.load().to_ne_bytes().get(at % WORD)?;
        }
        Some(bytes)
    }

    /// Writes bytes of an element that this side owns; `None`, and nothing is written, if they are not inside it.
    pub(crate) fn write_bytes(&self, index: Index, offset: usize, bytes: &[u8]) -> Option<()> {
        let words = self.words(index)?;
        if offset.checked_add(bytes.len())? > words.len() * WORD {
            return None;
        }
        for (at, &byte) in bytes.iter().enumerate() {
            let at = offset + at;
            let word = words.get(at / WORD)?;
            let mut value = word.load().to_ne_bytes();
            *value.get_mut(at % WORD)? = byte;
            word.store(u64::from_ne_bytes(value));
        }
        Some(())
    }
}
