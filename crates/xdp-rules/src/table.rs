//! A hash table from short keys to rules, or to other small things.
//!
//! Seven slots form a group. A group's control word holds a tag byte for each slot (0 means free) and, in the top byte, how
//! many keys wanted this group, found it full and went on. A search therefore ends at the first group that nothing has
//! overflowed, removing leaves no tombstones, and a miss usually costs one load. The control words lie together, apart from the
//! slots: two and a half bytes for each key, so that those of all tables stay in the caches near the processor. What has no rule
//! in a table costs no more than that, and what has one touches one cache line besides.

use crate::NONE;
use crate::hash::Key;
use crate::store::{OutOfMemory, Pool, Store};
use core::num::NonZero;

const WIDTH: usize = 7;
/// Keys for each group on average at which the table grows.
const FULL: usize = 4;
const EACH: u64 = 0x0001_0101_0101_0101;
const HIGH: u64 = 0x0080_8080_8080_8080;
const SPILL_SHIFT: u32 = 56;
/// An overflow count that has reached its end no longer says how many: it stays.
const SPILL_MAX: u64 = 0xFF;

/// What a key leads to.
pub(crate) trait Value: Copy {
    /// What a key leads to that is not there.
    const NOTHING: Self;

    /// Tells whether this is [`Value::NOTHING`].
    fn is_nothing(&self) -> bool;
}

/// The number of a rule, or of something else.
impl Value for u32 {
    const NOTHING: Self = NONE;

    #[inline]
    fn is_nothing(&self) -> bool {
        *self == NONE
    }
}

/// Packed, so that a key of eight-byte words leaves no gap behind the value.
#[derive(Clone, Copy)]
#[repr(C, packed(4))]
struct Slot<K, V> {
    key: K,
    value: V,
}

impl<K: Key, V: Value> Slot<K, V> {
    /// What is not in use.
    fn free() -> Self {
        Self {
            key: K::default(),
            value: V::NOTHING,
        }
    }

    #[inline(always)]
    fn has(&self, key: &K) -> bool {
        { self.key }.same(key)
    }
}

/// Where a key may be.
enum Likely {
    /// It is not there.
    Nowhere,
    /// Not in its own group, which had no room when it or others came.
    Further,
    /// Here, or in another slot.
    At(usize),
}

pub(crate) struct Table<K, S: Store, V: Value = u32> {
    /// One for each group.
    controls: S::Buf<u64>,
    /// Those of the first group, then those of the second, and so on.
    slots: S::Buf<Slot<K, V>>,
    len: usize,
    seed: u64,
    /// The only slot in use, if there is only one: then nothing has to be hashed.
    only: Slot<K, V>,
}

