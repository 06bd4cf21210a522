//! Kernel virtual memory: reserved ranges and the page frames mapped in them.
//!
//! Addresses are handed out in rotation, so an address that was unmapped stays unmapped, and faults, for as long as
//! possible; what was there can then still be told.

use std::collections::BTreeMap;
use std::io;

use crate::sync::Mutex;

use super::os::{Protection, Reservation};
use super::phys::{Pfn, Phys, Run};
use super::{PAGE_SIZE, pages_for};

/// What a range of kernel addresses is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A pool block on pages of its own.
    SpecialPool,
    /// Pages that many pool blocks share.
    Pool,
    /// The image of a driver.
    Image,
    /// A kernel stack.
    Stack,
    /// Pages of an MDL mapped into the kernel.
    MdlMapping,
    /// Addresses reserved by `MmAllocateMappingAddress`.
    ReservedMapping,
    /// Device memory mapped by `MmMapIoSpaceEx`.
    IoSpace,
    /// Physically contiguous memory.
    Contiguous,
    /// The alias of user memory that the lab's own code uses.
    UserAlias,
    /// Memory of the simulated kernel that drivers may look at.
    Kernel,
}

/// A reserved range of kernel addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaRange {
    /// The first address.
    pub start: usize,
    /// Bytes, without the guard page that follows.
    pub len: usize,
}

impl VaRange {
    /// One past the last address.
    pub fn end(self) -> usize {
        self.start + self.len
    }
}

/// What is known of the range an address lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeInfo {
    /// The range.
    pub range: VaRange,
    /// Its use.
    pub usage: Use,
    /// The frame behind the address, if one is mapped, and what may be done with it.
    pub mapped: Option<(Pfn, Protection)>,
}

#[derive(Debug)]
struct Live {
    len: usize,
    usage: Use,
    pages: Pages,
}

/// The frames of a range; nearly all ranges are one run with one protection.
#[derive(Debug)]
enum Pages {
    None,
    Run(Run, Protection),
    List(Vec<Option<(Pfn, Protection)>>),
}

impl Pages {
    fn get(&self, index: usize) -> Option<(Pfn, Protection)> {
        match self {
            Self::None => None,
            Self::Run(run, protection) => {
                ((index as u64) < run.count).then(|| (run.first + index as u64, *protection))
            }
            Self::List(list) => list.get(index).copied().flatten(),
        }
    }

    fn into_list(self, len: usize) -> Vec<Option<(Pfn, Protection)>> {
        match self {
            Self::List(list) => list,
            other => (0..len).map(|index| other.get(index)).collect(),
        }
    }
}

/// The kernel half of the address space.
#[derive(Debug)]
pub struct KernelVa {
    area: Reservation,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Free ranges by start; neighbours are always joined.
    free: BTreeMap<usize, usize>,
    /// Where the next search starts.
    cursor: usize,
    live: BTreeMap<usize, Live>,
}

impl KernelVa {
    /// Reserves `len` bytes of addresses for the simulated kernel.
    ///
    /// # Errors
    /// When Linux has no room.
    pub fn new(len: usize) -> io::Result<Self> {
        let area = Reservation::anywhere(len)?;
        // The first page stays unmapped, as the guard in front of the first range.
        let start = area.base() + PAGE_SIZE;
        let state = State {
            free: BTreeMap::from([(start, len - PAGE_SIZE)]),
            cursor: start,
            live: BTreeMap::new(),
        };
        Ok(Self {
            area,
            state: Mutex::new(state),
        })
    }

    /// Whether the address belongs to the simulated kernel's own memory (mapped or not).
    pub fn contains(&self, address: usize) -> bool {
        self.area.contains(address)
    }

    /// Reserves at least `len` bytes, with a page behind that always faults.
    pub fn reserve(&self, len: usize, usage: Use) -> Option<VaRange> {
        if len > self.area.len() {
            return None;
        }
        let len = pages_for(len) * PAGE_SIZE;
        let mut state = self.state.lock();
        let start = state.take(len + PAGE_SIZE)?;
        state.live.insert(
            start,
            Live {
                len,
                usage,
                pages: Pages::None,
            },
        );
        Some(VaRange { start, len })
    }

