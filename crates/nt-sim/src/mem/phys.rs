//! Physical memory: page frames of an anonymous file, numbered as drivers see them in MDLs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;

use crate::sync::Mutex;

use super::{PAGE_SIZE, os};

/// A page frame number: a physical address divided by the page size.
pub type Pfn = u64;

/// The first page frame that exists; nothing lives below 16 MiB, so that small numbers are never valid frames.
pub const FIRST_PFN: Pfn = 0x1000;

/// Set in the number of a frame that is not ours: a page of the host process (a static of a linked driver, a host
/// stack), which has a number so that an MDL can describe it, but which cannot be mapped a second time.
const HOST_PFN: Pfn = 1 << 48;

/// Runs of at least this many pages are given back to Linux when they are freed.
const DISCARD_PAGES: u64 = 64;

/// Consecutive page frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first frame.
    pub first: Pfn,
    /// How many frames.
    pub count: u64,
}

impl Run {
    /// The frames' numbers.
    pub fn pfns(self) -> Range<Pfn> {
        self.first..self.first + self.count
    }
}

/// Joins neighbouring frames of a list into runs.
pub fn runs_of(pfns: impl IntoIterator<Item = Pfn>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for pfn in pfns {
        match runs.last_mut() {
            Some(run) if run.first + run.count == pfn => run.count += 1,
            _ => runs.push(Run {
                first: pfn,
                count: 1,
            }),
        }
    }
    runs
}

/// The frame number that stands for the page of the host process at `address`.
pub fn host_pfn(address: usize) -> Pfn {
    HOST_PFN | (address / PAGE_SIZE) as u64
}

/// The host page that a frame number stands for, if it is one.
pub fn host_page(pfn: Pfn) -> Option<usize> {
    (pfn & HOST_PFN != 0).then_some((pfn & !HOST_PFN) as usize * PAGE_SIZE)
}

/// The page frames of the machine and who has them.
#[derive(Debug)]
pub struct Phys {
    file: File,
    end: Pfn,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Free runs by first frame; neighbours are always joined.
    free: BTreeMap<Pfn, u64>,
    /// Single frames freed lately; the usual request is for one page.
    singles: Vec<Pfn>,
    live: u64,
}

const MAX_SINGLES: usize = 4096;

impl Phys {
    /// Makes a machine with `bytes` of memory; pages cost nothing until they are touched.
    ///
    /// # Errors
    /// When Linux refuses the memory file.
    pub fn new(bytes: u64) -> io::Result<Self> {
        let pages = bytes / PAGE_SIZE as u64;
        let file = os::create_memory_file((FIRST_PFN + pages) * PAGE_SIZE as u64)?;
        let state = State {
            free: BTreeMap::from([(FIRST_PFN, pages)]),
            singles: Vec::new(),
            live: 0,
        };
        Ok(Self {
            file,
            end: FIRST_PFN + pages,
            state: Mutex::new(state),
        })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// One past the last frame of the machine.
    pub fn end(&self) -> Pfn {
        self.end
    }

    /// Whether the frame exists.
    pub fn exists(&self, pfn: Pfn) -> bool {
        (FIRST_PFN..self.end).contains(&pfn)
    }

    /// The number of frames that are in use.
    pub fn live_pages(&self) -> u64 {
        self.state.lock().live
    }

    /// The number of frames that are free.
    pub fn free_pages(&self) -> u64 {
        self.end - FIRST_PFN - self.live_pages()
    }

    /// Takes `count` consecutive frames; their content is whatever it was.
    pub fn alloc(&self, count: u64) -> Option<Run> {
        let mut state = self.state.lock();
        if count == 1
            && let Some(first) = state.singles.pop()
        {
            state.live += 1;
            return Some(Run { first, count });
        }
        state.take(count, FIRST_PFN..self.end, 0)
    }

    /// Takes `count` consecutive frames within `range` that do not cross a multiple of `boundary` frames (0: any).
    pub fn alloc_within(&self, count: u64, range: Range<Pfn>, boundary: u64) -> Option<Run> {
        self.state.lock().take(count, range, boundary)
    }

    /// Takes `count` frames of `range`, wherever they are, in as few runs as possible.
    pub fn alloc_any(&self, count: u64, range: Range<Pfn>) -> Option<Vec<Run>> {
        let mut state = self.state.lock();
        if let Some(run) = state.take(count, range.clone(), 0) {
            return Some(vec![run]);
        }
        let mut runs = Vec::new();
        let mut missing = count;
        let mut step = missing;
        while missing > 0 {
            step = step.min(missing);
            match state.take(step, range.clone(), 0) {
                Some(run) => {
                    missing -= run.count;
                    runs.push(run);
                }
                None if step > 1 => step /= 2,
                None => {
                    for run in runs {
                        state.give(run);
                    }
                    return None;
                }
            }
        }
        Some(runs)
    }

    /// Gives frames back.
    pub fn free(&self, run: Run) {
        if run.count >= DISCARD_PAGES {
            os::discard(
                &self.file,
                run.first * PAGE_SIZE as u64,
                run.count * PAGE_SIZE as u64,
            );
        }
        let mut state = self.state.lock();
        state.live -= run.count;
        if run.count == 1 && state.singles.len() < MAX_SINGLES {
            state.singles.push(run.first);
        } else {
            state.live += run.count;
            state.give(run);
        }
    }
}

impl State {
    fn take(&mut self, count: u64, range: Range<Pfn>, boundary: u64) -> Option<Run> {
        if count == 0 {
            return None;
        }
        let fit = |start: Pfn, len: u64| -> Option<Pfn> {
            let mut first = start.max(range.start);
            if boundary != 0 && first / boundary != (first + count - 1) / boundary {
                first = first.next_multiple_of(boundary);
                if count > boundary {
                    return None;
                }
            }
            (first + count <= (start + len).min(range.end)).then_some(first)
        };
        let found = self
            .free
            .iter()
            .find_map(|(&start, &len)| fit(start, len).map(|first| (start, len, first)));
        let Some((start, len, first)) = found else {
            if self.singles.is_empty() {
                return None;
            }
            self.join_singles();
            return self.take(count, range, boundary);
        };
        self.free.remove(&start);
        if first > start {
            self.free.insert(start, first - start);
        }
        let tail = (start + len) - (first + count);
        if tail > 0 {
            self.free.insert(first + count, tail);
        }
        self.live += count;
        Some(Run { first, count })
    }

