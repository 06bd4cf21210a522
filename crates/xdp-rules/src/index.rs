//! Search structures and how rules enter and leave them.

use crate::NONE;
use crate::address::Address;
use crate::arena::{Arena, Ring};
use crate::cids::{self, CidKey, Cids};
use crate::hash::Key;
use crate::pattern::{Flow, PortSet};
use crate::port_sets::PortSets;
use crate::prefix::Prefixes;
use crate::store::{OutOfMemory, Pool, Store};
use crate::table::Table;

/// A search structure for rules of one kind.
pub(crate) trait Index<P, S: Store> {
    /// Where in the structure a rule is.
    type At: Copy;

    /// Makes sure that the next insertion at `at` succeeds.
    fn reserve(&mut self, pool: &mut Pool<S>, at: Self::At) -> Result<(), OutOfMemory>;

    /// Adds the newest rule; room must have been reserved.
    fn insert<T>(
        &mut self,
        arena: &mut Arena<P, T, S>,
        pool: &mut Pool<S>,
        at: Self::At,
        id: u32,
    ) -> Result<(), OutOfMemory>;

    /// Removes a rule.
    fn remove<T>(&mut self, arena: &mut Arena<P, T, S>, at: Self::At, id: u32);

    /// Returns the earliest rule.
    fn head(&self) -> u32;

    /// Gives a rule another number, with no rule's number between the two.
    fn rename(&mut self, at: Self::At, old: u32, new: u32);
}

/// Rules that are all the same.
pub(crate) struct Single {
    pub(crate) head: u32,
}

impl<P, S: Store> Index<P, S> for Single {
    type At = ();

    fn reserve(&mut self, _: &mut Pool<S>, (): ()) -> Result<(), OutOfMemory> {
        Ok(())
    }

    fn insert<T>(
        &mut self,
        arena: &mut Arena<P, T, S>,
        _: &mut Pool<S>,
        (): (),
        id: u32,
    ) -> Result<(), OutOfMemory> {
        self.head = arena.join(Ring::Same, self.head, id);
        Ok(())
    }

    fn remove<T>(&mut self, arena: &mut Arena<P, T, S>, (): (), id: u32) {
        self.head = arena.leave(Ring::Same, self.head, id);
    }

    fn head(&self) -> u32 {
        self.head
    }

    fn rename(&mut self, (): (), old: u32, new: u32) {
        renamed(&mut self.head, old, new);
    }
}

/// Rules that compare all of something.
pub(crate) struct Exact<K, S: Store> {
    pub(crate) table: Table<K, S>,
    head: u32,
}

impl<K: Key, S: Store> Exact<K, S> {
    pub(crate) fn new(pool: &Pool<S>, seed: u64) -> Self {
        Self {
            table: Table::new(pool, seed),
            head: NONE,
        }
    }
}

/// Adds the newest rule to a table.
pub(crate) fn enter<K: Key, P, T, S: Store>(
    table: &mut Table<K, S>,
    arena: &mut Arena<P, T, S>,
    key: K,
    id: u32,
) {
    match table.find(&key) {
        NONE => table.insert(key, id),
        head => {
            arena.join(Ring::Same, head, id);
        }
    }
}

/// Removes a rule from a table.
pub(crate) fn quit<K: Key, P, T, S: Store>(
    table: &mut Table<K, S>,
    arena: &mut Arena<P, T, S>,
    key: K,
    id: u32,
) {
    let head = table.find(&key);
    match arena.leave(Ring::Same, head, id) {
        NONE => table.remove(&key),
        next if next != head => table.replace(&key, next),
        _ => {}
    }
}

/// Gives a rule of a table another number, if it is the one that is found there.
pub(crate) fn rename_key<K: Key, S: Store>(table: &mut Table<K, S>, key: &K, old: u32, new: u32) {
    if table.find(key) == old {
        table.replace(key, new);
    }
}

/// Replaces a number if it is the one named.
pub(crate) fn renamed(number: &mut u32, old: u32, new: u32) {
    if *number == old {
        *number = new;
    }
}

impl<K: Key, P, S: Store> Index<P, S> for Exact<K, S> {
    type At = K;

    fn reserve(&mut self, pool: &mut Pool<S>, _: K) -> Result<(), OutOfMemory> {
        self.table.reserve_one(pool)
    }

    fn insert<T>(
        &mut self,
        arena: &mut Arena<P, T, S>,
        _: &mut Pool<S>,
        key: K,
        id: u32,
    ) -> Result<(), OutOfMemory> {
        enter(&mut self.table, arena, key, id);
        self.head = arena.join(Ring::Peers, self.head, id);
        Ok(())
    }

    fn remove<T>(&mut self, arena: &mut Arena<P, T, S>, key: K, id: u32) {
        quit(&mut self.table, arena, key, id);
        self.head = arena.leave(Ring::Peers, self.head, id);
    }

    fn head(&self) -> u32 {
        self.head
    }

