//! Placing the wide node.

use super::node::{Link, WIDEST, Wide, own_entries};
use super::{Entry, Prefixes};
use crate::address::Address;
use crate::store::{Buffer, OutOfMemory, Pool, Store};

impl<A: Address, S: Store> Prefixes<A, S> {
    /// Builds the tree anew around a wide node below which more than half of the prefixes lie.
    ///
    /// # Errors
    ///
    /// There is no memory for it; the tree is as it was.
    pub(super) fn widen(&mut self, pool: &mut Pool<S>) -> Result<(), OutOfMemory> {
        let mut all = pool.buffer();
        let result = self.widen_with(pool, &mut all);
        pool.release(all);
        result
    }

    fn widen_with(
        &mut self,
        pool: &mut Pool<S>,
        all: &mut S::Buf<Entry<A>>,
    ) -> Result<(), OutOfMemory> {
        pool.reserve_exact(all, self.len)?;
        self.collect(all)?;
        let (path, position) = crowded(all);
        let depth = depth_for(self.len);
        if let Some(wide) = &self.wide
            && (wide.position, wide.depth) == (position, depth)
            && wide.path == path
        {
            return Ok(());
        }
        let mut fresh = Self::new(pool);
        match fresh.rebuild(pool, (path, position, depth), all) {
            Ok(()) => {
                fresh.len = self.len;
                fresh.widen_at = self.widen_at;
                core::mem::replace(self, fresh).release(pool);
                Ok(())
            }
            Err(error) => {
                fresh.release(pool);
                Err(error)
            }
        }
    }

    fn rebuild(
        &mut self,
        pool: &mut Pool<S>,
        (path, position, depth): (A, u32, u32),
        all: &[Entry<A>],
    ) -> Result<(), OutOfMemory> {
        self.wide = Some(Wide::new(pool, path, position, depth)?);
        self.root = Link::wide(position);
        for entry in all {
            self.reserve_one(pool)?;
            self.place(*entry)?;
        }
        Ok(())
    }

    /// Gives all memory back.
    pub(crate) fn release(self, pool: &mut Pool<S>) {
        pool.release(self.nodes);
        self.leaves.release(pool);
        if let Some(wide) = self.wide {
            pool.release(wide.slots);
            pool.release(wide.own);
        }
    }

    /// Lists all prefixes; `into` must have room.
    fn collect(&self, into: &mut S::Buf<Entry<A>>) -> Result<(), OutOfMemory> {
        if self.any != crate::NONE {
            into.try_push(Entry::new(A::ZERO, 0, self.any))?;
        }
        let leaf = |link: Link, into: &mut S::Buf<Entry<A>>| {
            let entries = self.leaves.entries(link).iter();
            entries.copied().try_for_each(|entry| into.try_push(entry))
        };
        if self.root.is_leaf() {
            leaf(self.root, into)?;
        }
        for node in self.nodes.iter().filter(|node| node.used > 0) {
            let position = u32::from(node.position);
            for entry in own_entries(&node.own, node.path, position, 4) {
                into.try_push(entry)?;
            }
            for slot in node.slots.iter().filter(|slot| slot.link.is_leaf()) {
                leaf(slot.link, into)?;
            }
        }
        if let Some(wide) = &self.wide {
            for entry in own_entries(&wide.own, wide.path, wide.position, wide.depth) {
                into.try_push(entry)?;
            }
            for slot in wide.slots.iter().filter(|slot| slot.link.is_leaf()) {
                leaf(slot.link, into)?;
            }
        }
        Ok(())
    }
}

/// Returns how many bits a wide node should resolve. With more bits most leaves have one prefix or two, which are compared at
/// once; but the node must not crowd everything else out of the caches.
const fn depth_for(prefixes: usize) -> u32 {
    match prefixes {
        ..2048 => 10,
        2048..16_384 => 13,
        _ => WIDEST,
    }
}

/// Returns the longest path, a multiple of four bits, that more than half of the prefixes go along and beyond.
fn crowded<A: Address>(all: &[Entry<A>]) -> (A, u32) {
    let (mut path, mut position) = (A::default(), 0u32);
    let last = A::BITS.saturating_sub(WIDEST);
    while position < last {
        let mut counts = [0usize; 16];
        for entry in all {
            if entry.len() > position.wrapping_add(4)
                && entry.path.agrees(path, position)
                && let Some(count) = counts.get_mut(entry.path.bits(position, 4))
            {
                *count = count.wrapping_add(1);
            }
        }
        let most = |count: &usize| *count > all.len() / 2;
        let Some(bits) = counts.iter().position(most) else {
            break;
        };
        path = path.with_bits(position, 4, bits);
        position = position.wrapping_add(4);
    }
    (path, position)
}
