//! Mapping the pages of MDLs into the kernel and into processes.

use nt::sys::{
    MDL_IO_SPACE, MDL_MAPPED_TO_SYSTEM_VA, MDL_PAGES_LOCKED, MDL_PARTIAL,
    MDL_PARTIAL_HAS_BEEN_MAPPED, MDL_SOURCE_IS_NONPAGED_POOL, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER,
};

use super::{MdlError, MdlRule, MdlView, Result, SystemMapping, UserMapping, rule};
use crate::mem::caller::Caller;
use crate::mem::os::Protection;
use crate::mem::phys::{Pfn, host_page, runs_of};
use crate::mem::user::{self, Backing, RangeError};
use crate::mem::va::{Use, VaRange};
use crate::mem::{Memory, PAGE_SIZE};

/// Where an MDL is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapMode {
    /// Into the kernel.
    Kernel,
    /// Into the current process, at this address if there is one.
    User(Option<usize>),
}

/// How an MDL is mapped.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MapOptions {
    /// The mapping must not be written through (`MdlMappingNoWrite`).
    pub(crate) read_only: bool,
}

impl MapOptions {
    fn protection(self) -> Protection {
        if self.read_only {
            Protection::Read
        } else {
            Protection::ReadWrite
        }
    }
}

/// Host pages that follow each other, as one address.
fn contiguous_host(pfns: &[Pfn]) -> Option<usize> {
    let first = host_page(*pfns.first()?)?;
    let follow = pfns
        .iter()
        .enumerate()
        .all(|(index, &pfn)| host_page(pfn) == Some(first + index * PAGE_SIZE));
    follow.then_some(first)
}

impl Memory {
    /// Maps an MDL and returns the address of its first byte.
    pub(crate) fn mdl_map(
        &self,
        mdl: MdlView,
        mode: MapMode,
        options: MapOptions,
        caller: &Caller,
    ) -> Result<usize> {
        let backed = MDL_PAGES_LOCKED | MDL_SOURCE_IS_NONPAGED_POOL | MDL_PARTIAL | MDL_IO_SPACE;
        if !mdl.has(backed) {
            return rule(
                MdlRule::PagesNotLocked,
                format_args!(
                    "the MDL {:#x} has neither locked pages nor non-paged memory (flags {:#x})",
                    mdl.0,
                    mdl.flags()
                ),
            );
        }
        if mdl.len() == 0 {
            return rule(
                MdlRule::Malformed,
                format_args!("the MDL {:#x} describes no bytes", mdl.0),
            );
        }
        match mode {
            MapMode::Kernel => {
                self.check_not_mapped(mdl)?;
                let pfns = mdl.pfns();
                if let Some(start) = contiguous_host(&pfns) {
                    let address = start + mdl.offset();
                    self.note_system_mapping(
                        mdl,
                        SystemMapping {
                            address,
                            range: None,
                            reserved: false,
                            caller: caller.clone(),
                        },
                    );
                    return Ok(address);
                }
                let range = self.va.reserve(pfns.len() * PAGE_SIZE, Use::MdlMapping);
                let range = range.ok_or(MdlError::NoResources)?;
                if let Err(error) = self.map_frames(range, &pfns, options.protection()) {
                    self.va.release(range);
                    return Err(error);
                }
                let address = range.start + mdl.offset();
                self.note_system_mapping(
                    mdl,
                    SystemMapping {
                        address,
                        range: Some(range),
                        reserved: false,
                        caller: caller.clone(),
                    },
                );
                Ok(address)
            }
            MapMode::User(at) => self.map_into_process(mdl, at, options, caller),
        }
    }

    pub(super) fn check_not_mapped(&self, mdl: MdlView) -> Result<()> {
        if mdl.has(MDL_MAPPED_TO_SYSTEM_VA) {
            return rule(
                MdlRule::MappedTwice,
                format_args!(
                    "the MDL {:#x} is mapped already, at {:#x}",
                    mdl.0,
                    mdl.mapped()
                ),
            );
        }
        Ok(())
    }

    pub(super) fn map_frames(
        &self,
        range: VaRange,
        pfns: &[Pfn],
        protection: Protection,
    ) -> Result<()> {
        if let Some(pfn) = pfns
            .iter()
            .find(|&&pfn| !self.phys.exists(pfn) && host_page(pfn).is_none())
        {
            return rule(
                MdlRule::Malformed,
                format_args!("page frame {pfn:#x} does not exist"),
            );
        }
        // Pages of the host process cannot be mapped a second time beside frames of the machine.
        if pfns.iter().any(|&pfn| host_page(pfn).is_some()) {
            return Err(MdlError::NoResources);
        }
        let runs = runs_of(pfns.iter().copied());
        self.va
            .map(&self.phys, range, 0, &runs, protection)
            .map_err(|_| MdlError::NoResources)
    }

