//! The half that empties a ring.

use crate::element::Element;
use crate::index::Index;
use crate::memory::{IndexWord, RingMemory};
use crate::ring::{Ring, RingError};
use core::marker::PhantomData;
use xdp_abi::ring::RingFlags;

/// How many elements behind those that are taken are announced at most.
const AHEAD_MAX: u32 = 128;
/// How far ahead of an element that is taken alone lies the one that is announced: as many as are taken while a cache line comes
/// from another processor.
const AHEAD_OF_ONE: u32 = 8;

/// The only one that takes elements from a ring.
#[derive(Debug)]
pub struct Consumer<M, E> {
    ring: Ring<M>,
    /// Our index. The copy in the ring is for the other side and is never read back.
    next: Index,
    /// The other side's index as last seen.
    producer: Index,
    element: PhantomData<fn() -> E>,
}

impl<M: RingMemory, E: Element> Consumer<M, E> {
    /// The consuming half of a ring whose indices are both zero: memory that was just made.
    ///
    /// # Errors
    ///
    /// If an element does not fit the ring's stride.
    pub fn new(ring: Ring<M>) -> Result<Self, RingError> {
        ring.holds::<E>()?;
        Ok(Self {
            ring,
            next: Index(0),
            producer: Index(0),
            element: PhantomData,
        })
    }

    /// The consuming half of a ring that may have been used before: continues where its indices stand.
    ///
    /// # Errors
    ///
    /// If an element does not fit the ring's stride.
    pub fn attach(ring: Ring<M>) -> Result<Self, RingError> {
        let mut consumer = Self::new(ring)?;
        consumer.next = Index(consumer.ring.memory().consumer_index().load_acquire());
        consumer.refresh();
        Ok(consumer)
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
        self.producer = Index(self.ring.memory().producer_index().load_acquire());
    }

    /// How many of `wanted` elements are there. Looks at the other side's index only if what was last seen there does
    /// not suffice.
    #[inline]
    pub fn available(&mut self, wanted: u32) -> u32 {
        let size = self.ring.size();
        let mut available = size.available(self.producer, self.next);
        if available < wanted {
            self.refresh();
            available = size.available(self.producer, self.next);
        }
        available.min(wanted)
    }

    /// How many elements are there now.
    #[inline]
    pub fn available_now(&mut self) -> u32 {
        self.refresh();
        self.ring.size().available(self.producer, self.next)
    }

    /// Whether what the other side says that it has published can be right: never more than the ring holds. Looks again if it
    /// could not be when last seen.
    #[inline]
    pub fn is_plausible(&mut self) -> bool {
        let size = self.ring.size();
        if !size.is_plausible(self.producer, self.next) {
            self.refresh();
        }
        size.is_plausible(self.producer, self.next)
    }

    /// Asks to be poked and looks again, in an order that loses no element: whatever the other side publishes from
    /// now on, it either is counted here or comes with a poke. For the driver.
    #[inline]
    pub fn request_poke(&mut self) -> u32 {
        self.ring.raise(RingFlags::NEED_POKE);
        self.ring.memory().full_barrier();
        self.available_now()
    }

    /// Up to `wanted` elements, to be read and released. Nothing is shared before that: dropped, they are still there.
    #[inline]
    pub fn peek(&mut self, wanted: u32) -> Batch<'_, M, E> {
        let count = self.available(wanted);
        self.announce(count);
        Batch {
            consumer: self,
            count,
        }
    }

    /// Takes as many elements as are there and fit, and says how many.
    #[inline]
    pub fn pop(&mut self, elements: &mut [E]) -> usize {
        let count = self.available(u32::try_from(elements.len()).unwrap_or(u32::MAX));
        let elements = elements.get_mut(..count as usize).unwrap_or_default();
        if !elements.is_empty() {
            self.announce(count);
            self.ring.load(self.next, elements);
            self.release(count);
        }
        elements.len()
    }

    /// Takes one element, unless the ring is empty.
    #[inline]
    pub fn pop_one(&mut self) -> Option<E> {
        if self.producer == self.next {
            self.refresh();
            if self.producer == self.next {
                return None;
            }
        }
        if self.ring.starts_line(self.next) {
            self.announce_one();
        }
        let element = self.ring.load_one(self.next)?;
        self.release(1);
        Some(element)
    }

    /// Announces as many behind the next `count` elements, if they are known to be there: others may be in the middle of being
    /// written, and would have to be fetched back.
    #[inline]
    fn announce(&self, count: u32) {
        let available = self.ring.size().available(self.producer, self.next);
        let more = available.saturating_sub(count).min(count).min(AHEAD_MAX);
        self.ring.expect_loads(self.next.advanced_by(count), more);
    }

    /// Announces one of them, further on.
    #[inline]
    fn announce_one(&self) {
        if self.ring.size().available(self.producer, self.next) > AHEAD_OF_ONE {
            self.ring
                .expect_loads(self.next.advanced_by(AHEAD_OF_ONE), 1);
        }
    }

    #[inline]
    fn release(&mut self, count: u32) {
        self.next = self.next.advanced_by(count);
        self.ring
            .memory()
            .consumer_index()
            .store_release(self.next.0);
    }
}

/// Elements of a ring that are there to be read.
#[derive(Debug)]
pub struct Batch<'a, M: RingMemory, E: Element> {
    consumer: &'a mut Consumer<M, E>,
    count: u32,
}

impl<M: RingMemory, E: Element> Batch<'_, M, E> {
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
        (at < self.count).then(|| self.consumer.next.advanced_by(at))
    }

    /// Reads one of them, each word once. Reading it again may give another value.
    #[inline]
    #[must_use]
    pub fn get(&self, at: u32) -> Option<E> {
        self.consumer.ring.load_one(self.index(at)?)
    }

    /// Reads bytes of one of them, for an extension; `None` if they are not inside it.
    #[must_use]
    pub fn read_bytes<const N: usize>(&self, at: u32, offset: u16) -> Option<[u8; N]> {
        self.consumer
            .ring
            .read_bytes(self.index(at)?, offset.into())
    }

    /// Reads them in order.
    pub fn iter(&self) -> impl Iterator<Item = E> + '_ {
        (0..self.count).map_while(|at| self.get(at))
    }

    /// Gives the first `count` of them back to the producer, and says how many that were.
    #[inline]
    pub fn release(self, count: u32) -> u32 {
        let count = count.min(self.count);
        if count > 0 {
            self.consumer.release(count);
        }
        count
    }
}