    fn give(&mut self, run: Run) {
        self.live -= run.count;
        self.insert_free(run.first, run.count);
    }

    fn insert_free(&mut self, mut first: Pfn, mut count: u64) {
        if let Some((&before, &len)) = self.free.range(..first).next_back()
            && before + len == first
        {
            self.free.remove(&before);
            first = before;
            count += len;
        }
        if let Some(len) = self.free.remove(&(first + count)) {
            count += len;
        }
        self.free.insert(first, count);
    }

    fn join_singles(&mut self) {
        for pfn in std::mem::take(&mut self.singles) {
            self.insert_free(pfn, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn frames_come_back_and_join() {
        let phys = Phys::new(MIB).unwrap();
        let all = phys.alloc(256).unwrap();
        assert_eq!(
            all,
            Run {
                first: FIRST_PFN,
                count: 256
            }
        );
        assert_eq!(phys.alloc(1), None);
        phys.free(all);
        let pages: Vec<Run> = (0..256).map(|_| phys.alloc(1).unwrap()).collect();
        assert_eq!(phys.live_pages(), 256);
        for page in pages.into_iter().rev() {
            phys.free(page);
        }
        assert_eq!(phys.live_pages(), 0);
        assert_eq!(
            phys.alloc(256).map(|run| run.count),
            Some(256),
            "single pages joined again"
        );
    }

    #[test]
    fn scattered_frames_are_found_when_no_run_is_left() {
        let phys = Phys::new(MIB).unwrap();
        let pages: Vec<Run> = (0..256).map(|_| phys.alloc(1).unwrap()).collect();
        for page in pages.iter().step_by(2) {
            phys.free(*page);
        }
        assert_eq!(phys.alloc(2), None);
        let got = phys.alloc_any(128, 0..phys.end()).unwrap();
        assert_eq!(got.iter().map(|run| run.count).sum::<u64>(), 128);
        assert_eq!(phys.alloc_any(1, 0..phys.end()), None);
        assert_eq!(phys.live_pages(), 256);
    }

    #[test]
    fn limits_and_boundaries_hold() {
        let phys = Phys::new(MIB).unwrap();
        let run = phys
            .alloc_within(8, FIRST_PFN + 3..FIRST_PFN + 64, 16)
            .unwrap();
        assert_eq!(run.first, FIRST_PFN + 3);
        let run = phys
            .alloc_within(12, FIRST_PFN..FIRST_PFN + 64, 16)
            .unwrap();
        assert_eq!(
            run.first % 16,
            0,
            "12 pages would have crossed a multiple of 16"
        );
        assert_eq!(phys.alloc_within(17, 0..phys.end(), 16), None);
        assert_eq!(phys.alloc_within(1, 0..FIRST_PFN, 0), None);
    }

    #[test]
    fn lists_become_runs() {
        assert_eq!(
            runs_of([5, 6, 7, 9, 8]),
            [
                Run { first: 5, count: 3 },
                Run { first: 9, count: 1 },
                Run { first: 8, count: 1 }
            ]
        );
        assert_eq!(
            host_page(host_pfn(0x7fff_1234_5678)),
            Some(0x7fff_1234_5000)
        );
        assert_eq!(host_page(FIRST_PFN), None);
    }
}
