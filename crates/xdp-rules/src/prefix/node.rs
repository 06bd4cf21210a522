//! Nodes of the prefix tree.

use super::Entry;
use crate::NONE;
use crate::address::Address;
use crate::store::{OutOfMemory, Pool, Store};

/// What lies below a slot: a node, a leaf or (an empty leaf) nothing, in 32 bits, so that following it costs one load.
///
/// Leaf: `1`, prefixes (4 bits), size class (2), offset (25). Node: `0`, wide (1), position / 4 (5), index (25).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link(u32);

impl Link {
    /// A leaf without prefixes. It lies where another one may be, for which see the module about leaves: a search need not
    /// guess that there is nothing here.
    pub(super) const EMPTY: Self = Self(Self::LEAF);
    pub(super) const OFFSET_MAX: usize = (1 << 25) - 1;
    const LEAF: u32 = 1 << 31;
    const WIDE: u32 = 1 << 30;
    const COUNT: u32 = 0xF << 27;

    // Leaves::reserve keeps offsets below 2^25.
    pub(super) const fn leaf(offset: usize, class: usize) -> Self {
        Self(Self::LEAF | (class as u32) << 25 | offset as u32)
    }

    // Prefixes::reserve_one keeps the nodes below 2^25.
    pub(super) const fn node(index: usize, position: u32) -> Self {
        Self((position / 4) << 25 | index as u32)
    }

    pub(super) const fn wide(position: u32) -> Self {
        Self(Self::WIDE | (position / 4) << 25)
    }

    #[inline]
    pub(super) const fn is_leaf(self) -> bool {
        self.0 & Self::LEAF != 0
    }

    #[inline]
    pub(super) const fn is_wide(self) -> bool {
        self.0 & Self::WIDE != 0
    }

    #[inline]
    pub(super) const fn position(self) -> u32 {
        (self.0 >> 25 & 0x1F) * 4
    }

    #[inline]
    pub(super) const fn index(self) -> usize {
        self.offset_bits() as usize
    }

    #[inline]
    pub(super) const fn offset(self) -> usize {
        self.offset_bits() as usize
    }

    #[inline]
    pub(super) const fn offset_bits(self) -> u32 {
        self.0 & 0x1FF_FFFF
    }

    #[inline]
    pub(super) const fn count(self) -> usize {
        (self.0 >> 27 & 0xF) as usize
    }

    #[inline]
    pub(super) const fn class(self) -> usize {
        (self.0 >> 25 & 3) as usize
    }

    #[inline]
    pub(super) const fn capacity(self) -> usize {
        1 << self.class()
    }

    // A leaf holds at most eight prefixes.
    pub(super) const fn with_count(self, count: usize) -> Self {
        Self(self.0 & !Self::COUNT | (count as u32) << 27)
    }
}

/// What a search finds for the bits that a node resolves.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    /// The earliest rule among prefixes that end in this node.
    pub(super) best: u32,
    pub(super) link: Link,
}

impl Slot {
    pub(super) const EMPTY: Self = Self {
        best: NONE,
        link: Link::EMPTY,
    };
}

/// A node that resolves four bits.
pub(super) struct Node<A> {
    pub(super) slots: [Slot; 16],
    pub(super) path: A,
    pub(super) position: u8,
    /// How many of `own` and of the links are in use; an unused node has none.
    pub(super) used: u8,
    /// The prefixes that end here, by length and bits: see [`own_index`].
    pub(super) own: [u32; 30],
}

impl<A: Address> Node<A> {
    pub(super) fn new(path: A, position: u32) -> Self {
        Self {
            slots: [Slot::EMPTY; 16],
            path,
            // At most 128.
            position: position as u8,
            used: 0,
            own: [NONE; 30],
        }
    }

    pub(super) fn slot(&self, bits: usize) -> Option<Slot> {
        self.slots.get(bits).copied()
    }

