//! Page frames without addresses, and physically contiguous memory.

use std::ops::Range;

use nt::sys::{MDL_MAPPED_TO_SYSTEM_VA, MDL_PAGES_LOCKED};

use super::{HEADER, MdlError, MdlRule, MdlView, Result, rule, spanned_pages};
use crate::mem::caller::Caller;
use crate::mem::os::Protection;
use crate::mem::phys::{Pfn, Run};
use crate::mem::va::{Use, VaRange};
use crate::mem::{Memory, PAGE_SIZE, pages_for, raw};

/// What `MmAllocatePagesForMdlEx` is asked for.
#[derive(Clone, Debug)]
pub(crate) struct PageRequest {
    pub(crate) range: Range<Pfn>,
    pub(crate) len: usize,
    /// Fewer pages than asked for are no success.
    pub(crate) all: bool,
    /// The pages must follow each other.
    pub(crate) contiguous: bool,
    pub(crate) zero: bool,
}

/// Physically contiguous memory of a driver.
#[derive(Clone, Debug)]
pub(crate) struct Contiguous {
    range: VaRange,
    run: Run,
    pub(crate) caller: Caller,
}

impl Memory {
    /// Allocates frames and an MDL that holds them; fewer than asked for unless all are required.
    pub(crate) fn mdl_allocate_pages(
        &self,
        request: &PageRequest,
        caller: &Caller,
    ) -> Result<MdlView> {
        let wanted = pages_for(request.len) as u64;
        if wanted == 0 || request.len > u32::MAX as usize {
            return Err(MdlError::NoResources);
        }
        let take = |count| {
            if request.contiguous {
                self.phys
                    .alloc_within(count, request.range.clone(), 0)
                    .map(|run| vec![run])
            } else {
                self.phys.alloc_any(count, request.range.clone())
            }
        };
        // A request that takes what there is leaves the rest of the machine something to live on.
        let spare = self.phys.free_pages() / 8 * 7;
        let mut count = if request.all {
            wanted
        } else {
            wanted.min(spare.max(1))
        };
        let runs = loop {
            match take(count) {
                Some(runs) => break runs,
                None if request.all || count <= 1 => return Err(MdlError::NoResources),
                None => count /= 2,
            }
        };
        let give_back = |runs: &[Run]| runs.iter().for_each(|&run| self.phys.free(run));
        if request.zero && self.zero_frames(&runs).is_none() {
            give_back(&runs);
            return Err(MdlError::NoResources);
        }
        let len = (count as usize * PAGE_SIZE).min(request.len.next_multiple_of(PAGE_SIZE));
        let mdl = match self.mdl_block(HEADER + spanned_pages(0, len) * 8, caller) {
            Ok(mdl) => mdl,
            Err(error) => {
                give_back(&runs);
                return Err(error);
            }
        };
        self.describe_buffer(mdl, 0, len, MDL_PAGES_LOCKED);
        let pfns: Vec<Pfn> = runs.iter().flat_map(|run| run.pfns()).collect();
        mdl.set_pfns(&pfns);
        self.mdls
            .with(mdl, |state| state.pages = Some((runs, caller.clone())));
        Ok(mdl)
    }

    fn zero_frames(&self, runs: &[Run]) -> Option<()> {
        let pages: u64 = runs.iter().map(|run| run.count).sum();
        let range = self.va.reserve(pages as usize * PAGE_SIZE, Use::Kernel)?;
        let mapped = self
            .va
            .map(&self.phys, range, 0, runs, Protection::ReadWrite);
        if mapped.is_ok() {
            raw::fill(range.start, range.len, 0);
        }
        self.va.release(range);
        mapped.ok()
    }

    /// Frees the frames; the MDL itself is freed with `ExFreePool`.
    pub(crate) fn mdl_free_pages(&self, mdl: MdlView) -> Result<()> {
        if mdl.has(MDL_MAPPED_TO_SYSTEM_VA) {
            return rule(
                MdlRule::FreedMapped,
                format_args!(
                    "the MDL {:#x} is still mapped at {:#x}",
                    mdl.0,
                    mdl.mapped()
                ),
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
        let Some((runs, _)) = self.mdls.with(mdl, |state| state.pages.take()) else {
            return rule(
                MdlRule::BadAddress,
                format_args!(
                    "the MDL {:#x} holds no pages of MmAllocatePagesForMdlEx",
                    mdl.0
                ),
            );
        };
        runs.into_iter().for_each(|run| self.phys.free(run));
        mdl.change_flags(MDL_PAGES_LOCKED, 0);
        Ok(())
    }

    /// Allocates physically contiguous memory within limits.
    pub(crate) fn allocate_contiguous(
        &self,
        len: usize,
        range: Range<Pfn>,
        boundary: u64,
        caller: &Caller,
    ) -> Option<usize> {
        let pages = pages_for(len);
        let run = self.phys.alloc_within(pages as u64, range, boundary)?;
        let Some(mapped) = self.va.reserve(pages * PAGE_SIZE, Use::Contiguous) else {
            self.phys.free(run);
            return None;
        };
        if self
            .va
            .map(&self.phys, mapped, 0, &[run], Protection::ReadWrite)
            .is_err()
        {
            self.va.release(mapped);
            self.phys.free(run);
            return None;
        }
        if self.strict {
            raw::fill(mapped.start, mapped.len, crate::mem::pool::UNINITIALIZED);
        }
        let record = Contiguous {
            range: mapped,
            run,
            caller: caller.clone(),
        };
        self.contiguous.lock().insert(mapped.start, record);
        Some(mapped.start)
    }

    /// Frees physically contiguous memory.
    pub(crate) fn free_contiguous(&self, address: usize) -> Result<()> {
        let Some(record) = self.contiguous.lock().remove(&address) else {
            return rule(
                MdlRule::BadAddress,
                format_args!("{address:#x} is not contiguous memory that is still allocated"),
            );
        };
        self.va.release(record.range);
        self.phys.free(record.run);
        Ok(())
    }

    /// Maps frames by physical address (`MmMapIoSpaceEx`); `None` when the machine has none there.
    pub(crate) fn map_io_space(
        &self,
        physical: u64,
        len: usize,
        protection: Protection,
    ) -> Option<usize> {
        let first = physical / PAGE_SIZE as u64;
        let pages = spanned_pages(physical as usize, len);
        let run = Run {
            first,
            count: pages as u64,
        };
        let last = first.checked_add(run.count)?.checked_sub(1)?;
        if pages == 0 || !self.phys.exists(first) || !self.phys.exists(last) {
            return None;
        }
        let range = self.va.reserve(pages * PAGE_SIZE, Use::IoSpace)?;
        if self
            .va
            .map(&self.phys, range, 0, &[run], protection)
            .is_err()
        {
            self.va.release(range);
            return None;
        }
        Some(range.start + physical as usize % PAGE_SIZE)
    }

    /// Undoes [`Memory::map_io_space`].
    pub(crate) fn unmap_io_space(&self, address: usize, len: usize) -> Result<()> {
        let range = self
            .va
            .find(address)
            .filter(|info| info.usage == Use::IoSpace)
            .map(|info| info.range);
        match range {
            Some(range)
                if address - range.start < PAGE_SIZE
                    && spanned_pages(address, len) * PAGE_SIZE == range.len =>
            {
                self.va.release(range);
                Ok(())
            }
            _ => rule(
                MdlRule::NotMapped,
                format_args!("{address:#x}+{len:#x} is not what MmMapIoSpaceEx mapped"),
            ),
        }
    }
}
