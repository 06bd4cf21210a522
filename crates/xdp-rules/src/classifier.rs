//! The compiled rule list.

use crate::arena::{Arena, RuleKey};
use crate::pattern::{Pattern, PortSet};
use crate::plan::Plans;
use crate::store::{OutOfMemory, Pool, Store};
use crate::tables::{Place, Tables};

/// A list of rules that finds the first one that matches a packet without walking the list.
///
/// `P` is a [`PortSet`], `T` whatever belongs to a rule (its action), `S` where memory comes from.
///
/// Rules are appended with [`Classifier::push`], and any rule can be removed. Several programs are one list: push the rules of
/// one after those of the other, and keep each program's keys. A change takes `&mut self`: to change rules under traffic, keep
/// two classifiers, change the one not in use, let readers switch, and repeat the change on the other.
pub struct Classifier<P, T, S: Store> {
    pub(crate) plans: Plans,
    pub(crate) tables: Tables<S>,
    pub(crate) arena: Arena<P, T, S>,
    pool: Pool<S>,
}

/// The rule that decides about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit<'a, T> {
    /// Which rule.
    pub key: RuleKey,
    /// What belongs to it.
    pub value: &'a T,
}

impl<P: PortSet, T, S: Store> Classifier<P, T, S> {
    /// Makes an empty list.
    ///
    /// `seed` should be hard to guess: it keeps others from choosing rules that make hash tables slow. `limit` bounds the
    /// memory, in bytes; what would exceed it is refused as [`OutOfMemory`].
    #[must_use]
    pub fn new(store: S, seed: u64, limit: usize) -> Self {
        let pool = Pool::new(store, limit);
        Self {
            plans: Plans::EMPTY,
            tables: Tables::new(&pool, seed),
            arena: Arena::new(&pool),
            pool,
        }
    }

    /// Returns the number of rules.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.arena.len()
    }

    /// Tells whether there are no rules.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.arena.len() == 0
    }

    /// Returns how much memory is held, in bytes.
    #[must_use]
    pub const fn memory_bytes(&self) -> usize {
        self.pool.used().saturating_add(size_of::<Self>())
    }

    /// Makes room for the rules themselves in one piece, before many are pushed.
    ///
    /// # Errors
    ///
    /// There is no memory, or not within the limit.
    pub fn reserve(&mut self, additional: usize) -> Result<(), OutOfMemory> {
        self.arena.reserve(&mut self.pool, additional)
    }

    /// Appends a rule to the end of the list.
    ///
    /// # Errors
    ///
    /// There is no memory, or not within the limit. The list is unchanged; the rule is dropped.
    pub fn push(&mut self, pattern: Pattern<P>, value: T) -> Result<RuleKey, OutOfMemory> {
        if self.arena.wants_squeeze() {
            self.squeeze();
        }
        self.arena.reserve(&mut self.pool, 1)?;
        let place = Place::of(&pattern);
        if let Some(place) = place {
            self.tables.reserve(&mut self.pool, place)?;
        }
        let (id, key) = self.arena.push(pattern, value)?;
        if let Some(place) = place {
            let planned = self.tables.planned(place);
            self.tables
                .insert(&mut self.arena, &mut self.pool, place, id)?;
            if self.tables.planned(place) != planned {
                self.plans = Plans::new(&self.tables);
            }
        }
        Ok(key)
    }

    /// Removes a rule; `None` if there is none with this key.
    pub fn remove(&mut self, key: RuleKey) -> Option<(Pattern<P>, T)> {
        let id = self.arena.id_of(key)?;
        if let Some(place) = Place::of(self.arena.pattern(id)?) {
            let planned = self.tables.planned(place);
            self.tables.remove(&mut self.arena, place, id);
            if self.tables.planned(place) != planned {
                self.plans = Plans::new(&self.tables);
            }
        }
        self.arena.take(id)
    }

    /// Returns a rule.
    #[must_use]
    pub fn get(&self, key: RuleKey) -> Option<(&Pattern<P>, &T)> {
        let id = self.arena.id_of(key)?;
        Some((self.arena.pattern(id)?, self.arena.value(id)?))
    }

    /// Returns the rules in the order of the list.
    pub fn iter(&self) -> impl Iterator<Item = (RuleKey, &Pattern<P>, &T)> {
        self.arena.iter()
    }

    /// Closes the holes that removed rules left.
    fn squeeze(&mut self) {
        self.arena.plan_squeeze();
        let arena = &self.arena;
        self.tables.relabel(|id| arena.target(id));
        self.arena.squeeze();
        self.plans = Plans::new(&self.tables);
    }
}
