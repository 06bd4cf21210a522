//! Rules with an address and a port set: for each address the sets that rules with this address have, in the order of the rules.
//!
//! Sets change under our eyes, so nothing can be computed from their contents: a search has to ask one set after the other until
//! one holds the port. Rules that share the address and the memory of the set are one to a search. All rules that share the
//! memory of a set, whatever their address, ask it in one place: a few sets that many rules use stay in the caches.

use crate::NONE;
use crate::arena::{Arena, Ring};
use crate::hash::{Key, one};
use crate::index::renamed;
use crate::pattern::{Pattern, PortSet};
use crate::store::{Buffer, OutOfMemory, Pool, Store};
use crate::table::{Table, Value};
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

/// What an address leads to: its first set, as far as a search needs it. Most addresses have no other.
#[derive(Clone, Copy)]
pub(crate) struct First {
    /// As in the set.
    head: u32,
    /// As in the set.
    memory: u32,
    /// The set; with [`First::AND_OTHERS`] if there are others behind it.
    set: u32,
}

impl First {
    /// There are not more sets than rules, and fewer rules than this.
    const AND_OTHERS: u32 = 1 << 31;

    const fn set(self) -> u32 {
        if self.set == NONE {
            NONE
        } else {
            self.set & !Self::AND_OTHERS
        }
    }
}

impl Value for First {
    const NOTHING: Self = Self {
        head: NONE,
        memory: NONE,
        set: NONE,
    };

    #[inline]
    fn is_nothing(&self) -> bool {
        self.set == NONE
    }
}

/// A set that is not the first one of its address.
#[derive(Clone, Copy, Default)]
struct Place<K> {
    address: K,
    memory: u32,
}

impl<K: Key> Key for Place<K> {
    fn hash(&self, seed: u64) -> u64 {
        one(self.address.hash(seed), u64::from(self.memory))
    }

