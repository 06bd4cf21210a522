//! Sets of ports.

use std::fmt;
use std::ops::RangeInclusive;
use xdp_abi::{ClientPtr, Port};

/// A set of ports as the driver reads it: a bitmap of 8 KiB that stays where it is.
#[derive(Clone, PartialEq, Eq)]
pub struct PortBitmap(Box<[u64; 1024]>);

impl Default for PortBitmap {
    fn default() -> Self {
        Self::new()
    }
}

impl PortBitmap {
    /// Makes an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self(Box::new([0; 1024]))
    }

    /// Adds a port, given as people write it.
    pub fn insert(&mut self, port: u16) {
        let raw = usize::from(Port::new(port).raw());
        self.0[raw / 64] |= 1 << (raw % 64);
    }

    /// Tells whether a port, given as people write it, is in the set.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        let raw = usize::from(Port::new(port).raw());
        self.0[raw / 64] & 1 << (raw % 64) != 0
    }

    /// Returns the address of the bitmap, as a rule holds it.
    #[must_use]
    pub fn address(&self) -> ClientPtr {
        ClientPtr(self.0.as_ptr().expose_provenance() as u64)
    }

    /// Returns the bitmap as the driver reads it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    /// Returns the ports as ranges in ascending order.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u16>> {
        let mut next = 0u32;
        std::iter::from_fn(move || {
            let is_in = |port: &u32| u16::try_from(*port).is_ok_and(|port| self.contains(port));
            let first = (next..=0xFFFF).find(is_in)?;
            let end = (first..=0xFFFF)
                .find(|port| !is_in(port))
                .unwrap_or(0x1_0000);
            next = end;
            Some(first as u16..=(end - 1) as u16)
        })
    }
}

/// Writes the ports as a rule file does: `53, 8000-8100`.
impl fmt::Display for PortBitmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.ranges().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PortBitmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}
