//! Adding and removing prefixes.

use super::leaf::LEAF_MAX;
use super::node::{Link, Node, Slot, own_index, spread};
use super::{Entry, Prefixes};
use crate::NONE;
use crate::address::Address;
use crate::store::{Buffer, OutOfMemory, Pool, Store};

/// Most links on a path: one for each four bits, the wide node and the leaf.
const PATH_MAX: usize = 34;

/// Where a link is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Node(usize, usize),
    Wide(usize),
}

/// Where a prefix belongs, at the end of a path of places.
enum Spot {
    /// In the leaf here; if it is there already, at this index.
    Leaf(Option<usize>),
    /// In a node of its own above what is here.
    Above,
    /// In the node here, as these bits.
    Own(u32, usize),
}

impl<A: Address, S: Store> Prefixes<A, S> {
    /// Returns the rule for exactly this prefix, or [`NONE`].
    pub(crate) fn exact(&self, path: A, len: u32) -> u32 {
        if len == 0 {
            return self.any;
        }
        let (place, spot) = self.locate(path, len, |_| {});
        let link = self.link(place);
        match spot {
            Spot::Leaf(Some(index)) => self.leaves.entries(link).get(index).map_or(NONE, |e| e.id),
            Spot::Own(len, bits) => self.own(link, own_index(len, bits)),
            Spot::Leaf(None) | Spot::Above => NONE,
        }
    }

    /// Adds a prefix that is not there; room must have been reserved.
    pub(crate) fn insert(
        &mut self,
        pool: &mut Pool<S>,
        path: A,
        len: u32,
        id: u32,
    ) -> Result<(), OutOfMemory> {
        self.place(Entry::new(path, len, id))?;
        self.len = self.len.saturating_add(1);
        if self.len >= self.widen_at {
            self.widen_at = self.len.saturating_mul(8);
            // Only speed is lost when there is no memory for it.
            let _is_wide = self.widen(pool);
        }
        Ok(())
    }

    /// Changes the rule of a prefix that is there.
    pub(crate) fn replace(&mut self, path: A, len: u32, id: u32) {
        if len == 0 {
            self.any = id;
            return;
        }
        let (place, spot) = self.locate(path, len, |_| {});
        let link = self.link(place);
        match spot {
            Spot::Leaf(Some(index)) => {
                if let Some(entry) = self.leaves.entries_mut(link).get_mut(index) {
                    entry.id = id;
                }
            }
            Spot::Own(len, bits) => self.set_own(link, len, bits, id),
            Spot::Leaf(None) | Spot::Above => {}
        }
    }

    /// Removes a prefix that is there.
    pub(crate) fn remove(&mut self, path: A, len: u32) {
        self.len = self.len.saturating_sub(1);
        if len == 0 {
            self.any = NONE;
            return;
        }
        let mut above = [Place::Root; PATH_MAX];
        let mut depth = 0usize;
        let (place, spot) = self.locate(path, len, |place| {
            if let Some(step) = above.get_mut(depth) {
                *step = place;
                depth = depth.saturating_add(1);
            }
        });
        let link = self.link(place);
        let emptied = match spot {
            Spot::Leaf(Some(index)) => {
                let left = self.leaves.remove(link, index);
                self.set_link(place, left);
                left == Link::EMPTY
            }
            Spot::Own(len, bits) => {
                self.set_own(link, len, bits, NONE);
                self.release_if_unused(place)
            }
            Spot::Leaf(None) | Spot::Above => false,
        };
        // A node whose last part went away goes too, and so on upwards.
        if emptied {
            let mut below = place;
            for &step in above.get(..depth).unwrap_or(&[]).iter().rev() {
                self.count_use(below, -1);
                below = step;
                if !self.release_if_unused(step) {
                    break;
                }
            }
        }
    }

