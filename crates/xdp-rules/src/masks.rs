//! Addresses under masks that are no prefixes: a tuple space with a group for each mask.
//!
//! Most groups have nothing for an address. A filter (one bit for each key, in a bitmap that is nearly empty) finds that out with
//! a handful of instructions for each group.

use crate::address::Address;
use crate::arena::{Arena, Ring};
use crate::groups::Groups;
use crate::index::{Index, enter, quit};
use crate::store::{OutOfMemory, Pool, Store};
use crate::table::Table;

/// Words of the filter for each group of the table, which has about 2.5 to 5 keys.
const FILTER_WORDS: usize = 8;

/// Rules that compare an address under a mask that is no prefix.
pub(crate) struct ByMask<A: Address, S: Store> {
    groups: Groups<A, S>,
    table: Table<A::Key, S>,
    /// A power of two of words, or none.
    filter: S::Buf<u64>,
    /// Bits of the filter whose keys are gone, at most.
    stale: usize,
}

impl<A: Address, S: Store> ByMask<A, S> {
    pub(crate) fn new(pool: &Pool<S>, seed: u64) -> Self {
        Self {
            groups: Groups::new(pool),
            table: Table::new(pool, seed),
            filter: pool.buffer(),
            stale: 0,
        }
    }

    /// Returns the earliest rule for `address` if it is earlier than `best`.
    #[inline]
    pub(crate) fn find(&self, address: A, mut best: u32) -> u32 {
        let filter: &[u64] = &self.filter;
        for group in self.groups.iter() {
            if group.head >= best {
                break;
            }
            let key = address.and(group.part).keyed(group.number);
            let hash = self.table.hash(&key);
            if let Some(word) = filter.get(word_of(hash, filter.len()))
                && word >> (hash & 63) & 1 != 0
            {
                best = best.min(self.table.find_hashed(&key, hash));
            }
        }
        best
    }

    fn mark(&mut self, key: &A::Key) {
        let hash = self.table.hash(key);
        let word = word_of(hash, self.filter.len());
        if let Some(word) = self.filter.get_mut(word) {
            *word |= 1 << (hash & 63);
        }
    }

    fn refill(&mut self) {
        self.filter.fill(0);
        self.stale = 0;
        for key in self.table.keys() {
            let hash = self.table.hash(key);
            let word = word_of(hash, self.filter.len());
            if let Some(word) = self.filter.get_mut(word) {
                *word |= 1 << (hash & 63);
            }
        }
    }
}

/// Returns which word of a filter has the bit for a hash; the low bits of the hash say which bit.
#[inline]
const fn word_of(hash: u64, words: usize) -> usize {
    (hash >> 32) as usize & words.wrapping_sub(1)
}

impl<A: Address, S: Store> Index<S> for ByMask<A, S> {
    /// Mask and address.
    type At = (A, A);

    fn reserve(&mut self, pool: &mut Pool<S>, _: Self::At) -> Result<(), OutOfMemory> {
        self.groups.reserve_one(pool)?;
        self.table.reserve_one(pool)?;
        let words = self.table.groups().saturating_mul(FILTER_WORDS);
        if self.filter.len() != words {
            let filter = pool.filled(words, 0)?;
            pool.release(core::mem::replace(&mut self.filter, filter));
            self.refill();
        }
        Ok(())
    }

    fn insert<P, T>(
        &mut self,
        arena: &mut Arena<P, T, S>,
        _: &mut Pool<S>,
        (mask, address): Self::At,
        id: u32,
    ) -> Result<(), OutOfMemory> {
        let number = match self.groups.get(mask) {
            Some(group) => {
                arena.join(Ring::Peers, group.head, id);
                group.number
            }
            None => self.groups.add(mask, id)?,
        };
        let key = address.keyed(number);
        enter(&mut self.table, arena, key, id);
        self.mark(&key);
        Ok(())
    }

    fn remove<P, T>(&mut self, arena: &mut Arena<P, T, S>, (mask, address): Self::At, id: u32) {
        let Some(group) = self.groups.get(mask) else {
            return;
        };
        quit(&mut self.table, arena, address.keyed(group.number), id);
        let head = arena.leave(Ring::Peers, group.head, id);
        if head != group.head {
            self.groups.set_head(mask, head);
        }
        self.stale = self.stale.saturating_add(1);
        if self.stale > self.filter.len() {
            self.refill();
        }
    }

    fn head(&self) -> u32 {
        self.groups.head()
    }

    fn relabel(&mut self, rename: impl Fn(u32) -> u32) {
        self.groups.relabel(&rename);
        self.table.relabel(&rename);
    }
}
