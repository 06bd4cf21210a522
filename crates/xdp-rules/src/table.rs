//! A hash table from short keys to rules.
//!
//! Seven slots form a group. A group's control word holds a tag byte for each slot (0 means free) and, in the top byte, how
//! many keys wanted this group, found it full and went on. A search therefore ends at the first group that nothing has
//! overflowed, removing leaves no tombstones, and a miss usually costs one load. The control words lie together, apart from the
//! slots: two and a half bytes for each key, so that those of all tables stay in the caches near the processor. What has no rule
//! in a table costs no more than that, and what has one touches one cache line besides.

use crate::NONE;
use crate::hash::Key;
use crate::store::{OutOfMemory, Pool, Store};

const WIDTH: usize = 7;
/// Keys for each group on average at which the table grows.
const FULL: usize = 4;
const EACH: u64 = 0x0001_0101_0101_0101;
const HIGH: u64 = 0x0080_8080_8080_8080;
const SPILL_SHIFT: u32 = 56;
/// An overflow count that has reached its end no longer says how many: it stays.
const SPILL_MAX: u64 = 0xFF;

/// Packed, so that a key of eight-byte words leaves no gap behind the rule.
#[derive(Clone, Copy, Default)]
#[repr(C, packed(4))]
struct Slot<K> {
    key: K,
    id: u32,
}

type Slots<K> = [Slot<K>; WIDTH];

pub(crate) struct Table<K, S: Store> {
    /// One for each group.
    controls: S::Buf<u64>,
    slots: S::Buf<Slots<K>>,
    len: usize,
    seed: u64,
    /// The only slot in use, if there is only one: then nothing has to be hashed.
    only: Slot<K>,
}