    /// Maps frames into a reserved range, from its page `at` on.
    ///
    /// # Errors
    /// When Linux refuses the mapping (too many of them); nothing of the range is mapped then.
    pub fn map(
        &self,
        phys: &Phys,
        range: VaRange,
        at: usize,
        runs: &[Run],
        protection: Protection,
    ) -> io::Result<()> {
        let mut address = range.start + at * PAGE_SIZE;
        for run in runs {
            let len = run.count as usize * PAGE_SIZE;
            assert!(
                address + len <= range.end(),
                "mapping more pages than were reserved"
            );
            let mapped = self.area.map(
                address,
                len,
                phys.file(),
                run.first * PAGE_SIZE as u64,
                protection,
            );
            if let Err(error) = mapped {
                let _ = self.area.unmap(range.start, range.len);
                if let Some(live) = self.state.lock().live.get_mut(&range.start) {
                    live.pages = Pages::None;
                }
                return Err(error);
            }
            address += len;
        }
        let mut state = self.state.lock();
        let live = state
            .live
            .get_mut(&range.start)
            .expect("the range is reserved");
        live.pages = match (std::mem::replace(&mut live.pages, Pages::None), runs) {
            (Pages::None, [run]) if at == 0 => Pages::Run(*run, protection),
            (pages, runs) => {
                let mut list = pages.into_list(live.len / PAGE_SIZE);
                let pfns = runs.iter().flat_map(|run| run.pfns());
                for (slot, pfn) in list.iter_mut().skip(at).zip(pfns) {
                    *slot = Some((pfn, protection));
                }
                Pages::List(list)
            }
        };
        Ok(())
    }

    /// Unmaps every page of the range; the addresses stay reserved.
    pub fn unmap(&self, range: VaRange) {
        self.area
            .unmap(range.start, range.len)
            .expect("Linux can always shrink a mapping of ours");
        if let Some(live) = self.state.lock().live.get_mut(&range.start) {
            live.pages = Pages::None;
        }
    }

    /// Unmaps the range and gives its addresses back.
    pub fn release(&self, range: VaRange) {
        let mut state = self.state.lock();
        let Some(live) = state.live.remove(&range.start) else {
            return;
        };
        if !matches!(live.pages, Pages::None) {
            self.area
                .unmap(range.start, range.len)
                .expect("Linux can always shrink a mapping of ours");
        }
        state.give(range.start, live.len + PAGE_SIZE);
    }

    /// Changes what may be done with `count` pages of the range from page `at` on.
    ///
    /// # Errors
    /// When Linux refuses.
    pub fn protect(
        &self,
        range: VaRange,
        at: usize,
        count: usize,
        protection: Protection,
    ) -> io::Result<()> {
        self.area
            .protect(range.start + at * PAGE_SIZE, count * PAGE_SIZE, protection)?;
        let mut state = self.state.lock();
        let live = state
            .live
            .get_mut(&range.start)
            .expect("the range is reserved");
        let mut list =
            std::mem::replace(&mut live.pages, Pages::None).into_list(live.len / PAGE_SIZE);
        for slot in list.iter_mut().skip(at).take(count).flatten() {
            slot.1 = protection;
        }
        live.pages = Pages::List(list);
        Ok(())
    }

    /// Tells what is at an address; `None` when no live range holds it.
    pub fn find(&self, address: usize) -> Option<RangeInfo> {
        if !self.contains(address) {
            return None;
        }
        let state = self.state.lock();
        let (&start, live) = state.live.range(..=address).next_back()?;
        if address - start >= live.len {
            return None;
        }
        let mapped = live.pages.get((address - start) / PAGE_SIZE);
        Some(RangeInfo {
            range: VaRange {
                start,
                len: live.len,
            },
            usage: live.usage,
            mapped,
        })
    }

    /// The frame mapped at an address.
    pub fn pfn(&self, address: usize) -> Option<Pfn> {
        Some(self.find(address)?.mapped?.0)
    }

    /// The number of live ranges of one use.
    pub fn count(&self, usage: Use) -> usize {
        self.state
            .lock()
            .live
            .values()
            .filter(|live| live.usage == usage)
            .count()
    }
}

