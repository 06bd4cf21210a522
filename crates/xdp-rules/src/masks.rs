//! Addresses under masks that are no prefixes: a tuple space with a group for each mask.
//!
//! Most groups have nothing for an address. A filter (one bit for each key, in a bitmap that is nearly empty) finds that out with
//! a handful of instructions for each group. All groups are asked before any is searched: what the searches find is hard to
//! foresee, and a processor that guessed wrong would have asked in vain.

use crate::address::Address;
use crate::arena::{Arena, Ring};
use crate::groups::{Group, Groups};
use crate::hash::one;
use crate::index::{Index, enter, quit, rename_key};
use crate::store::{OutOfMemory, Pool, Store};
use crate::table::Table;

/// Words of the filter for each group of the table, at least.
const FILTER_WORDS: usize = 5;
/// Groups that are asked together: as many as a word has bits.
const TOGETHER: usize = 32;

/// A mask, and what addresses under it are hashed with.
#[derive(Clone, Copy)]
struct Part<A> {
    mask: A,
    multiplier: u64,
}

/// Returns what hashes addresses of a group.
fn multiplier(number: u32, seed: u64) -> u64 {
    one(u64::from(number), seed) | 1
}

impl<A: Address> PartialEq for Part<A> {
    fn eq(&self, other: &Self) -> bool {
        self.mask == other.mask
    }
}

impl<A: Address> Eq for Part<A> {}

/// Rules that compare an address under a mask that is no prefix.
pub(crate) struct ByMask<A: Address, S: Store> {
    groups: Groups<Part<A>, S>,
    table: Table<A::Key, S>,
    filter: Filter<S>,
    /// Bits of the filter whose keys are gone, at most.
    stale: usize,
    seed: u64,
}

/// A set of hashes that errs on the safe side.
struct Filter<S: Store> {
    /// A power of two of words, or none.
    words: S::Buf<u64>,
    /// How far to shift a hash for the number of its bit.
    shift: u32,
}

impl<S: Store> Filter<S> {
    fn set_len(&mut self, pool: &mut Pool<S>, words: usize) -> Result<(), OutOfMemory> {
        let fresh = pool.filled(words, 0)?;
        pool.release(core::mem::replace(&mut self.words, fresh));
        // The number of words is a power of two, the number of bits in a word as well.
        self.shift = 64u32.wrapping_sub(6).wrapping_sub(words.trailing_zeros());
        Ok(())
    }

    /// Returns the word with the bit of a hash, and which bit it is. Without words its number is too large for any.
    #[inline]
    fn word(&self, hash: u64) -> Option<(u64, u64)> {
        let bit = hash.wrapping_shr(self.shift);
        Some((*self.words.get((bit >> 6) as usize)?, bit & 63))
    }

    fn add(&mut self, hash: u64) {
        let bit = hash.unbounded_shr(self.shift);
        if let Some(word) = self.words.get_mut((bit >> 6) as usize) {
            *word |= 1 << (bit & 63);
        }
    }
}

impl<A: Address, S: Store> ByMask<A, S> {
    pub(crate) fn new(pool: &Pool<S>, seed: u64) -> Self {
        Self {
            groups: Groups::new(pool),
            table: Table::new(pool, seed),
            filter: Filter {
                words: pool.buffer(),
                shift: 64,
            },
            stale: 0,
            seed,
        }
    }

    /// Returns the earliest rule for `address` if it is earlier than `best`.
    #[inline(always)]
    pub(crate) fn find(&self, address: A, best: u32) -> u32 {
        let groups = self.groups.list();
        if groups.len() > TOGETHER {
            return self.find_among_many(address, best);
        }
        match self.hits(groups, address) {
            0 => best,
            hits => self.find_in(groups, hits, address, best),
        }
    }

