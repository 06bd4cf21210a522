//! Frames that MDLs have locked: they outlive the user range they are from.

use std::collections::{HashMap, HashSet};

use crate::sync::Mutex;

use crate::mem::phys::{Pfn, Run, runs_of};

/// Counts locks per frame.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    locks: HashMap<Pfn, u32>,
    /// Frames whose range is gone; the last unlock frees them.
    orphans: HashSet<Pfn>,
}

impl Pins {
    /// Locks frames.
    pub(crate) fn pin(&self, pfns: &[Pfn]) {
        let mut state = self.state.lock();
        for &pfn in pfns {
            *state.locks.entry(pfn).or_default() += 1;
        }
    }

    /// Unlocks frames and returns those that are to be freed.
    pub(crate) fn unpin(&self, pfns: &[Pfn]) -> Vec<Run> {
        let mut state = self.state.lock();
        let mut free = Vec::new();
        for &pfn in pfns {
            let Some(locks) = state.locks.get_mut(&pfn) else {
                continue;
            };
            *locks -= 1;
            if *locks == 0 {
                state.locks.remove(&pfn);
                if state.orphans.remove(&pfn) {
                    free.push(pfn);
                }
            }
        }
        runs_of(free)
    }

    /// Tells which frames of a range that goes away may be freed now; the others are freed by their last unlock.
    pub(crate) fn unpinned(&self, pfns: impl Iterator<Item = Pfn>) -> Vec<Run> {
        let mut state = self.state.lock();
        let mut free = Vec::new();
        for pfn in pfns {
            if state.locks.contains_key(&pfn) {
                state.orphans.insert(pfn);
            } else {
                free.push(pfn);
            }
        }
        runs_of(free)
    }

    /// The number of frames that are locked.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.state.lock().locks.len()
    }
}
