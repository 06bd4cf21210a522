//! Tuple spaces: rules that compare the same part of something, a group, share a hash table key of that part.
//!
//! A search tries one group after the other, in the order of their earliest rules, and stops when what it has found is earlier
//! than anything in the groups left. Its cost depends on the number of groups, not on the number of rules.

use crate::NONE;
use crate::store::{Buffer, OutOfMemory, Pool, Store};

/// Rules that compare the same part.
#[derive(Clone, Copy)]
pub(crate) struct Group<D> {
    /// Which part.
    pub(crate) part: D,
    /// Tells the keys of this group from those of others.
    pub(crate) number: u32,
    /// The earliest of the rules: head of their ring.
    pub(crate) head: u32,
}

/// Groups, in the order of their heads.
pub(crate) struct Groups<D, S: Store> {
    list: S::Buf<Group<D>>,
    next_number: u32,
}

impl<D: Copy + Eq, S: Store> Groups<D, S> {
    pub(crate) fn new(pool: &Pool<S>) -> Self {
        Self {
            list: pool.buffer(),
            next_number: 0,
        }
    }

    #[inline]
    pub(crate) fn list(&self) -> &[Group<D>] {
        &self.list
    }

    /// Returns the earliest rule of all groups.
    pub(crate) fn head(&self) -> u32 {
        self.list.first().map_or(NONE, |group| group.head)
    }

    pub(crate) fn get(&self, part: D) -> Option<Group<D>> {
        self.list.iter().copied().find(|group| group.part == part)
    }

    /// Makes room for one more group.
    pub(crate) fn reserve_one(&mut self, pool: &mut Pool<S>) -> Result<(), OutOfMemory> {
        if self.next_number == NONE {
            // Numbers are not used again: after 2^32 groups the set has to be built anew.
            return Err(OutOfMemory);
        }
        pool.reserve(&mut self.list, 1)
    }

    /// Returns the number that the next group will have.
    pub(crate) const fn next_number(&self) -> u32 {
        self.next_number
    }

    /// Adds a group for the newest rule; returns its number. Room must have been reserved.
    pub(crate) fn add(&mut self, part: D, head: u32) -> Result<u32, OutOfMemory> {
        let number = self.next_number;
        self.list.try_push(Group { part, number, head })?;
        self.next_number = number.wrapping_add(1);
        Ok(number)
    }

    /// Gives a group another head, later than the one it had, or removes it ([`NONE`]).
    pub(crate) fn set_head(&mut self, part: D, head: u32) {
        let Some(mut index) = self.list.iter().position(|group| group.part == part) else {
            return;
        };
        if let Some(group) = self.list.get_mut(index) {
            group.head = head;
        }
        while let Some([this, next]) = self
            .list
            .get_mut(index..)
            .and_then(|rest| rest.first_chunk_mut())
            && next.head < head
        {
            core::mem::swap(this, next);
            index = index.saturating_add(1);
        }
        if head == NONE {
            let _removed = self.list.pop();
        }
    }

    /// Gives a group's head another number, if it has the one named; the order of the heads stays.
    pub(crate) fn rename(&mut self, part: D, old: u32, new: u32) {
        let mut heads = self.list.iter_mut();
        if let Some(group) = heads.find(|group| group.part == part && group.head == old) {
            group.head = new;
        }
    }
}
