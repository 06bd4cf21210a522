//! The half that fills a ring.

use crate::element::Element;
use crate::index::Index;
use crate::memory::{IndexWord, RingMemory};
use crate::ring::{Ring, RingError};
use core::marker::PhantomData;

/// How far ahead of an element that is written lies the one that is announced: as many as are written while a cache line comes
/// from another processor.
const AHEAD: u32 = 64;

/// The only one that publishes elements in a ring.
#[derive(Debug)]
pub struct Producer<M, E> {
    ring: Ring<M>,
    /// Our index. The copy in the ring is for the other side and is never read back.
    next: Index,
    /// The other side's index as last seen.
    consumer: Index,
    element: PhantomData<fn(E)>,
}

impl<M: RingMemory, E: Element> Producer<M, E> {
    /// The producing half of a ring whose indices are both zero: memory that was just made.
    ///
    /// # Errors
    ///
    /// If an element does not fit the ring's stride.
    pub fn new(ring: Ring<M>) -> Result<Self, RingError> {
        ring.holds::<E>()?;
        Ok(Self {
            ring,
            next: Index(0),
            consumer: Index(0),
            element: PhantomData,
        })
    }

    /// The producing half of a ring that may have been used before: continues where its indices stand.
    ///
    /// # Errors
    ///
    /// If an element does not fit the ring's stride.
    pub fn attach(ring: Ring<M>) -> Result<Self, RingError> {
        let mut producer = Self::new(ring)?;
        producer.next = Index(producer.ring.memory().producer_index().load_acquire());
        producer.refresh();
        Ok(producer)
    }

    /// The ring: its size and flags.
    #[inline]
    pub fn ring(&self) -> &Ring<M> {
        &self.ring
    }

    /// The index of the next element.
    #[inline]
    #[must_use]
    pub fn index(&self) -> Index {
        self.next
    }

    /// Looks at the other side's index.
    #[inline]
    fn refresh(&mut self) {
        self.consumer = Index(self.ring.memory().consumer_index().load_acquire());
    }

    /// How many of `wanted` elements are free. Looks at the other side's index only if what was last seen there does
    /// not suffice.
    #[inline]
    pub fn free(&mut self, wanted: u32) -> u32 {
        let size = self.ring.size();
        let mut free = size.free(self.next, self.consumer);
        if free < wanted {
            self.refresh();
            free = size.free(self.next, self.consumer);
        }
        free.min(wanted)
    }

    /// How many elements are free now; `None` if the other side's index cannot be right.
    ///
    /// For whoever has promised space: it is gone if the other side moved its index backwards.
    #[inline]
    pub fn free_now(&mut self) -> Option<u32> {
        self.refresh();
        let size = self.ring.size();
        size.is_plausible(self.next, self.consumer)
            .then(|| size.free(self.next, self.consumer))
    }

    /// Up to `wanted` free elements, to be written and submitted. Nothing is shared before that: dropped, they are
    /// as free as before.
    #[inline]
    pub fn reserve(&mut self, wanted: u32) -> Slots<'_, M, E> {
        let count = self.free(wanted);
        self.announce(count);
        Slots {
            producer: self,
            count,
        }
    }

    /// Publishes as many of the elements as are free, and says how many.
    #[inline]
    pub fn push(&mut self, elements: &[E]) -> usize {
        let count = self.free(u32::try_from(elements.len()).unwrap_or(u32::MAX));
        let elements = elements.get(..count as usize).unwrap_or_default();
        if !elements.is_empty() {
            self.announce(count);
            self.ring.store(self.next, elements);
            self.publish(count);
        }
        elements.len()
    }

    /// Publishes one element, unless the ring is full.
    #[inline]
    pub fn push_one(&mut self, element: E) -> bool {
        let size = self.ring.size();
        if size.is_full(self.next, self.consumer) {
            self.refresh();
            if size.is_full(self.next, self.consumer) {
                return false;
            }
        }
        if self.ring.starts_line(self.next) {
            self.announce(1);
        }
        let stored = self.ring.store_one(self.next, element).is_some();
        if stored {
            self.publish(1);
        }
        stored
    }

    /// Announces as many elements as are written now, further on, unless the other side may still read there.
    #[inline]
    fn announce(&self, count: u32) {
        let count = count.min(AHEAD);
        let ahead = self.next.advanced_by(AHEAD);
        if self.ring.size().free(ahead, self.consumer) >= count {
            self.ring.expect_stores(ahead, count);
        }
    }

    #[inline]
    fn publish(&mut self, count: u32) {
        self.next = self.next.advanced_by(count);
        self.ring
            .memory()
            .producer_index()
            .store_release(self.next.0);
    }
}

/// Free elements of a ring.
#[derive(Debug)]
pub struct Slots<'a, M: RingMemory, E: Element> {
    producer: &'a mut Producer<M, E>,
    count: u32,
}

impl<M: RingMemory, E: Element> Slots<'_, M, E> {
    /// How many there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[inline]
    fn index(&self, at: u32) -> Option<Index> {
        (at < self.count).then(|| self.producer.next.advanced_by(at))
    }

    /// Writes one of them; `false` if it is not among them.
    #[inline]
    pub fn write(&mut self, at: u32, element: E) -> bool {
        self.index(at)
            .and_then(|index| self.producer.ring.store_one(index, element))
            .is_some()
    }

    /// Writes one of them from what is there, for elements that have parts of the other side; `false` if it is not among
    /// them.
    #[inline]
    pub fn update(&mut self, at: u32, change: impl FnOnce(E) -> E) -> bool {
        self.index(at)
            .and_then(|index| {
                let was = self.producer.ring.load_one(index)?;
                self.producer.ring.store_one(index, change(was))
            })
            .is_some()
    }

    /// Writes bytes of one of them, for an extension; `false`, and nothing is written, if they are not inside it.
    pub fn write_bytes(&mut self, at: u32, offset: u16, bytes: &[u8]) -> bool {
        self.index(at)
            .and_then(|index| self.producer.ring.write_bytes(index, offset.into(), bytes))
            .is_some()
    }

    /// Publishes the first `count` of them, and says how many that were.
    #[inline]
    pub fn submit(self, count: u32) -> u32 {
        let count = count.min(self.count);
        if count > 0 {
            self.producer.publish(count);
        }
        count
    }
}
