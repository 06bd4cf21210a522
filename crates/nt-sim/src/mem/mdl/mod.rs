//! Memory descriptor lists: who allocated, locked and mapped each, and the rules of doing so.
//!
//! The MDL itself is memory of the driver, with the fields and flags that the inline functions of the headers read; what
//! must be known to undo a lock or a mapping, and to tell what was forgotten, is kept here by the MDL's address.

mod lock;
mod map;
mod pages;
mod reserved;
pub(crate) mod view;

use std::collections::HashMap;
use std::fmt;

use crate::sync::Mutex;
use nt::sys::{
    MDL, MDL_ALLOCATED_FIXED_SIZE, MDL_MAPPED_TO_SYSTEM_VA, MDL_PAGES_LOCKED, MDL_PARTIAL,
    MDL_PARTIAL_HAS_BEEN_MAPPED, MDL_SOURCE_IS_NONPAGED_POOL, NTSTATUS,
};

pub(crate) use self::map::{MapMode, MapOptions};
pub(crate) use self::pages::{Contiguous, PageRequest};
pub(crate) use self::view::{HEADER, MdlView, spanned_pages};
use super::caller::{Caller, Tag};
use super::phys::{Pfn, Run};
use super::pool::{PoolKind, Request};
use super::user::{Access, SpaceId};
use super::va::VaRange;
use super::{Memory, PAGE_SIZE, is_user};

/// The tag of MDLs in the pool.
pub const MDL_TAG: Tag = Tag::new(b"Mdl ");

/// A rule about MDLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MdlRule {
    /// Freed while its pages are locked.
    FreedLocked,
    /// Freed while it is mapped.
    FreedMapped,
    /// Locked although it is.
    LockedTwice,
    /// Unlocked although it is not locked.
    NotLocked,
    /// Mapped although it is.
    MappedTwice,
    /// Unmapped although it is not, or from another address.
    NotMapped,
    /// Mapped without pages that are locked or non-paged.
    PagesNotLocked,
    /// Unlocked, freed, or the process ended, while it is mapped into a process.
    UserMappingLeft,
    /// A user mapping made, or undone, in the wrong process or none.
    WrongProcess,
    /// Does not describe what the function needs.
    Malformed,
    /// A reserved mapping used against its rules.
    ReservedMapping,
    /// Not memory that can be freed or described so.
    BadAddress,
}

/// Why an operation on an MDL is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MdlError {
    /// A rule is broken.
    Rule(MdlRule, String),
    /// The function raises this exception.
    Raise(NTSTATUS),
    /// Memory or address space is used up.
    NoResources,
}

type Result<T> = std::result::Result<T, MdlError>;

fn rule<T>(rule: MdlRule, words: impl fmt::Display) -> Result<T> {
    Err(MdlError::Rule(rule, words.to_string()))
}

/// Pages that an MDL holds.
#[derive(Debug)]
struct Lock {
    space: Option<SpaceId>,
    pfns: Vec<Pfn>,
    caller: Caller,
}

/// A mapping of an MDL into kernel addresses.
#[derive(Clone, Debug)]
struct SystemMapping {
    /// The address that drivers see, offset included.
    address: usize,
    /// The range that was reserved for it; host pages have none, as they are not mapped again.
    range: Option<VaRange>,
    /// Whether the range is one that the driver reserved.
    reserved: bool,
    caller: Caller,
}

#[derive(Clone, Debug)]
struct UserMapping {
    space: SpaceId,
    start: usize,
    caller: Caller,
}

#[derive(Debug, Default)]
struct State {
    allocated: Option<Caller>,
    lock: Option<Lock>,
    system: Option<SystemMapping>,
    user: Vec<UserMapping>,
    /// Frames that `MmAllocatePagesForMdlEx` gave it.
    pages: Option<(Vec<Run>, Caller)>,
}

impl State {
    fn is_empty(&self) -> bool {
        self.allocated.is_none()
            && self.lock.is_none()
            && self.system.is_none()
            && self.user.is_empty()
            && self.pages.is_none()
    }
}

/// What is known of the MDLs in use.
#[derive(Debug, Default)]
pub(crate) struct Mdls {
    by_address: Mutex<HashMap<usize, State>>,
    reserved: Mutex<HashMap<usize, reserved::Reserved>>,
}