    /// Returns the slot that `address` leads to, if the path to here is its beginning.
    #[inline]
    pub(super) fn slot_for(&self, address: A, position: u32) -> Option<Slot> {
        if address.agrees(self.path, position) {
            self.slot(address.bits(position, 4))
        } else {
            None
        }
    }
}

/// Most bits that a wide node resolves: then it has 1 MiB.
pub(super) const WIDEST: u32 = 16;

/// The node that resolves 10 bits or more.
pub(super) struct Wide<A, S: Store> {
    pub(super) slots: S::Buf<Slot>,
    pub(super) own: S::Buf<u32>,
    pub(super) path: A,
    mask: A,
    pub(super) position: u32,
    /// How many bits it resolves.
    pub(super) depth: u32,
}

impl<A: Address, S: Store> Wide<A, S> {
    pub(super) fn new(
        pool: &mut Pool<S>,
        path: A,
        position: u32,
        depth: u32,
    ) -> Result<Self, OutOfMemory> {
        let slots = pool.filled(1 << depth, Slot::EMPTY)?;
        match pool.filled((2 << depth) - 2, NONE) {
            Ok(own) => Ok(Self {
                slots,
                own,
                path,
                mask: A::mask(position),
                position,
                depth,
            }),
            Err(error) => {
                pool.release(slots);
                Err(error)
            }
        }
    }

    /// Returns the slot that `address` leads to, if the path to here is its beginning.
    #[inline]
    pub(super) fn slot(&self, address: A) -> Option<Slot> {
        if address.differs(self.path, self.mask) == 0 {
            let bits = address.some_bits(self.position, self.depth);
            self.slots.get(bits).copied()
        } else {
            None
        }
    }
}

/// Returns where a node keeps the prefix of `len` bits (at least 1) behind its position: shorter ones first.
pub(super) const fn own_index(len: u32, bits: usize) -> usize {
    (1usize << len).wrapping_sub(2).wrapping_add(bits)
}

/// Spreads a change of a node's own prefix over the slots it covers.
///
/// `depth` is how many bits the node resolves. When `own` lost the rule `lost`, the slots are made anew: from the shorter
/// prefixes, which cover all of them, and then the longer ones.
pub(super) fn spread(
    slots: &mut [Slot],
    own: &[u32],
    depth: u32,
    (len, bits): (u32, usize),
    id: u32,
    lost: u32,
) {
    if lost == NONE {
        cover(slots, depth, (len, bits), |best| best.min(id));
        return;
    }
    let rule = |len, bits| own.get(own_index(len, bits)).copied().unwrap_or(NONE);
    let shorter = (1..=len).map(|short| rule(short, bits >> len.wrapping_sub(short)));
    let best = shorter.min().unwrap_or(NONE);
    cover(slots, depth, (len, bits), |_| best);
    for longer in len.wrapping_add(1)..=depth {
        let more = longer.wrapping_sub(len);
        for bits in bits << more..bits.wrapping_add(1) << more {
            let id = rule(longer, bits);
            if id != NONE {
                cover(slots, depth, (longer, bits), |best| best.min(id));
            }
        }
    }
}

/// Changes what is best in the slots that a node's own prefix covers.
fn cover(slots: &mut [Slot], depth: u32, (len, bits): (u32, usize), change: impl Fn(u32) -> u32) {
    let free = depth.wrapping_sub(len);
    let covered = bits << free..bits.wrapping_add(1) << free;
    for slot in slots.get_mut(covered).unwrap_or_default() {
        slot.best = change(slot.best);
    }
}

/// Returns the prefixes that end in a node.
pub(super) fn own_entries<A: Address>(
    own: &[u32],
    path: A,
    position: u32,
    depth: u32,
) -> impl Iterator<Item = Entry<A>> {
    (1..=depth)
        .flat_map(move |len| (0..1usize << len).map(move |bits| (len, bits)))
        .filter_map(move |(len, bits)| {
            let id = *own.get(own_index(len, bits))?;
            let path = path.with_bits(position, len, bits);
            (id != NONE).then(|| Entry::new(path, position.wrapping_add(len), id))
        })
}
