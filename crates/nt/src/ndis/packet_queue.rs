//! Packets of a module in a row, and where they are found among the lists of others.

use core::mem;

use super::buffer::Nbl;
use super::chain::{NblChain, NblIter, NblQueue};
use super::filter::Filter;
use super::packet::{self, Packet};
use crate::status::Status;

/// Packets in a row, linked by their lists: whole rows are appended, sent and taken back without a look at each. What is
/// left in it when it is dropped is freed.
#[derive(Debug)]
pub struct PacketQueue {
    /// Lists of packets only.
    lists: NblQueue,
}

/// A packet in a row.
#[derive(Debug)]
pub struct PacketRef<'a> {
    list: &'a Nbl,
}

/// What lists at the start of a chain have in common.
#[derive(Debug)]
pub enum Run {
    /// Packets of the module with the same first word, and that word.
    Packets(usize, PacketQueue),
    /// Lists of others.
    Others(NblQueue),
}

impl PacketQueue {
    /// The row of no packets.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lists: NblQueue::new(),
        }
    }

    /// The number of packets.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> u32 {
        self.lists.len()
    }

    /// Whether there is none.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Takes the first packet off, as it was made but for its words and what is in its memory.
    #[inline]
    pub fn pop(&mut self) -> Option<Packet> {
        // SAFETY: the row has lists of packets only.
        self.lists
            .pop_front()
            .map(|list| unsafe { Packet::from_list(list) })
    }

    /// Appends a packet.
    #[inline]
    pub fn push(&mut self, packet: Packet) {
        self.lists.push_back(packet.into_list());
    }

    /// Appends all packets of another row.
    #[inline]
    pub fn append(&mut self, mut other: Self) {
        self.lists.append(other.lists.take());
    }

    /// Puts all packets of another row first: those that were in use last are best used next.
    #[inline]
    pub fn prepend(&mut self, mut other: Self) {
        let rest = mem::replace(&mut self.lists, other.lists.take());
        self.lists.append(rest);
    }

    /// Takes everything, leaving the row empty.
    #[must_use]
    #[inline]
    pub fn take(&mut self) -> Self {
        mem::take(self)
    }

    /// Looks at each packet.
    #[inline]
    pub fn each(&self, mut look: impl FnMut(PacketRef<'_>)) {
        let lists: NblIter<'_> = self.lists.iter();
        for list in lists {
            look(PacketRef { list: &list });
        }
    }

    /// The packets as a chain, to be sent or indicated; they come back to [`NblChain::pop_run`]. A packet that does not
    /// come back leaves its memory behind.
    #[inline]
    pub fn into_chain(mut self) -> NblChain {
        self.lists.take().into_chain()
    }
}

impl Default for PacketQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for PacketQueue {
    fn drop(&mut self) {
        while let Some(packet) = self.pop() {
            drop(packet);
        }
    }
}

impl PacketRef<'_> {
    /// A word of the packet's owner; 0 when there is none of that number.
    #[must_use]
    #[inline]
    pub fn word(&self, index: usize) -> usize {
        // SAFETY: the row has lists of packets only.
        unsafe { packet::word_of(self.list, index) }.unwrap_or(0)
    }

    /// When the packet was sent, in the adapter's time; 0 when the adapter does not say.
    #[must_use]
    #[inline]
    pub fn timestamp(&self) -> u64 {
        self.list.timestamp()
    }

    /// The status with which the packet came back.
    #[must_use]
    #[inline]
    pub fn status(&self) -> Status {
        self.list.status()
    }
}

/// The first word of a packet by its list; [`None`] for a list of somebody else.
#[inline]
fn first_word(filter: Filter, list: &Nbl) -> Option<usize> {
    if !filter.owns(list) {
        return None;
    }
    // (A clone that somebody made of a packet names its maker as the source.)
    // SAFETY: a module makes lists by `PacketPool::allocate` only.
    unsafe { packet::word_of(list, 0) }
}

impl NblChain {
    /// Takes lists off the start, as long as they are packets of the module with the same first word, or not packets of
    /// the module. Each list is looked at once.
    #[inline]
    pub fn pop_run(&mut self, filter: Filter) -> Option<Run> {
        let (word, lists) = self.pop_while_same(|list| first_word(filter, list))?;
        Some(match word {
            Some(word) => Run::Packets(word, PacketQueue { lists }),
            None => Run::Others(lists),
        })
    }
}
