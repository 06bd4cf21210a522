//! What both halves of a ring share: size, stride and where elements are.

use crate::element::{self, Element};
use crate::index::{Index, RingSize};
use crate::memory::{ElementWord, IndexWord, RingMemory};
use core::fmt;
use core::num::NonZeroU32;
use core::slice;
use xdp_abi::ring::RingFlags;

const WORD: usize = size_of::<u64>();
/// Words of a cache line.
const LINE_WORDS: u32 = 8;

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
    /// Elements that start in one cache line.
    per_line: NonZeroU32,
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
            per_line: NonZeroU32::new(LINE_WORDS / words).unwrap_or(NonZeroU32::MIN),
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
    fn words(&self, index: Index) -> Option<&[M::Word]> {
        let stride = self.stride.get() as usize;
        let start = self.size.slot(index) as usize * stride;
        self.memory.elements().get(start..)?.get(..stride)
    }

    /// Elements from an index on that lie before the ring's end.
    #[inline]
    fn until_end(&self, first: Index) -> usize {
        (self.size.get() - self.size.slot(first)) as usize
    }

    /// Writes elements from an index on: at most as many as the ring has.
    #[inline]
    pub(crate) fn store<E: Element>(&self, first: Index, elements: &[E]) {
        let slot = self.size.slot(first) as usize;
        match elements.split_at_checked(self.until_end(first)) {
            None => self.store_run(slot, elements),
            Some((before, wrapped)) => {
                self.store_run(slot, before);
                self.store_run(0, wrapped);
            }
        }
    }

    #[inline]
    fn store_run<E: Element>(&self, slot: usize, elements: &[E]) {
        let stride = self.stride.get() as usize;
        let memory = self.memory.elements();
        if stride == E::WORDS {
            M::Word::store_all(
                memory.get(slot * E::WORDS..).unwrap_or_default(),
                element::words(elements),
            );
        } else {
            let run = memory.get(slot * stride..).unwrap_or_default();
            for (words, element) in run.chunks_exact(stride).zip(elements) {
                M::Word::store_all(words, element::words(slice::from_ref(element)));
            }
        }
    }

    /// Whether the element at an index is the first that starts in its cache line.
    #[inline]
    pub(crate) fn starts_line(&self, index: Index) -> bool {
        let stride = self.stride.get();
        self.size.slot(index).wrapping_mul(stride) % LINE_WORDS < stride
    }

    /// Announces that elements from an index on will be written soon. The other side read them when it last came past, so that
    /// their cache lines must be fetched from its processor; announced, they are on their way while others are written.
    #[inline]
    pub(crate) fn expect_stores(&self, first: Index, count: u32) {
        self.for_each_line(first, count, M::Word::expect_store);
    }

    /// Announces that elements from an index on will be read soon, which the other side has just written.
    #[inline]
    pub(crate) fn expect_loads(&self, first: Index, count: u32) {
        self.for_each_line(first, count, M::Word::expect_load);
    }

    #[inline]
    fn for_each_line(&self, first: Index, count: u32, announce: impl Fn(&M::Word)) {
        let stride = self.stride.get() as usize;
        let memory = self.memory.elements();
        let mut at = 0;
        while at < count {
            let slot = self.size.slot(first.advanced_by(at)) as usize;
            if let Some(word) = memory.get(slot * stride) {
                announce(word);
            }
            at += self.per_line.get();
        }
    }

    /// Reads elements from an index on: at most as many as the ring has.
    #[inline]
    pub(crate) fn load<E: Element>(&self, first: Index, elements: &mut [E]) {
        let slot = self.size.slot(first) as usize;
        let until_end = self.until_end(first);
        if elements.len() <= until_end {
            self.load_run(slot, elements);
        } else if let Some((before, wrapped)) = elements.split_at_mut_checked(until_end) {
            self.load_run(slot, before);
            self.load_run(0, wrapped);
        }
    }

    #[inline]
    fn load_run<E: Element>(&self, slot: usize, elements: &mut [E]) {
        let stride = self.stride.get() as usize;
        let memory = self.memory.elements();
        if stride == E::WORDS {
            M::Word::load_all(
                memory.get(slot * E::WORDS..).unwrap_or_default(),
                element::words_mut(elements),
            );
        } else {
            let run = memory.get(slot * stride..).unwrap_or_default();
            for (words, element) in run.chunks_exact(stride).zip(elements) {
                M::Word::load_all(words, element::words_mut(slice::from_mut(element)));
            }
        }
    }

    /// Words of the value of the element at an index, without its extensions.
    #[inline]
    fn value_words<E: Element>(&self, index: Index) -> Option<&[M::Word]> {
        let start = self.size.slot(index) as usize * self.stride.get() as usize;
        self.memory.elements().get(start..)?.get(..E::WORDS)
    }

    /// Writes one element, from registers.
    #[inline]
    pub(crate) fn store_one<E: Element>(&self, index: Index, element: E) -> Option<()> {
        let words = self.value_words::<E>(index)?;
        for (word, &value) in words.iter().zip(element::words(slice::from_ref(&element))) {
            word.store(value);
        }
        Some(())
    }

    /// Reads one element, into registers.
    #[inline]
    pub(crate) fn load_one<E: Element>(&self, index: Index) -> Option<E> {
        let words = self.value_words::<E>(index)?;
        let mut element = E::new_zeroed();
        for (word, value) in words
            .iter()
            .zip(element::words_mut(slice::from_mut(&mut element)))
        {
            *value = word.load();
        }
        Some(element)
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