/// Something that a driver did with an MDL and has not undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MdlLeak {
    /// The MDL, or the reserved address.
    pub address: usize,
    /// What is left: "allocated", "locked", "mapped", ...
    pub what: &'static str,
    /// Who did it.
    pub caller: Caller,
}

impl Mdls {
    fn with<R>(&self, mdl: MdlView, body: impl FnOnce(&mut State) -> R) -> R {
        let mut table = self.by_address.lock();
        let state = table.entry(mdl.0).or_default();
        let result = body(state);
        if state.is_empty() {
            table.remove(&mdl.0);
        }
        result
    }

    /// What images have not undone, oldest knowledge first by address; `owner` `None` means every image.
    pub(crate) fn leaks(&self, owner: Option<u16>) -> Vec<MdlLeak> {
        let mut leaks = Vec::new();
        let mut add = |address: usize, what, caller: &Caller| {
            if owner.is_none_or(|owner| caller.owner == owner) {
                leaks.push(MdlLeak {
                    address,
                    what,
                    caller: caller.clone(),
                });
            }
        };
        for (&address, state) in self.by_address.lock().iter() {
            if let Some(lock) = &state.lock {
                add(address, "locked", &lock.caller);
            }
            if let Some(mapping) = &state.system {
                add(address, "mapped", &mapping.caller);
            }
            for mapping in &state.user {
                add(address, "mapped into a process", &mapping.caller);
            }
            if let Some((_, caller)) = &state.pages {
                add(address, "holding pages", caller);
            }
            if let Some(caller) = &state.allocated {
                add(address, "allocated", caller);
            }
        }
        for (&address, reserved) in self.reserved.lock().iter() {
            add(address, "a reserved mapping", &reserved.caller);
        }
        leaks.sort_by_key(|leak| (leak.address, leak.what));
        leaks
    }

    /// MDLs that still lock pages of a process.
    pub(crate) fn locked_by(&self, space: SpaceId) -> Vec<MdlLeak> {
        let table = self.by_address.lock();
        let locks = table
            .iter()
            .filter_map(|(&address, state)| Some((address, state.lock.as_ref()?)));
        locks
            .filter(|(_, lock)| lock.space == Some(space))
            .map(|(address, lock)| MdlLeak {
                address,
                what: "locked",
                caller: lock.caller.clone(),
            })
            .collect()
    }

    /// The mappings into an address space that nobody has undone.
    pub(crate) fn mapped_into(&self, space: SpaceId) -> Vec<MdlLeak> {
        let table = self.by_address.lock();
        let mappings = table.iter().flat_map(|(&address, state)| {
            let theirs = state.user.iter().map(move |mapping| (address, mapping));
            theirs.filter(|(_, mapping)| mapping.space == space)
        });
        mappings
            .map(|(address, mapping)| MdlLeak {
                address,
                what: "mapped into it",
                caller: mapping.caller.clone(),
            })
            .collect()
    }

    /// Forgets the mappings into an address space that is gone.
    pub(crate) fn forget_space(&self, space: SpaceId) {
        for state in self.by_address.lock().values_mut() {
            state.user.retain(|mapping| mapping.space != space);
        }
    }

    /// Whether memory from `start` to `end` holds an MDL that is locked or mapped, and which.
    pub(crate) fn in_use_within(&self, start: usize, end: usize) -> Option<(usize, &'static str)> {
        let table = self.by_address.lock();
        let inside = table
            .iter()
            .filter(|(address, _)| (start..end).contains(address));
        inside
            .filter_map(|(&address, state)| {
                let what = if state.lock.is_some() {
                    "locked"
                } else if state.system.is_some() || !state.user.is_empty() {
                    "mapped"
                } else if state.pages.is_some() {
                    "holding pages"
                } else {
                    return None;
                };
                Some((address, what))
            })
            .next()
    }
}

impl Memory {
    /// Writes the fields that describe a buffer, as the macro `MmInitializeMdl` does.
    pub(crate) fn describe_buffer(&self, mdl: MdlView, address: usize, len: usize, flags: i16) {
        let size = HEADER + spanned_pages(address, len) * 8;
        mdl.set_header(MDL {
            // Wraps for huge buffers, as in Windows, where the field is as narrow.
            Size: size as i16,
            MdlFlags: flags,
            StartVa: (address & !(PAGE_SIZE - 1)) as *mut _,
            ByteCount: len as u32,
            ByteOffset: (address % PAGE_SIZE) as u32,
            ..MDL::zeroed()
        });
    }

