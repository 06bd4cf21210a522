//! Kernel objects that live in a driver's memory and must not go away while they are in use.

use std::{collections::BTreeMap, ops::Range};

/// Objects in use, by address.
#[derive(Default)]
pub(crate) struct Active {
    by_address: BTreeMap<usize, Object>,
}

/// One object in use.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) kind: &'static str,
    pub(crate) size: usize,
    /// The driver that put it to use.
    pub(crate) owner: u16,
}

impl Active {
    /// Notes that the object at `address` is in use (queued, locked, waited for).
    pub(crate) fn insert(&mut self, address: usize, kind: &'static str, size: usize, owner: u16) {
        let object = Object { kind, size, owner };
        self.by_address.insert(address, object);
    }

    /// Notes that it no longer is.
    pub(crate) fn remove(&mut self, address: usize) -> Option<Object> {
        self.by_address.remove(&address)
    }

    /// An object in use that touches `range`.
    pub(crate) fn first_in(&self, range: Range<usize>) -> Option<(usize, &Object)> {
        self.by_address
            .range(..range.end)
            .next_back()
            .filter(|(address, object)| **address + object.size > range.start)
            .map(|(address, object)| (*address, object))
    }

    /// Every object in use.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Object)> {
        self.by_address.iter().map(|(a, o)| (*a, o))
    }
}
