//! Rules with port sets: for each address the sets that rules with this address have, in the order of the rules.
//!
//! Sets change under our eyes, so nothing can be computed from their contents: a search has to ask one set after the other until
//! one holds the port. Rules that share the address and the memory of the set are one to a search.

use crate::NONE;
use crate::arena::{Arena, Ring};
use crate::hash::Key;
use crate::store::{Buffer, OutOfMemory, Pool, Store};
use crate::table::Table;

/// A set, in the chain of its address.
#[derive(Clone, Copy)]
struct Set {
    /// The earliest of the rules with this address and set.
    head: u32,
    next: u32,
    previous: u32,
}

/// The chain of an address.
#[derive(Clone, Copy)]
struct Chain {
    first: u32,
    last: u32,
}

pub(crate) struct PortSets<K, S: Store> {
    /// From an address to its chain.
    addresses: Table<K, S>,
    /// From a chain and the identity of a set to the set.
    identities: Table<[u32; 3], S>,
    chains: S::Buf<Chain>,
    sets: S::Buf<Set>,
    unused_chain: u32,
    unused_set: u32,
    /// The earliest rule.
    pub(crate) head: u32,
}

impl<K: Key, S: Store> PortSets<K, S> {
    pub(crate) fn new(pool: &Pool<S>, seed: u64) -> Self {
        Self {
            addresses: Table::new(pool, seed),
            identities: Table::new(pool, seed),
            chains: pool.buffer(),
            sets: pool.buffer(),
            unused_chain: NONE,
            unused_set: NONE,
            head: NONE,
        }
    }

    /// Returns the earliest rule at `address` whose set, as `holds` tells, has the port, if it is earlier than `best`.
    #[inline]
    pub(crate) fn find(&self, address: &K, best: u32, holds: impl FnMut(u32) -> bool) -> u32 {
        self.find_in(self.addresses.find(address), best, holds)
    }

    /// Does the same where all rules have the same address: there is only one chain.
    #[inline]
    pub(crate) fn find_only(&self, best: u32, holds: impl FnMut(u32) -> bool) -> u32 {
        self.find_in(0, best, holds)
    }

    #[inline]
    fn find_in(&self, chain: u32, best: u32, mut holds: impl FnMut(u32) -> bool) -> u32 {
        let Some(chain) = self.chains.get(chain as usize) else {
            return best;
        };
        let mut next = chain.first;
        for _ in 0..self.sets.len() {
            let Some(set) = self.sets.get(next as usize) else {
                return best;
            };
            if set.head >= best {
                return best;
            }
            if holds(set.head) {
                return set.head;
            }
            next = set.next;
        }
        best
    }

    pub(crate) fn reserve_one(&mut self, pool: &mut Pool<S>) -> Result<(), OutOfMemory> {
        self.addresses.reserve_one(pool)?;
        self.identities.reserve_one(pool)?;
        pool.reserve(&mut self.chains, 1)?;
        pool.reserve(&mut self.sets, 1)
    }

    /// Adds the newest rule; room must have been reserved.
    pub(crate) fn insert<P, T>(
        &mut self,
        arena: &mut Arena<P, T, S>,
        (address, identity): (K, u64),
        id: u32,
    ) -> Result<(), OutOfMemory> {
        let chain = match self.addresses.find(&address) {
            NONE => {
                let empty = Chain {
                    first: NONE,
                    last: NONE,
                };
                let chain = take(&mut self.chains, &mut self.unused_chain, empty, |c| c.first)?;
                self.addresses.insert(address, chain);
                chain
            }
            chain => chain,
        };
        let key = identity_key(chain, identity);
        let set = self.identities.find(&key);
        if let Some(set) = self.sets.get(set as usize) {
            arena.join(Ring::Same, set.head, id);
        } else {
            let previous = self.chains.get(chain as usize).map_or(NONE, |c| c.last);
            let set = Set {
                head: id,
                next: NONE,
                previous,
            };
            let set = take(&mut self.sets, &mut self.unused_set, set, |s| s.next)?;
            self.identities.insert(key, set);
            self.connect(chain, previous, set);
            self.connect(chain, set, NONE);
        }
        self.head = arena.join(Ring::Peers, self.head, id);
        Ok(())
    }

    /// Removes a rule.
    pub(crate) fn remove<P, T>(
        &mut self,
        arena: &mut Arena<P, T, S>,
        (address, identity): (K, u64),
        id: u32,
    ) {
        self.head = arena.leave(Ring::Peers, self.head, id);
        let chain = self.addresses.find(&address);
        let key = identity_key(chain, identity);
        let index = self.identities.find(&key);
        let Some(set) = self.sets.get_mut(index as usize) else {
            return;
        };
        let head = arena.leave(Ring::Same, set.head, id);
        if head == set.head {
            return;
        }
        set.head = head;
        let Set { next, previous, .. } = *set;
        self.connect(chain, previous, next);
        if head == NONE {
            self.identities.remove(&key);
            give(&mut self.sets, &mut self.unused_set, index, |s| &mut s.next);
            let is_empty = |chain: &Chain| chain.first == NONE;
            if self.chains.get(chain as usize).is_some_and(is_empty) {
                self.addresses.remove(&address);
                let unused = &mut self.unused_chain;
                give(&mut self.chains, unused, chain, |c| &mut c.first);
            }
            return;
        }
        // The next rule with this set takes over, which may come behind rules with other sets.
        let (mut before, mut behind) = (previous, next);
        while let Some(set) = self.sets.get(behind as usize)
            && set.head < head
        {
            before = behind;
            behind = set.next;
        }
        self.connect(chain, before, index);
        self.connect(chain, index, behind);
    }

    /// Makes two sets neighbours; [`NONE`] is an end of the chain.
    fn connect(&mut self, chain: u32, left: u32, right: u32) {
        match self.sets.get_mut(left as usize) {
            Some(set) => set.next = right,
            None => {
                if let Some(chain) = self.chains.get_mut(chain as usize) {
                    chain.first = right;
                }
            }
        }
        match self.sets.get_mut(right as usize) {
            Some(set) => set.previous = left,
            None => {
                if let Some(chain) = self.chains.get_mut(chain as usize) {
                    chain.last = left;
                }
            }
        }
    }

    /// Renames every rule.
    pub(crate) fn relabel(&mut self, rename: impl Fn(u32) -> u32) {
        // Unused sets hold stale numbers, for which any name will do.
        for set in self.sets.iter_mut() {
            set.head = rename(set.head);
        }
        self.head = rename(self.head);
    }
}

fn identity_key(chain: u32, identity: u64) -> [u32; 3] {
    [chain, identity as u32, (identity >> 32) as u32]
}

/// Takes an unused element, or appends one.
fn take<T, B: Buffer<T>>(
    list: &mut B,
    unused: &mut u32,
    value: T,
    next: fn(&T) -> u32,
) -> Result<u32, OutOfMemory> {
    let index = *unused;
    if let Some(place) = list.get_mut(index as usize) {
        *unused = next(place);
        *place = value;
        return Ok(index);
    }
    list.try_push(value)?;
    Ok((list.len() as u32).wrapping_sub(1))
}

/// Gives an element back.
fn give<T, B: Buffer<T>>(list: &mut B, unused: &mut u32, index: u32, next: fn(&mut T) -> &mut u32) {
    if let Some(place) = list.get_mut(index as usize) {
        *next(place) = core::mem::replace(unused, index);
    }
}