    /// Allocates an MDL for a buffer.
    pub(crate) fn mdl_allocate(
        &self,
        address: usize,
        len: usize,
        caller: &Caller,
    ) -> Result<MdlView> {
        // The limit since Windows Vista.
        if len > (1 << 31) - PAGE_SIZE {
            return Err(MdlError::NoResources);
        }
        // In strict mode the MDL is told as leaked by itself, not once more as a block of the pool.
        let block_owner = if self.strict {
            Caller::default()
        } else {
            caller.clone()
        };
        let mdl = self.mdl_block(HEADER + spanned_pages(address, len) * 8, &block_owner)?;
        self.describe_buffer(mdl, address, len, MDL_ALLOCATED_FIXED_SIZE);
        if self.strict {
            self.mdls
                .with(mdl, |state| state.allocated = Some(caller.clone()));
        }
        Ok(mdl)
    }

    fn mdl_block(&self, size: usize, owner: &Caller) -> Result<MdlView> {
        let kind = PoolKind {
            paged: false,
            executable: false,
        };
        let request = Request {
            size,
            tag: MDL_TAG,
            kind,
            zero: false,
            cache_aligned: false,
            raise: false,
        };
        match self.pool.alloc(&self.phys, &self.va, &request, owner) {
            Ok(Some(address)) => Ok(MdlView(address)),
            Ok(None) => Err(MdlError::NoResources),
            Err(violation) => rule(MdlRule::BadAddress, violation.words()),
        }
    }

    /// Frees an MDL that [`Memory::mdl_allocate`] made.
    pub(crate) fn mdl_free(&self, mdl: MdlView, caller: &Caller) -> Result<()> {
        if self.strict {
            let known = self
                .mdls
                .by_address
                .lock()
                .get(&mdl.0)
                .is_some_and(|state| state.allocated.is_some());
            if !known {
                return rule(
                    MdlRule::BadAddress,
                    format_args!(
                        "{:#x} is not an MDL that IoAllocateMdl returned and that is still allocated",
                        mdl.0
                    ),
                );
            }
        }
        self.mdl_prepare_for_reuse(mdl)?;
        if mdl.has(MDL_PAGES_LOCKED) && !mdl.has(MDL_PARTIAL) {
            return rule(
                MdlRule::FreedLocked,
                format_args!("the MDL {:#x} still locks its pages", mdl.0),
            );
        }
        let own_mapping = self.mdls.with(mdl, |state| {
            state.system.as_ref().map(|mapping| mapping.address)
        });
        if let Some(address) = own_mapping {
            return rule(
                MdlRule::FreedMapped,
                format_args!("the MDL {:#x} is still mapped at {address:#x}", mdl.0),
            );
        }
        let user = self
            .mdls
            .with(mdl, |state| state.user.first().map(|mapping| mapping.start));
        if let Some(start) = user {
            return rule(
                MdlRule::UserMappingLeft,
                format_args!(
                    "the MDL {:#x} is still mapped into a process at {start:#x}",
                    mdl.0
                ),
            );
        }
        self.mdls.with(mdl, |state| state.allocated = None);
        match self
            .pool
            .free(&self.phys, &self.va, mdl.0, Some(MDL_TAG), caller)
        {
            Ok(_) => Ok(()),
            Err(violation) => rule(MdlRule::BadAddress, violation.words()),
        }
    }

    /// Undoes the mapping of a partial MDL, as the macro `MmPrepareMdlForReuse` does.
    fn mdl_prepare_for_reuse(&self, mdl: MdlView) -> Result<()> {
        if mdl.has(MDL_PARTIAL_HAS_BEEN_MAPPED) && mdl.has(MDL_MAPPED_TO_SYSTEM_VA) {
            self.mdl_unmap_system(mdl, mdl.mapped())?;
        }
        Ok(())
    }

