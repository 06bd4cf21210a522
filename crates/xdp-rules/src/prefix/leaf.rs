//! Leaves: short lists of prefixes, in one array.

use super::Entry;
use super::node::Link;
use crate::NONE;
use crate::address::Address;
use crate::store::{Buffer, OutOfMemory, Pool, Store};

/// Most prefixes in a leaf.
pub(super) const LEAF_MAX: usize = 8;
/// Prefixes that a search compares at once, whether they are there or not: so it need not guess how many there are.
pub(super) const BLOCK: usize = 4;
/// Sizes of leaves: one block or two.
const CLASSES: usize = 2;
/// Places that splitting one full leaf can need: at most nine leaves, which hold nine prefixes together.
const SPLIT_NEEDS: usize = BLOCK * (LEAF_MAX + 1);
/// Length of the first entry of an unused block, which then names the next unused block.
const UNUSED: u8 = u8::MAX;

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

    /// Returns the earliest rule of a leaf whose prefix `address` has.
    #[inline]
    pub(super) fn find(&self, leaf: Link, address: A) -> u32 {
        let Some((block, rest)) = self
            .entries
            .get(leaf.offset()..)
            .and_then(|entries| entries.split_first_chunk::<BLOCK>())
        else {
            return NONE;
        };
        let best = earliest(block, address);
        match rest.first_chunk::<BLOCK>() {
            Some(block) if leaf.capacity() > BLOCK => best.min(earliest(block, address)),
            _ => best,
        }
    }

    pub(super) fn entries_mut(&mut self, leaf: Link) -> &mut [Entry<A>] {
        let start = leaf.offset();
        self.entries
            .get_mut(start..start.wrapping_add(leaf.count()))
            .unwrap_or(&mut [])
    }

    /// Returns every place that may hold a rule.
    pub(super) fn places_mut(&mut self) -> impl Iterator<Item = &mut u32> {
        self.entries
            .iter_mut()
            .filter(|entry| entry.len != UNUSED)
            .map(|entry| &mut entry.id)
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
        let size = BLOCK << class;
        let unused = self.unused.get(class).copied().unwrap_or(NONE) as usize;
        if let Some(block) = self.entries.get_mut(unused..unused.wrapping_add(size)) {
            if let Some(place) = self.unused.get_mut(class) {
                *place = block.first().map_or(NONE, |first| first.id);
            }
            block.fill(Entry::ABSENT);
            return Ok(Link::leaf(unused, class));
        }
        let offset = self.entries.len();
        for _ in 0..size {
            self.entries.try_push(Entry::ABSENT)?;
        }
        Ok(Link::leaf(offset, class))
    }

    /// Gives a leaf's block back.
    pub(super) fn give_block(&mut self, leaf: Link) {
        if let Some(place) = self.unused.get_mut(leaf.class())
            && let Some(first) = self.entries.get_mut(leaf.offset())
        {
            first.id = *place;
            first.len = UNUSED;
            *place = leaf.offset_bits();
        }
    }
}

/// Returns the earliest rule of a block whose prefix `address` has, without a branch for each.
#[inline]
fn earliest<A: Address>(block: &[Entry<A>; BLOCK], address: A) -> u32 {
    block.iter().fold(NONE, |best, entry| {
        best.min(entry.id | address.differs(entry.path, u32::from(entry.len)))
    })
}
