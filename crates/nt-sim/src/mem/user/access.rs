//! Who may touch user memory, and when.
//!
//! Kernel code may touch the memory of the current process, after it probed the range in the same system call, below
//! DISPATCH, and must expect an exception. What the rules forbid is told apart from what merely faults: the first is a
//! defect of the driver, the second happens to correct drivers with hostile callers.

use std::cell::{Cell, RefCell};

use super::{SpaceId, Spaces};
use crate::mem::os::Protection;

/// How memory is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
}

impl Access {
    pub(super) fn allowed(self, protection: Protection) -> bool {
        match self {
            Self::Read => protection != Protection::None,
            Self::Write => protection.writable(),
        }
    }
}

/// Why an access to a user address does not go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Nothing is mapped there, or not for this access: an access violation, which a driver has to survive.
    NotAccessible,
    /// The address belongs to a process that is not the current one.
    OtherProcess {
        /// Whose it is.
        owner: SpaceId,
        /// The process that is current, if any.
        current: Option<SpaceId>,
    },
    /// The range was not probed by this thread in this system call.
    NotProbed,
}

/// A denied access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserFault {
    /// The first address that is denied.
    pub address: usize,
    /// The access.
    pub access: Access,
    /// Why.
    pub why: Denied,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    start: usize,
    end: usize,
    writable: bool,
}

thread_local! {
    static CURRENT: Cell<Option<SpaceId>> = const { Cell::new(None) };
    static PROBES: RefCell<Vec<Probe>> = const { RefCell::new(Vec::new()) };
}

/// Probes remembered per system call; the oldest is forgotten first, which no driver that copies what it probed notices.
const MAX_PROBES: usize = 4096;

/// The process whose address space a thread has switched to; switching back is the caller's.
pub type Current = Option<SpaceId>;

/// The address space that the calling thread runs in.
pub fn current() -> Current {
    CURRENT.get()
}

/// Switches the calling thread to an address space and returns the one it was in.
pub fn switch_to(space: Current) -> Current {
    CURRENT.replace(space)
}

/// Forgets what this thread has probed: called when a system call starts and ends.
pub fn begin_system_call() {
    PROBES.with_borrow_mut(Vec::clear);
}

/// Remembers that this thread has probed a range.
pub fn note_probe(start: usize, len: usize, writable: bool) {
    PROBES.with_borrow_mut(|probes| {
        if probes.len() == MAX_PROBES {
            probes.remove(0);
        }
        probes.push(Probe {
            start,
            end: start.saturating_add(len),
            writable,
        });
    });
}

fn probed(start: usize, len: usize, access: Access) -> bool {
    PROBES.with_borrow(|probes| {
        let mut at = start;
        // A range may be covered by several probes; follow them from the start.
        while at < start + len {
            let covers = |probe: &&Probe| {
                (probe.start..probe.end).contains(&at) && (access == Access::Read || probe.writable)
            };
            match probes.iter().rev().find(covers) {
                Some(probe) => at = probe.end,
                None => return false,
            }
        }
        true
    })
}

impl Spaces {
    /// Decides about an access of kernel code to user addresses: what to add to the address to reach the pages, or why
    /// the access does not go through.
    ///
    /// # Errors
    /// The reason, and the first address it holds for.
    pub fn resolve(&self, address: usize, len: usize, access: Access) -> Result<usize, UserFault> {
        let len = len.max(1);
        let fault = |address, why| {
            Err(UserFault {
                address,
                access,
                why,
            })
        };
        let space = self
            .of(address)
            .filter(|_| address.checked_add(len).is_some());
        let Some(space) = space else {
            return fault(address, Denied::NotAccessible);
        };
        if Some(space.id()) != current() {
            // Probed: a hostile caller passed the address, and for this process nothing is there. Not probed: the
            // driver got into the wrong process.
            if current().is_some() && probed(address, len, access) {
                return fault(address, Denied::NotAccessible);
            }
            return fault(
                address,
                Denied::OtherProcess {
                    owner: space.id(),
                    current: current(),
                },
            );
        }
        // A page that is not there is an access violation whether it was probed or not: probing for read never looked.
        if let Err(address) = space.check(address, len, access) {
            return fault(address, Denied::NotAccessible);
        }
        if self.strict && !probed(address, len, access) {
            return fault(address, Denied::NotProbed);
        }
        Ok(space.delta())
    }
}
