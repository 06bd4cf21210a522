//! Rules with an address and a port set: for each address the sets that rules with this address have, in the order of the rules.
//!
//! Sets change under our eyes, so nothing can be computed from their contents: a search has to ask one set after the other until
//! one holds the port. Rules that share the address and the memory of the set are one to a search. All rules that share the
//! memory of a set, whatever their address, ask it in one place: a few sets that many rules use stay in the caches.

use crate::NONE;
use crate::arena::{Arena, Ring};
use crate::hash::Key;
use crate::index::renamed;
use crate::pattern::{Pattern, PortSet};
use crate::store::{Buffer, OutOfMemory, Pool, Store};
use crate::table::Table;
use xdp_abi::Port;

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
}

/// The sets at an address, in the order of their rules.
#[derive(Clone, Copy)]
struct Chain {
    first: u32,
    last: u32,
}

/// Memory that holds ports.
struct Memory<P> {
    /// How to ask it; an unused one has nothing to keep alive.
    ports: Option<P>,
    /// How many sets have it; for an unused one, which is the next.
    sets: u32,
}

pub(crate) struct PortSets<K, P, S: Store> {
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
    memories: S::Buf<Memory<P>>,
    unused_chain: u32,
    unused_set: u32,
    unused_memory: u32,
    /// The earliest rule.
    pub(crate) head: u32,
}

impl<K: Key, P: PortSet, S: Store> PortSets<K, P, S> {
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

    /// Returns the earliest rule of the first set of an address if the set has the port, or of those behind it.
    #[inline(always)]
    pub(crate) fn find_from(&self, first: u32, port: Port, best: u32) -> u32 {
        let Some(set) = self.sets.get(first as usize) else {
            return best;
        };
        if self.has(set, port) {
            return set.head;
        }
        // Most addresses have no other.
        if set.next == NONE {
            return best;
        }
        self.find_behind(set.next, port, best)
    }

    /// Does the same for the sets behind the first one, if a rule is earlier than `best`.
    #[inline(never)]
    fn find_behind(&self, second: u32, port: Port, best: u32) -> u32 {
        let mut next = second;
        // There is no end of the chain that is not found before.
        for _ in 0..self.sets.len() {
            let Some(set) = self.sets.get(next as usize) else {
                return best;
            };
            if set.head >= best {
                return best;
            }
            if self.has(set, port) {
                return set.head;
            }
            next = set.next;
        }
        best
    }

    /// Tells whether a set has a port now.
    #[inline(always)]
    fn has(&self, set: &Set, port: Port) -> bool {
        let memory = self.memories.get(set.memory as usize);
        let ports = memory.and_then(|memory| memory.ports.as_ref());
        ports.is_some_and(|ports| ports.contains(port))
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
    pub(crate) fn insert<T>(
        &mut self,
        arena: &mut Arena<P, T, S>,
        (address, identity): (K, u64),
        id: u32,
    ) -> Result<(), OutOfMemory>
    where
        P: Clone,
    {
        let ports = arena.pattern(id).and_then(Pattern::port_set).cloned();
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
        let memory = self.memory(identity, ports)?;
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
            let links = Links { chain, previous };
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
            if let Some(memory) = self.memories.get_mut(memory as usize) {
                memory.sets = memory.sets.wrapping_add(1);
            }
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

    /// Returns the memory with an identity; if it is new, no set has it.
    fn memory(&mut self, identity: u64, ports: Option<P>) -> Result<u32, OutOfMemory> {
        let key = halves(identity);
        match self.identities.find(&key) {
            NONE => {
                let memory = Memory { ports, sets: 0 };
                let unused = &mut self.unused_memory;
                let memory = take(&mut self.memories, unused, memory, |m| m.sets)?;
                self.identities.insert(key, memory);
                Ok(memory)
            }
            memory => Ok(memory),
        }
    }

    /// Removes a rule.
    pub(crate) fn remove<T>(
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
            self.leave(identity, memory);
            give(&mut self.sets, &mut self.unused_set, index, |s| &mut s.next);
        } else {
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

    /// Takes a set from a memory, and forgets the memory when it was the last one.
    fn leave(&mut self, identity: u64, index: u32) {
        let Some(memory) = self.memories.get_mut(index as usize) else {
            return;
        };
        memory.sets = memory.sets.wrapping_sub(1);
        if memory.sets == 0 {
            memory.ports = None;
            self.identities.remove(&halves(identity));
            let unused = &mut self.unused_memory;
            give(&mut self.memories, unused, index, |m| &mut m.sets);
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