impl<K: Key, V: Value, S: Store> Table<K, S, V> {
    pub(crate) fn new(pool: &Pool<S>, seed: u64) -> Self {
        Self {
            controls: pool.buffer(),
            slots: pool.buffer(),
            len: 0,
            seed,
            only: Slot::free(),
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the value for `key`, or [`Value::NOTHING`].
    #[inline]
    pub(crate) fn find(&self, key: &K) -> V {
        if let Some(value) = self.find_only(key) {
            return value;
        }
        self.find_hashed(key, self.hash(key))
    }

    /// Does the same where there is one key or none.
    #[inline]
    pub(crate) fn find_only(&self, key: &K) -> Option<V> {
        (self.len == 1).then(|| {
            if self.only.has(key) {
                self.only.value
            } else {
                V::NOTHING
            }
        })
    }

    #[inline]
    pub(crate) fn hash(&self, key: &K) -> u64 {
        key.hash(self.seed)
    }

    /// Does the same as [`Table::find`] with the key's hash known, where there are two keys or more.
    #[inline]
    pub(crate) fn find_hashed(&self, key: &K, hash: u64) -> V {
        match self.find_soon(key, hash) {
            Some(value) => value,
            None => self.find_further(*key, hash),
        }
    }

    /// Does what is nearly always enough, without a loop: nothing is like the key, or the first that is like it is it. Else the
    /// answer is `None`, and [`Table::find_further`] has to be asked.
    #[inline]
    pub(crate) fn find_soon(&self, key: &K, hash: u64) -> Option<V> {
        match self.likely(hash) {
            Likely::Nowhere => Some(V::NOTHING),
            Likely::Further => None,
            Likely::At(spot) => {
                let slot = self.slots.get(spot)?;
                slot.has(key).then_some(slot.value)
            }
        }
    }

    /// Says what the control word of a hash's group does.
    #[inline(always)]
    fn likely(&self, hash: u64) -> Likely {
        let home = self.home(hash);
        let Some(&control) = self.controls.get(home) else {
            return Likely::Nowhere;
        };
        match NonZero::new(with_tag(control, tag(hash))) {
            Some(hits) => Likely::At(spot(home, (hits.trailing_zeros() / 8) as usize)),
            None if control >> SPILL_SHIFT == 0 => Likely::Nowhere,
            None => Likely::Further,
        }
    }

    /// The key comes by value: a reference would force it into memory before it is known whether this is called.
    #[cold]
    #[inline(never)]
    pub(crate) fn find_further(&self, key: K, hash: u64) -> V {
        let at = self.locate_hashed(&key, hash);
        let slot = at.and_then(|(group, index)| self.slots.get(spot(group, index)));
        slot.map_or(V::NOTHING, |slot| slot.value)
    }

    /// Returns where the slot of a key most likely is, or [`NONE`] if there is none: without a look at the slot, which may be far
    /// away.
    #[inline(always)]
    pub(crate) fn likely_spot(&self, key: &K) -> u32 {
        match self.likely(self.hash(key)) {
            Likely::Nowhere => NONE,
            Likely::Further => self.other_spot(*key),
            Likely::At(spot) => spot as u32,
        }
    }

    /// Tells whether the slot that most likely was the one of a key has another key.
    #[inline(always)]
    pub(crate) fn is_other(&self, spot: u32, key: &K) -> bool {
        matches!(self.slots.get(spot as usize), Some(slot) if !slot.has(key))
    }

    /// Returns where the slot of a key is that is not where it most likely is, or [`NONE`].
    #[cold]
    #[inline(never)]
    pub(crate) fn other_spot(&self, key: K) -> u32 {
        let at = self.locate(&key);
        at.map_or(NONE, |(group, index)| spot(group, index) as u32)
    }

    /// Returns the value in a slot; there may be no such slot.
    #[inline(always)]
    pub(crate) fn at(&self, spot: u32) -> Option<V> {
        self.slots.get(spot as usize).map(|slot| slot.value)
    }

    /// Returns the group that a hash wants; there may be none.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        scale(hash, self.controls.len())
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
        in_use(&self.slots).map(|slot| slot.key)
    }

    /// Changes the value for a key that is there.
    pub(crate) fn replace(&mut self, key: &K, value: V) {
        if let Some((group, index)) = self.locate(key)
            && let Some(slot) = self.slots.get_mut(spot(group, index))
        {
            slot.value = value;
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
        if groups >= NONE as usize / WIDTH {
            return Err(OutOfMemory);
        }
        let controls = pool.filled(groups, 0)?;
        let slots = match pool.filled(spot(groups, 0), Slot::free()) {
            Ok(slots) => slots,
            Err(error) => {
                pool.release(controls);
                return Err(error);
            }
        };
        let controls = core::mem::replace(&mut self.controls, controls);
        let slots = core::mem::replace(&mut self.slots, slots);
        self.len = 0;
        for slot in in_use(&slots) {
            self.insert(slot.key, slot.value);
        }
        pool.release(controls);
        pool.release(slots);
        Ok(())
    }

    /// Adds a key that is not there; room must have been reserved.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        let hash = self.hash(&key);
        let mut group = self.home(hash);
        for _ in 0..self.controls.len() {
            let next = self.next(group);
            let Some(control) = self.controls.get_mut(group) else {
                return;
            };
            let free = !*control & HIGH;
            if free != 0
                && let Some(slot) = self.slots.get_mut(spot(group, first_of(free)))
            {
                *slot = Slot { key, value };
                *control |= tag(hash) << (first_of(free) * 8);
                self.len = self.len.wrapping_add(1);
                self.only = *slot;
                return;
            }
            if *control >> SPILL_SHIFT != SPILL_MAX {
                *control = control.wrapping_add(1 << SPILL_SHIFT);
            }
            group = next;
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
        if let (Some(control), Some(slot)) = (
            self.controls.get_mut(home),
            self.slots.get_mut(spot(home, index)),
        ) {
            *control &= !(0xFF << (index * 8));
            *slot = Slot::free();
            self.len = self.len.wrapping_sub(1);
        }
        if self.len == 1 {
            let last = in_use(&self.slots).next().copied();
            self.only = last.unwrap_or(Slot::free());
        }
    }

    fn locate(&self, key: &K) -> Option<(usize, usize)> {
        self.locate_hashed(key, self.hash(key))
    }

    /// Returns the group and the slot of a key.
    fn locate_hashed(&self, key: &K, hash: u64) -> Option<(usize, usize)> {
        let mut group = self.home(hash);
        for _ in 0..self.controls.len() {
            let control = *self.controls.get(group)?;
            let mut hits = with_tag(control, tag(hash));
            while hits != 0 {
                let index = first_of(hits);
                if self.slots.get(spot(group, index))?.has(key) {
                    return Some((group, index));
                }
                hits &= hits.wrapping_sub(1);
            }
            if control >> SPILL_SHIFT == 0 {
                return None;
            }
            group = self.next(group);
        }
        None
    }
}

fn in_use<K: Key, V: Value>(slots: &[Slot<K, V>]) -> impl Iterator<Item = &Slot<K, V>> {
    slots.iter().filter(|slot| !{ slot.value }.is_nothing())
}

/// Returns a hash as a fraction of a length.
#[inline]
const fn scale(hash: u64, len: usize) -> usize {
    ((hash as u128).wrapping_mul(len as u128) >> 64) as usize
}

#[inline]
const fn spot(group: usize, index: usize) -> usize {
    group.wrapping_mul(WIDTH).wrapping_add(index)
}

#[inline]
const fn tag(hash: u64) -> u64 {
    hash >> 32 & 0x7F | 0x80
}

/// Marks slots that have a tag; may mark one in use above such a one as well.
#[inline]
const fn with_tag(control: u64, tag: u64) -> u64 {
    (control ^ tag.wrapping_mul(EACH)).wrapping_sub(EACH) & control & HIGH
}

/// Returns the first slot marked; without a mark, one that no group has.
#[inline]
const fn first_of(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
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

    /// Finds a key in two steps.
    fn find_by_spot(table: &Table<Chosen, Heap>, key: Chosen) -> u32 {
        let mut spot = table.likely_spot(&key);
        if table.is_other(spot, &key) {
            spot = table.other_spot(key);
        }
        table.at(spot).unwrap_or(NONE)
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
            let expected = map.get(&key).copied().unwrap_or(NONE);
            assert_eq!(table.find(&key), expected);
            assert_eq!(find_by_spot(&table, key), expected);
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
        agrees_with_a_map(5, &[0x80 << 32, 0x81 << 32, 1 << 32, 0], 60);
        agrees_with_a_map(6, &[u64::MAX, u64::MAX << 32, 0], 600);
    }

    #[test]
    fn neighbouring_addresses_are_spread_evenly() {
        let mut random = Random::new(8);
        for step in [1, 1 << 8, 1 << 16] {
            for _ in 0..8 {
                let mut pool = Pool::new(Heap, usize::MAX);
                let mut table = Table::<u32, Heap>::new(&pool, random.word());
                for id in 0..10_000u32 {
                    table.reserve_one(&mut pool).expect("memory");
                    table.insert((10u32 << 24).wrapping_add(id.wrapping_mul(step)), id);
                }
                let spills = table.controls.iter().map(|control| control >> SPILL_SHIFT);
                // 10,000 random keys would be some 150.
                let spills: u64 = spills.sum();
                assert!(spills < 100, "{spills} keys went on, {step} apart");
            }
        }
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
