//! Prefixes of addresses: a radix-16 tree that finds the earliest rule among all prefixes of an address.
//!
//! A node stands for a position (a multiple of four bits) and the path that leads there; paths without a fork have no nodes.
//! A node resolves the next four bits; the *wide* node, of which there is at most one, the next 10, 13 or 16. Prefixes that end within
//! those bits are spread over the node's slots, so that a slot knows the earliest of them; a search takes the minimum along its
//! path. Longer prefixes lie below. Up to eight of them are kept as a plain list, a *leaf*, before a node is made.
//!
//! Nothing is pushed down from node to node, so adding or removing a prefix touches one node or leaf, whatever lies below.

mod edit;
mod leaf;
mod node;
#[cfg(test)]
mod tests;
mod widen;

use crate::NONE;
use crate::address::Address;
use crate::store::{OutOfMemory, Pool, Store};
use leaf::Leaves;
use node::{Link, Node, Wide};

/// Number of prefixes at which there is a wide node. It is placed anew when there are eight times as many, and so on.
const WIDEN_AT: usize = 256;

/// A prefix and the earliest rule that has it. The mask says how long it is: comparing needs the mask, and only changes need
/// the length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry<A> {
    pub(crate) path: A,
    pub(crate) mask: A,
    pub(crate) id: u32,
}

impl<A: Address> Entry<A> {
    /// A place that is not in use: nothing that a search could find.
    const ABSENT: Self = Self {
        path: A::ZERO,
        mask: A::ZERO,
        id: NONE,
    };

    fn new(path: A, len: u32, id: u32) -> Self {
        Self {
            path,
            mask: A::mask(len),
            id,
        }
    }

    fn len(&self) -> u32 {
        self.mask.ones()
    }
}

pub(crate) struct Prefixes<A: Address, S: Store> {
    /// The rule for the empty prefix.
    any: u32,
    root: Link,
    nodes: S::Buf<Node<A>>,
    /// First of the unused nodes, each of which names the next in its first slot.
    unused_node: u32,
    leaves: Leaves<A, S>,
    wide: Option<Wide<A, S>>,
    len: usize,
    widen_at: usize,
}

impl<A: Address, S: Store> Prefixes<A, S> {
    pub(crate) fn new(pool: &Pool<S>) -> Self {
        Self {
            any: NONE,
            root: Link::EMPTY,
            nodes: pool.buffer(),
            unused_node: NONE,
            leaves: Leaves::new(pool),
            wide: None,
            len: 0,
            widen_at: WIDEN_AT,
        }
    }

    /// Returns the earliest rule whose prefix `address` has, or [`NONE`].
    ///
    /// In most trees of any size there is a wide node on top with leaves below.
    #[inline(always)]
    pub(crate) fn find(&self, address: A) -> u32 {
        let (mut best, mut link) = (self.any, self.root);
        if link.is_wide()
            && let Some(wide) = &self.wide
        {
            let Some(slot) = wide.slot(address) else {
                return best;
            };
            best = best.min(slot.best);
            link = slot.link;
        }
        if link.is_leaf() {
            self.leaves.find(link, address, best)
        } else {
            self.find_below(link, address, best)
        }
    }

    /// Searches from a node on.
    #[inline(never)]
    fn find_below(&self, mut link: Link, address: A, mut best: u32) -> u32 {
        // A path has at most one node for each four bits, and the wide node.
        for _ in 0..=A::BITS / 4 {
            if link.is_leaf() {
                break;
            }
            let slot = if link.is_wide() {
                self.wide.as_ref().and_then(|wide| wide.slot(address))
            } else {
                let node = self.nodes.get(link.index());
                node.and_then(|node| node.slot_for(address, link.position()))
            };
            let Some(slot) = slot else {
                return best;
            };
            best = best.min(slot.best);
            link = slot.link;
        }
        self.leaves.find(link, address, best)
    }

    /// Makes sure that the next [`Prefixes::insert`] succeeds.
    pub(crate) fn reserve_one(&mut self, pool: &mut Pool<S>) -> Result<(), OutOfMemory> {
        pool.reserve(&mut self.nodes, 1)?;
        if self.nodes.len() >= Link::OFFSET_MAX {
            return Err(OutOfMemory);
        }
        self.leaves.reserve(pool)
    }
}
