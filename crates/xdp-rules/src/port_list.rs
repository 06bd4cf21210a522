//! Rules with port sets for any address: the sets in the order of their rules.
//!
//! As with [addresses](crate::port_sets), one set after the other has to be asked, so that what matters is that nothing else is
//! done: the rules that ask lie beside each other.

use crate::NONE;
use crate::arena::{Arena, Ring};
use crate::index::{Index, rename_key, renamed};
use crate::port_sets::halves;
use crate::store::{Buffer, OutOfMemory, Pool, Store};
use crate::table::Table;

pub(crate) struct PortList<S: Store> {
    /// For each set the earliest of its rules, in order.
    heads: S::Buf<u32>,
    /// From the identity of a set's memory to the earliest of its rules.
    identities: Table<[u32; 2], S>,
    /// The earliest rule.
    head: u32,
}

impl<S: Store> PortList<S> {
    pub(crate) fn new(pool: &Pool<S>, seed: u64) -> Self {
        Self {
            heads: pool.buffer(),
            identities: Table::new(pool, seed),
            head: NONE,
        }
    }

    /// Tells whether more than one set may have to be asked.
    #[inline]
    pub(crate) fn has_several(&self) -> bool {
        self.heads.len() > 1
    }

    /// Returns for each set the earliest of its rules, in order.
    #[inline]
    pub(crate) fn heads(&self) -> &[u32] {
        &self.heads
    }

    /// Returns the earliest rule whose set, as `holds` tells, has the port, if it is earlier than `best`.
    #[inline]
    pub(crate) fn find(&self, best: u32, holds: impl Fn(u32) -> bool) -> u32 {
        let earlier = self.heads.iter().copied();
        earlier
            .take_while(|&head| head < best)
            .find(|&head| holds(head))
            .unwrap_or(best)
    }

    /// Takes a head out of the list; `None` if it is not there.
    fn take_head(&mut self, head: u32) -> Option<()> {
        let place = self.heads.binary_search(&head).ok()?;
        let behind = self.heads.get_mut(place..)?;
        // Written out: rotating a slice comes with a panic.
        let mut last = behind.last().copied()?;
        for head in behind.iter_mut().rev() {
            core::mem::swap(head, &mut last);
        }
        self.heads.pop().map(|_| ())
    }
}

impl<S: Store> Index<S> for PortList<S> {
    /// Identity of the set.
    type At = u64;

    fn reserve(&mut self, pool: &mut Pool<S>, _: u64) -> Result<(), OutOfMemory> {
        self.identities.reserve_one(pool)?;
        pool.reserve(&mut self.heads, 1)
    }

    fn insert<P, T>(
        &mut self,
        arena: &mut Arena<P, T, S>,
        _: &mut Pool<S>,
        identity: u64,
        id: u32,
    ) -> Result<(), OutOfMemory> {
        let key = halves(identity);
        match self.identities.find(&key) {
            NONE => {
                // The newest rule is the last one.
                self.heads.try_push(id)?;
                self.identities.insert(key, id);
            }
            head => {
                arena.join(Ring::Same, head, id);
            }
        }
        self.head = arena.join(Ring::Peers, self.head, id);
        Ok(())
    }

    fn remove<P, T>(&mut self, arena: &mut Arena<P, T, S>, identity: u64, id: u32) {
        self.head = arena.leave(Ring::Peers, self.head, id);
        let key = halves(identity);
        let head = self.identities.find(&key);
        let next = arena.leave(Ring::Same, head, id);
        if next == head || self.take_head(head).is_none() {
            return;
        }
        if next == NONE {
            self.identities.remove(&key);
            return;
        }
        self.identities.replace(&key, next);
        // There is room: one was taken out.
        let place = self.heads.partition_point(|&head| head < next);
        if self.heads.try_push(next).is_ok()
            && let Some(behind) = self.heads.get_mut(place..)
        {
            let mut first = next;
            for head in behind {
                core::mem::swap(head, &mut first);
            }
        }
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
