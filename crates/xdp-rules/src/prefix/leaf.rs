//! Leaves: short lists of prefixes, in one array.
//!
//! A search compares two entries at once, or four or eight for leaves with room for more, whether they belong to the leaf or not: so it
//! need not guess how many there are. What lies behind a leaf is another leaf of the same tree. If an address has a prefix there,
//! that rule does match, and finding it early does no harm; a place that is not in use has no rule.

use super::Entry;
use super::node::Link;
use crate::NONE;
use crate::address::Address;
use crate::store::{Buffer, OutOfMemory, Pool, Store};

/// Most prefixes in a leaf.
pub(super) const LEAF_MAX: usize = 8;
/// Entries that are compared at once in most leaves.
const PAIR: usize = 2;
/// Sizes of leaves: 1, 2, 4 and 8 entries.
const CLASSES: usize = 4;
/// Places that splitting one full leaf can need. Its nine prefixes go to new leaves, which grow size by size: one with 5
/// prefixes has taken 15 places by then, one with 3 has taken 7, and 5 + 3 + 1 prefixes is the worst that can be.
const SPLIT_NEEDS: usize = 23;

pub(super) struct Leaves<A: Address, S: Store> {
    entries: S::Buf<Entry<A>>,
    /// First unused block of each size.
    unused: [u32; CLASSES],
}

impl<A: Address, S: Store> Leaves<A, S> {
    pub(super) fn new(pool: &Pool<S>) -> Self {
        Self {
            entries: pool.buffer(),
            unused: [NONE; CLASSES],
        }
    }

    /// Makes room for whatever one insertion can need.
    pub(super) fn reserve(&mut self, pool: &mut Pool<S>) -> Result<(), OutOfMemory> {
        pool.reserve(&mut self.entries, SPLIT_NEEDS)?;
        if self.entries.len() >= Link::OFFSET_MAX - SPLIT_NEEDS {
            return Err(OutOfMemory);
        }
        Ok(())
    }

    pub(super) fn release(self, pool: &mut Pool<S>) {
        pool.release(self.entries);
    }

    pub(super) fn entries(&self, leaf: Link) -> &[Entry<A>] {
        let start = leaf.offset();
        self.entries
            .get(start..start.wrapping_add(leaf.count()))
            .unwrap_or(&[])
    }

    /// Returns the earliest rule whose prefix `address` has, of a leaf at least, or `best` if that is earlier.
    #[inline]
    pub(super) fn find(&self, leaf: Link, address: A, best: u32) -> u32 {
        let offset = leaf.offset();
        if leaf.capacity() <= PAIR
            && let Some(one) = self.entries.get(offset)
            && let Some(other) = self.entries.get(offset.wrapping_add(1))
        {
            return earliest([one, other], address, best);
        }
        self.find_large(leaf, address, best)
    }

    /// Searches a large leaf, or one at the end of the array.
    #[inline(never)]
    fn find_large(&self, leaf: Link, address: A, best: u32) -> u32 {
        let behind = self.entries.get(leaf.offset()..).unwrap_or_default();
        match (behind.first_chunk::<4>(), behind.first_chunk::<LEAF_MAX>()) {
            (Some(four), _) if leaf.capacity() <= 4 => earliest(four, address, best),
            (_, Some(eight)) => earliest(eight, address, best),
            _ => {
                let own = behind.get(..leaf.count()).unwrap_or_default();
                earliest(own, address, best)
            }
        }
    }

    pub(super) fn entries_mut(&mut self, leaf: Link) -> &mut [Entry<A>] {
        let start = leaf.offset();
        self.entries
            .get_mut(start..start.wrapping_add(leaf.count()))
            .unwrap_or(&mut [])
    }

    /// Returns `leaf`, which is not full, with one more prefix; room must have been reserved.
    pub(super) fn push(&mut self, leaf: Link, entry: Entry<A>) -> Result<Link, OutOfMemory> {
        let count = leaf.count();
        let block = if count == 0 {
            self.take_block(0)?
        } else if count < leaf.capacity() {
            leaf
        } else {
            let block = self.take_block(leaf.class().saturating_add(1))?;
            for index in 0..count {
                if let Some(moved) = self.entries(leaf).get(index).copied()
                    && let Some(place) = self.entries.get_mut(block.offset().wrapping_add(index))
                {
                    *place = moved;
                }
            }
            self.give_block(leaf);
            block
        };
        let grown = block.with_count(count.saturating_add(1));
        if let Some(place) = self.entries_mut(grown).last_mut() {
            *place = entry;
        }
        Ok(grown)
    }

    /// Returns `leaf` without the prefix at `index`.
    pub(super) fn remove(&mut self, leaf: Link, index: usize) -> Link {
        let left = leaf.count().saturating_sub(1);
        if left == 0 {
            self.give_block(leaf);
            return Link::EMPTY;
        }
        let entries = self.entries_mut(leaf);
        if let Some(last) = entries.last_mut() {
            let moved = core::mem::replace(last, Entry::ABSENT);
            if let Some(place) = entries.get_mut(index).filter(|_| index < left) {
                *place = moved;
            }
        }
        leaf.with_count(left)
    }

    /// Returns a leaf without prefixes.
    fn take_block(&mut self, class: usize) -> Result<Link, OutOfMemory> {
        let unused = self.unused.get(class).copied().unwrap_or(NONE);
        if let Some(first) = self.entries.get_mut(unused as usize) {
            let next = named_by(first.path);
            *first = Entry::ABSENT;
            if let Some(place) = self.unused.get_mut(class) {
                *place = next;
            }
            return Ok(Link::leaf(unused as usize, class));
        }
        let offset = self.entries.len();
        for _ in 0..1 << class {
            self.entries.try_push(Entry::ABSENT)?;
        }
        Ok(Link::leaf(offset, class))
    }

    /// Gives a leaf's block back.
    pub(super) fn give_block(&mut self, leaf: Link) {
        let end = leaf.offset().wrapping_add(leaf.capacity());
        if let Some(place) = self.unused.get_mut(leaf.class())
            && let Some(block) = self.entries.get_mut(leaf.offset()..end)
        {
            block.fill(Entry::ABSENT);
            if let Some(first) = block.first_mut() {
                first.path = naming(*place);
            }
            *place = leaf.offset_bits();
        }
    }
}

/// Returns the path that an unused block has to name the next one.
fn naming<A: Address>(next: u32) -> A {
    let (high, low) = (next >> 16, next & 0xFFFF);
    A::ZERO
        .with_bits(0, 16, high as usize)
        .with_bits(16, 16, low as usize)
}

/// Returns the unused block that a path names.
fn named_by<A: Address>(path: A) -> u32 {
    // 16 bits each.
    (path.bits(0, 16) as u32) << 16 | path.bits(16, 16) as u32
}

/// Returns the earliest rule whose prefix `address` has, or `best` if that is earlier, without a branch for each.
#[inline]
fn earliest<'a, A: Address + 'a>(
    entries: impl IntoIterator<Item = &'a Entry<A>>,
    address: A,
    best: u32,
) -> u32 {
    entries.into_iter().fold(best, |best, entry| {
        best.min(entry.id | address.differs(entry.path, entry.mask))
    })
}