    /// Follows a prefix (not the empty one) to where it belongs; reports the places passed on the way.
    fn locate(&self, path: A, len: u32, mut passed: impl FnMut(Place)) -> (Place, Spot) {
        let mut place = Place::Root;
        for _ in 0..PATH_MAX {
            let link = self.link(place);
            if link.is_leaf() {
                let is_it = |entry: &Entry<A>| entry.path == path && entry.len() == len;
                let index = self.leaves.entries(link).iter().position(is_it);
                return (place, Spot::Leaf(index));
            }
            let (position, depth) = (link.position(), self.depth(link));
            if len <= position || !path.agrees(self.path(link), position) {
                return (place, Spot::Above);
            }
            let own = len.wrapping_sub(position);
            if own <= depth {
                return (place, Spot::Own(own, path.bits(position, own)));
            }
            passed(place);
            place = self.below(link, path);
        }
        (place, Spot::Above)
    }

    pub(super) fn place(&mut self, entry: Entry<A>) -> Result<(), OutOfMemory> {
        let len = entry.len();
        if len == 0 {
            self.any = entry.id;
            return Ok(());
        }
        let (place, spot) = self.locate(entry.path, len, |_| {});
        let link = self.link(place);
        match spot {
            Spot::Own(len, bits) => self.set_own(link, len, bits, entry.id),
            Spot::Leaf(_) if link.count() < LEAF_MAX => {
                let grown = self.leaves.push(link, entry)?;
                self.set_link(place, grown);
                if link == Link::EMPTY {
                    self.count_use(place, 1);
                }
            }
            Spot::Leaf(_) => {
                let full = LeafCopy::of(self.leaves.entries(link));
                let fork = full.fork(entry);
                let node = self.new_node(entry.path, fork)?;
                self.leaves.give_block(link);
                self.set_link(place, node);
                for moved in full.entries.iter().chain([&entry]) {
                    self.place_below(node, *moved)?;
                }
            }
            Spot::Above => {
                let common = entry.path.common(self.path(link)).min(link.position());
                let fork = round(common.min(len.wrapping_sub(1)));
                let node = self.new_node(entry.path, fork)?;
                let old = self.below(node, self.path(link));
                self.set_link(old, link);
                self.count_use(old, 1);
                self.set_link(place, node);
                self.place_below(node, entry)?;
            }
        }
        Ok(())
    }

    /// Puts a prefix into a fresh node, or a leaf below it that cannot be full.
    fn place_below(&mut self, node: Link, entry: Entry<A>) -> Result<(), OutOfMemory> {
        let own = entry.len().wrapping_sub(node.position());
        if own <= 4 {
            self.set_own(node, own, entry.path.bits(node.position(), own), entry.id);
            return Ok(());
        }
        let place = self.below(node, entry.path);
        let link = self.link(place);
        let grown = self.leaves.push(link, entry)?;
        self.set_link(place, grown);
        if link == Link::EMPTY {
            self.count_use(place, 1);
        }
        Ok(())
    }

    fn new_node(&mut self, path: A, position: u32) -> Result<Link, OutOfMemory> {
        let node = Node::new(path.and(A::mask(position)), position);
        let index = self.unused_node as usize;
        if let Some(unused) = self.nodes.get_mut(index) {
            self.unused_node = unused.slots.first().map_or(NONE, |slot| slot.best);
            *unused = node;
            return Ok(Link::node(index, position));
        }
        self.nodes.try_push(node)?;
        Ok(Link::node(self.nodes.len().wrapping_sub(1), position))
    }

    /// Unlinks and frees the node at `place` if nothing is left in it; the wide node stays.
    fn release_if_unused(&mut self, place: Place) -> bool {
        let link = self.link(place);
        if link.is_leaf() || link.is_wide() {
            return false;
        }
        let next = self.unused_node;
        let Some(node) = self.nodes.get_mut(link.index()) else {
            return false;
        };
        if node.used > 0 {
            return false;
        }
        if let Some(slot) = node.slots.first_mut() {
            slot.best = next;
        }
        self.unused_node = link.offset_bits();
        self.set_link(place, Link::EMPTY);
        true
    }

    /// Returns how many bits a node resolves.
    fn depth(&self, link: Link) -> u32 {
        match &self.wide {
            Some(wide) if link.is_wide() => wide.depth,
            _ => 4,
        }
    }