    pub(super) fn note_system_mapping(&self, mdl: MdlView, mapping: SystemMapping) {
        mdl.set_mapped(mapping.address);
        let partial = if mdl.has(MDL_PARTIAL) {
            MDL_PARTIAL_HAS_BEEN_MAPPED
        } else {
            0
        };
        mdl.change_flags(0, MDL_MAPPED_TO_SYSTEM_VA | partial);
        self.mdls.with(mdl, |state| state.system = Some(mapping));
    }

    fn map_into_process(
        &self,
        mdl: MdlView,
        at: Option<usize>,
        options: MapOptions,
        caller: &Caller,
    ) -> Result<usize> {
        let Some(space) = user::current().and_then(|id| self.spaces.get(id)) else {
            return rule(
                MdlRule::WrongProcess,
                format_args!(
                    "the MDL {:#x} is mapped for user mode by a thread that is in no process",
                    mdl.0
                ),
            );
        };
        let start = space
            .map(&self.phys, at, &mdl.pfns(), options.protection())
            .map_err(|error| {
                let conflict = error == RangeError::Conflict;
                MdlError::Raise(if conflict {
                    STATUS_INVALID_PARAMETER
                } else {
                    STATUS_INSUFFICIENT_RESOURCES
                })
            })?;
        let mapping = UserMapping {
            space: space.id(),
            start,
            caller: caller.clone(),
        };
        self.mdls.with(mdl, |state| state.user.push(mapping));
        Ok(start + mdl.offset())
    }

    /// Undoes a mapping into the kernel.
    pub(crate) fn mdl_unmap_system(&self, mdl: MdlView, address: usize) -> Result<()> {
        let mapping = self.mdls.with(mdl, |state| state.system.clone());
        let Some(mapping) =
            mapping.filter(|mapping| mapping.address == address && !mapping.reserved)
        else {
            return rule(
                MdlRule::NotMapped,
                format_args!(
                    "the MDL {:#x} has no mapping of its own at {address:#x}",
                    mdl.0
                ),
            );
        };
        self.mdls.with(mdl, |state| state.system = None);
        if let Some(range) = mapping.range {
            self.va.release(range);
        }
        mdl.change_flags(MDL_MAPPED_TO_SYSTEM_VA | MDL_PARTIAL_HAS_BEEN_MAPPED, 0);
        Ok(())
    }

    /// Undoes a mapping into a process, which must be the current one.
    pub(crate) fn mdl_unmap_user(&self, mdl: MdlView, address: usize) -> Result<()> {
        let start = address & !(PAGE_SIZE - 1);
        let found = self.mdls.with(mdl, |state| {
            state
                .user
                .iter()
                .find(|mapping| mapping.start == start)
                .cloned()
        });
        let Some(mapping) = found else {
            // The mappings of a process go with its address space: who attaches to it afterwards finds nothing.
            if user::current().is_some_and(|id| self.spaces.get(id).is_none()) {
                return Ok(());
            }
            return rule(
                MdlRule::NotMapped,
                format_args!("the MDL {:#x} has no user mapping at {address:#x}", mdl.0),
            );
        };
        let space = self.spaces.get(mapping.space);
        let Some(space) = space.filter(|space| user::current() == Some(space.id())) else {
            return rule(
                MdlRule::WrongProcess,
                format_args!(
                    "the user mapping {address:#x} belongs to a process that is not the current one"
                ),
            );
        };
        self.mdls
            .with(mdl, |state| state.user.retain(|other| other.start != start));
        match space.release(&self.phys, &self.pins, start, Backing::Mapped) {
            Ok(()) => Ok(()),
            Err(error) => rule(
                MdlRule::NotMapped,
                format_args!("{address:#x} cannot be unmapped: {error:?}"),
            ),
        }
    }

    /// Changes what may be done through a mapping into the kernel.
    pub(crate) fn mdl_protect(&self, mdl: MdlView, protection: Protection) -> Result<()> {
        let range = self.mdls.with(mdl, |state| {
            state.system.as_ref().map(|mapping| mapping.range)
        });
        match range {
            None => rule(
                MdlRule::NotMapped,
                format_args!("the MDL {:#x} has no mapping of its own", mdl.0),
            ),
            Some(None) => Err(MdlError::NoResources),
            Some(Some(range)) => {
                let pages = mdl.pages();
                self.va
                    .protect(range, 0, pages, protection)
                    .map_err(|_| MdlError::NoResources)
            }
        }
    }
}