    fn same(&self, other: &Self) -> bool {
        self.address.same(&other.address) && self.memory == other.memory
    }
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
    addresses: Table<K, S, First>,
    /// From the identity of a memory to the memory.
    identities: Table<[u32; 2], S>,
    /// All sets but the first ones of chains: most chains have no other.
    places: Table<Place<K>, S>,
    sets: S::Buf<Set>,
    /// For each set the one before it in its chain; for the first one the last one.
    previous: S::Buf<u32>,
    memories: S::Buf<Memory<P>>,
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
            sets: pool.buffer(),
            previous: pool.buffer(),
            memories: pool.buffer(),
            unused_set: NONE,
            unused_memory: NONE,
            head: NONE,
        }
    }

    /// Returns the first set of an address.
    #[inline]
    pub(crate) fn first(&self, address: &K) -> First {
        self.addresses.find(address)
    }

    /// Returns the table that says where [`PortSets::find_at`] has an address.
    #[inline(always)]
    pub(crate) fn addresses(&self) -> &Table<K, S, First> {
        &self.addresses
    }

    /// Returns the earliest rule of the sets of an address that have a port; `None` if there is no address.
    #[inline(always)]
    pub(crate) fn find_at(&self, spot: u32, port: Port) -> Option<u32> {
        let first = self.addresses.at(spot)?;
        Some(self.find_from(first, port, NONE))
    }

    /// Returns the earliest rule of the first set of an address if the set has the port, or of those behind it.
    #[inline(always)]
    pub(crate) fn find_from(&self, first: First, port: Port, best: u32) -> u32 {
        if self.has(first.memory, port) {
            first.head
        } else if first.set & First::AND_OTHERS == 0 {
            best
        } else {
            self.find_behind(first.set(), port, best)
        }
    }

    /// Does the same for the sets behind the first one, if a rule is earlier than `best`.
    #[inline(never)]
    fn find_behind(&self, first: u32, port: Port, best: u32) -> u32 {
        let mut next = self.next(first);
        // There is no end of the chain that is not found before.
        for _ in 0..self.sets.len() {
            let Some(set) = self.sets.get(next as usize) else {
                return best;
            };
            if set.head >= best {
                return best;
            }
            if self.has(set.memory, port) {
                return set.head;
            }
            next = set.next;
        }
        best
    }

    /// Tells whether a memory has a port now.
    #[inline(always)]
    fn has(&self, memory: u32, port: Port) -> bool {
        let memory = self.memories.get(memory as usize);
        let ports = memory.and_then(|memory| memory.ports.as_ref());
        ports.is_some_and(|ports| ports.contains(port))
    }

    /// Returns the set behind a set.
    fn next(&self, set: u32) -> u32 {
        self.sets.get(set as usize).map_or(NONE, |set| set.next)
    }

    pub(crate) fn reserve_one(
        &mut self,
        pool: &mut Pool<S>,
        address: &K,
    ) -> Result<(), OutOfMemory> {
        self.addresses.reserve_one(pool)?;
        self.identities.reserve_one(pool)?;
        if !self.addresses.find(address).is_nothing() {
            self.places.reserve_one(pool)?;
        }
        pool.reserve(&mut self.sets, 1)?;
        pool.reserve(&mut self.previous, 1)?;
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
        let memory = self.memory(identity, ports)?;
        let first = self.addresses.find(&address).set();
        let set = self.set_of(address, first, memory);
        if let Some(set) = self.sets.get(set as usize) {
            arena.join(Ring::Same, set.head, id);
        } else {
            let set = Set {
                head: id,
                next: NONE,
                memory,
            };
            let set = take(&mut self.sets, &mut self.unused_set, set, |s| s.next)?;
            if self.previous.len() < self.sets.len() {
                self.previous.try_push(NONE)?;
            }
            let first = self.connect(first, self.before(first), set);
            if first == set {
                self.addresses.insert(address, self.first_at(set));
            } else {
                self.addresses.replace(&address, self.first_at(first));
                self.places.insert(Place { address, memory }, set);
            }
            if let Some(memory) = self.memories.get_mut(memory as usize) {
                memory.sets = memory.sets.wrapping_add(1);
            }
        }
        self.head = arena.join(Ring::Peers, self.head, id);
        Ok(())
    }

    /// Returns what an address leads to whose first set this is.
    fn first_at(&self, index: u32) -> First {
        let Some(&Set { head, next, memory }) = self.sets.get(index as usize) else {
            return First::NOTHING;
        };
        let set = if next == NONE {
            index
        } else {
            index | First::AND_OTHERS
        };
        First { head, memory, set }
    }

    /// Returns the set of an address that has a memory.
    fn set_of(&self, address: K, first: u32, memory: u32) -> u32 {
        if self.memory_of(first) == memory {
            first
        } else {
            self.places.find(&Place { address, memory })
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
        let first = self.addresses.find(&address).set();
        let memory = self.identities.find(&halves(identity));
        let index = self.set_of(address, first, memory);
        let Some(set) = self.sets.get_mut(index as usize) else {
            return;
        };
        let head = arena.leave(Ring::Same, set.head, id);
        if head == set.head {
            return;
        }
        set.head = head;
        let (mut now, mut before) = self.disconnect(first, index);
        if head == NONE {
            self.places.remove(&Place { address, memory });
            self.leave(identity, memory);
            give(&mut self.sets, &mut self.unused_set, index, |s| &mut s.next);
        } else {
            // The next rule with this set takes over, which may come behind rules with other sets.
            let mut behind = if before == NONE {
                now
            } else {
                self.next(before)
            };
            while let Some(set) = self.sets.get(behind as usize)
                && set.head < head
            {
                before = behind;
                behind = set.next;
            }
            now = self.connect(now, before, index);
        }
        if now == NONE {
            self.addresses.remove(&address);
            return;
        }
        self.addresses.replace(&address, self.first_at(now));
        if now != first {
            // The one that was first takes the place of the one that is now, if it is still there.
            let memory_now = self.memory_of(now);
            self.places.remove(&Place {
                address,
                memory: memory_now,
            });
            if head != NONE {
                self.places.insert(Place { address, memory }, first);
            }
        }
    }

    /// Puts a set behind another one of a chain, or, for [`NONE`], at its beginning; returns the first one.
    fn connect(&mut self, first: u32, before: u32, index: u32) -> u32 {
        let (next, last) = (self.next(before), self.before(first));
        if before == NONE {
            self.set_next(index, first);
            self.set_before(index, if first == NONE { index } else { last });
            self.set_before(first, index);
            return index;
        }
        self.set_next(before, index);
        self.set_next(index, next);
        self.set_before(index, before);
        self.set_before(if next == NONE { first } else { next }, index);
        first
    }

    /// Takes a set out of a chain. Returns the first one of the chain, and the one before the set, [`NONE`] if it was the first.
    fn disconnect(&mut self, first: u32, index: u32) -> (u32, u32) {
        let (next, before) = (self.next(index), self.before(index));
        if index == first {
            self.set_before(next, before);
            return (next, NONE);
        }
        self.set_next(before, next);
        self.set_before(if next == NONE { first } else { next }, before);
        (first, before)
    }

    /// Returns the set before a set; for the first one the last one.
    fn before(&self, set: u32) -> u32 {
        self.previous.get(set as usize).copied().unwrap_or(NONE)
    }

    fn set_before(&mut self, set: u32, before: u32) {
        if let Some(place) = self.previous.get_mut(set as usize) {
            *place = before;
        }
    }

    fn set_next(&mut self, set: u32, next: u32) {
        if let Some(set) = self.sets.get_mut(set as usize) {
            set.next = next;
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
        let first = self.addresses.find(&address).set();
        let index = self.set_of(address, first, memory);
        if let Some(set) = self.sets.get_mut(index as usize) {
            renamed(&mut set.head, old, new);
        }
        if index == first {
            self.addresses.replace(&address, self.first_at(first));
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