    /// Returns the place below a node that `path` leads to.
    fn below(&self, link: Link, path: A) -> Place {
        let bits = path.bits(link.position(), self.depth(link));
        if link.is_wide() {
            Place::Wide(bits)
        } else {
            Place::Node(link.index(), bits)
        }
    }

    fn path(&self, link: Link) -> A {
        if link.is_wide() {
            return self.wide.as_ref().map_or(A::default(), |wide| wide.path);
        }
        self.nodes
            .get(link.index())
            .map_or(A::default(), |node| node.path)
    }

    fn slot_mut(&mut self, place: Place) -> Option<&mut Slot> {
        match place {
            Place::Root => None,
            Place::Node(index, bits) => self.nodes.get_mut(index)?.slots.get_mut(bits),
            Place::Wide(bits) => self.wide.as_mut()?.slots.get_mut(bits),
        }
    }

    fn link(&self, place: Place) -> Link {
        let slot = match place {
            Place::Root => return self.root,
            Place::Node(index, bits) => self.nodes.get(index).and_then(|node| node.slot(bits)),
            Place::Wide(bits) => self
                .wide
                .as_ref()
                .and_then(|wide| wide.slots.get(bits).copied()),
        };
        slot.map_or(Link::EMPTY, |slot| slot.link)
    }

    fn set_link(&mut self, place: Place, link: Link) {
        match self.slot_mut(place) {
            Some(slot) => slot.link = link,
            None => self.root = link,
        }
    }

    /// Notes that the node around `place` uses one part more or less.
    fn count_use(&mut self, place: Place, change: i8) {
        if let Place::Node(index, _) = place
            && let Some(node) = self.nodes.get_mut(index)
        {
            node.used = node.used.saturating_add_signed(change);
        }
    }

    fn own(&self, link: Link, index: usize) -> u32 {
        let own = if link.is_wide() {
            self.wide.as_ref().and_then(|wide| wide.own.get(index))
        } else {
            self.nodes
                .get(link.index())
                .and_then(|node| node.own.get(index))
        };
        own.copied().unwrap_or(NONE)
    }

    fn set_own(&mut self, link: Link, len: u32, bits: usize, id: u32) {
        let depth = self.depth(link);
        let index = own_index(len, bits);
        let (slots, own): (&mut [Slot], &mut [u32]) = if link.is_wide() {
            let Some(wide) = &mut self.wide else { return };
            (&mut wide.slots, &mut wide.own)
        } else {
            let Some(node) = self.nodes.get_mut(link.index()) else {
                return;
            };
            let is_new = node.own.get(index) == Some(&NONE);
            match (is_new, id == NONE) {
                (true, false) => node.used = node.used.saturating_add(1),
                (false, true) => node.used = node.used.saturating_sub(1),
                _ => {}
            }
            (&mut node.slots, &mut node.own)
        };
        let Some(place) = own.get_mut(index) else {
            return;
        };
        let lost = core::mem::replace(place, id);
        spread(slots, own, depth, (len, bits), id, lost);
    }
}

/// A copy of a full leaf.
struct LeafCopy<A> {
    entries: [Entry<A>; LEAF_MAX],
}

impl<A: Address> LeafCopy<A> {
    fn of(leaf: &[Entry<A>]) -> Self {
        let mut entries = [Entry::default(); LEAF_MAX];
        for (copy, entry) in entries.iter_mut().zip(leaf) {
            *copy = *entry;
        }
        Self { entries }
    }

    /// Returns the position of the node at which these prefixes and `entry` part.
    fn fork(&self, entry: Entry<A>) -> u32 {
        let last = |entry: &Entry<A>| entry.len().wrapping_sub(1);
        let parts = |other: &Entry<A>| entry.path.common(other.path).min(last(other));
        let fork = self.entries.iter().map(parts).min();
        round(fork.unwrap_or(0).min(last(&entry)))
    }
}

const fn round(position: u32) -> u32 {
    position & !3
}
