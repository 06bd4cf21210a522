//! The rules themselves, and the rings that tie together rules with something in common.
//!
//! A rule's place in the arena is its rank: a rule with a smaller number comes earlier in the list. Rules are only ever
//! appended, so the numbers stay in order. When the arena is nearly full of rules and of holes that removed ones left, rules are
//! moved to the front, a few with each rule that is appended: no change of a list takes much longer than others.

use core::ops::Range;

use crate::NONE;
use crate::pattern::Pattern;
use crate::store::{Buffer, OutOfMemory, Pool, Store};

/// Names a rule of a classifier for as long as it is in there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleKey(pub(crate) u32);

impl RuleKey {
    /// Returns a small number that no other rule of the classifier has now: an index for a table beside it.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Clone, Copy)]
struct Link {
    next: u32,
    previous: u32,
}

/// Which of a rule's two rings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ring {
    /// Rules that match exactly the same packets.
    Same,
    /// Rules that are found by the same search.
    Peers,
}

/// What is needed to change the list.
struct Entry<P> {
    pattern: Option<Pattern<P>>,
    same: Link,
    peers: Link,
}

pub(crate) struct Arena<P, T, S: Store> {
    entries: S::Buf<Entry<P>>,
    /// One for each entry: all that a packet that matches needs, apart from the rest, so that more of it fits into the caches.
    values: S::Buf<Option<T>>,
    /// One for each entry, for callers who ask.
    keys_of: S::Buf<u32>,
    /// From a key to the rule; an unused key holds the next unused one.
    keys: S::Buf<u32>,
    unused_key: u32,
    live: usize,
    /// While rules are moved to the front: holes between those that have been looked at and the rest.
    gap: Option<Range<usize>>,
}

impl<P, T, S: Store> Arena<P, T, S> {
    pub(crate) fn new(pool: &Pool<S>) -> Self {
        Self {
            entries: pool.buffer(),
            values: pool.buffer(),
            keys_of: pool.buffer(),
            keys: pool.buffer(),
            unused_key: NONE,
            live: 0,
            gap: None,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.live
    }

    /// Starts moving rules to the front if that is due; tells whether it is going on.
    pub(crate) fn is_closing_holes(&mut self) -> bool {
        let (len, capacity) = (self.entries.len(), self.entries.capacity());
        let holes = len.saturating_sub(self.live);
        // Done before there is no room left: more places are looked at with each rule than are taken.
        if self.gap.is_none() && holes > len / 4 && len.saturating_add(len / 8) >= capacity {
            self.gap = Some(0..0);
        }
        self.gap.is_some()
    }

    /// Looks at the next place. Returns where the rule there should move from and to, with [`Arena::rename`], if it is not where it
    /// should be.
    pub(crate) fn next_move(&mut self) -> Option<(u32, u32)> {
        let gap = self.gap.as_mut()?;
        let Some(entry) = self.entries.get(gap.end) else {
            let len = gap.start;
            self.entries.truncate(len);
            self.values.truncate(len);
            self.keys_of.truncate(len);
            self.gap = None;
            return None;
        };
        let from = gap.end;
        gap.end = gap.end.saturating_add(1);
        entry.pattern.as_ref()?;
        let to = gap.start;
        gap.start = gap.start.saturating_add(1);
        (from != to).then(|| (narrow(from), narrow(to)))
    }

    pub(crate) fn reserve(
        &mut self,
        pool: &mut Pool<S>,
        additional: usize,
    ) -> Result<(), OutOfMemory> {
        if additional > 1 {
            pool.reserve_exact(&mut self.entries, additional)?;
            pool.reserve_exact(&mut self.values, additional)?;
            pool.reserve_exact(&mut self.keys_of, additional)?;
            pool.reserve_exact(&mut self.keys, additional)?;
        }
        pool.reserve(&mut self.entries, additional)?;
        pool.reserve(&mut self.values, additional)?;
        pool.reserve(&mut self.keys_of, additional)?;
        pool.reserve(&mut self.keys, additional)?;
        // The last number means "none".
        if self.entries.len() >= (NONE >> 1) as usize {
            return Err(OutOfMemory);
        }
        Ok(())
    }

    /// Appends a rule; room must have been reserved.
    pub(crate) fn push(
        &mut self,
        pattern: Pattern<P>,
        value: T,
    ) -> Result<(u32, RuleKey), OutOfMemory> {
        let id = narrow(self.entries.len());
        let link = Link {
            next: id,
            previous: id,
        };
        let key = match self.keys.get_mut(self.unused_key as usize) {
            Some(place) => {
                let key = self.unused_key;
                self.unused_key = core::mem::replace(place, id);
                key
            }
            None => {
                self.keys.try_push(id)?;
                narrow(self.keys.len()).wrapping_sub(1)
            }
        };
        self.entries.try_push(Entry {
            pattern: Some(pattern),
            same: link,
            peers: link,
        })?;
        self.values.try_push(Some(value))?;
        self.keys_of.try_push(key)?;
        self.live = self.live.saturating_add(1);
        Ok((id, RuleKey(key)))
    }

    pub(crate) fn id_of(&self, key: RuleKey) -> Option<u32> {
        let id = *self.keys.get(key.index())?;
        (self.key_of(id) == key && self.value(id).is_some()).then_some(id)
    }

    /// Takes a rule out; it must have left its rings.
    pub(crate) fn take(&mut self, id: u32) -> Option<(Pattern<P>, T)> {
        let pattern = self.entries.get_mut(id as usize)?.pattern.take()?;
        let value = self.values.get_mut(id as usize)?.take()?;
        let key = self.key_of(id);
        if let Some(place) = self.keys.get_mut(key.index()) {
            *place = self.unused_key;
            self.unused_key = key.0;
        }
        self.live = self.live.saturating_sub(1);
        // Holes at the end go at once, but for the gap, which has many: it goes with what moves rules.
        let floor = self.gap.as_ref().map_or(0, |gap| gap.end);
        while self.entries.len() > floor
            && matches!(self.entries.last(), Some(entry) if entry.pattern.is_none())
        {
            let _hole = self.entries.pop();
            let _hole = self.values.pop();
            let _hole = self.keys_of.pop();
        }
        Some((pattern, value))
    }

    #[inline]
    pub(crate) fn pattern(&self, id: u32) -> Option<&Pattern<P>> {
        self.entries.get(id as usize)?.pattern.as_ref()
    }

    #[inline]
    pub(crate) fn value(&self, id: u32) -> Option<&T> {
        self.values.get(id as usize)?.as_ref()
    }

    /// Returns the key of a rule. That there is one is not asked: who does not use the key does not pay for it.
    #[inline]
    pub(crate) fn key_of(&self, id: u32) -> RuleKey {
        RuleKey(self.keys_of.get(id as usize).copied().unwrap_or(NONE))
    }

    /// Returns the rules in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RuleKey, &Pattern<P>, &T)> {
        let rest = self.keys_of.iter().zip(self.values.iter());
        self.entries
            .iter()
            .zip(rest)
            .filter_map(|(entry, (&key, value))| {
                Some((RuleKey(key), entry.pattern.as_ref()?, value.as_ref()?))
            })
    }

