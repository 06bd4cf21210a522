//! Rules with an address and a port set: for each address the sets that rules with this address have, in the order of the rules.
//!
//! Sets change under our eyes, so nothing can be computed from their contents: a search has to ask one set after the other until
//! one holds the port. Rules that share the address and the memory of the set are one to a search. All rules that share the
//! memory of a set, whatever their address, let one of them ask: a few sets that many rules use stay in the caches.

use crate::NONE;
use crate::arena::{Arena, Ring};
use crate::hash::Key;
use crate::index::renamed;
use crate::store::{Buffer, OutOfMemory, Pool, Store};
use crate::table::Table;

/// A set at an address: what a search needs of it.
#[derive(Clone, Copy)]
struct Set {
    /// The earliest of the rules with this address and memory.
    head: u32,
    /// The next set in the chain of the address.
    next: u32,
    /// The memory.
    memory: u32,
}

/// The rest of a set.
#[derive(Clone, Copy)]
struct Links {
    /// The chain.
    chain: u32,
    /// The set before this one in the chain.
    previous: u32,
    /// Neighbours in the ring of sets with this memory.
    next_kin: u32,
    previous_kin: u32,
}

/// The sets at an address, in the order of their rules.
#[derive(Clone, Copy)]
struct Chain {
    first: u32,
    last: u32,
}

/// Memory that holds ports.
#[derive(Clone, Copy)]
struct Memory {
    /// The rule that asks: head of `set`.
    rule: u32,
    /// One of the sets with this memory.
    set: u32,
}

pub(crate) struct PortSets<K, S: Store> {
    /// From an address to the first set of its chain.
    addresses: Table<K, S>,
    /// From the identity of a memory to the memory.
    identities: Table<[u32; 2], S>,
    /// From a chain and a memory to the set, for all sets but the first ones of chains: most chains have no other.
    places: Table<[u32; 2], S>,
    chains: S::Buf<Chain>,
    sets: S::Buf<Set>,
    /// One for each set.
    links: S::Buf<Links>,
    memories: S::Buf<Memory>,
    unused_chain: u32,
    unused_set: u32,
    unused_memory: u32,
    /// The earliest rule.
    pub(crate) head: u32,
}

impl<K: Key, S: Store> PortSets<K, S> {
    pub(crate) fn new(pool: &Pool<S>, seed: u64) -> Self {
        Self {
            addresses: Table::new(pool, seed),
            identities: Table::new(pool, seed),
            places: Table::new(pool, seed),
            chains: pool.buffer(),
            sets: pool.buffer(),
            links: pool.buffer(),
            memories: pool.buffer(),
            unused_chain: NONE,
            unused_set: NONE,
            unused_memory: NONE,
            head: NONE,
        }
    }

    /// Returns the first set of an address, or [`NONE`].
    #[inline]
    pub(crate) fn first(&self, address: &K) -> u32 {
        self.addresses.find(address)
    }

    /// Returns the earliest rule of a set and those behind it whose set has the port, if it is earlier than `best`. `holds` tells
    /// whether the set of a rule has it.
    #[inline]
    pub(crate) fn find_from(&self, first: u32, best: u32, holds: impl Fn(u32) -> bool) -> u32 {
        let mut next = first;
        // There is no end of the chain that is not found before.
        for _ in 0..self.sets.len() {
            let Some(set) = self.sets.get(next as usize) else {
                return best;
            };
            if set.head >= best {
                return best;
            }
            let memory = self.memories.get(set.memory as usize);
            if memory.is_some_and(|memory| holds(memory.rule)) {
                return set.head;
            }
            next = set.next;
        }
        best
    }

    pub(crate) fn reserve_one(
        &mut self,
        pool: &mut Pool<S>,
        address: &K,
    ) -> Result<(), OutOfMemory> {
        self.addresses.reserve_one(pool)?;
        self.identities.reserve_one(pool)?;
        if self.addresses.find(address) != NONE {
            self.places.reserve_one(pool)?;
        }
        pool.reserve(&mut self.chains, 1)?;
        pool.reserve(&mut self.sets, 1)?;
        pool.reserve(&mut self.links, 1)?;
        pool.reserve(&mut self.memories, 1)
    }

    /// Adds the newest rule; room must have been reserved.
    pub(crate) fn insert<P, T>(
        &mut self,
        arena: &mut Arena<P, T, S>,
        (address, identity): (K, u64),
        id: u32,
    ) -> Result<(), OutOfMemory> {
        let chain = match self.links.get(self.addresses.find(&address) as usize) {
            Some(first) => first.chain,
            None => {
                let empty = Chain {
                    first: NONE,
                    last: NONE,
                };
                take(&mut self.chains, &mut self.unused_chain, empty, |c| c.first)?
            }
        };
        let memory = self.memory(identity, id)?;
        let set = self.set_of(chain, memory);
        if let Some(set) = self.sets.get(set as usize) {
            arena.join(Ring::Same, set.head, id);
        } else {
            let previous = self.chains.get(chain as usize).map_or(NONE, |c| c.last);
            let set = Set {
                head: id,
                next: NONE,
                memory,
            };
            let links = Links {
                chain,
                previous,
                next_kin: NONE,
                previous_kin: NONE,
            };
            let set = take(&mut self.sets, &mut self.unused_set, set, |s| s.next)?;
            match self.links.get_mut(set as usize) {
                Some(place) => *place = links,
                None => self.links.try_push(links)?,
            }
            self.connect(chain, previous, set);
            self.connect(chain, set, NONE);
            if previous == NONE {
                self.addresses.insert(address, set);
            } else {
                self.places.insert([chain, memory], set);
            }
            self.join_kin(memory, set);
        }
        self.head = arena.join(Ring::Peers, self.head, id);
        Ok(())
    }

