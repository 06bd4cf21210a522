//! User address spaces.
//!
//! Every process has its own slice of the user range, so a user address says whose it is. In strict mode nothing is
//! mapped at user addresses: kernel accesses fault, and only those that obey the rules are redirected to the *alias*, a
//! second view of the same pages at `address + delta`, which the lab's own code and "user mode" code use all the time. In
//! fast mode the pages are mapped at the user address itself and `delta` is zero.

mod access;
mod pins;
mod slice;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::sync::{Mutex, RwLock};

pub use self::access::{
    Access, Current, Denied, UserFault, begin_system_call, current, note_probe, switch_to,
};
pub(crate) use self::pins::Pins;
use self::slice::Slice;
use super::os::{Protection, Reservation};
use super::phys::{Pfn, Phys, Run, runs_of};
use super::{PAGE_SIZE, is_user, pages_for, raw};

/// Names a process' address space; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpaceId(pub u64);

/// Where the pages of a user range are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Allocated by the process.
    Private,
    /// Pages of an MDL that a driver mapped into the process.
    Mapped,
}

#[derive(Clone, Copy, Debug)]
struct Page {
    pfn: Pfn,
    protection: Protection,
}

#[derive(Debug)]
struct UserRange {
    backing: Backing,
    pages: Vec<Page>,
    /// Number of `MmSecureVirtualMemory` handles on it.
    secured: u32,
}

#[derive(Debug, Default)]
struct Ranges {
    by_start: BTreeMap<usize, UserRange>,
    cursor: usize,
}

/// Why a user range cannot be made, changed or released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// The addresses are not free, or not in the process' part of the user range.
    Conflict,
    /// No range starts at the address or covers the pages.
    NotAllocated,
    /// A driver has secured the range against changes.
    Secured,
    /// Pages of an MDL mapping are released by the driver that mapped them.
    Mapped,
    /// No memory, or Linux allows no further mapping.
    NoMemory,
}

/// The user half of one process.
#[derive(Debug)]
pub struct AddressSpace {
    id: SpaceId,
    strict: bool,
    ranges: Mutex<Ranges>,
    alive: AtomicBool,
    process_object: AtomicUsize,
    alias: Option<Reservation>,
    slice: Slice,
}

impl AddressSpace {
    /// Its name.
    pub fn id(&self) -> SpaceId {
        self.id
    }

    fn base(&self) -> usize {
        self.slice.get().base()
    }

    /// What is added to a user address to reach the view that the lab's own code uses.
    pub fn delta(&self) -> usize {
        self.alias
            .as_ref()
            .map_or(0, |alias| alias.base() - self.base())
    }

    /// The pages as mapped for use: the alias, or the user addresses themselves.
    fn view(&self) -> &Reservation {
        self.alias.as_ref().unwrap_or(self.slice.get())
    }

    /// Whether the process still exists.
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// The address that drivers know as the process (`PEPROCESS`).
    pub fn process_object(&self) -> usize {
        self.process_object.load(Ordering::Relaxed)
    }

    /// Says what drivers know the process as.
    pub fn set_process_object(&self, address: usize) {
        self.process_object.store(address, Ordering::Relaxed);
    }

    /// Finds free addresses for `count` pages, or checks the requested ones.
    fn place(
        &self,
        ranges: &mut Ranges,
        at: Option<usize>,
        count: usize,
    ) -> Result<usize, RangeError> {
        let slice = self.slice.get();
        let len = count
            .checked_mul(PAGE_SIZE)
            .filter(|&len| len != 0 && len <= slice.len());
        let len = len.ok_or(RangeError::NoMemory)?;
        let fits = |start: usize, ranges: &Ranges| {
            let inside = start >= slice.base() && start - slice.base() <= slice.len() - len;
            let before = ranges.by_start.range(..start + len).next_back();
            inside && before.is_none_or(|(&at, range)| at + range.pages.len() * PAGE_SIZE <= start)
        };
        if let Some(start) = at {
            let free =
                start.is_multiple_of(PAGE_SIZE) && slice.contains(start) && fits(start, ranges);
            return if free {
                Ok(start)
            } else {
                Err(RangeError::Conflict)
            };
        }
        // A gap after each range makes reads past its end fault; 64 KiB is Windows' granularity.
        const GRANULARITY: usize = 0x1_0000;
        for _ in 0..2 {
            let start = slice.base() + ranges.cursor;
            if fits(start, ranges) {
                ranges.cursor += (len + PAGE_SIZE).next_multiple_of(GRANULARITY);
                return Ok(start);
            }
            ranges.cursor = GRANULARITY;
            let last = ranges.by_start.last_key_value();
            if let Some((&at, range)) = last {
                let end = at + (range.pages.len() + 1) * PAGE_SIZE;
                ranges.cursor = (end - slice.base()).next_multiple_of(GRANULARITY);
            }
        }
        Err(RangeError::NoMemory)
    }