    #[inline(never)]
    fn find_among_many(&self, address: A, mut best: u32) -> u32 {
        for groups in self.groups.list().chunks(TOGETHER) {
            if groups.first().is_none_or(|group| group.head >= best) {
                break;
            }
            match self.hits(groups, address) {
                0 => {}
                hits => best = self.find_in(groups, hits, address, best),
            }
        }
        best
    }

    /// Marks groups that may have something for an address.
    #[inline(always)]
    fn hits(&self, groups: &[Group<Part<A>>], address: A) -> u32 {
        let mut hits = 0u32;
        for group in groups.iter().rev() {
            let Part { mask, multiplier } = group.part;
            let Some((word, bit)) = self.filter.word(address.and(mask).blend(multiplier)) else {
                // There is a word for each hash.
                return hits;
            };
            hits = hits
                .wrapping_add(hits)
                .wrapping_add((word >> bit) as u32 & 1);
        }
        hits
    }

    /// Does the same for those of some groups that are marked.
    #[inline(never)]
    fn find_in(&self, groups: &[Group<Part<A>>], mut hits: u32, address: A, mut best: u32) -> u32 {
        while let Some(group) = groups.get(hits.trailing_zeros() as usize)
            && group.head < best
        {
            let key = address.and(group.part.mask).keyed(group.number);
            best = best.min(self.table.find(&key));
            hits &= hits.wrapping_sub(1);
        }
        best
    }

    fn group(&self, mask: A) -> Option<Group<Part<A>>> {
        // Parts are told apart by their masks.
        let multiplier = 0;
        self.groups.get(Part { mask, multiplier })
    }

    fn refill(&mut self) {
        self.filter.words.fill(0);
        self.stale = 0;
        for key in self.table.keys() {
            let (number, address) = A::unkeyed(&key);
            self.filter
                .add(address.blend(multiplier(number, self.seed)));
        }
    }
}

impl<A: Address, P, S: Store> Index<P, S> for ByMask<A, S> {
    /// Mask and address.
    type At = (A, A);

    fn reserve(&mut self, pool: &mut Pool<S>, _: Self::At) -> Result<(), OutOfMemory> {
        self.groups.reserve_one(pool)?;
        self.table.reserve_one(pool)?;
        let words = self.table.groups().saturating_mul(FILTER_WORDS);
        let words = words.checked_next_power_of_two().ok_or(OutOfMemory)?;
        if self.filter.words.len() != words {
            self.filter.set_len(pool, words)?;
            self.refill();
        }
        Ok(())
    }

    fn insert<T>(
        &mut self,
        arena: &mut Arena<P, T, S>,
        _: &mut Pool<S>,
        (mask, address): Self::At,
        id: u32,
    ) -> Result<(), OutOfMemory> {
        let number = match self.group(mask) {
            Some(group) => {
                arena.join(Ring::Peers, group.head, id);
                group.number
            }
            None => {
                let multiplier = multiplier(self.groups.next_number(), self.seed);
                self.groups.add(Part { mask, multiplier }, id)?
            }
        };
        let key = address.keyed(number);
        enter(&mut self.table, arena, key, id);
        self.filter
            .add(address.blend(multiplier(number, self.seed)));
        Ok(())
    }

    fn remove<T>(&mut self, arena: &mut Arena<P, T, S>, (mask, address): Self::At, id: u32) {
        let Some(group) = self.group(mask) else {
            return;
        };
        quit(&mut self.table, arena, address.keyed(group.number), id);
        let head = arena.leave(Ring::Peers, group.head, id);
        if head != group.head {
            self.groups.set_head(group.part, head);
        }
        self.stale = self.stale.saturating_add(1);
        if self.stale > self.filter.words.len() {
            self.refill();
        }
    }

    fn head(&self) -> u32 {
        self.groups.head()
    }

    fn rename(&mut self, (mask, address): Self::At, old: u32, new: u32) {
        let Some(group) = self.group(mask) else {
            return;
        };
        self.groups.rename(group.part, old, new);
        rename_key(&mut self.table, &address.keyed(group.number), old, new);
    }
}