    /// Describes part of the buffer of another MDL.
    pub(crate) fn mdl_build_partial(
        &self,
        from: MdlView,
        to: MdlView,
        address: usize,
        len: usize,
    ) -> Result<()> {
        let (source, target) = (from.header(), to.header());
        let source_address = from.address();
        let skipped = address.wrapping_sub(source_address);
        let source_len = source.ByteCount as usize;
        let len = if len == 0 {
            source_len.saturating_sub(skipped)
        } else {
            len
        };
        if skipped > source_len || len > source_len - skipped {
            return rule(
                MdlRule::Malformed,
                format_args!(
                    "{address:#x}+{len:#x} is not inside {source_address:#x}+{source_len:#x}, the buffer of the MDL {:#x}",
                    from.0
                ),
            );
        }
        let room = (usize::from(target.Size as u16)).saturating_sub(HEADER) / 8;
        let pages = spanned_pages(address, len);
        if pages > room && target.MdlFlags & MDL_ALLOCATED_FIXED_SIZE != 0 && pages < 0x1000 {
            return rule(
                MdlRule::Malformed,
                format_args!(
                    "the target MDL {:#x} has room for {room} pages, {pages} are needed",
                    to.0
                ),
            );
        }
        if self.strict
            && self
                .mdls
                .with(to, |state| state.system.is_some() || state.lock.is_some())
        {
            return rule(
                MdlRule::MappedTwice,
                format_args!(
                    "the target MDL {:#x} is still locked or mapped by itself",
                    to.0
                ),
            );
        }
        let inherited =
            MDL_SOURCE_IS_NONPAGED_POOL | MDL_MAPPED_TO_SYSTEM_VA | nt::sys::MDL_IO_PAGE_READ;
        let kept = MDL_ALLOCATED_FIXED_SIZE;
        let flags = (target.MdlFlags & kept) | (source.MdlFlags & inherited) | MDL_PARTIAL;
        to.set_header(MDL {
            MdlFlags: flags,
            Process: source.Process,
            MappedSystemVa: (source.MappedSystemVa as usize).wrapping_add(skipped) as *mut _,
            StartVa: (address & !(PAGE_SIZE - 1)) as *mut _,
            ByteCount: len as u32,
            ByteOffset: (address % PAGE_SIZE) as u32,
            ..target
        });
        let first = (source.ByteOffset as usize + skipped) / PAGE_SIZE;
        super::raw::copy(to.0 + HEADER, from.0 + HEADER + first * 8, pages * 8);
        Ok(())
    }

    /// Fills in the frames of a non-paged kernel buffer.
    pub(crate) fn mdl_build_for_nonpaged(&self, mdl: MdlView) -> Result<()> {
        let (address, len) = (mdl.address(), mdl.len());
        if is_user(address) {
            return rule(
                MdlRule::BadAddress,
                format_args!("{address:#x} is a user address"),
            );
        }
        if mdl.has(MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA | MDL_PARTIAL) {
            return rule(
                MdlRule::Malformed,
                format_args!(
                    "the MDL {:#x} is locked, mapped or partial (flags {:#x})",
                    mdl.0,
                    mdl.flags()
                ),
            );
        }
        if self.strict
            && let Some(super::pool::PoolAddress::Live(block)) = self.pool.describe(address)
            && block.kind.paged
        {
            return rule(
                MdlRule::BadAddress,
                format_args!("{address:#x} is in paged pool: {block}"),
            );
        }
        let pfns = match self.kernel_pfns(address, len, Access::Read) {
            Ok(pfns) => pfns,
            Err(at) => {
                return rule(
                    MdlRule::BadAddress,
                    format_args!("nothing is mapped at {at:#x}"),
                );
            }
        };
        mdl.set_pfns(&pfns);
        mdl.set_mapped(address);
        mdl.change_flags(0, MDL_SOURCE_IS_NONPAGED_POOL);
        Ok(())
    }

    /// The frames behind a range of kernel addresses; the first address where none is, otherwise. Memory that is not
    /// the simulated kernel's (statics of a linked driver, for example) counts as mapped and has frames of the host.
    pub(crate) fn kernel_pfns(
        &self,
        address: usize,
        len: usize,
        access: Access,
    ) -> std::result::Result<Vec<Pfn>, usize> {
        (0..spanned_pages(address, len))
            .map(|index| {
                let at = (address & !(PAGE_SIZE - 1)).wrapping_add(index * PAGE_SIZE);
                if let Some(pfn) = self.pool.pfn(at) {
                    return Ok(pfn);
                }
                if !self.va.contains(at) {
                    let there = at != 0 && (!self.strict || super::os::is_mapped(at));
                    return if !there {
                        Err(at.max(address))
                    } else {
                        Ok(super::phys::host_pfn(at))
                    };
                }
                let mapped = self.va.find(at).and_then(|info| info.mapped);
                match mapped {
                    Some((_, protection)) if access == Access::Write && !protection.writable() => {
                        Err(at)
                    }
                    Some((pfn, _)) => Ok(pfn),
                    None => Err(at.max(address)),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