    fn map_view(
        &self,
        phys: &Phys,
        start: usize,
        runs: &[Run],
        protection: Protection,
    ) -> io::Result<()> {
        let mut at = start + self.delta();
        for run in runs {
            let len = run.count as usize * PAGE_SIZE;
            let shown = if self.strict {
                Protection::ReadWrite
            } else {
                protection
            };
            self.view()
                .map(at, len, phys.file(), run.first * PAGE_SIZE as u64, shown)?;
            at += len;
        }
        Ok(())
    }

    /// Allocates zeroed memory at the requested or any address.
    ///
    /// # Errors
    /// When the addresses are taken or memory is used up.
    pub fn alloc(
        &self,
        phys: &Phys,
        at: Option<usize>,
        bytes: usize,
        protection: Protection,
    ) -> Result<usize, RangeError> {
        let count = pages_for(bytes);
        let mut ranges = self.ranges.lock();
        let start = self.place(&mut ranges, at, count)?;
        let runs = phys
            .alloc_any(count as u64, 0..phys.end())
            .ok_or(RangeError::NoMemory)?;
        let mapped = self.map_view(phys, start, &runs, Protection::ReadWrite);
        if mapped.is_err() {
            let _ = self.view().unmap(start + self.delta(), count * PAGE_SIZE);
            runs.into_iter().for_each(|run| phys.free(run));
            return Err(RangeError::NoMemory);
        }
        raw::fill(start + self.delta(), count * PAGE_SIZE, 0);
        if !self.strict {
            let protected = self.view().protect(start, count * PAGE_SIZE, protection);
            protected.map_err(|_| RangeError::NoMemory)?;
        }
        let pages = runs
            .iter()
            .flat_map(|run| run.pfns())
            .map(|pfn| Page { pfn, protection })
            .collect();
        ranges.by_start.insert(
            start,
            UserRange {
                backing: Backing::Private,
                pages,
                secured: 0,
            },
        );
        Ok(start)
    }

    /// Maps given frames into the process.
    ///
    /// # Errors
    /// When the addresses are taken, frames are the host's, or Linux allows no further mapping.
    pub fn map(
        &self,
        phys: &Phys,
        at: Option<usize>,
        pfns: &[Pfn],
        protection: Protection,
    ) -> Result<usize, RangeError> {
        if !pfns.iter().all(|&pfn| phys.exists(pfn)) {
            return Err(RangeError::NoMemory);
        }
        let mut ranges = self.ranges.lock();
        let start = self.place(&mut ranges, at, pfns.len())?;
        if self
            .map_view(phys, start, &runs_of(pfns.iter().copied()), protection)
            .is_err()
        {
            let _ = self
                .view()
                .unmap(start + self.delta(), pfns.len() * PAGE_SIZE);
            return Err(RangeError::NoMemory);
        }
        let pages = pfns.iter().map(|&pfn| Page { pfn, protection }).collect();
        ranges.by_start.insert(
            start,
            UserRange {
                backing: Backing::Mapped,
                pages,
                secured: 0,
            },
        );
        Ok(start)
    }

