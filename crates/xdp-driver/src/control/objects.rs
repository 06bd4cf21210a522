//! All open objects, for those who ask what there is.

use core::sync::atomic::{AtomicU64, Ordering};

use nt::process::Process;
use nt::sync::PushLock;
use nt::{Arc, Passive, Result, Vec};

use super::Object;

/// All open objects. Nothing else is waited for while the lock is held.
pub(crate) struct Objects {
    slots: PushLock<Vec<Slot>>,
    next: AtomicU64,
}

enum Slot {
    Free,
    /// An object is being opened.
    Taken,
    Used(Opened),
}

/// An open object.
#[derive(Clone)]
pub(super) struct Opened {
    /// Its number.
    pub(super) id: u64,
    /// The process that opened it.
    pub(super) process: u64,
    pub(super) object: Arc<Object>,
}

impl Objects {
    /// Nothing.
    pub(crate) const fn new() -> Self {
        Self {
            slots: PushLock::new(Vec::new(crate::TAG)),
            next: AtomicU64::new(1),
        }
    }

    /// Takes a slot for an object that is about to be opened, which could not be undone for want of it.
    pub(super) fn reserve(&self, passive: Passive<'_>) -> Result<usize> {
        let mut slots = self.slots.write(passive);
        if let Some(at) = slots.iter().position(|slot| matches!(slot, Slot::Free)) {
            if let Some(slot) = slots.get_mut(at) {
                *slot = Slot::Taken;
            }
            return Ok(at);
        }
        slots.push(Slot::Taken)?;
        Ok(slots.len() - 1)
    }

    /// Fills a slot, with what was opened or, when opening failed, nothing.
    pub(super) fn fill(&self, at: usize, object: Option<&Arc<Object>>, passive: Passive<'_>) {
        let filled = object.map_or(Slot::Free, |object| {
            Slot::Used(Opened {
                id: self.next.fetch_add(1, Ordering::Relaxed),
                process: Process::current().id() as u64,
                object: object.clone(),
            })
        });
        if let Some(slot) = self.slots.write(passive).get_mut(at) {
            *slot = filled;
        }
    }

    /// Forgets an object that is closed.
    pub(crate) fn remove(&self, object: &Arc<Object>, passive: Passive<'_>) {
        let mut slots = self.slots.write(passive);
        let found = slots.iter_mut().find(|slot| match slot {
            Slot::Used(opened) => Arc::ptr_eq(&opened.object, object),
            Slot::Free | Slot::Taken => false,
        });
        // The caller has a reference, so nothing but a count goes here.
        if let Some(slot) = found {
            *slot = Slot::Free;
        }
    }

    /// What is in a slot: `None` behind the last.
    pub(super) fn get(&self, at: usize, passive: Passive<'_>) -> Option<Option<Opened>> {
        let slots = self.slots.read(passive);
        Some(match slots.get(at)? {
            Slot::Used(opened) => Some(opened.clone()),
            Slot::Free | Slot::Taken => None,
        })
    }
}