impl State {
    fn take(&mut self, len: usize) -> Option<usize> {
        let cursor = self.cursor;
        let fits = |(&start, &size): (&usize, &usize)| -> Option<(usize, usize, usize)> {
            // Continue behind the last range handed out, also inside a free range.
            let first = if start < cursor && cursor < start + size {
                cursor
            } else {
                start
            };
            (first + len <= start + size).then_some((start, size, first))
        };
        let from = self
            .free
            .range(..cursor)
            .next_back()
            .map_or(cursor, |(&start, _)| start);
        let found = self
            .free
            .range(from..)
            .filter_map(fits)
            .find(|&(_, _, first)| first >= cursor)
            .or_else(|| {
                self.free
                    .iter()
                    .find(|&(_, &size)| size >= len)
                    .map(|(&start, &size)| (start, size, start))
            });
        let (start, size, first) = found?;
        self.free.remove(&start);
        if first > start {
            self.free.insert(start, first - start);
        }
        let tail = start + size - (first + len);
        if tail > 0 {
            self.free.insert(first + len, tail);
        }
        self.cursor = first + len;
        Some(first)
    }

    fn give(&mut self, mut start: usize, mut len: usize) {
        if let Some((&before, &size)) = self.free.range(..start).next_back()
            && before + size == start
        {
            self.free.remove(&before);
            start = before;
            len += size;
        }
        if let Some(size) = self.free.remove(&(start + len)) {
            len += size;
        }
        self.free.insert(start, len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::raw;

    fn machine() -> (Phys, KernelVa) {
        (Phys::new(1 << 24).unwrap(), KernelVa::new(1 << 24).unwrap())
    }

    #[test]
    fn one_frame_seen_at_two_addresses() {
        let (phys, va) = machine();
        let run = phys.alloc(1).unwrap();
        let a = va.reserve(1, Use::Kernel).unwrap();
        let b = va.reserve(1, Use::MdlMapping).unwrap();
        va.map(&phys, a, 0, &[run], Protection::ReadWrite).unwrap();
        va.map(&phys, b, 0, &[run], Protection::Read).unwrap();
        raw::fill(a.start, 4, 0x5a);
        assert_eq!(raw::bytes(b.start, 4), [0x5a; 4]);
        assert_eq!(va.pfn(b.start + 17), Some(run.first));
        assert_eq!(
            va.find(a.end()),
            None,
            "a guard page lies behind every range"
        );
        va.release(a);
        assert_eq!(va.find(a.start), None);
        assert_eq!(raw::bytes(b.start, 1), [0x5a]);
    }

    #[test]
    fn scattered_frames_appear_in_order() {
        let (phys, va) = machine();
        let (x, _gap, y) = (
            phys.alloc(1).unwrap(),
            phys.alloc(1).unwrap(),
            phys.alloc(1).unwrap(),
        );
        let range = va.reserve(2 * PAGE_SIZE, Use::MdlMapping).unwrap();
        va.map(&phys, range, 0, &[y, x], Protection::ReadWrite)
            .unwrap();
        assert_eq!(va.pfn(range.start), Some(y.first));
        assert_eq!(va.pfn(range.start + PAGE_SIZE), Some(x.first));
        va.protect(range, 1, 1, Protection::Read).unwrap();
        assert_eq!(
            va.find(range.start + PAGE_SIZE).unwrap().mapped,
            Some((x.first, Protection::Read))
        );
        assert_eq!(
            va.find(range.start).unwrap().mapped,
            Some((y.first, Protection::ReadWrite))
        );
        va.unmap(range);
        assert_eq!(va.find(range.start).unwrap().mapped, None);
    }

    #[test]
    fn addresses_rotate_before_they_are_reused() {
        let (_, va) = machine();
        let first = va.reserve(1, Use::Kernel).unwrap();
        va.release(first);
        let mut seen = 0;
        loop {
            let next = va.reserve(1, Use::Kernel).unwrap();
            va.release(next);
            if next == first {
                break;
            }
            seen += 1;
        }
        assert!(seen > 2000, "reused after {seen} other ranges");
        assert_eq!(
            va.reserve(1 << 24, Use::Kernel),
            None,
            "larger than everything"
        );
    }
}