    /// Releases the whole range that starts at `start`.
    ///
    /// # Errors
    /// When there is none of that backing, or it is secured.
    pub(crate) fn release(
        &self,
        phys: &Phys,
        pins: &Pins,
        start: usize,
        backing: Backing,
    ) -> Result<(), RangeError> {
        let mut ranges = self.ranges.lock();
        let range = ranges
            .by_start
            .get(&start)
            .ok_or(RangeError::NotAllocated)?;
        match (range.backing, backing) {
            (Backing::Mapped, Backing::Private) => return Err(RangeError::Mapped),
            (Backing::Private, Backing::Mapped) => return Err(RangeError::NotAllocated),
            _ if range.secured > 0 => return Err(RangeError::Secured),
            _ => {}
        }
        let range = ranges
            .by_start
            .remove(&start)
            .ok_or(RangeError::NotAllocated)?;
        self.drop_range(phys, pins, start, &range);
        Ok(())
    }

    fn drop_range(&self, phys: &Phys, pins: &Pins, start: usize, range: &UserRange) {
        let _ = self
            .view()
            .unmap(start + self.delta(), range.pages.len() * PAGE_SIZE);
        if range.backing == Backing::Private {
            for run in pins.unpinned(range.pages.iter().map(|page| page.pfn)) {
                phys.free(run);
            }
        }
    }

    /// Changes what the process may do with the pages of `[start, start + len)`.
    ///
    /// # Errors
    /// When the range is not allocated as one, or it is secured.
    pub fn protect(
        &self,
        start: usize,
        len: usize,
        protection: Protection,
    ) -> Result<(), RangeError> {
        let mut ranges = self.ranges.lock();
        let (&first, range) = ranges
            .by_start
            .range_mut(..=start)
            .next_back()
            .ok_or(RangeError::NotAllocated)?;
        let index = (start - first) / PAGE_SIZE;
        let count = pages_for(start % PAGE_SIZE + len);
        let pages = range
            .pages
            .get_mut(index..index.saturating_add(count))
            .ok_or(RangeError::NotAllocated)?;
        if range.secured > 0 {
            return Err(RangeError::Secured);
        }
        if !self.strict {
            let at = first + index * PAGE_SIZE;
            self.view()
                .protect(at, count * PAGE_SIZE, protection)
                .map_err(|_| RangeError::NoMemory)?;
        }
        pages
            .iter_mut()
            .for_each(|page| page.protection = protection);
        Ok(())
    }

    /// Adds or removes a `MmSecureVirtualMemory` handle of the range around `address`.
    ///
    /// # Errors
    /// When the pages are not there, or do not allow the access.
    pub fn secure(
        &self,
        address: usize,
        len: usize,
        access: Access,
        add: bool,
    ) -> Result<(), RangeError> {
        if add {
            self.pages(address, len, access)
                .map_err(|_| RangeError::NotAllocated)?;
        }
        let mut ranges = self.ranges.lock();
        let (_, range) = ranges
            .by_start
            .range_mut(..=address)
            .next_back()
            .ok_or(RangeError::NotAllocated)?;
        range.secured = if add {
            range.secured + 1
        } else {
            range.secured.saturating_sub(1)
        };
        Ok(())
    }

    /// The frames behind `[address, address + len)`, if the pages allow the access.
    ///
    /// # Errors
    /// The first address that faults.
    pub fn pages(&self, address: usize, len: usize, access: Access) -> Result<Vec<Pfn>, usize> {
        let ranges = self.ranges.lock();
        let first = address / PAGE_SIZE;
        let last = (address + len.max(1) - 1) / PAGE_SIZE;
        (first..=last)
            .map(|index| {
                let at = index * PAGE_SIZE;
                let page = ranges.page(at).ok_or(at.max(address))?;
                if access.allowed(page.protection) {
                    Ok(page.pfn)
                } else {
                    Err(at.max(address))
                }
            })
            .collect()
    }

    /// Whether every page of the range allows the access.
    ///
    /// # Errors
    /// The first address that faults.
    pub fn check(&self, address: usize, len: usize, access: Access) -> Result<(), usize> {
        let ranges = self.ranges.lock();
        let last = (address + len.max(1) - 1) / PAGE_SIZE;
        for index in address / PAGE_SIZE..=last {
            let at = index * PAGE_SIZE;
            if !ranges
                .page(at)
                .is_some_and(|page| access.allowed(page.protection))
            {
                return Err(at.max(address));
            }
        }
        Ok(())
    }