    fn link(&mut self, ring: Ring, id: u32) -> Option<&mut Link> {
        let entry = self.entries.get_mut(id as usize)?;
        Some(match ring {
            Ring::Same => &mut entry.same,
            Ring::Peers => &mut entry.peers,
        })
    }

    /// Adds the newest rule to the ring that starts at `head`; returns the ring's head.
    pub(crate) fn join(&mut self, ring: Ring, head: u32, id: u32) -> u32 {
        let Some(first) = self.link(ring, head) else {
            return id;
        };
        let tail = core::mem::replace(&mut first.previous, id);
        if let Some(last) = self.link(ring, tail) {
            last.next = id;
        }
        if let Some(own) = self.link(ring, id) {
            *own = Link {
                next: head,
                previous: tail,
            };
        }
        head
    }

    /// Takes a rule out of the ring that starts at `head`; returns the ring's head, or [`NONE`] if it is empty now.
    pub(crate) fn leave(&mut self, ring: Ring, head: u32, id: u32) -> u32 {
        let Some(&mut Link { next, previous }) = self.link(ring, id) else {
            return head;
        };
        if next == id {
            return NONE;
        }
        if let Some(link) = self.link(ring, previous) {
            link.next = next;
        }
        if let Some(link) = self.link(ring, next) {
            link.previous = previous;
        }
        if head == id { next } else { head }
    }

    /// Moves a rule to a hole, with no rule between the two; searches must have been told.
    pub(crate) fn rename(&mut self, old: u32, new: u32) {
        for ring in [Ring::Same, Ring::Peers] {
            let Some(&mut Link { next, previous }) = self.link(ring, old) else {
                return;
            };
            // A rule alone is its own neighbour.
            if let Some(link) = self.link(ring, previous) {
                link.next = new;
            }
            if let Some(link) = self.link(ring, next) {
                link.previous = new;
            }
        }
        let key = self.keys_of.get(old as usize);
        if let Some(place) = key.and_then(|&key| self.keys.get_mut(key as usize)) {
            *place = new;
        }
        let (old, new) = (old as usize, new as usize);
        exchange(&mut self.entries, new, old);
        exchange(&mut self.values, new, old);
        exchange(&mut self.keys_of, new, old);
    }
}

fn exchange<T>(list: &mut [T], one: usize, other: usize) {
    if let Ok([one, other]) = list.get_disjoint_mut([one, other]) {
        core::mem::swap(one, other);
    }
}

/// Narrows an index that [`Arena::reserve`] keeps below 2^31.
const fn narrow(index: usize) -> u32 {
    index as u32
}
