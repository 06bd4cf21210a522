//! The tree against a list of prefixes.

use super::Prefixes;
use super::node::WIDEST;
use crate::NONE;
use crate::address::{Address, V6};
use crate::oracle::Random;
use crate::store::{Heap, OutOfMemory, Pool};
use std::collections::BTreeMap;

trait Sample: Address + std::fmt::Debug + Ord {
    fn sample(random: &mut Random) -> Self;

    /// Returns the first byte of this followed by the rest of `other`.
    fn with_low(self, other: Self) -> Self {
        let mut mixed = other;
        for position in 0..8 {
            if mixed.bits(position, 1) != self.bits(position, 1) {
                mixed = mixed.flipped(position);
            }
        }
        mixed
    }

    fn flipped(self, position: u32) -> Self;
}

impl Sample for u32 {
    fn sample(random: &mut Random) -> Self {
        random.word() as Self
    }

    fn flipped(self, position: u32) -> Self {
        self ^ 1 << (31 - position)
    }
}

impl PartialOrd for V6 {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for V6 {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.high, self.low).cmp(&(other.high, other.low))
    }
}

impl Sample for V6 {
    fn sample(random: &mut Random) -> Self {
        Self {
            high: random.word(),
            low: random.word(),
        }
    }

    fn flipped(self, position: u32) -> Self {
        let high = self.high ^ 1 << (63 - position);
        Self { high, ..self }
    }
}

/// An address near others: shares a beginning of any length with one of them.
fn near<A: Sample>(random: &mut Random, others: &[A]) -> A {
    let fresh = A::sample(random);
    if others.is_empty() || random.one_in(8) {
        return fresh;
    }
    let other = random.pick(others);
    let len = random.below(A::BITS as usize + 1) as u32;
    let mut mixed = other.and(A::mask(len));
    for position in len..A::BITS {
        mixed = mixed.with_bits(position, 1, fresh.bits(position, 1));
    }
    mixed
}

fn agrees_with_a_list<A: Sample>(seed: u64, most: usize) {
    let mut random = Random::new(seed);
    let mut pool = Pool::new(Heap, usize::MAX);
    let mut tree = Prefixes::<A, Heap>::new(&pool);
    let mut list: BTreeMap<(A, u32), u32> = BTreeMap::new();
    let mut addresses: Vec<A> = Vec::new();
    let mut next = 0;
    for round in 0..most * 3 {
        let grow = list.len() < 4 || (list.len() < most && !random.one_in(3));
        if grow {
            let len = random.below(A::BITS as usize + 1) as u32;
            let address = near(&mut random, &addresses);
            addresses.push(address);
            let key = (address.and(A::mask(len)), len);
            let before = list.get(&key).copied();
            assert_eq!(tree.exact(key.0, len), before.unwrap_or(NONE));
            match before {
                Some(_) => tree.replace(key.0, len, next),
                None => {
                    tree.reserve_one(&mut pool).expect("memory");
                    tree.insert(&mut pool, key.0, len, next).expect("reserved");
                }
            }
            list.insert(key, next);
            next += 1;
        } else {
            let index = random.below(list.len());
            let key = *list.keys().nth(index).expect("in range");
            list.remove(&key);
            tree.remove(key.0, key.1);
            assert_eq!(tree.exact(key.0, key.1), NONE);
        }
        // A rule gets another number that no other rule's lies before.
        if round % 7 == 0
            && let Some((&(path, len), id)) = list.iter_mut().max_by_key(|(_, id)| **id)
        {
            *id += 1;
            next = next.max(*id + 1);
            tree.replace(path, len, *id);
        }
        for _ in 0..4 {
            let address = near(&mut random, &addresses);
            let expected = list
                .iter()
                .filter(|((path, len), _)| address.agrees(*path, *len))
                .map(|(_, id)| *id)
                .min();
            assert_eq!(tree.find(address), expected.unwrap_or(NONE), "{address:?}");
        }
    }
    // Nothing must be left behind that only looks empty.
    for ((path, len), _) in list {
        tree.remove(path, len);
    }
    for address in addresses {
        assert_eq!(tree.find(address), NONE);
    }
    assert!(tree.nodes.iter().all(|node| node.used == 0));
    tree.release(&mut pool);
    assert_eq!(pool.used(), 0);
}

/// Grows past every width of the wide node, then shrinks.
fn agrees_with_a_map<A: Sample>(seed: u64) {
    let mut random = Random::new(seed);
    let mut pool = Pool::new(Heap, usize::MAX);
    let mut tree = Prefixes::<A, Heap>::new(&pool);
    let mut map: BTreeMap<(A, u32), u32> = BTreeMap::new();
    let mut keys: Vec<(A, u32)> = Vec::new();
    let top = A::sample(&mut random).and(A::mask(8));
    let mut depths = Vec::new();
    for id in 0..40_000u32 {
        if id < 24_000 {
            // Most of them below one byte, short and long ones.
            let inside = !random.one_in(8);
            let sample = A::sample(&mut random);
            let len = if random.one_in(4) {
                9 + random.below(14)
            } else {
                20 + random.below(13)
            } as u32;
            let path = if inside { top.with_low(sample) } else { sample };
            let key = (path.and(A::mask(len)), len);
            if map.insert(key, id).is_some() {
                tree.replace(key.0, len, id);
            } else {
                keys.push(key);
                tree.reserve_one(&mut pool).expect("memory");
                tree.insert(&mut pool, key.0, len, id).expect("reserved");
            }
            depths.extend(tree.wide.as_ref().map(|wide| wide.depth));
        } else {
            let key = keys.swap_remove(random.below(keys.len()));
            map.remove(&key);
            tree.remove(key.0, key.1);
        }
        let address = match random.below(4) {
            0 => A::sample(&mut random),
            _ => top.with_low(A::sample(&mut random)),
        };
        let matching = (0..=A::BITS).filter_map(|len| map.get(&(address.and(A::mask(len)), len)));
        let expected = matching.min().copied().unwrap_or(NONE);
        assert_eq!(tree.find(address), expected, "{address:?} after {id}");
    }
    depths.dedup();
    assert_eq!(depths, [10, 13, WIDEST]);
}

#[test]
fn large_trees_agree_with_a_map() {
    agrees_with_a_map::<u32>(1);
    agrees_with_a_map::<V6>(2);
}

#[test]
fn ipv4_prefixes_agree_with_a_list() {
    for seed in 0..20 {
        agrees_with_a_list::<u32>(seed, 40);
    }
    agrees_with_a_list::<u32>(99, 700);
}

#[test]
fn ipv6_prefixes_agree_with_a_list() {
    for seed in 0..20 {
        agrees_with_a_list::<V6>(seed, 40);
    }
    agrees_with_a_list::<V6>(99, 700);
}

#[test]
fn a_tree_without_memory_for_its_wide_node_still_answers() {
    let mut random = Random::new(5);
    let mut pool = Pool::new(Heap, 20_000);
    let mut tree = Prefixes::<u32, Heap>::new(&pool);
    let mut added = Vec::new();
    let error = loop {
        if let Err(error) = tree.reserve_one(&mut pool) {
            break error;
        }
        let path = random.word() as u32;
        if tree.exact(path, 32) == NONE {
            let id = added.len() as u32;
            tree.insert(&mut pool, path, 32, id).expect("reserved");
            added.push(path);
        }
    };
    assert_eq!(error, OutOfMemory);
    assert!(tree.wide.is_none() && added.len() > super::WIDEN_AT);
    for (id, path) in added.iter().enumerate() {
        assert_eq!(tree.find(*path), id as u32);
    }
    assert!(pool.used() <= 20_000);
}
