//! The compiled rule list.

use crate::arena::{Arena, RuleKey};
use crate::pattern::{Pattern, PortSet};
use crate::plan::Plans;
use crate::store::{OutOfMemory, Pool, Store};
use crate::tables::{Place, Tables};

/// Places that are looked at for each rule that is added, while rules are moved to the front.
const LOOKED_AT: usize = 16;

/// A list of rules that finds the first one that matches a packet without walking the list.
///
/// `P` is a [`PortSet`], which clones share; `T` whatever belongs to a rule (its action), `S` where memory comes from.
///
/// Rules are appended with [`Classifier::push`], and any rule can be removed. Several programs are one list: push the rules of
/// one after those of the other, and keep each program's keys. A change takes `&mut self`: to change rules under traffic, keep
/// two classifiers, change the one not in use, let readers switch, and repeat the change on the other.
pub struct Classifier<P, T, S: Store> {
    pub(crate) plans: Plans,
    pub(crate) tables: Tables<P, S>,
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

impl<P: PortSet + Clone, T, S: Store> Classifier<P, T, S> {
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
        if self.arena.is_closing_holes() {
            self.close_holes();
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

    /// Moves some rules to where removed ones left holes.
    fn close_holes(&mut self) {
        for _ in 0..LOOKED_AT {
            let Some((old, new)) = self.arena.next_move() else {
                continue;
            };
            if let Some(place) = self.arena.pattern(old).and_then(Place::of) {
                let planned = self.tables.planned(place);
                self.tables.rename(place, old, new);
                if self.tables.planned(place) != planned {
                    self.plans = Plans::new(&self.tables);
                }
            }
            self.arena.rename(old, new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Random;
    use crate::pattern::NoPorts;
    use crate::store::Heap;

    #[test]
    fn no_change_moves_many_rules() {
        let mut random = Random::new(3);
        let mut rules = Classifier::<NoPorts, (), Heap>::new(Heap, 1, usize::MAX);
        let push = |rules: &mut Classifier<_, _, _>, nth: u32| {
            rules.push(Pattern::UdpDst(nth as u16), ()).expect("memory")
        };
        let mut keys: Vec<RuleKey> = (0..1000).map(|nth| push(&mut rules, nth)).collect();
        let mut moved_in_all = 0;
        for nth in 0..4000 {
            keys.retain(|key| rules.arena.id_of(*key).is_some());
            let gone = keys.swap_remove(random.below(keys.len()));
            assert!(rules.remove(gone).is_some());
            let before: Vec<_> = keys.iter().map(|key| rules.arena.id_of(*key)).collect();
            let new = push(&mut rules, nth);
            let after = keys.iter().map(|key| rules.arena.id_of(*key));
            let moved = after.zip(&before).filter(|(now, was)| now != *was).count();
            assert!(moved <= LOOKED_AT, "{moved}");
            moved_in_all += moved;
            keys.push(new);
        }
        assert!(moved_in_all > 1000, "{moved_in_all}");
    }
}
