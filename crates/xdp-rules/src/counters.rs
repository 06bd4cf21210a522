//! How often each rule decided.

use crate::arena::RuleKey;
use crate::store::{Buffer, OutOfMemory, Store};
use core::sync::atomic::{AtomicU64, Ordering};

/// A hit counter for each rule of a classifier, beside it: callers who do not count pay nothing.
///
/// One thread at a time counts (keep one of these for each queue); any may read.
pub struct HitCounters<S: Store> {
    counts: S::Buf<AtomicU64>,
}

impl<S: Store> HitCounters<S> {
    /// Makes counters for no rules.
    #[must_use]
    pub fn new(store: &S) -> Self {
        Self {
            counts: store.buffer(),
        }
    }

    /// Starts counting for a rule that was just pushed, at zero.
    ///
    /// # Errors
    ///
    /// There is no memory.
    pub fn start(&mut self, key: RuleKey) -> Result<(), OutOfMemory> {
        while self.counts.len() <= key.index() {
            if self.counts.len() == self.counts.capacity() {
                let more = (self.counts.len() / 2).max(8);
                self.counts.try_reserve_exact(more)?;
            }
            self.counts.try_push(AtomicU64::new(0))?;
        }
        if let Some(count) = self.counts.get_mut(key.index()) {
            *count.get_mut() = 0;
        }
        Ok(())
    }

    /// Counts a hit. Rules that were never started are not counted.
    #[inline]
    pub fn record(&self, key: RuleKey) {
        if let Some(count) = self.counts.get(key.index()) {
            // Only one thread counts, so nothing can come in between.
            let next = count.load(Ordering::Relaxed).wrapping_add(1);
            count.store(next, Ordering::Relaxed);
        }
    }

    /// Returns how often a rule decided.
    #[must_use]
    pub fn get(&self, key: RuleKey) -> u64 {
        self.counts
            .get(key.index())
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }
}
