//! Sets of ports that rules refer to.

use std::fmt;
use std::sync::atomic::Ordering;

use xdp_abi::Port;
use xdp_abi::rule::PORT_SET_BUFFER_SIZE;

use crate::error::{Call, Error};
use crate::interface::System;
use crate::memory::Memory;
use crate::rulefile::PortBitmap;

/// A set of ports that the driver reads in place: changes take effect at once, also in programs that are attached.
/// Cloning it gives another handle to the same set.
#[doc(alias = "XDP_PORT_SET")]
#[derive(Clone)]
pub struct PortSet {
    memory: Memory,
}

impl PortSet {
    /// Makes an empty set for programs on a system, or on the system that an interface is in.
    ///
    /// # Errors
    ///
    /// [`Kind::OutOfMemory`](crate::Kind::OutOfMemory).
    pub fn new(system: impl Into<System>) -> Result<Self, Error> {
        let memory = system
            .into()
            .backend()
            .allocate(PORT_SET_BUFFER_SIZE)
            .map_err(|fault| fault.during(Call::CreatePortSet, ""))?;
        Ok(Self { memory })
    }

    /// The ports of a rule file.
    pub(crate) fn copy_of(system: &System, ports: &PortBitmap) -> Result<Self, Error> {
        let set = Self::new(system)?;
        for port in ports.ranges().flatten() {
            set.insert(port);
        }
        Ok(set)
    }

    /// Word and bit of a port.
    fn place(port: u16) -> (usize, u64) {
        let raw = usize::from(Port::new(port).raw());
        (raw / 64 * 8, 1 << (raw % 64))
    }

    /// Adds a port.
    pub fn insert(&self, port: u16) {
        let (offset, bit) = Self::place(port);
        self.memory.word(offset).fetch_or(bit, Ordering::Relaxed);
    }

    /// Takes a port out.
    pub fn remove(&self, port: u16) {
        let (offset, bit) = Self::place(port);
        self.memory.word(offset).fetch_and(!bit, Ordering::Relaxed);
    }

    /// Whether a port is in the set.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        let (offset, bit) = Self::place(port);
        self.memory.word(offset).load(Ordering::Relaxed) & bit != 0
    }

    pub(crate) fn address(&self) -> u64 {
        self.memory.address()
    }
}

impl fmt::Debug for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries((0..=u16::MAX).filter(|port| self.contains(*port)))
            .finish()
    }
}