    /// The address at which the lab's own code reaches a user range, if it is all there.
    pub fn host(&self, address: usize, len: usize) -> Option<usize> {
        self.ranges
            .lock()
            .are_present(address, len)
            .then(|| address + self.delta())
    }

    /// Writes as the program's own code would; `false` where it would fault. Pages may be going away meanwhile.
    pub fn write(&self, address: usize, bytes: &[u8]) -> bool {
        let ranges = self.ranges.lock();
        if !ranges.are_present(address, bytes.len()) {
            return false;
        }
        let to = (address + self.delta()) as *mut u8;
        // SAFETY: the pages are there, and no range goes away while the lock is held. Drivers may write at the same time, which
        // gives wrong bytes and nothing worse.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        true
    }
}

impl Ranges {
    fn are_present(&self, address: usize, len: usize) -> bool {
        let Some(end) = address.checked_add(len.max(1)) else {
            return false;
        };
        (address / PAGE_SIZE..=(end - 1) / PAGE_SIZE)
            .all(|index| self.page(index * PAGE_SIZE).is_some())
    }

    fn page(&self, address: usize) -> Option<Page> {
        let (&start, range) = self.by_start.range(..=address).next_back()?;
        range.pages.get((address - start) / PAGE_SIZE).copied()
    }
}

/// All address spaces of the machine.
#[derive(Debug)]
pub struct Spaces {
    strict: bool,
    next: AtomicU64,
    /// By the base of the slice.
    by_base: RwLock<BTreeMap<usize, Arc<AddressSpace>>>,
}

impl Spaces {
    pub(crate) fn new(strict: bool) -> Self {
        Self {
            strict,
            next: AtomicU64::new(1),
            by_base: RwLock::default(),
        }
    }

    /// Makes the address space of a new process.
    ///
    /// # Errors
    /// When the user range or Linux' address space is used up.
    pub fn create(&self) -> io::Result<Arc<AddressSpace>> {
        let slice = Slice::take()?;
        let alias = if self.strict {
            Some(Reservation::anywhere(slice::SLICE)?)
        } else {
            None
        };
        let space = Arc::new(AddressSpace {
            id: SpaceId(self.next.fetch_add(1, Ordering::Relaxed)),
            strict: self.strict,
            ranges: Mutex::new(Ranges {
                cursor: 0x1_0000,
                ..Ranges::default()
            }),
            alive: AtomicBool::new(true),
            process_object: AtomicUsize::new(0),
            alias,
            slice,
        });
        self.by_base
            .write()
            .insert(space.base(), Arc::clone(&space));
        Ok(space)
    }

    /// Ends an address space: its memory is unmapped, late accesses fault. The addresses that drivers had mapped
    /// are returned.
    pub(crate) fn delete(&self, phys: &Phys, pins: &Pins, space: &AddressSpace) -> Vec<usize> {
        space.alive.store(false, Ordering::Release);
        let ranges = std::mem::take(&mut space.ranges.lock().by_start);
        for (&start, range) in &ranges {
            space.drop_range(phys, pins, start, range);
        }
        self.by_base.write().remove(&space.base());
        let mapped = ranges
            .iter()
            .filter(|(_, range)| range.backing == Backing::Mapped);
        mapped.map(|(&start, _)| start).collect()
    }

    /// The living space that a user address belongs to.
    pub fn of(&self, address: usize) -> Option<Arc<AddressSpace>> {
        if !is_user(address) {
            return None;
        }
        let spaces = self.by_base.read();
        let (&base, space) = spaces.range(..=address).next_back()?;
        (address - base < slice::SLICE).then(|| Arc::clone(space))
    }

    /// The living space with this name.
    pub fn get(&self, id: SpaceId) -> Option<Arc<AddressSpace>> {
        self.by_base
            .read()
            .values()
            .find(|space| space.id == id)
            .map(Arc::clone)
    }
}

#[cfg(test)]
mod tests;