impl<K: Key, S: Store> Table<K, S> {
    pub(crate) fn new(pool: &Pool<S>, seed: u64) -> Self {
        Self {
            controls: pool.buffer(),
            slots: pool.buffer(),
            len: 0,
            seed,
            only: Slot::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the rule for `key`, or [`NONE`].
    #[inline]
    pub(crate) fn find(&self, key: &K) -> u32 {
        if let Some(id) = self.find_only(key) {
            return id;
        }
        self.find_hashed(key, self.hash(key))
    }

    /// Does the same where there is one key or none.
    #[inline]
    pub(crate) fn find_only(&self, key: &K) -> Option<u32> {
        (self.len == 1).then(|| {
            if { self.only.key }.same(key) {
                self.only.id
            } else {
                NONE
            }
        })
    }

    #[inline]
    pub(crate) fn hash(&self, key: &K) -> u64 {
        key.hash(self.seed)
    }

    /// Does the same as [`Table::find`] with the key's hash known, where there are two keys or more.
    #[inline]
    pub(crate) fn find_hashed(&self, key: &K, hash: u64) -> u32 {
        match self.find_soon(key, hash) {
            Some(id) => id,
            None => self.find_further(*key, hash),
        }
    }

    /// Does what is nearly always enough, without a loop: nothing is like the key, or the first that is like it is it. Else the
    /// answer is `None`, and [`Table::find_further`] has to be asked.
    #[inline]
    pub(crate) fn find_soon(&self, key: &K, hash: u64) -> Option<u32> {
        let home = self.home(hash);
        let Some(&control) = self.controls.get(home) else {
            return Some(NONE);
        };
        let hits = equal_bytes(control, tag(hash).wrapping_mul(EACH));
        if hits == 0 {
            return (control >> SPILL_SHIFT == 0).then_some(NONE);
        }
        let slot = self.slot((home, first_of(hits)))?;
        { slot.key }.same(key).then_some(slot.id)
    }

    /// The key comes by value: a reference would force it into memory before it is known whether this is called.
    #[cold]
    #[inline(never)]
    pub(crate) fn find_further(&self, key: K, hash: u64) -> u32 {
        match self.locate_hashed(&key, hash) {
            Some(at) => self.slot(at).map_or(NONE, |slot| slot.id),
            None => NONE,
        }
    }

    /// Returns the group that a hash wants; there may be none.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        // The upper half of the hash as a fraction of the groups, of which there are less than 2^32.
        ((hash >> 32).wrapping_mul(self.controls.len() as u64) >> 32) as usize
    }

    fn next(&self, group: usize) -> usize {
        let next = group.wrapping_add(1);
        if next < self.controls.len() { next } else { 0 }
    }

    /// Returns the number of groups, which have between 3 and 4 keys each when there are many.
    pub(crate) fn groups(&self) -> usize {
        self.controls.len()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = K> {
        self.slots_in_use().map(|slot| slot.key)
    }

    fn slots_in_use(&self) -> impl Iterator<Item = &Slot<K>> {
        in_use(&self.controls, &self.slots)
    }

    #[inline]
    fn slot(&self, (group, index): (usize, usize)) -> Option<&Slot<K>> {
        self.slots.get(group)?.get(index)
    }

    /// Changes the rule for a key that is there.
    pub(crate) fn replace(&mut self, key: &K, id: u32) {
        if let Some((group, index)) = self.locate(key)
            && let Some(slots) = self.slots.get_mut(group)
            && let Some(slot) = slots.get_mut(index)
        {
            slot.id = id;
            self.only = *slot;
        }
    }

    /// Makes sure that the next [`Table::insert`] succeeds.
    pub(crate) fn reserve_one(&mut self, pool: &mut Pool<S>) -> Result<(), OutOfMemory> {
        let groups = self.controls.len();
        if self.len < groups.saturating_mul(FULL) {
            return Ok(());
        }
        self.resize(pool, groups.saturating_add(groups / 4).saturating_add(1))
    }

    fn resize(&mut self, pool: &mut Pool<S>, groups: usize) -> Result<(), OutOfMemory> {
        if groups >= NONE as usize {
            return Err(OutOfMemory);
        }
        let controls = pool.filled(groups, 0)?;
        let slots = match pool.filled(groups, Slots::default()) {
            Ok(slots) => slots,
            Err(error) => {
                pool.release(controls);
                return Err(error);
            }
        };
        let controls = core::mem::replace(&mut self.controls, controls);
        let slots = core::mem::replace(&mut self.slots, slots);
        self.len = 0;
        for slot in in_use(&controls, &slots) {
            self.insert(slot.key, slot.id);
        }
        pool.release(controls);
        pool.release(slots);
        Ok(())
    }

    /// Adds a key that is not there; room must have been reserved.
    pub(crate) fn insert(&mut self, key: K, id: u32) {
        let hash = key.hash(self.seed);
        let mut home = self.home(hash);
        for _ in 0..self.controls.len() {
            let next = self.next(home);
            let (Some(control), Some(slots)) =
                (self.controls.get_mut(home), self.slots.get_mut(home))
            else {
                return;
            };
            let free = equal_bytes(*control, 0);
            if let Some(slot) = slots.get_mut(first_of(free)) {
                *slot = Slot { key, id };
                *control |= tag(hash) << (free.trailing_zeros() & !7);
                self.len = self.len.wrapping_add(1);
                self.only = Slot { key, id };
                return;
            }
            if *control >> SPILL_SHIFT != SPILL_MAX {
                *control = control.wrapping_add(1 << SPILL_SHIFT);
            }
            home = next;
        }
    }

    /// Removes a key if it is there.
    pub(crate) fn remove(&mut self, key: &K) {
        let Some((home, index)) = self.locate(key) else {
            return;
        };
        let mut passed = self.home(self.hash(key));
        while passed != home {
            let next = self.next(passed);
            let Some(control) = self.controls.get_mut(passed) else {
                return;
            };
            if *control >> SPILL_SHIFT != SPILL_MAX {
                *control = control.wrapping_sub(1 << SPILL_SHIFT);
            }
            passed = next;
        }
        if let Some(control) = self.controls.get_mut(home) {
            *control &= !(0xFF << (index * 8));
            self.len = self.len.wrapping_sub(1);
        }
        if self.len == 1 {
            let last = self.slots_in_use().next().copied();
            self.only = last.unwrap_or_default();
        }
    }

    fn locate(&self, key: &K) -> Option<(usize, usize)> {
        self.locate_hashed(key, self.hash(key))
    }

    /// Returns the group and the slot of a key.
    fn locate_hashed(&self, key: &K, hash: u64) -> Option<(usize, usize)> {
        let splat = tag(hash).wrapping_mul(EACH);
        let mut at = self.home(hash);
        for _ in 0..self.controls.len() {
            let control = *self.controls.get(at)?;
            let mut hits = equal_bytes(control, splat);
            while hits != 0 {
                let index = first_of(hits);
                // A mark that is wrong is on a slot in use all the same: it differs from the tag in one bit.
                if { self.slot((at, index))?.key }.same(key) {
                    return Some((at, index));
                }
                hits &= hits.wrapping_sub(1);
            }
            if control >> SPILL_SHIFT == 0 {
                return None;
            }
            at = self.next(at);
        }
        None
    }
}

/// Returns the slots that have a tag.
fn in_use<'a, K>(controls: &'a [u64], slots: &'a [Slots<K>]) -> impl Iterator<Item = &'a Slot<K>> {
    controls.iter().zip(slots).flat_map(|(&control, slots)| {
        let used = move |(index, slot)| (byte(control, index) != 0).then_some(slot);
        slots.iter().enumerate().filter_map(used)
    })
}

#[inline]
const fn tag(hash: u64) -> u64 {
    hash & 0x7F | 0x80
}

/// Marks bytes (of the lower seven) that equal those of `splat`; may mark a byte above a true hit as well.
#[inline]
const fn equal_bytes(control: u64, splat: u64) -> u64 {
    let difference = control ^ splat;
    difference.wrapping_sub(EACH) & !difference & HIGH
}

/// Returns the first slot marked; without a mark, one that no group has.
#[inline]
const fn first_of(hits: u64) -> usize {
    (hits.trailing_zeros() / 8) as usize
}

#[inline]
const fn byte(control: u64, index: usize) -> u64 {
    control >> (index * 8) & 0xFF
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Random;
    use crate::store::Heap;
    use std::collections::HashMap;

    /// A key whose hash is chosen by the test.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    struct Chosen {
        hash: u64,
        number: u32,
    }

    impl Key for Chosen {
        fn hash(&self, _: u64) -> u64 {
            self.hash
        }

        fn same(&self, other: &Self) -> bool {
            self == other
        }
    }

    fn agrees_with_a_map(seed: u64, hashes: &[u64], keys: u32) {
        let mut random = Random::new(seed);
        let mut pool = Pool::new(Heap, usize::MAX);
        let mut table = Table::<Chosen, Heap>::new(&pool, 0);
        let mut map = HashMap::new();
        for id in 0..4000 {
            let number = random.below(keys as usize) as u32;
            let hash = hashes[number as usize % hashes.len()];
            let key = Chosen { hash, number };
            assert_eq!(table.find(&key), map.get(&key).copied().unwrap_or(NONE));
            match (map.contains_key(&key), random.below(3)) {
                (false, _) => {
                    table.reserve_one(&mut pool).expect("memory");
                    table.insert(key, id);
                    map.insert(key, id);
                }
                (true, 0) => {
                    table.replace(&key, id);
                    map.insert(key, id);
                }
                (true, _) => {
                    table.remove(&key);
                    map.remove(&key);
                }
            }
            assert_eq!(table.len(), map.len());
        }
        for (key, id) in map {
            assert_eq!(table.find(&key), id);
            table.remove(&key);
        }
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn it_agrees_with_a_map() {
        let mut random = Random::new(1);
        let hashes: Vec<u64> = (0..512).map(|_| random.word()).collect();
        agrees_with_a_map(2, &hashes, 512);
        agrees_with_a_map(3, &hashes, 20);
    }

    #[test]
    fn keys_that_collide_are_told_apart() {
        // All the same, neighbouring tags (which the byte test can confuse), and neighbouring groups at the end of the table.
        agrees_with_a_map(4, &[0], 40);
        agrees_with_a_map(5, &[0x80, 0x81, 0x01, 0x00], 60);
        agrees_with_a_map(6, &[u64::MAX, u64::MAX << 32, 0], 600);
    }

    #[test]
    fn a_group_overflowed_too_often_to_count_still_works() {
        let mut pool = Pool::new(Heap, usize::MAX);
        let mut table = Table::<Chosen, Heap>::new(&pool, 0);
        let key = |number| Chosen { hash: 0, number };
        for number in 0..1000 {
            table.reserve_one(&mut pool).expect("memory");
            table.insert(key(number), number);
        }
        for number in 0..1000 {
            assert_eq!(table.find(&key(number)), number);
            table.remove(&key(number));
            assert_eq!(table.find(&key(number)), NONE);
        }
    }

    #[test]
    fn growth_that_fails_changes_nothing() {
        let mut pool = Pool::new(Heap, 1000);
        let mut table = Table::<u32, Heap>::new(&pool, 0);
        let mut count = 0;
        while table.reserve_one(&mut pool).is_ok() {
            table.insert(count, count);
            count += 1;
        }
        assert!(count > 20 && pool.used() <= 1000);
        for key in 0..count {
            assert_eq!(table.find(&key), key);
        }
    }
}
