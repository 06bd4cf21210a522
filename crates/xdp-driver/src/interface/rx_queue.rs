//! A queue where frames are inspected.

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nt::Passive;
use nt::ndis::PacketQueue;
use nt::sync::{Published, SpinLock};
use nt::{Arc, Box, Result};

use super::Way;
use crate::counters::{GenericRxCounters, RxCounters};
use crate::generic::reflect::Reflected;
use crate::program::{Hits, Plan, ProgramRules};

/// A queue where frames are inspected. It is there as long as its interface; without a program its frames pass.
pub(crate) struct RxQueue {
    id: u32,
    way: Way,
    pub(crate) plan: Published<Plan>,
    pub(crate) counters: Arc<RxCounters>,
    pub(crate) generic: Arc<GenericRxCounters>,
    /// Frames of ours that were sent back and are on the way.
    pub(crate) forwarding: AtomicU32,
    /// Packets for frames that are sent back, to be used again.
    pub(crate) kept: SpinLock<PacketQueue>,
    /// Frames of ours that are sent back to the stack.
    pub(crate) reflected: Reflected,
    /// The network card has broken the rules of NDIS on it.
    failed: AtomicBool,
}

impl RxQueue {
    pub(super) fn new(id: u32, way: Way) -> Result<Self> {
        Ok(Self {
            id,
            way,
            plan: Published::empty(),
            counters: Arc::new(crate::TAG, RxCounters::new())?,
            generic: Arc::new(crate::TAG, GenericRxCounters::new())?,
            forwarding: AtomicU32::new(0),
            kept: SpinLock::new(PacketQueue::new()),
            reflected: Reflected::new(),
            failed: AtomicBool::new(false),
        })
    }

    /// Its number.
    #[inline]
    pub(crate) const fn id(&self) -> u32 {
        self.id
    }

    /// Where its frames travel.
    #[inline]
    pub(crate) const fn way(&self) -> Way {
        self.way
    }

    /// Notes that frames came on it that make no sense; whether that is news.
    pub(super) fn fail(&self) -> bool {
        !self.failed.swap(true, Ordering::Relaxed)
    }

    /// Whether frames came on it that make no sense.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// A number that no other queue has as long as this one exists.
    #[inline]
    pub(crate) fn identity(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// Appends a program's rules. `standby` is the other copy of the plan, which exists exactly when there is a plan:
    /// it takes the change first, then trades places with the plan in use, so that no frame waits and no frame sees
    /// half of the change, and removing rules takes no memory.
    pub(super) fn add(
        &self,
        standby: &mut Option<Box<Plan>>,
        program: &Arc<ProgramRules>,
        passive: Passive<'_>,
    ) -> Result<()> {
        let hits = Hits::new(program)?;
        let is_first = standby.is_none();
        let mut next = match standby.take() {
            Some(plan) => plan,
            None => Plan::new()?,
        };
        if let Err(status) = next.add(program, &hits) {
            *standby = (!is_first).then_some(next);
            return Err(status);
        }
        let spare = if is_first { Some(Plan::new()?) } else { None };
        let before = self.plan.replace(Some(next), passive).or(spare);
        let Some(mut other) = before else {
            return Ok(());
        };
        let added = other.add(program, &hits);
        if added.is_ok() {
            *standby = Some(other);
        } else if is_first {
            drop(self.plan.replace(None, passive));
        } else {
            let changed = self.plan.replace(Some(other), passive);
            *standby = changed.map(|mut plan| {
                plan.remove(program.id());
                plan
            });
        }
        added
    }

    /// Removes a program's rules; whether any program is left.
    pub(super) fn remove(
        &self,
        standby: &mut Option<Box<Plan>>,
        program: u64,
        passive: Passive<'_>,
    ) -> bool {
        let Some(mut next) = standby.take() else {
            return false;
        };
        next.remove(program);
        if next.is_empty() {
            self.clear(passive);
            return false;
        }
        *standby = self.plan.replace(Some(next), passive).map(|mut plan| {
            plan.remove(program);
            plan
        });
        true
    }

    /// Removes all programs.
    pub(super) fn clear(&self, passive: Passive<'_>) {
        drop(self.plan.replace(None, passive));
    }
}