    fn rename(&mut self, key: K, old: u32, new: u32) {
        rename_key(&mut self.table, &key, old, new);
        renamed(&mut self.head, old, new);
    }
}

/// Rules that compare a prefix of an address.
pub(crate) struct ByPrefix<A: Address, S: Store> {
    pub(crate) tree: Prefixes<A, S>,
    head: u32,
}

impl<A: Address, S: Store> ByPrefix<A, S> {
    pub(crate) fn new(pool: &Pool<S>) -> Self {
        Self {
            tree: Prefixes::new(pool),
            head: NONE,
        }
    }
}

impl<A: Address, P, S: Store> Index<P, S> for ByPrefix<A, S> {
    type At = (A, u32);

    fn reserve(&mut self, pool: &mut Pool<S>, _: Self::At) -> Result<(), OutOfMemory> {
        self.tree.reserve_one(pool)
    }

    fn insert<T>(
        &mut self,
        arena: &mut Arena<P, T, S>,
        pool: &mut Pool<S>,
        (path, len): Self::At,
        id: u32,
    ) -> Result<(), OutOfMemory> {
        match self.tree.exact(path, len) {
            NONE => self.tree.insert(pool, path, len, id)?,
            head => {
                arena.join(Ring::Same, head, id);
            }
        }
        self.head = arena.join(Ring::Peers, self.head, id);
        Ok(())
    }

    fn remove<T>(&mut self, arena: &mut Arena<P, T, S>, (path, len): Self::At, id: u32) {
        let head = self.tree.exact(path, len);
        match arena.leave(Ring::Same, head, id) {
            NONE => self.tree.remove(path, len),
            next if next != head => self.tree.replace(path, len, next),
            _ => {}
        }
        self.head = arena.leave(Ring::Peers, self.head, id);
    }

    fn head(&self) -> u32 {
        self.head
    }

    fn rename(&mut self, (path, len): Self::At, old: u32, new: u32) {
        if self.tree.exact(path, len) == old {
            self.tree.replace(path, len, new);
        }
        renamed(&mut self.head, old, new);
    }
}

impl<P, S: Store> Index<P, S> for Cids<S> {
    type At = Flow;

    fn reserve(&mut self, pool: &mut Pool<S>, flow: Flow) -> Result<(), OutOfMemory> {
        self.reserve_one(pool, &flow)
    }

    fn insert<T>(
        &mut self,
        arena: &mut Arena<P, T, S>,
        _: &mut Pool<S>,
        flow: Flow,
        id: u32,
    ) -> Result<(), OutOfMemory> {
        let (part, key) = cids::place(&flow);
        match self.groups.get(part) {
            Some(group) => {
                arena.join(Ring::Peers, group.head, id);
            }
            None => {
                self.groups.add(part, id)?;
            }
        }
        match key {
            CidKey::Short(key) => enter(&mut self.short, arena, key, id),
            CidKey::Long(key) => enter(&mut self.long, arena, key, id),
        }
        self.add_port(flow.port);
        Ok(())
    }

    fn remove<T>(&mut self, arena: &mut Arena<P, T, S>, flow: Flow, id: u32) {
        let (part, key) = cids::place(&flow);
        let Some(group) = self.groups.get(part) else {
            return;
        };
        match key {
            CidKey::Short(key) => quit(&mut self.short, arena, key, id),
            CidKey::Long(key) => quit(&mut self.long, arena, key, id),
        }
        let head = arena.leave(Ring::Peers, group.head, id);
        if head != group.head {
            self.groups.set_head(part, head);
        }
        self.remove_port(flow.port);
    }

    fn head(&self) -> u32 {
        self.groups.head()
    }

    fn rename(&mut self, flow: Flow, old: u32, new: u32) {
        let (part, key) = cids::place(&flow);
        self.groups.rename(part, old, new);
        match key {
            CidKey::Short(key) => rename_key(&mut self.short, &key, old, new),
            CidKey::Long(key) => rename_key(&mut self.long, &key, old, new),
        }
    }
}

impl<K: Key, P: PortSet + Clone, S: Store> Index<P, S> for PortSets<K, P, S> {
    /// Address and identity of the set.
    type At = (K, u64);

    fn reserve(&mut self, pool: &mut Pool<S>, (address, _): Self::At) -> Result<(), OutOfMemory> {
        self.reserve_one(pool, &address)
    }

    fn insert<T>(
        &mut self,
        arena: &mut Arena<P, T, S>,
        _: &mut Pool<S>,
        at: Self::At,
        id: u32,
    ) -> Result<(), OutOfMemory> {
        self.insert(arena, at, id)
    }

    fn remove<T>(&mut self, arena: &mut Arena<P, T, S>, at: Self::At, id: u32) {
        self.remove(arena, at, id);
    }

    fn head(&self) -> u32 {
        self.head
    }

    fn rename(&mut self, at: Self::At, old: u32, new: u32) {
        self.rename(at, old, new);
    }
}
