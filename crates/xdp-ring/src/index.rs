//! Free-running indices and ring sizes.

/// A free-running count of elements, modulo 2^32.
///
/// It has no order: only distances mean anything, and they wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Index(pub u32);

impl Index {
    /// The index `count` elements further on.
    #[inline]
    #[must_use]
    pub const fn advanced_by(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// How many elements this index is ahead of `other`.
    #[inline]
    #[must_use]
    pub const fn ahead_of(self, other: Self) -> u32 {
        self.0.wrapping_sub(other.0)
    }
}

/// Number of elements in a ring: a power of two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RingSize {
    mask: u32,
}

impl RingSize {
    /// A size, unless it is zero or no power of two.
    #[inline]
    #[must_use]
    pub const fn new(elements: u32) -> Option<Self> {
        if elements.is_power_of_two() {
            Some(Self { mask: elements - 1 })
        } else {
            None
        }
    }

    /// Number of elements.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u32 {
        self.mask + 1
    }

    /// Where in the ring an index points.
    #[inline]
    #[must_use]
    pub const fn slot(self, index: Index) -> u32 {
        index.0 & self.mask
    }

    /// Elements a consumer may take: never more than the ring holds.
    #[inline]
    #[must_use]
    pub const fn available(self, producer: Index, consumer: Index) -> u32 {
        let used = producer.ahead_of(consumer);
        if used <= self.mask { used } else { self.get() }
    }

    /// Elements a producer may publish: none if the consumer's index cannot be right.
    #[inline]
    #[must_use]
    pub const fn free(self, producer: Index, consumer: Index) -> u32 {
        self.get().saturating_sub(producer.ahead_of(consumer))
    }

    /// Whether a producer may publish nothing, because the ring is full or the consumer's index cannot be right.
    #[inline]
    #[must_use]
    pub const fn is_full(self, producer: Index, consumer: Index) -> bool {
        producer.ahead_of(consumer) > self.mask
    }

    /// Whether two indices can belong to a ring of this size.
    #[inline]
    #[must_use]
    pub const fn is_plausible(self, producer: Index, consumer: Index) -> bool {
        producer.ahead_of(consumer) <= self.get()
    }
}
