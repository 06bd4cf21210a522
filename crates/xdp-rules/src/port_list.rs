//! Rules with port sets for any address: the sets in the order of their rules.
//!
//! As with [addresses](crate::port_sets), one set after the other has to be asked, so that what matters is that nothing else is
//! done: what is asked lies side by side.

use crate::NONE;
use crate::arena::{Arena, Ring};
use crate::index::{Index, rename_key, renamed};
use crate::pattern::{PortSet, any_udp_ports};
use crate::port_sets::halves;
use crate::store::{Buffer, OutOfMemory, Pool, Store};
use crate::table::Table;
use xdp_abi::Port;

/// Sets that are asked at once.
const AT_ONCE: usize = 8;

pub(crate) struct PortList<P, S: Store> {
    /// For each set the earliest of its rules, in order.
    heads: S::Buf<u32>,
    /// The sets, in the same order.
    sets: S::Buf<P>,
    /// From the identity of a set's memory to the earliest of its rules.
    identities: Table<[u32; 2], S>,
    /// The earliest rule.
    head: u32,
}

impl<P: PortSet, S: Store> PortList<P, S> {
    pub(crate) fn new(pool: &Pool<S>, seed: u64) -> Self {
        Self {
            heads: pool.buffer(),
            sets: pool.buffer(),
            identities: Table::new(pool, seed),
            head: NONE,
        }
    }

    /// Tells whether more than one set may have to be asked.
    #[inline]
    pub(crate) fn has_several(&self) -> bool {
        self.heads.len() > 1
    }

    /// Returns the earliest rule whose set has the port now, if it is earlier than `best`.
    #[inline]
    pub(crate) fn find(&self, port: Port, best: u32) -> u32 {
        if self.heads.len() >= AT_ONCE {
            return self.find_among_many(port, best);
        }
        find_in(&self.heads, &self.sets, port, best)
    }

    /// Some sets are asked at once: what they answer is hard to foresee, and their memory takes longer to answer than they
    /// take to be asked.
    #[inline(never)]
    fn find_among_many(&self, port: Port, best: u32) -> u32 {
        let (heads, last_heads) = self.heads.as_chunks::<AT_ONCE>();
        let (sets, last_sets) = self.sets.as_chunks::<AT_ONCE>();
        for (heads, sets) in heads.iter().zip(sets) {
            if heads.first().is_some_and(|&head| head >= best) {
                return best;
            }
            let answers = sets.iter().rev().fold(0u32, |answers, set| {
                answers.wrapping_add(answers) | u32::from(set.contains(port))
            });
            if let Some(&head) = heads.get(answers.trailing_zeros() as usize) {
                return best.min(head);
            }
        }
        find_in(last_heads, last_sets, port, best)
    }

    /// Takes a set out of the list; `None` if there is none with this head.
    fn take(&mut self, head: u32) -> Option<P> {
        let place = self.heads.binary_search(&head).ok()?;
        take_out(&mut self.heads, place)?;
        take_out(&mut self.sets, place)
    }

    /// Puts a set where its head belongs; there must be room.
    fn put(&mut self, head: u32, set: P) -> Result<(), OutOfMemory> {
        let place = self.heads.partition_point(|&other| other < head);
        put_in(&mut self.heads, place, head)?;
        put_in(&mut self.sets, place, set)
    }
}

/// Asks one set after the other.
#[inline]
fn find_in<P: PortSet>(heads: &[u32], sets: &[P], port: Port, best: u32) -> u32 {
    for (&head, set) in heads.iter().zip(sets) {
        if head >= best {
            break;
        }
        if set.contains(port) {
            return head;
        }
    }
    best
}

// Both are written out: rotating a slice comes with a panic.

/// Removes an element; those behind move up.
fn take_out<T, B: Buffer<T>>(list: &mut B, place: usize) -> Option<T> {
    let mut behind = list.get_mut(place..)?.iter_mut();
    let mut hole = behind.next()?;
    for next in behind {
        core::mem::swap(hole, next);
        hole = next;
    }
    list.pop()
}

/// Inserts an element; those behind move back.
fn put_in<T, B: Buffer<T>>(list: &mut B, place: usize, value: T) -> Result<(), OutOfMemory> {
    list.try_push(value)?;
    let mut behind = list.get_mut(place..).unwrap_or_default().iter_mut().rev();
    if let Some(mut last) = behind.next() {
        for before in behind {
            core::mem::swap(last, before);
            last = before;
        }
    }
    Ok(())
}

impl<P: PortSet + Clone, S: Store> Index<P, S> for PortList<P, S> {
    /// Identity of the set.
    type At = u64;

    fn reserve(&mut self, pool: &mut Pool<S>, _: u64) -> Result<(), OutOfMemory> {
        self.identities.reserve_one(pool)?;
        pool.reserve(&mut self.heads, 1)?;
        pool.reserve(&mut self.sets, 1)
    }

    fn insert<T>(
        &mut self,
        arena: &mut Arena<P, T, S>,
        _: &mut Pool<S>,
        identity: u64,
        id: u32,
    ) -> Result<(), OutOfMemory> {
        let key = halves(identity);
        match self.identities.find(&key) {
            NONE => {
                if let Some(set) = arena.pattern(id).and_then(any_udp_ports) {
                    self.put(id, set.clone())?;
                    self.identities.insert(key, id);
                }
            }
            head => {
                arena.join(Ring::Same, head, id);
            }
        }
        self.head = arena.join(Ring::Peers, self.head, id);
        Ok(())
    }

    fn remove<T>(&mut self, arena: &mut Arena<P, T, S>, identity: u64, id: u32) {
        self.head = arena.leave(Ring::Peers, self.head, id);
        let key = halves(identity);
        let head = self.identities.find(&key);
        let next = arena.leave(Ring::Same, head, id);
        if next == head {
            return;
        }
        let set = self.take(head);
        if next == NONE {
            self.identities.remove(&key);
            return;
        }
        self.identities.replace(&key, next);
        // There is room: one was taken out.
        let _room = set.map(|set| self.put(next, set));
    }

    fn head(&self) -> u32 {
        self.head
    }

    fn rename(&mut self, identity: u64, old: u32, new: u32) {
        if let Ok(place) = self.heads.binary_search(&old)
            && let Some(head) = self.heads.get_mut(place)
        {
            *head = new;
        }
        rename_key(&mut self.identities, &halves(identity), old, new);
        renamed(&mut self.head, old, new);
    }
}