    /// Returns the set of a chain that has a memory.
    fn set_of(&self, chain: u32, memory: u32) -> u32 {
        let first = self.chains.get(chain as usize).map_or(NONE, |c| c.first);
        if self.memory_of(first) == memory {
            first
        } else {
            self.places.find(&[chain, memory])
        }
    }

    /// Returns the memory of a set.
    fn memory_of(&self, set: u32) -> u32 {
        self.sets.get(set as usize).map_or(NONE, |set| set.memory)
    }

    /// Returns the memory with an identity; if it is new, `id` asks it.
    fn memory(&mut self, identity: u64, id: u32) -> Result<u32, OutOfMemory> {
        let key = halves(identity);
        match self.identities.find(&key) {
            NONE => {
                let memory = Memory {
                    rule: id,
                    set: NONE,
                };
                let unused = &mut self.unused_memory;
                let memory = take(&mut self.memories, unused, memory, |m| m.set)?;
                self.identities.insert(key, memory);
                Ok(memory)
            }
            memory => Ok(memory),
        }
    }

    /// Removes a rule.
    pub(crate) fn remove<P, T>(
        &mut self,
        arena: &mut Arena<P, T, S>,
        (address, identity): (K, u64),
        id: u32,
    ) {
        self.head = arena.leave(Ring::Peers, self.head, id);
        let first = self.addresses.find(&address);
        let memory = self.identities.find(&halves(identity));
        let Some(&Links { chain, .. }) = self.links.get(first as usize) else {
            return;
        };
        let index = self.set_of(chain, memory);
        let (Some(set), Some(&Links { previous, .. })) = (
            self.sets.get_mut(index as usize),
            self.links.get(index as usize),
        ) else {
            return;
        };
        let head = arena.leave(Ring::Same, set.head, id);
        if head == set.head {
            return;
        }
        set.head = head;
        let next = set.next;
        self.connect(chain, previous, next);
        if head == NONE {
            self.places.remove(&[chain, memory]);
            self.leave_kin(identity, memory, index);
            give(&mut self.sets, &mut self.unused_set, index, |s| &mut s.next);
        } else {
            if let Some(memory) = self.memories.get_mut(memory as usize)
                && memory.set == index
            {
                memory.rule = head;
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
        match self.chains.get(chain as usize).map_or(NONE, |c| c.first) {
            NONE => {
                self.addresses.remove(&address);
                let unused = &mut self.unused_chain;
                give(&mut self.chains, unused, chain, |c| &mut c.first);
            }
            now if now != first => {
                self.addresses.replace(&address, now);
                // The one that was first takes the place of the one that is now, if it is still there.
                self.places.remove(&[chain, self.memory_of(now)]);
                if head != NONE {
                    self.places.insert([chain, memory], first);
                }
            }
            _ => {}
        }
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
        match self.links.get_mut(right as usize) {
            Some(links) => links.previous = left,
            None => {
                if let Some(chain) = self.chains.get_mut(chain as usize) {
                    chain.last = left;
                }
            }
        }
    }

    /// Adds a set to the ring of those with its memory.
    fn join_kin(&mut self, memory: u32, index: u32) {
        let Some(memory) = self.memories.get_mut(memory as usize) else {
            return;
        };
        let Some(after) = self.links.get(memory.set as usize).map(|set| set.next_kin) else {
            memory.set = index;
            self.make_kin(index, index);
            return;
        };
        let before = memory.set;
        self.make_kin(before, index);
        self.make_kin(index, after);
    }

    /// Takes a set out of the ring of those with its memory, and forgets the memory when it was the last one.
    fn leave_kin(&mut self, identity: u64, index: u32, set: u32) {
        let (Some(memory), Some(&links)) = (
            self.memories.get_mut(index as usize),
            self.links.get(set as usize),
        ) else {
            return;
        };
        let Links {
            next_kin,
            previous_kin,
            ..
        } = links;
        if next_kin == set {
            self.identities.remove(&halves(identity));
            let unused = &mut self.unused_memory;
            give(&mut self.memories, unused, index, |m| &mut m.set);
            return;
        }
        if memory.set == set {
            memory.set = next_kin;
            memory.rule = self.sets.get(next_kin as usize).map_or(NONE, |s| s.head);
        }
        self.make_kin(previous_kin, next_kin);
    }

    fn make_kin(&mut self, left: u32, right: u32) {
        if let Some(links) = self.links.get_mut(left as usize) {
            links.next_kin = right;
        }
        if let Some(links) = self.links.get_mut(right as usize) {
            links.previous_kin = left;
        }
    }

    /// Gives a rule another number, with no rule's number between the two.
    pub(crate) fn rename(&mut self, (address, identity): (K, u64), old: u32, new: u32) {
        renamed(&mut self.head, old, new);
        let memory = self.identities.find(&halves(identity));
        let Some(first) = self.links.get(self.addresses.find(&address) as usize) else {
            return;
        };
        let set = self.set_of(first.chain, memory);
        if let Some(set) = self.sets.get_mut(set as usize) {
            renamed(&mut set.head, old, new);
        }
        if let Some(memory) = self.memories.get_mut(memory as usize) {
            renamed(&mut memory.rule, old, new);
        }
    }
}

/// Returns the identity of a set's memory as a key.
pub(crate) fn halves(identity: u64) -> [u32; 2] {
    [identity as u32, (identity >> 32) as u32]
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
